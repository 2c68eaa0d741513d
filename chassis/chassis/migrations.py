"""Numbered SQL files, applied once each, in order, under an advisory lock; forward only.

A file that changed after it was applied is an error: write a new one.

Programs use the tables meanwhile. A migration that locks a table waits for its users, and later users wait behind it.
So a file gets less time, for the wait and its work, than a program's statement waits for a lock; past that it is
rolled back, the programs proceed, and it is tried again.

The owner of the tables applies them. The rights of the running role are granted afterwards, see
``chassis.database_roles``.
"""

import asyncio
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import structlog

from chassis.database_roles import GRANTS, apply_grants, check_roles, role_of
from chassis.database_servers import connect

OWN_SQL = Path(__file__).parent / "sql"
LOCK = 7_267_305_100  # an arbitrary number, the same for every run
NAME = re.compile(r"^\d{4}_[a-z0-9_]+\.sql$")
LOCK_WAIT_SECONDS = 1.5
LOCKED_SECONDS = 4.0
"""How long a file may block others, its waits included: less than the five seconds that a program's statement waits
for a lock, see ``chassis.database``."""
SLOW_MAX = 2
"""How often a file may exceed that: once may be due to waits for several tables in a row."""
TURN_SECONDS = 1.0
"""The pause between two attempts, for the programs."""
PATIENCE_SECONDS = 600.0
"""How long one file is tried: a running backup may take a while."""
USERS = """
SELECT coalesce(nullif(application_name, ''), 'a session') AS application, pid, coalesce(state, 'hidden') AS state,
    extract(epoch FROM now() - xact_start)::int AS seconds
FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
ORDER BY xact_start LIMIT 3
"""
"""The transactions open for longest, one of which uses the table."""

log = structlog.get_logger()


class MigrationError(Exception):
    """Raised when the files do not fit the database; names the file and the reason."""


@dataclass(frozen=True)
class Migration:
    """A migration file: its name with its group, its SQL and checksum."""

    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def read(folder: Path) -> list[Migration]:
    """The files of the chassis, then those of ``folder``, each group in order."""
    found: list[Migration] = []
    for prefix, place in (("chassis", OWN_SQL), ("service", folder)):
        files = sorted(file for file in place.glob("*.sql") if file.name != GRANTS)
        numbers = [file.name[:4] for file in files]
        for file in files:
            if not NAME.match(file.name) or numbers.count(file.name[:4]) > 1:
                raise MigrationError(f"{file}: want one file a number, named like 0001_what_it_does.sql")
            found.append(Migration(f"{prefix}/{file.name}", file.read_text(encoding="utf-8")))
    return found


async def migrate(
    owner_url: str,
    folder: Path,
    *,
    running_url: str | None = None,
    is_used: bool = True,
    patience_seconds: float = PATIENCE_SECONDS,
) -> list[str]:
    """Apply the missing files as the owner and return their names; concurrent calls wait for each other.

    The role of ``running_url``, the program's own URL, is then granted what it needs. A database that was never set
    up, or that is not in use, gives each file unlimited time. ``MigrationError`` when a table was not free in time, or
    a file takes longer than programs can wait; ``RoleError`` when the two roles are not as required.
    """
    connection = await connect(owner_url, connect_seconds=10)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", LOCK)
        running_role = role_of(running_url) if running_url else None
        if running_role:
            await check_roles(connection, running_role)
        applied = await _apply_missing(connection, folder, is_used=is_used, patience_seconds=patience_seconds)
        if running_role:
            await apply_grants(connection, running_role, OWN_SQL, folder)
        return applied
    finally:
        await connection.close()


async def _apply_missing(
    connection: "asyncpg.Connection[asyncpg.Record]", folder: Path, *, is_used: bool, patience_seconds: float
) -> list[str]:
    await connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_migration "
        "(name text PRIMARY KEY, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
    )
    missing = await _missing(connection, read(folder))
    is_used &= bool(await connection.fetchval("SELECT count(*) FROM schema_migration"))
    for migration in missing:
        began = asyncio.get_running_loop().time()
        if is_used:
            await _beside_programs(connection, migration, patience_seconds)
        else:
            await _apply(connection, migration)
        seconds = asyncio.get_running_loop().time() - began
        log.info("migration applied", name=migration.name, seconds=round(seconds, 2))
    return [migration.name for migration in missing]


async def _beside_programs(
    connection: "asyncpg.Connection[asyncpg.Record]", migration: Migration, patience_seconds: float
) -> None:
    """Apply one file while programs use the database, blocking none of them for long."""
    give_up = asyncio.get_running_loop().time() + patience_seconds
    await connection.execute("SELECT set_config('lock_timeout', $1, false)", f"{LOCK_WAIT_SECONDS}s")
    slow = 0
    while True:
        try:
            await _apply(connection, migration, seconds=LOCKED_SECONDS)
            return
        except TimeoutError:
            slow += 1
            if slow == SLOW_MAX:
                raise MigrationError(
                    f"{migration.name} keeps others out for longer than {LOCKED_SECONDS:g} s: do its slow part "
                    "beforehand, or stop this service and run `migrate unused`"
                ) from None
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            users = await connection.fetch(USERS)
            holders = [f"{row['application']} {row['pid']}, {row['state']} for {row['seconds']} s" for row in users]
            if asyncio.get_running_loop().time() > give_up:
                raise MigrationError(f"{migration.name}: a table is always in use, by one of {holders}") from None
            log.warning("migration waits for a table that is in use", name=migration.name, oldest=holders)
            await asyncio.sleep(TURN_SECONDS)


async def _apply(
    connection: "asyncpg.Connection[asyncpg.Record]", migration: Migration, seconds: float | None = None
) -> None:
    async with connection.transaction():
        await connection.execute(migration.sql, timeout=seconds)
        await connection.execute(
            "INSERT INTO schema_migration (name, checksum) VALUES ($1, $2)", migration.name, migration.checksum
        )


async def pending(database_url: str, folder: Path) -> list[str]:
    """The names of the files not applied yet."""
    connection = await connect(database_url, connect_seconds=10)
    try:
        if not await connection.fetchval(
            "SELECT coalesce(has_table_privilege(to_regclass('schema_migration'), 'SELECT'), false)"
        ):
            return [migration.name for migration in read(folder)]
        return [migration.name for migration in await _missing(connection, read(folder))]
    finally:
        await connection.close()


async def _missing(connection: "asyncpg.Connection[asyncpg.Record]", migrations: list[Migration]) -> list[Migration]:
    rows = await connection.fetch("SELECT name, checksum FROM schema_migration")
    applied: dict[str, str] = {row["name"]: row["checksum"] for row in rows}
    for migration in migrations:
        if applied.get(migration.name, migration.checksum) != migration.checksum:
            raise MigrationError(f"{migration.name} changed after it was applied")
    return [migration for migration in migrations if migration.name not in applied]
