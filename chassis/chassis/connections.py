"""Connections: how many, how long a request's head may take, and what a request that is none is told.

aiohttp waits for a head, and for a client that reads nothing, for as long as the connection lasts. Here whoever is slow
is closed, and when an address has many requests unfinished the oldest of them gives way to the next: an honest browser
sends its head in a moment, so it passes even beside a flood from its own address (a carrier's, a town's).
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
"""From a connection's, or a further request's, first byte until its head is there."""
WRITE_SECONDS_MAX = 60
"""How long a client may read nothing of what it asked for."""
IDLE_SECONDS_MAX = 75
IDLE_SECONDS_MAX_OF_PROXY = 3_630
"""A proxy closes what it does not use by itself, after an hour at most: closed here, it might just be asking on it."""
LINGERING_SECONDS = 2
UNFINISHED_OF_ADDRESS_MAX = 200
"""Heads that an address may be in the middle of. A browser takes some tenths of a second for one: 200 at a time are
some thousand people who use the portal in the same minute behind one address."""
GIVES_WAY_AFTER_SECONDS = 2
SWEEP_SECONDS = 1
FILES_ASIDE = 2_048
"""Open files that are left to everything but clients: the gateway's connections to the services, above all."""

log = structlog.get_logger()


class Connection(web.RequestHandler):
    """aiohttp's connection, known to the table that closes the slow ones."""

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

    def head_came(self) -> None:
        """The request is there: from now on the limits on requests hold."""
        self.is_in_request = True
        self._table.finishes(self)

    def answered(self) -> None:
        """The next byte begins another request."""
        self.is_in_request = False
        if self.transport is not None:
            self._table.idle[self] = None

    def abort(self) -> None:
        """Close at once; whoever is slow to write is slow to read."""
        self._table.discard(self)
        if self.transport is not None:
            self.transport.abort()

    def log_exception(self, *args: Any, **more: Any) -> None:
        """A body that cannot be decoded was answered with 400; that its rest cannot be read either is no news."""
        if not isinstance(more.get("exc_info"), web.RequestPayloadError):
            super().log_exception(*args, **more)

    def handle_error(
        self, request: BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """What is no request of HTTP is answered in short, and is no defect of ours."""
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return super().handle_error(request, status, exc, message)
        log.info("not a request", error=type(exc).__name__)
        body = {"type": "urn:preau:problem:malformed", "title": "malformed", "status": status, "code": "malformed"}
        response = web.json_response(body, status=status, content_type="application/problem+json")
        response.headers.update({**ANSWERED_BY, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"})
        response.force_close()
        return response


ANSWERED_BY = {"Server": "preau"}
"""Not which library, and which version of it."""


async def answered_by(_request: web.Request, response: web.StreamResponse) -> None:
    """Have every answer of an application name us: for ``on_response_prepare``."""
    response.headers.update(ANSWERED_BY)


class Connections:
    """All connections of a program. ``by_address`` where clients connect themselves, with no proxy between."""

    def __init__(self, most: int, *, by_address: bool) -> None:
        self._most, self.by_address = most, by_address
        self._all: set[Connection] = set()
        self._unfinished: dict[Connection, float] = {}
        self._of: defaultdict[str, dict[Connection, None]] = defaultdict(dict)
        self.idle: dict[Connection, None] = {}
        self.stalled: dict[Connection, float] = {}

    def add(self, connection: Connection) -> None:
        """Take a connection on; when there are too many, the one that can be missed most easily goes."""
        self._all.add(connection)
        self.begins(connection)
        if len(self._all) > self._most:
            self._dispensable().abort()

    def _dispensable(self) -> Connection:
        """Of the address with the most unfinished requests the oldest, else the one that is unused for longest."""
        if not self.idle or len(self._unfinished) > len(self.idle):
            crowd = max(self._of.values(), key=len)
            return next(iter(crowd))
        return next(iter(self.idle))

    def begins(self, connection: Connection) -> None:
        """A request begins: its head is waited for."""
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
        """Its head is there, or it is gone."""
        if self._unfinished.pop(connection, None) is not None:
            of_network = self._of[connection.network]
            of_network.pop(connection, None)
            if not of_network:
                del self._of[connection.network]

    def discard(self, connection: Connection) -> None:
        """It was closed."""
        self.finishes(connection)
        self._all.discard(connection)
        self.idle.pop(connection, None)
        self.stalled.pop(connection, None)

    async def sweep(self) -> None:
        """Close whoever is too slow, again and again."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            at = asyncio.get_running_loop().time()
            late = [each for each, since in self._unfinished.items() if at - since > HEAD_SECONDS_MAX]
            late += [each for each, since in self.stalled.items() if at - since > WRITE_SECONDS_MAX]
            for each in late:
                each.abort()


def raise_file_limit(most: int) -> int:
    """Allow this process the open files that ``most`` connections need; how many connections then fit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return most
    wanted = most + FILES_ASIDE if hard == resource.RLIM_INFINITY else min(hard, most + FILES_ASIDE)
    if wanted > soft:
        with contextlib.suppress(ValueError, OSError):  # the kernel's own limit is lower: what is allowed is enough
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    return min(most, max(soft - FILES_ASIDE, soft // 2))


class Site(web.SockSite):
    """A listening socket whose connections are ours."""

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
