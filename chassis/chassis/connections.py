"""Client connections: their number, timeouts, and the answer to malformed requests.

aiohttp waits for request headers, and for a client that reads nothing, as long as the connection lasts. Here slow
connections are closed, and when an address has too many incomplete requests its oldest is closed: an ordinary browser
sends its headers immediately, so it is served even beside a flood from its own address.
"""

import asyncio
import contextlib
import resource
import socket
from collections import defaultdict
from http import HTTPStatus
from typing import Any

import structlog
from aiohttp import web
from aiohttp.web_request import BaseRequest

from chassis.client_networks import client_network

HEAD_SECONDS_MAX = 10
"""From the first byte of a request until its headers are complete."""
WRITE_SECONDS_MAX = 60
"""How long a client may leave its response unread."""
IDLE_SECONDS_MAX = 75
IDLE_SECONDS_MAX_OF_PROXY = 3_630
"""A proxy closes idle connections itself, after an hour at most; closed here, it might just be sending a request."""
LINGERING_SECONDS = 2
UNFINISHED_OF_ADDRESS_MAX = 200
"""Incomplete requests allowed per address. A browser needs some tenths of a second for one: 200 at a time are about a
thousand active users behind one address."""
GIVES_WAY_AFTER_SECONDS = 2
SWEEP_SECONDS = 1
FILES_ASIDE = 2_048
"""File descriptors reserved for everything but clients, such as the gateway's connections to the services."""

log = structlog.get_logger()


class Connection(web.RequestHandler):
    """An aiohttp connection, registered in the table that closes slow ones."""

    def __init__(self, table: "Connections", server: web.Server, **more: Any) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), access_log=None, **more)  # type: ignore[arg-type]
        self._table = table
        self.is_in_request = False
        self.network = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        self.network = client_network(str(peer[0])) if isinstance(peer, tuple) else ""
        self._table.add(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._table.discard(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self.is_in_request:
            self._table.begins(self)
        super().data_received(data)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._table.stalled.setdefault(self, self._loop.time())

    def resume_writing(self) -> None:
        super().resume_writing()
        self._table.stalled.pop(self, None)

    def headers_complete(self) -> None:
        """The headers are complete: the limits on requests apply from here."""
        self.is_in_request = True
        self._table.finishes(self)

    def answered(self) -> None:
        """The response is sent; the next byte begins another request."""
        self.is_in_request = False
        if self.transport is not None:
            self._table.idle[self] = None

    def abort(self) -> None:
        """Close immediately, without a response that a slow client would not read."""
        self._table.discard(self)
        if self.transport is not None:
            self.transport.abort()

    def log_exception(self, *args: Any, **more: Any) -> None:
        """Log an exception, but not that the rest of a body already answered with 400 cannot be read."""
        if not isinstance(more.get("exc_info"), web.RequestPayloadError):
            super().log_exception(*args, **more)

    def handle_error(
        self, request: BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Answer a malformed request briefly; it is not a defect of ours."""
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return super().handle_error(request, status, exc, message)
        log.info("not a request", error=type(exc).__name__)
        body = {"type": "urn:preau:problem:malformed", "title": "malformed", "status": status, "code": "malformed"}
        response = web.json_response(body, status=status, content_type="application/problem+json")
        response.headers.update({**ANSWERED_BY, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"})
        response.force_close()
        return response


ANSWERED_BY = {"Server": "preau"}
"""Neither library nor version."""


async def answered_by(_request: web.Request, response: web.StreamResponse) -> None:
    """Set the ``Server`` header: for ``on_response_prepare``."""
    response.headers.update(ANSWERED_BY)


class Connections:
    """All connections of a program. ``by_address``: limits per address, where no proxy is between."""

    def __init__(self, most: int, *, by_address: bool) -> None:
        self._most, self.by_address = most, by_address
        self._all: set[Connection] = set()
        self._unfinished: dict[Connection, float] = {}
        self._of: defaultdict[str, dict[Connection, None]] = defaultdict(dict)
        self.idle: dict[Connection, None] = {}
        self.stalled: dict[Connection, float] = {}

    def add(self, connection: Connection) -> None:
        """Register a connection; beyond the limit, close the most dispensable one."""
        self._all.add(connection)
        self.begins(connection)
        if len(self._all) > self._most:
            self._dispensable().abort()

    def _dispensable(self) -> Connection:
        """The oldest incomplete request of the address that has most of them, or the connection idle for longest."""
        if not self.idle or len(self._unfinished) > len(self.idle):
            busiest = max(self._of.values(), key=len)
            return next(iter(busiest))
        return next(iter(self.idle))

    def begins(self, connection: Connection) -> None:
        """A request has begun: its headers are awaited."""
        if connection in self._unfinished:
            return
        self.idle.pop(connection, None)
        at, of_network = asyncio.get_running_loop().time(), self._of[connection.network]
        self._unfinished[connection] = at
        of_network[connection] = None
        if self.by_address and len(of_network) > UNFINISHED_OF_ADDRESS_MAX:
            oldest = next(iter(of_network))
            if at - self._unfinished[oldest] >= GIVES_WAY_AFTER_SECONDS:
                oldest.abort()

    def finishes(self, connection: Connection) -> None:
        """Its headers are complete, or it is closed."""
        if self._unfinished.pop(connection, None) is not None:
            of_network = self._of[connection.network]
            of_network.pop(connection, None)
            if not of_network:
                del self._of[connection.network]

    def discard(self, connection: Connection) -> None:
        """The connection was closed."""
        self.finishes(connection)
        self._all.discard(connection)
        self.idle.pop(connection, None)
        self.stalled.pop(connection, None)

    async def sweep(self) -> None:
        """Close slow connections, for ever."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            at = asyncio.get_running_loop().time()
            late = [each for each, since in self._unfinished.items() if at - since > HEAD_SECONDS_MAX]
            late += [each for each, since in self.stalled.items() if at - since > WRITE_SECONDS_MAX]
            for each in late:
                each.abort()


def raise_file_limit(most: int) -> int:
    """Raise the limit on open files to fit ``most`` connections; the number that fits."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return most
    wanted = most + FILES_ASIDE if hard == resource.RLIM_INFINITY else min(hard, most + FILES_ASIDE)
    if wanted > soft:
        with contextlib.suppress(ValueError, OSError):  # the kernel's limit is lower; the allowed one is enough
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    return min(most, max(soft - FILES_ASIDE, soft // 2))


class Site(web.SockSite):
    """A listening socket that creates our connections."""

    def __init__(self, runner: web.AppRunner, listening: socket.socket, table: Connections, *, backlog: int) -> None:
        super().__init__(runner, listening, backlog=backlog)
        self._listening, self._table = listening, table
        self._waiting_max = backlog

    async def start(self) -> None:
        """Listen."""
        await web.BaseSite.start(self)
        server = self._runner.server
        assert server is not None, "a runner that was set up has one"

        def connection() -> Connection:
            return Connection(self._table, server, keepalive_timeout=IDLE_SECONDS_MAX, lingering_time=LINGERING_SECONDS)

        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(connection, sock=self._listening, backlog=self._waiting_max)
