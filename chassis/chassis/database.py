"""PostgreSQL: a bounded pool with a limit on every wait, transactions, and NOTIFY as a wake-up call."""

import asyncio
import contextlib
import functools
import json
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar
from typing import Any, NamedTuple, TypeAlias

import asyncpg
import structlog
from aiohttp import web

from chassis.database_servers import Servers
from chassis.health import add_check
from chassis.settings import ServiceSettings
from chassis.sqlstates import SERVER_AWAY, Outcome, outcome_of
from chassis.tasks import cancel_and_wait, run_forever
from contracts.failures import Refusal, Unavailable, Unreadable

Transaction: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record] | asyncpg.Connection[asyncpg.Record]"

AWAY = SERVER_AWAY
"""What asyncpg raises when no server accepts writes, as opposed to refusing a statement."""

READ_ONLY = "the database is read-only: a standby, or a primary that was demoted"
RETRY_AFTER_SECONDS = 2


class Statement(NamedTuple):
    """A data-modifying part of a ``WITH`` and its arguments, numbered from ``$1``."""

    text: str
    arguments: tuple[Any, ...]


async def execute_together(tx: Transaction, *statements: Statement) -> None:
    """Execute all statements in one round trip; none sees the effects of another."""
    query = _joined(tuple((each.text, len(each.arguments)) for each in statements))
    await tx.execute(query, *(argument for each in statements for argument in each.arguments))


@functools.lru_cache(maxsize=256)
def _joined(parts: tuple[tuple[str, int], ...]) -> str:
    """One query whose arguments are those of the statements, renumbered."""
    texts, before = list[str](), 0
    for text, count in parts:
        pieces = re.split(r"\$(\d+)", text)
        pieces[1::2] = [f"${int(number) + before}" for number in pieces[1::2]]
        texts.append("".join(pieces))
        before += count
    return f"WITH {', '.join(texts)} SELECT"


class TablesChanged(Unavailable):
    """A migration changed a table under a prepared statement; the transaction is rolled back and can be repeated."""


log = structlog.get_logger()


async def _leave_as_is(_connection: object) -> None:
    """No session state outlives a transaction here, so a connection is released without a reset round trip.

    asyncpg still rolls back an open transaction.
    """


def _is_lost(connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]", error: Exception) -> bool:
    """Whether the connection is unusable; terminates it if it was still open.

    A statement that timed out or was cancelled leaves a session that must not be used again; a broken connection was
    already taken back by the pool, whose proxy then raises even on ``is_closed``.
    """
    try:
        if isinstance(error, TimeoutError | asyncpg.InternalClientError | asyncpg.PostgresError):
            connection.terminate()
        return bool(connection.is_closed())
    except asyncpg.InterfaceError:
        return True


def _is_read_only(connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]") -> bool:
    """Whether the server reports that it is read-only (it sends this setting by itself, without a query)."""
    reported = connection.get_settings()
    return "on" in {getattr(reported, name, "off") for name in ("in_hot_standby", "default_transaction_read_only")}


def _unavailable(detail: str) -> Unavailable:
    return Unavailable(detail, retry_after_seconds=RETRY_AFTER_SECONDS)


