"""Migrations apply once, in order, whoever runs them at the same time."""

import asyncio
from pathlib import Path

import asyncpg
import pytest

from chassis.database import Database
from chassis.migrations import LOCKED_SECONDS, MigrationError, migrate, pending, read


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "0001_dish.sql").write_text("CREATE TABLE dish (name text);")
    (tmp_path / "0002_more.sql").write_text("INSERT INTO dish VALUES ('purée'); ALTER TABLE dish ADD price bigint;")
    return tmp_path


async def test_several_at_once_apply_each_file_once(empty_database_url: str, folder: Path) -> None:
    applied = await asyncio.gather(*(migrate(empty_database_url, folder) for _ in range(4)))
    assert sorted(len(names) for names in applied) == [0, 0, 0, len(read(folder))]
    assert await pending(empty_database_url, folder) == []
    connection = await asyncpg.connect(empty_database_url)
    assert await connection.fetchval("SELECT count(*) FROM dish") == 1
    await connection.close()


async def test_a_file_that_changed_after_it_was_applied_is_refused(empty_database_url: str, folder: Path) -> None:
    await migrate(empty_database_url, folder)
    (folder / "0001_dish.sql").write_text("CREATE TABLE dish (name varchar);")
    with pytest.raises(MigrationError, match="0001_dish"):
        await migrate(empty_database_url, folder)


async def test_a_file_that_fails_leaves_nothing_of_itself(empty_database_url: str, folder: Path) -> None:
    (folder / "0003_broken.sql").write_text("CREATE TABLE half (a int); SELECT 1/0;")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(empty_database_url, folder)
    assert await pending(empty_database_url, folder) == ["service/0003_broken.sql"]
    connection = await asyncpg.connect(empty_database_url)
    assert await connection.fetchval("SELECT to_regclass('half')") is None
    await connection.close()


async def test_badly_named_files_are_refused(empty_database_url: str, folder: Path) -> None:
    (folder / "0002_twice.sql").write_text("SELECT 1;")
    with pytest.raises(MigrationError, match="0002"):
        await migrate(empty_database_url, folder)


NEXT = "ALTER TABLE dish ADD COLUMN season text;"


async def used(database_url: str, folder: Path) -> "asyncpg.Connection[asyncpg.Record]":
    """A set-up database, and a transaction that has just read ``dish`` and stays open, as a backup's does."""
    await migrate(database_url, folder)
    (folder / "0003_next.sql").write_text(NEXT)
    connection = await asyncpg.connect(database_url, server_settings={"application_name": "a backup"})
    await connection.execute("BEGIN; SELECT FROM dish")
    return connection


async def test_a_table_that_is_in_use_keeps_the_migration_waiting_and_nobody_else(
    empty_database_url: str, folder: Path
) -> None:
    backup = await used(empty_database_url, folder)
    database = Database(empty_database_url, connections_max=2)
    await database.start()
    migrating = asyncio.create_task(migrate(empty_database_url, folder))
    for _ in range(10):
        async with database.transaction() as tx:
            assert await tx.fetchval("SELECT count(*) FROM dish") == 1
        await asyncio.sleep(0.3)
    assert not migrating.done()
    await backup.execute("COMMIT")
    assert await migrating == ["service/0003_next.sql"]
    await backup.close()
    await database.stop()


async def test_a_table_that_never_is_free_is_told_of_with_who_uses_it(empty_database_url: str, folder: Path) -> None:
    backup = await used(empty_database_url, folder)
    with pytest.raises(MigrationError, match=r"0003_next.*a backup \d+, idle in transaction for \d+ s"):
        await migrate(empty_database_url, folder, patience_seconds=0)
    assert await pending(empty_database_url, folder) == ["service/0003_next.sql"]
    await backup.close()


async def test_a_file_that_keeps_programs_out_for_long_waits_until_nobody_uses_the_tables(
    empty_database_url: str, folder: Path
) -> None:
    await migrate(empty_database_url, folder)
    (folder / "0003_slow.sql").write_text(f"{NEXT} SELECT pg_sleep({LOCKED_SECONDS + 0.2});")
    with pytest.raises(MigrationError, match=r"0003_slow.*`migrate unused`"):
        await migrate(empty_database_url, folder)
    assert await pending(empty_database_url, folder) == ["service/0003_slow.sql"]
    assert await migrate(empty_database_url, folder, is_used=False) == ["service/0003_slow.sql"]
