"""Request bodies are received completely before the request counts: a slow sender occupies only its connection."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from aiohttp import StreamReader, web

from contracts.failures import Unavailable

HandlerT = TypeVar("HandlerT", bound=Callable[..., Awaitable[web.StreamResponse]])
NetworkOf = Callable[[web.Request], str]
RECEIVED = web.RequestKey("received", bool)

GRACE_SECONDS = 10
BYTES_A_SECOND_MIN = 4_096
"""The least average rate after the grace period; the body of a page's form is in the first packet or two."""
BODIES_OF_ADDRESS_MAX = 100
BYTES_OF_ADDRESS_MAX = 32 * 1_048_576
BYTES_MAX = 64 * 1_048_576
"""The limit on all bodies being received, which are in memory."""
GIVES_WAY_AFTER_SECONDS = 2
LOOK_SECONDS = 0.5


def body_limit(bytes_max: int | Callable[[web.Application], int]) -> Callable[[HandlerT], HandlerT]:
    """Set the body limit of a handler, larger than ``BODY_BYTES_MAX``, such as for a file, or smaller."""

    def mark(handler: HandlerT) -> HandlerT:
        handler.body_bytes_max = bytes_max  # type: ignore[attr-defined]
        return handler

    return mark


def bytes_max_of(request: web.Request, usual: int) -> int:
    """The body limit of a request."""
    most = getattr(request.match_info.handler, "body_bytes_max", usual)
    return most(request.app) if callable(most) else most


def is_received(request: web.Request) -> bool:
    """Whether the body was received; that of a request refused earlier may never arrive."""
    return not request.body_exists or request.get(RECEIVED, False)


@dataclass(eq=False)
class _Body:
    """A body being received."""

    network: str
    bytes_max: int
    began: float
    read_task: asyncio.Task[bytes]


class Receiving:
    """All bodies being received. ``network_of`` gives the client's network, where it is known."""

    def __init__(self, network_of: NetworkOf | None) -> None:
        self._network_of = network_of
        self._of: defaultdict[str, dict[_Body, None]] = defaultdict(dict)
        self._bytes = Counter[str]()

    async def receive(self, request: web.Request, bytes_max: int) -> None:
        """Receive the body; 413 when it is too large, 408 when it is too slow."""
        if not request.body_exists:
            return
        if (request.content_length or 0) > bytes_max:
            raise web.HTTPRequestEntityTooLarge(bytes_max, request.content_length or 0)
        sized = request.clone(client_max_size=bytes_max)
        if request.content.is_eof():
            _keep(request, await sized.read())
            return
        at = asyncio.get_running_loop().time()
        network = self._network_of(request) if self._network_of else ""
        weight = request.content_length if request.content_length is not None else bytes_max
        body = _Body(network, weight, at, asyncio.ensure_future(sized.read()))
        self._admit(body)
        try:
            _keep(request, await self._read(body, request.content))
        finally:
            body.read_task.cancel()
            self._leave(body)

    def _admit(self, body: _Body) -> None:
        """Register a body; if its address has too many, its oldest one past the grace time is cancelled."""
        of_network = self._of[body.network]
        is_over_limit = len(of_network) >= BODIES_OF_ADDRESS_MAX
        is_over_limit |= self._bytes[body.network] + body.bytes_max > BYTES_OF_ADDRESS_MAX and bool(of_network)
        if self._network_of and is_over_limit:
            oldest = next(iter(of_network))
            if body.began - oldest.began >= GIVES_WAY_AFTER_SECONDS:
                oldest.read_task.cancel()
        of_network[body] = None
        self._bytes[body.network] += body.bytes_max
        if self._bytes.total() > BYTES_MAX:
            body.read_task.cancel()
            self._leave(body)
            raise Unavailable("too much is being sent at once", retry_after_seconds=5)

    def _leave(self, body: _Body) -> None:
        of_network = self._of[body.network]
        if body in of_network:
            del of_network[body]
            self._bytes[body.network] -= body.bytes_max
        if not of_network:
            del self._of[body.network], self._bytes[body.network]

    async def _read(self, body: _Body, content: StreamReader) -> bytes:
        loop = asyncio.get_running_loop()
        while not body.read_task.done():
            await asyncio.wait({body.read_task}, timeout=LOOK_SECONDS)
            if loop.time() - body.began > GRACE_SECONDS + content.total_bytes / BYTES_A_SECOND_MIN:
                break
        if body.read_task.done() and not body.read_task.cancelled():
            return body.read_task.result()
        raise web.HTTPRequestTimeout


def _keep(request: web.Request, body: bytes) -> None:
    """Make the received body readable again: aiohttp reads a multipart form, and a clone of the request, from the
    connection's stream."""
    stream = StreamReader(request.protocol, len(body) + 1, loop=asyncio.get_running_loop())
    stream.feed_data(body)
    stream.feed_eof()
    request._payload = stream  # there is no public API for it
    request[RECEIVED] = True
