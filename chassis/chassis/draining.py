"""How a program ends: it says so, goes on serving while others turn elsewhere, and only then closes its door.

On SIGTERM ``/health/ready`` answers 503 at once. For ``DRAIN_SECONDS`` more every request is served, and each answer
asks its client to open its next connection elsewhere. Whoever keeps an unused connection for less than that time never
writes to one that is being closed, so nothing is refused or cut.
"""

import asyncio
import signal

import structlog
from aiohttp import web

log = structlog.get_logger()


class Drain:
    """Whether the end has begun, and the way there."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.is_begun = False

    def heed_signals(self) -> None:
        """End in order on SIGTERM; at once on SIGINT, which is somebody at a keyboard."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.begin)
        loop.add_signal_handler(signal.SIGINT, _leave)

    def begin(self) -> None:
        """Take leave; asked a second time, without waiting any longer."""
        if self.is_begun or not self._seconds:
            _leave()
        self.is_begun = True
        log.info("draining", seconds=self._seconds)
        asyncio.get_running_loop().call_later(self._seconds, _leave)


def _leave() -> None:
    raise web.GracefulExit


DRAIN = web.AppKey("drain", Drain)
