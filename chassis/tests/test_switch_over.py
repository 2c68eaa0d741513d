"""PostgreSQL with a standby, and the two change places: what runs on them is well again by itself, nothing lost."""

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import pytest

from chassis.database_servers import Address, addresses
from chassis.testing import eventually
from local_stack.postgres import ADMIN, PostgresServer, ensure_database
from local_stack.testing import Servers


class Pair:
    """Two servers, one of them the standby of the other."""

    def __init__(self, folder: Path) -> None:
        self.password = secrets.token_hex(16)
        self.first = PostgresServer(folder / "first", password=self.password, durable=False)
        self.second = PostgresServer(folder / "second", password=self.password, durable=False)

    async def start(self) -> None:
        await self.first.start()
        await self.second.follow(self.first)
        await self.second.start()

    async def stop(self) -> None:
        for server in (self.second, self.first):
            await server.stop()

    def either(self, database: str) -> str:
        """The DSN that names both."""
        hosts = f"127.0.0.1:{self.first.port},127.0.0.1:{self.second.port}"
        return f"postgresql://{ADMIN}:{self.password}@{hosts}/{database}"

    @staticmethod
    async def switch(primary: PostgresServer, standby: PostgresServer) -> None:
        """What an operator does: the primary stops in order, its standby takes over, and it comes back as standby."""
        await primary.stop()
        await standby.promote()
        await primary.follow(standby)
        await primary.start()


@pytest.fixture
async def pair(servers: Servers) -> AsyncIterator[Pair]:
    made = Pair(servers.folder / f"pair-{secrets.token_hex(4)}")
    await made.start()
    yield made
    await made.stop()


class Client:
    """Ends session after session, each until it is told that it is done, and counts every answer."""

    def __init__(self, rig: Any) -> None:
        self.rig = rig
        self.done: list[UUID] = []
        self.answers: Counter[tuple[int, bool]] = Counter()
        self.running = asyncio.create_task(self._run())

    async def _run(self) -> None:
        async with aiohttp.ClientSession() as http:
            while True:
                session_id = uuid4()
                while not await self._is_done(http, session_id):
                    await asyncio.sleep(0.05)
                self.done.append(session_id)
                await asyncio.sleep(0.01)

    async def _is_done(self, http: aiohttp.ClientSession, session_id: UUID) -> bool:
        async with http.post(self.rig.server.make_url(f"/sessions/{session_id}")) as response:
            self.answers[response.status, "Retry-After" in response.headers] += 1
            return response.status == 200

    async def goes_on(self) -> None:
        """Wait until some more are done."""
        before = len(self.done)

        async def ask() -> bool:
            return len(self.done) > before + 5

        await eventually(ask)

    async def is_told_to_come_again(self) -> None:
        before = self.answers[503, True]

        async def ask() -> bool:
            return self.answers[503, True] > before + 2

        await eventually(ask)

    async def stop(self) -> list[UUID]:
        """End between two sessions; whatever was done."""
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)
        return self.done


async def test_the_database_changes_places_with_its_standby_and_back_and_nothing_is_lost_or_doubled(
    pair: Pair, rig_on: Any, two_amqp_urls: list[str]
) -> None:
    for name in ("either", "one"):
        await ensure_database(pair.first.dsn(), name, password=secrets.token_hex(16))
    knows_both = await rig_on(pair.either("either"), two_amqp_urls[0])
    knows_one = await rig_on(pair.first.dsn("one"), two_amqp_urls[1])
    moving, staying = Client(knows_both), Client(knows_one)
    await moving.goes_on()
    await staying.goes_on()

    await pair.switch(pair.first, pair.second)
    await moving.goes_on()
    await knows_both.becomes_ready()
    await knows_one.says("database", "read-only")  # its server answers, as a standby
    await staying.is_told_to_come_again()

    await pair.switch(pair.second, pair.first)
    for client in (moving, staying):
        await client.goes_on()
        await client.rig.becomes_ready()
        done = await client.stop()
        assert set(client.answers) == {(200, False), (503, True)}
        found = await client.rig.waits_for(len(done))
        assert len(found) == len(set(found))
        assert set(done) <= set(found)


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("postgresql://r:p@one/d", []),
        ("postgresql:///d?host=/run/postgresql", []),
        ("postgresql://r:p@one:5433,two/d?sslmode=require", [Address("one", 5433), Address("two", 5432)]),
        ("postgresql://r:p@[::1]:6000,[::2]/d", [Address("::1", 6000), Address("::2", 5432)]),
    ],
)
def test_the_servers_of_a_dsn(url: str, found: list[Address]) -> None:
    assert addresses(url) == found