async def _prepare(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    for name in ("json", "jsonb"):
        await connection.set_type_codec(name, encoder=json.dumps, decoder=json.loads, schema="pg_catalog")


_shared: "ContextVar[tuple[Database, Transaction] | None]" = ContextVar("shared transaction", default=None)
"""The database and transaction that nested calls take part in."""


class Database:
    """The service's own database: a bounded connection pool.

    With ``plans_once`` PostgreSQL plans each statement once per connection instead of once per set of values.
    ``answer_seconds`` exceeds the server's statement timeout: past it the server is gone.
    """

    def __init__(
        self,
        url: str,
        *,
        connections_max: int,
        acquire_seconds: float = 10,
        answer_seconds: float = 20,
        plans_once: bool = False,
    ) -> None:
        self._servers = Servers(url)
        self._plans = "force_generic_plan" if plans_once else "auto"
        self._connections_max = connections_max
        self._acquire_seconds, self._answer_seconds = acquire_seconds, answer_seconds
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._wakeups: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._listening: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Create the pool; connections are opened on demand, so the server may still be away."""
        self._pool = await asyncpg.create_pool(
            connect=self._servers.connect,  # type: ignore[call-overload]  # its keyword arguments are passed on
            min_size=0,
            max_size=self._connections_max,
            timeout=5,
            command_timeout=self._answer_seconds,
            max_inactive_connection_lifetime=120,
            init=_prepare,
            reset=_leave_as_is,
            server_settings={
                "timezone": "UTC",
                "plan_cache_mode": self._plans,
                "statement_timeout": "15000",
                "lock_timeout": "5000",
                "idle_in_transaction_session_timeout": "30000",
            },
        )
        self._listening = run_forever(self._listen, "database wake-ups")

    async def stop(self) -> None:
        """Close the pool, by force after a few seconds."""
        if self._listening:
            await cancel_and_wait(self._listening)
        if self._pool:
            try:
                await asyncio.wait_for(self._pool.close(), timeout=5)
            except TimeoutError:
                self._pool.terminate()

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """A connection inside a transaction; ``Unavailable`` when the server is away or too busy.

        Inside ``shared`` it is a savepoint of that transaction, and is committed with it.
        """
        if (around := _shared.get()) and around[0] is self:
            async with around[1].transaction():
                yield around[1]
            return
        async with self.reading() as connection:
            running = connection.transaction()
            try:
                await running.start()
                try:
                    yield connection
                except Exception:
                    await running.rollback()
                    raise
                await running.commit()
            except asyncio.CancelledError:
                # A cancelled caller does not wait for a rollback: the server does it when its client is gone.
                with contextlib.suppress(asyncpg.InterfaceError):
                    connection.terminate()
                raise

    @contextlib.contextmanager
    def shared(self, tx: Transaction) -> Iterator[None]:
        """Let nested calls of ``transaction`` take part in ``tx``: all is committed together, or nothing."""
        before = _shared.set((self, tx))
        try:
            yield
        finally:
            _shared.reset(before)

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[Transaction]:
        """A connection outside any transaction, for reads: each statement has a snapshot of its own."""
        connection = await self._acquire()
        try:
            yield connection
        except asyncpg.PostgresError as error:
            refusal = await self._refusal_of(connection, error)
            if refusal is None:
                raise
            raise refusal from error
        except (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            if not _is_lost(connection, error):
                raise
            raise _unavailable("the database went away") from error
        finally:
            await self._give_back(connection)

    async def _acquire(self) -> "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]":
        assert self._pool is not None, "the database is used before its start"
        try:
            async with asyncio.timeout(self._acquire_seconds):
                connection = await self._pool.acquire()
        except asyncpg.TargetServerAttributeNotMatched as error:
            raise _unavailable(READ_ONLY) from error
        except (*AWAY, asyncpg.PostgresError) as error:  # a refused session is as good as none
            log.warning("no connection to the database", error=str(error) or type(error).__name__)
            raise _unavailable("the database is away or busy") from error
        if _is_read_only(connection):
            connection.terminate()
            await self._give_back(connection)
            await self._forget_server()
            raise _unavailable(READ_ONLY)
        return connection

    async def _give_back(self, connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]") -> None:
        assert self._pool is not None, "it came from there"
        with contextlib.suppress(*AWAY, asyncpg.InternalClientError):  # asyncpg has closed it then
            await self._pool.release(connection, timeout=5)

    async def _refusal_of(
        self, connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]", error: asyncpg.PostgresError
    ) -> Refusal | None:
        """The named failure for an error of the server, by the table of ``sqlstates``; None if it is unexpected."""
        match outcome_of(error):
            case Outcome.AWAY:
                _is_lost(connection, error)
                if not isinstance(error, asyncpg.ReadOnlySQLTransactionError):
                    return _unavailable("the database went away")
                await self._forget_server()
                return _unavailable(READ_ONLY)
            case Outcome.BUSY:
                return _unavailable("the database is busy")
            case Outcome.CHANGED:
                return TablesChanged("the tables have just changed", retry_after_seconds=RETRY_AFTER_SECONDS)
            case Outcome.UNREADABLE:
                return Unreadable("a text has a character that is none", errors=[])
            case None:
                return None

    async def _forget_server(self) -> None:
        """Reconnect every connection before its next use: the others lead to the same read-only server."""
        assert self._pool is not None, "a connection came from there"
        await self._pool.expire_connections()

    def connections(self) -> dict[str, int]:
        """Connections in use, idle, and still to be opened."""
        assert self._pool is not None, "the database is used before its start"
        idle, opened, most = self._pool.get_idle_size(), self._pool.get_size(), self._pool.get_max_size()
        return {"working": opened - idle, "idle": idle, "free": most - opened}

    async def check(self) -> None:
        """Raise ``Unavailable`` unless the server answers and accepts writes."""
        async with self.reading() as connection:
            if await connection.fetchval("SELECT current_setting('transaction_read_only')::boolean"):
                connection.terminate()
                raise _unavailable(READ_ONLY)

    def wake_on(self, channel: str) -> asyncio.Event:
        """An event set at each NOTIFY on ``channel``; call it before ``start``, and poll slowly besides."""
        event = asyncio.Event()
        self._wakeups[channel].add(event)
        return event

    async def _listen(self) -> None:
        while True:
            try:
                await self._listen_once()
            except (*AWAY, asyncpg.PostgresError, asyncpg.InternalClientError) as error:  # at the server's goodbye, too
                log.warning("database wake-ups lost, connecting again", error=str(error))
            await asyncio.sleep(RETRY_AFTER_SECONDS)

    async def _listen_once(self) -> None:
        connection = await self._servers.connect()
        closed = asyncio.Event()
        connection.add_termination_listener(lambda _connection: closed.set())
        try:
            for channel in self._wakeups:
                await connection.add_listener(channel, self._on_notify)
            self._wake(*self._wakeups)
            while not closed.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(closed.wait(), timeout=30)
                await connection.fetchval("SELECT 1", timeout=5)
        finally:
            connection.terminate()

    def _on_notify(self, _connection: object, _pid: int, channel: str, _payload: object) -> None:
        self._wake(channel)

    def _wake(self, *channels: str) -> None:
        for channel in channels:
            for event in self._wakeups[channel]:
                event.set()


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    """A database for a command, closed at the end."""
    database = Database(url, connections_max=2)
    await database.start()
    try:
        yield database
    finally:
        await database.stop()


DATABASE = web.AppKey("database", Database)


def use_database(app: web.Application, settings: ServiceSettings, *, plans_once: bool = False) -> None:
    """Give the application its pool, from start to stop, and a readiness check."""
    database = Database(settings.database_url, connections_max=settings.database_connections_max, plans_once=plans_once)
    app[DATABASE] = database

    async def run(_app: web.Application) -> AsyncIterator[None]:
        await database.start()
        yield
        await database.stop()

    app.cleanup_ctx.append(run)
    add_check(app, "database", database.check)
