"""Graceful shutdown: the program announces it, keeps serving while clients move, and then closes.

On SIGTERM ``/health/ready`` answers 503 immediately. For ``DRAIN_SECONDS`` every request is still served, and each
response closes its connection. A client that keeps idle connections for less than that never writes to one that is
being closed, so no request is refused or cut.
"""

import asyncio
import signal

import structlog
from aiohttp import web

log = structlog.get_logger()


class Drain:
    """The state of the shutdown."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.is_begun = False

    def handle_signals(self) -> None:
        """Drain on SIGTERM; leave immediately on SIGINT."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.begin)
        loop.add_signal_handler(signal.SIGINT, _leave)

    def begin(self) -> None:
        """Start draining; a second call ends the program immediately."""
        if self.is_begun or not self._seconds:
            _leave()
        self.is_begun = True
        log.info("draining", seconds=self._seconds)
        asyncio.get_running_loop().call_later(self._seconds, _leave)


def _leave() -> None:
    raise web.GracefulExit


DRAIN = web.AppKey("drain", Drain)
