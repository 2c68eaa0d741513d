"""Migrations apply once, in order, whoever runs them at the same time."""

import asyncio
from pathlib import Path

import asyncpg
import pytest

from chassis.migrations import MigrationError, migrate, pending, read


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
