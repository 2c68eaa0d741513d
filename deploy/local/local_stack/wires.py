"""The way to a server, by which whoever is told ``url`` reaches it, and what may happen on the way."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from urllib.parse import urlsplit, urlunsplit

CHUNK_BYTES = 65_536
NO_LINGER = struct.pack("ii", 1, 0)
"""Of a socket that is closed: what it still had to say is forgotten, the other side gets a reset (RST)."""


class Connection:
    """Both ends of one connection. Once it is silent nothing comes through, not even its end: it is half open."""

    def __init__(self, near: asyncio.StreamWriter, far: asyncio.StreamWriter) -> None:
        self.ends = (near, far)
        self.is_silent = False

    def reset(self) -> None:
        """Break it for both sides at once."""
        for end in self.ends:
            if raw := end.get_extra_info("socket"):
                with contextlib.suppress(OSError):
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
            end.transport.abort()


class Wire:
    """Carries bytes to the server of ``url``; every one is late by ``delay_seconds``."""

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        self._server: asyncio.Server | None = None
        self.port = 0
        self.delay_seconds = 0.0
        self._open: dict[asyncio.Task[None], Connection | None] = {}

    @property
    def url(self) -> str:
        netloc = self._parts.netloc.rpartition("@")
        return urlunsplit(self._parts._replace(netloc=f"{netloc[0]}{netloc[1]}127.0.0.1:{self.port}"))

    async def mend(self) -> None:
        """Lead to the server, at the same port as before."""
        if self._server is None:
            self._server = await asyncio.start_server(self._connect, "127.0.0.1", self.port, reuse_address=True)
            self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Break every connection, and refuse new ones."""
        if self._server:
            self._server.close()
            self._server = None
        await self._end([*self._open])

    def reset(self) -> None:
        """Break every connection there is; new ones are made as before."""
        for connection in self._open.values():
            if connection:
                connection.reset()

    def silence(self) -> None:
        """Every connection there is seems open to both sides and carries nothing; new ones are made as before."""
        for connection in self._open.values():
            if connection:
                connection.is_silent = True

    async def end_silence(self) -> None:
        """Break what is half open, as the keep-alive of a kernel does in the end."""
        await self._end([task for task, connection in self._open.items() if connection and connection.is_silent])

    async def _end(self, tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connect(self, reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = None
        try:
            far_reader, far = await asyncio.open_connection(self._parts.hostname, self._parts.port)
            connection = self._open[task] = Connection(near, far)
            try:
                await self._both_ways(connection, reader, far_reader)
            except asyncio.CancelledError:
                connection.reset()  # cut: nobody else waits for this task
            finally:
                far.close()
        except OSError:
            near.transport.abort()  # the server is away: whoever comes sees it
        finally:
            near.close()
            del self._open[task]

    async def _both_ways(
        self, connection: Connection, reader: asyncio.StreamReader, far_reader: asyncio.StreamReader
    ) -> None:
        near, far = connection.ends
        ways = [asyncio.create_task(self._carry(connection, *way)) for way in ((reader, far), (far_reader, near))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            if connection.is_silent:
                await asyncio.Event().wait()  # the other side never hears of the end
        finally:
            for way in ways:
                way.cancel()

    async def _carry(self, connection: Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(CHUNK_BYTES):
                if self.delay_seconds:
                    await asyncio.sleep(self.delay_seconds)
                if not connection.is_silent:
                    writer.write(chunk)
                    await writer.drain()


@contextlib.asynccontextmanager
async def wired(url: str) -> AsyncIterator[Wire]:
    """A wire to the server of ``url``, cut at the end."""
    wire = Wire(url)
    await wire.mend()
    yield wire
    await wire.cut()
