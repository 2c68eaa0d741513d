"""Numbered SQL files, applied once each, in order, under an advisory lock; forward only.

A file that changed after it was applied is an error: write a new one.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import structlog

OWN_SQL = Path(__file__).parent / "sql"
LOCK = 7_267_305_100  # any number, the same for every migration run on a database
NAME = re.compile(r"^\d{4}_[a-z0-9_]+\.sql$")

log = structlog.get_logger()


class MigrationError(Exception):
    """The files and the database do not go together; says which file and why."""


@dataclass(frozen=True)
class Migration:
    """One file: its name with the folder's kind before it, its SQL and the checksum of that."""

    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def read(folder: Path) -> list[Migration]:
    """The chassis's files, then those of ``folder``, each group in the order of its numbers."""
    found: list[Migration] = []
    for prefix, place in (("chassis", OWN_SQL), ("service", folder)):
        files = sorted(place.glob("*.sql"))
        numbers = [file.name[:4] for file in files]
        for file in files:
            if not NAME.match(file.name) or numbers.count(file.name[:4]) > 1:
                raise MigrationError(f"{file}: want one file a number, named like 0001_what_it_does.sql")
            found.append(Migration(f"{prefix}/{file.name}", file.read_text(encoding="utf-8")))
    return found


async def migrate(database_url: str, folder: Path) -> list[str]:
    """Apply what is missing and return the names; several at once wait for each other."""
    connection = await asyncpg.connect(database_url, timeout=10)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", LOCK)
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migration "
            "(name text PRIMARY KEY, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        missing = await _missing(connection, read(folder))
        for migration in missing:
            async with connection.transaction():
                await connection.execute(migration.sql)
                await connection.execute(
                    "INSERT INTO schema_migration (name, checksum) VALUES ($1, $2)", migration.name, migration.checksum
                )
            log.info("migration applied", name=migration.name)
        return [migration.name for migration in missing]
    finally:
        await connection.close()


async def pending(database_url: str, folder: Path) -> list[str]:
    """The names of the files that are not applied yet."""
    connection = await asyncpg.connect(database_url, timeout=10)
    try:
        if not await connection.fetchval("SELECT to_regclass('schema_migration') IS NOT NULL"):
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
