"""What the programs of ``tests/load`` share: how figures are written, and the grounds they are taken on."""

import asyncio
import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import asyncpg
from aiohttp import web
from aiohttp.test_utils import TestServer
from argon2 import PasswordHasher

from chassis.identity import JWKS_PATH
from chassis.testing import Tokens
from local_stack import demo
from local_stack.ports import claim_any
from local_stack.postgres import PostgresServer, ensure_running_role
from local_stack.rabbit import RabbitServer
from local_stack.stack import Stack

READY_SECONDS = 60
NOTICE = '{"days_before": 1, "counting": "calendar_days", "at": "18:00:00", "weekday_before": null, "until": null}'
Child = tuple[UUID, UUID]
"""A household and its child."""


def rate(work: Callable[[], Any], seconds: float = 2.0) -> float:
    """How often a second, in one thread."""
    count, until = 0, time.perf_counter() + seconds
    while time.perf_counter() < until:
        work()
        count += 1
    return count / seconds


def hashes_a_second() -> float:
    """Of argon2id alone on one core, with auth's parameters: what no sign-in can do without."""
    return rate(lambda: PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1).hash("x"))


@contextmanager
def folder_aside() -> Iterator[Path]:
    """A folder that servers of another account can reach, gone afterwards."""
    made = Path(tempfile.mkdtemp(prefix="preau-bench-"))
    made.chmod(0o711)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


@asynccontextmanager
async def portal(*, till: str = "REGIE-ENFANCE") -> AsyncIterator[Stack]:
    """A whole portal with the demo town, that keeps its data safe as in production."""
    with folder_aside() as folder:
        stack = Stack(folder, till=till)
        try:
            await stack.start()
            await demo.fill(stack)
            yield stack
        finally:
            await stack.stop()
            stack.forget()


async def ready(url: str) -> None:
    """Wait until the program at that address says that it is ready."""
    give_up = time.monotonic() + READY_SECONDS
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as http:
        while time.monotonic() < give_up:
            try:
                async with http.get(f"{url}/health/ready") as response:
                    if response.status == 200:
                        return
            except (TimeoutError, aiohttp.ClientError):
                pass
            await asyncio.sleep(0.1)
    raise TimeoutError(f"nothing is ready at {url}")


class PlanningAlone:
    """Planning's database, as its owner, and replicas of the service that believe ``tokens``."""

    def __init__(self, database_url: str, running_url: str, amqp_url: str, auth_url: str, tokens: Tokens) -> None:
        self.database_url, self.tokens = database_url, tokens
        own = {"DATABASE_URL": running_url, "AMQP_URL": amqp_url, "AUTH_URL": auth_url}
        self._environment = {**os.environ, **own, "SCHOOL_ZONE": "B", "LOG_LEVEL": "ERROR"}
        self._replicas: list[asyncio.subprocess.Process] = []

    async def serve(self) -> str:
        """One more replica, with the limits it has by default; its address."""
        port = claim_any()
        self._replicas.append(await self._planning(port))
        await ready(url := f"http://127.0.0.1:{port}")
        return url

    async def set_up(self) -> None:
        """Tables and queues."""
        assert await (await self._planning(claim_any(), "migrate")).wait() == 0

    async def _planning(self, port: int, *words: str) -> asyncio.subprocess.Process:
        owner = {"MIGRATION_DATABASE_URL": self.database_url} if words == ("migrate",) else {}
        environment = {**self._environment, **owner, "HTTP_PORT": str(port)}
        return await asyncio.create_subprocess_exec(sys.executable, "-m", "planning", *words, env=environment)

    async def stop(self) -> None:
        """End every replica."""
        for process in self._replicas:
            process.terminate()
            await process.wait()
        self._replicas.clear()


@asynccontextmanager
async def planning_alone(folder: Path) -> AsyncIterator[PlanningAlone]:
    """PostgreSQL, RabbitMQ and an authority that publishes our keys, all of their own."""
    postgres = PostgresServer(folder / "postgresql", password=secrets.token_hex(16))
    rabbit = RabbitServer(folder / "rabbitmq", password=secrets.token_hex(16), vhosts=["bench"])
    tokens, authority = Tokens(), web.Application()

    async def keys(_request: web.Request) -> web.Response:
        return web.json_response(tokens.jwks())

    authority.router.add_get(JWKS_PATH, keys)
    try:
        await asyncio.gather(postgres.start(), rabbit.start())
        database_url = await postgres.ensure_database("planning_bench", password=secrets.token_hex(16))
        running_url = await ensure_running_role(postgres.dsn(), "planning_bench", password=secrets.token_hex(16))
        async with TestServer(authority) as server:
            auth_url = str(server.make_url("")).rstrip("/")
            made = PlanningAlone(database_url, running_url, rabbit.url("bench"), auth_url, tokens)
            await made.set_up()
            try:
                yield made
            finally:
                await made.stop()
    finally:
        await asyncio.gather(postgres.stop(), rabbit.stop())


async def settle(connection: asyncpg.Connection, count: int) -> list[Child]:
    """So many households of a child each, written straight into planning's tables."""
    children = [(uuid4(), uuid4()) for _ in range(count)]
    await connection.executemany("INSERT INTO household VALUES ($1, 1)", [(each[0],) for each in children])
    await connection.executemany(
        "INSERT INTO household_child (household_id, child_id, first_name, last_name, school, class_name, custody, "
        "position) VALUES ($1, $2, 'Léa', 'Exemple', 'Prévert', 'CE1', 'free', 0)",
        children,
    )
    return children
