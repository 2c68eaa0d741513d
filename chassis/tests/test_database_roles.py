"""The owner of the tables and the role that the program runs as."""

import asyncio
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from chassis.command import Service, main
from chassis.database_roles import RoleError, excess_rights
from chassis.http import application
from chassis.migrations import migrate
from chassis.settings import ServiceSettings
from local_stack.testing import owner_url


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "0001_dish.sql").write_text("CREATE TABLE dish (name text PRIMARY KEY, price integer)")
    (tmp_path / "grants.sql").write_text("GRANT SELECT, INSERT, UPDATE (price) ON dish TO :running_role;")
    return tmp_path


async def execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def test_the_program_may_do_what_the_file_grants_and_nothing_else(
    unmigrated_database_url: str, folder: Path
) -> None:
    owner = owner_url(unmigrated_database_url)
    await migrate(owner, folder, running_url=unmigrated_database_url)
    await execute(unmigrated_database_url, "INSERT INTO dish VALUES ('soup', 1)", "UPDATE dish SET price = 2")
    for statement in ("UPDATE dish SET name = 'stew'", "DELETE FROM dish", "TRUNCATE dish", "DROP TABLE dish"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await execute(unmigrated_database_url, statement)


async def test_a_right_that_was_given_by_hand_is_taken_away_by_the_next_set_up(
    unmigrated_database_url: str, folder: Path
) -> None:
    owner, role = owner_url(unmigrated_database_url), urlsplit(unmigrated_database_url).username
    await migrate(owner, folder, running_url=unmigrated_database_url)
    await execute(owner, f"GRANT TRUNCATE, DELETE ON dish TO {role}", "GRANT DELETE, TRIGGER ON dish TO PUBLIC")
    connection = await asyncpg.connect(unmigrated_database_url)
    try:
        assert await excess_rights(connection) == ["may do more than read and write dish"]
        await migrate(owner, folder, running_url=unmigrated_database_url)
        assert await excess_rights(connection) == []
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("DELETE FROM dish")
    finally:
        await connection.close()


async def test_a_table_that_no_file_names_is_refused_and_the_grants_stay_as_they_were(
    unmigrated_database_url: str, folder: Path
) -> None:
    owner = owner_url(unmigrated_database_url)
    await migrate(owner, folder, running_url=unmigrated_database_url)
    (folder / "0002_drink.sql").write_text("CREATE TABLE drink (name text)")
    with pytest.raises(RoleError, match=r"grants\.sql says nothing of drink"):
        await migrate(owner, folder, running_url=unmigrated_database_url)
    await execute(unmigrated_database_url, "INSERT INTO dish VALUES ('soup', 1)")


async def test_a_file_that_grants_more_than_rows_is_refused(unmigrated_database_url: str, folder: Path) -> None:
    (folder / "grants.sql").write_text("GRANT ALL ON dish TO :running_role;")
    with pytest.raises(RoleError, match="may do more than read and write dish"):
        await migrate(owner_url(unmigrated_database_url), folder, running_url=unmigrated_database_url)


async def test_one_role_for_both_and_a_role_that_does_not_exist_are_refused_before_anything_is_done(
    unmigrated_database_url: str, folder: Path
) -> None:
    owner = owner_url(unmigrated_database_url)
    nobody = unmigrated_database_url.replace(f"//{urlsplit(owner).username}", "//nobody")
    nobody = nobody.replace(f"//{urlsplit(unmigrated_database_url).username}", "//nobody")
    for running, why in ((owner, "both name the role"), (nobody, "does not exist yet")):
        with pytest.raises(RoleError, match=why):
            await migrate(owner, folder, running_url=running)
    with pytest.raises(asyncpg.UndefinedTableError):
        await execute(owner, "SELECT FROM schema_migration")


def test_a_set_up_without_the_owner_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    given = {"AMQP_URL": "amqp://unused", "AUTH_URL": "http://unused", "HTTP_PORT": "0"}
    for name, value in {**given, "DATABASE_URL": "postgresql://program:secret@nowhere/x"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MIGRATION_DATABASE_URL", raising=False)
    service = Service("kitchen", ServiceSettings, lambda settings: application("kitchen", settings), folder)
    with pytest.raises(SystemExit) as ended:
        main(service, ["migrate"])
    assert ended.value.code == 2
    assert "setting MIGRATION_DATABASE_URL" in capsys.readouterr().err


async def test_a_program_that_is_given_the_owner_does_not_serve(
    unmigrated_database_url: str, folder: Path, tmp_path: Path
) -> None:
    owner = owner_url(unmigrated_database_url)
    await migrate(owner, folder, running_url=unmigrated_database_url)
    program = tmp_path / "kitchen.py"
    program.write_text(
        "from pathlib import Path\n"
        "from chassis.command import Service, main\n"
        "from chassis.http import application\n"
        "from chassis.settings import ServiceSettings\n"
        f"main(Service('kitchen', ServiceSettings, lambda s: application('kitchen', s), Path({str(folder)!r})))\n"
    )
    environment = {
        **os.environ,
        "AMQP_URL": "amqp://unused",
        "AUTH_URL": "http://unused",
        "HTTP_PORT": "0",
        "DATABASE_URL": owner,
    }
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(program), env=environment, stdout=pipe, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await asyncio.wait_for(process.communicate(), timeout=60)
    assert (process.returncode, b"too many rights" in said) == (2, True), said
