"""The servers of a database URL, and the connection to the one that accepts writes."""

import asyncio
import os
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import asyncpg

from chassis.sqlstates import SERVER_AWAY

WANTED = "target_session_attrs"
CONNECT_SECONDS = 5.0


class Address(NamedTuple):
    """One server of several."""

    host: str
    port: int


def addresses(url: str) -> list[Address]:
    """The servers of ``postgresql://role@one:5432,two:5432/database``; empty if it names only one, or a socket."""
    hosts = urlsplit(url).netloc.rpartition("@")[2].split(",")
    if len(hosts) == 1:
        return []
    parts = [host.rpartition(":") if not host.endswith("]") and ":" in host else (host, "", "") for host in hosts]
    return [Address(host.strip("[]"), int(port or 5432)) for host, _, port in parts]


class Servers:
    """Opens connections. After a switch-over they lead to the new primary: a standby is refused.

    ``target_session_attrs`` in the URL may ask for something else than ``read-write``. Each of several servers gets
    its share of the time, so that a silent one does not hide the others; the last one that worked comes first.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._addresses = addresses(url)
        names_it = WANTED in parse_qs(urlsplit(url).query) or "PGTARGETSESSIONATTRS" in os.environ
        self._wanted: dict[str, Any] = {} if names_it else {WANTED: "read-write"}

    async def connect(
        self,
        _url: str | None = None,
        *,
        timeout: float = CONNECT_SECONDS,  # noqa: ASYNC109 - so it is called by asyncpg's pool
        **more: Any,
    ) -> "asyncpg.Connection[asyncpg.Record]":
        """A new connection within ``timeout``; raises one of ``SERVER_AWAY`` when no server accepts writes."""
        if not self._addresses:
            return await asyncpg.connect(self._url, timeout=timeout, **self._wanted, **more)
        last: BaseException | None = None
        for address in tuple(self._addresses):
            try:
                async with asyncio.timeout(timeout / len(self._addresses)):
                    found: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(
                        self._url, **address._asdict(), timeout=timeout, **self._wanted, **more
                    )
            except SERVER_AWAY as error:
                last = error
            else:
                self._addresses.remove(address)
                self._addresses.insert(0, address)
                return found
        assert last is not None, "there are several"
        raise last


async def connect(url: str, *, connect_seconds: float = CONNECT_SECONDS) -> "asyncpg.Connection[asyncpg.Record]":
    """One connection, for a command."""
    return await Servers(url).connect(timeout=connect_seconds)
