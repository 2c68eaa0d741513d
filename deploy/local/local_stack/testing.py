"""pytest fixtures: one private PostgreSQL and one private RabbitMQ a run, a fresh database and broker host a test.

A database has its two roles, as everywhere: the fixtures give the address of the running role, so that a grant that is
missing fails a test; ``owner_url`` makes of it the address of the owner, for what no program does.
"""

import asyncio
import contextlib
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from chassis.migrations import migrate
from local_stack.postgres import PostgresServer
from local_stack.rabbit import RabbitServer

VHOSTS = 150
OWNER, RUNNING = "preau_owner", "preau_running"

FreshDatabase = Callable[[Path], Awaitable[str]]


def owner_url(running_url: str) -> str:
    """The same database as the role that owns its tables: to look at anything, and to make what no program can."""
    return running_url.replace(f"//{RUNNING}:", f"//{OWNER}:", 1)


class Servers:
    """The servers of this run, started when the first test asks for one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._loop = asyncio.new_event_loop()
        self._postgres: PostgresServer | None = None
        self._rabbit: RabbitServer | None = None
        self.templates: dict[Path, str] = {}
        self._unused_hosts: list[str] = []

    @property
    def postgres(self) -> PostgresServer:
        if self._postgres is None:
            server = PostgresServer(self.folder / "postgresql", password=secrets.token_hex(16), durable=False)
            self._loop.run_until_complete(_started(server))
            self._postgres = server
        return self._postgres

    @property
    def rabbit(self) -> RabbitServer:
        """The node of the last broker host that was given out."""
        assert self._rabbit is not None, "ask for amqp_url first"
        return self._rabbit

    def amqp_urls(self, count: int) -> list[str]:
        """Broker hosts that no other test has used; a new broker takes over when one has not enough."""
        if len(self._unused_hosts) < count:
            if self._rabbit:
                self._loop.run_until_complete(self._rabbit.stop())
            names = [f"t{number}" for number in range(VHOSTS)]
            folder = self.folder / f"rabbitmq-{secrets.token_hex(4)}"
            self._rabbit = RabbitServer(folder, password=secrets.token_hex(16), vhosts=names)
            self._loop.run_until_complete(self._rabbit.start())
            self._unused_hosts = [self._rabbit.url(name) for name in names]
        return [self._unused_hosts.pop() for _ in range(count)]

    def stop(self) -> None:
        for server in (self._rabbit, self._postgres):
            if server:
                self._loop.run_until_complete(server.stop())
        self._loop.close()


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """The private servers; nothing starts before it is needed."""
    folder = Path(tempfile.mkdtemp(prefix="preau-test-"))
    folder.chmod(0o711)
    made = Servers(folder)
    yield made
    made.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres(servers: Servers) -> PostgresServer:
    return servers.postgres


@pytest.fixture
def amqp_url(servers: Servers) -> str:
    """A broker host of the test's own, empty."""
    return servers.amqp_urls(1)[0]


@pytest.fixture
def two_amqp_urls(servers: Servers) -> list[str]:
    """Two empty broker hosts, for a test with two systems."""
    return servers.amqp_urls(2)


async def _started(server: PostgresServer) -> None:
    await server.start()
    async with _administrator(server) as connection:
        for role in (OWNER, RUNNING):
            await connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{server.password}'")


@pytest.fixture
def rabbit(servers: Servers, amqp_url: str) -> RabbitServer:
    """The node of ``amqp_url``, to be paused or deprived; the test leaves it well."""
    del amqp_url
    return servers.rabbit


@contextlib.asynccontextmanager
async def _administrator(server: PostgresServer) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(server.dsn())
    try:
        yield connection
    finally:
        await connection.close()


async def _create(server: PostgresServer, template: str = "template0") -> str:
    name = f"test_{secrets.token_hex(6)}"
    async with _administrator(server) as connection:
        await connection.execute(f"CREATE DATABASE {name} OWNER {OWNER} TEMPLATE {template} STRATEGY FILE_COPY")
        await connection.execute(f"REVOKE CONNECT, TEMPORARY ON DATABASE {name} FROM PUBLIC")  # which no copy keeps
        await connection.execute(f"GRANT CONNECT ON DATABASE {name} TO {RUNNING}")
    return name


async def _drop(server: PostgresServer, name: str) -> None:
    async with _administrator(server) as connection:
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def empty_database_url(postgres: PostgresServer) -> AsyncIterator[str]:
    """A database with nothing in it."""
    name = await _create(postgres)
    yield postgres.dsn(name)
    await _drop(postgres, name)


@pytest.fixture
async def unmigrated_database_url(postgres: PostgresServer) -> AsyncIterator[str]:
    """A database with its two roles and nothing in it, as the running role."""
    name = await _create(postgres)
    yield postgres.dsn(name, role=RUNNING)
    await _drop(postgres, name)


@pytest.fixture
async def fresh_database(servers: Servers, postgres: PostgresServer) -> AsyncIterator[FreshDatabase]:
    """Call with a migrations folder: a database migrated to its newest, cloned from one made once a run.

    Its address is that of the running role; see ``owner_url``.
    """
    made: list[str] = []

    async def fresh(folder: Path) -> str:
        if folder not in servers.templates:
            template = await _create(postgres)
            running = postgres.dsn(template, role=RUNNING)
            await migrate(owner_url(running), folder, running_url=running)
            servers.templates[folder] = template
        name = await _create(postgres, servers.templates[folder])
        made.append(name)
        return postgres.dsn(name, role=RUNNING)

    yield fresh
    for name in made:
        await _drop(postgres, name)


@pytest.fixture
async def database_url(request: pytest.FixtureRequest, fresh_database: FreshDatabase) -> str:
    """The fresh database of the service whose tests ask, as its running role: its migrations are beside its tests."""
    for folder in request.path.parents:
        if (folder / "migrations").is_dir():
            return await fresh_database(folder / "migrations")
    raise LookupError(f"no migrations folder above {request.path}")
