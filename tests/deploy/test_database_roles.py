"""The two roles of each database, made by the very statements of each way to run, on a real PostgreSQL."""

import asyncio
import importlib
import json
import re
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from chassis.database_roles import excess_rights
from chassis.migrations import migrate
from deploy.compose import make_secrets
from deploy.helm import draw_secrets
from local_stack.postgres import PostgresServer, ensure_database, ensure_running_role
from local_stack.testing import FreshDatabase, owner_url
from tests.support import chart

ROOT = Path(__file__).parents[2]
SERVICES = ("auth", "planning", "billing", "payment-gateway", "notifier")

REFUSED = (
    "TRUNCATE {table}",
    "TRUNCATE {table} CASCADE",
    "DROP TABLE {table} CASCADE",
    "ALTER TABLE {table} DISABLE TRIGGER USER",
    "ALTER TABLE {table} DISABLE TRIGGER ALL",
    "ALTER TABLE {table} ADD COLUMN more integer",
    "ALTER TABLE {table} OWNER TO CURRENT_USER",
    "ALTER TABLE {table} RENAME TO another",
    "ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
    "CREATE TRIGGER more AFTER INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "CREATE RULE more AS ON INSERT TO {table} DO INSTEAD NOTHING",
    "CREATE INDEX ON {table} ((1))",
)
"""For each table of each service."""
REFUSED_ONCE = (
    "SET session_replication_role = replica",
    "CREATE TABLE mine (it integer)",
    "CREATE TEMPORARY TABLE mine (it integer)",
    "CREATE FUNCTION mine() RETURNS integer LANGUAGE sql RETURN 1",
    "CREATE SCHEMA mine",
    "UPDATE schema_migration SET checksum = ''",
    "DELETE FROM schema_migration",
    "INSERT INTO schema_migration (name, checksum) VALUES ('service/9999_mine.sql', '')",
    "ALTER ROLE CURRENT_USER SUPERUSER",
    "SET ROLE {owner}",
    "DROP OWNED BY {owner}",
    "COPY outbox TO PROGRAM 'cat'",
    "ALTER DATABASE {database} SET session_replication_role = replica",
)


def migrations(service: str) -> Path:
    found: Path = importlib.import_module(f"{service.replace('-', '_')}.settings").MIGRATIONS
    return found


async def refuses_everything(running_url: str, owner: str) -> None:
    """The running role reads, and is let do nothing of the above, with any table."""
    connection = await asyncpg.connect(running_url)
    try:
        assert await excess_rights(connection) == []
        names = await connection.fetch(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
        )
        tables = {row["relname"] for row in names}
        assert {"outbox", "inbox", "idempotency_key", "schema_migration"} < tables
        statements = [each.format(table=table) for table in tables for each in REFUSED]
        database = urlsplit(running_url).path[1:]
        statements += [each.format(owner=owner, database=database) for each in REFUSED_ONCE]
        allowed = [each for each in statements if not await is_refused(connection, each)]
        assert allowed == []
    finally:
        await connection.close()


async def is_refused(connection: Any, statement: str) -> bool:
    """Whether it is, for want of a right; nothing of it stays otherwise."""
    running = connection.transaction()
    await running.start()
    try:
        await connection.execute(statement)
    except asyncpg.InsufficientPrivilegeError:
        return True
    else:
        return False
    finally:
        await running.rollback()


@pytest.mark.parametrize("service", SERVICES)
async def test_the_running_role_of_a_test_is_let_do_nothing_but_read_and_write_rows(
    service: str, fresh_database: FreshDatabase
) -> None:
    url = await fresh_database(migrations(service))
    await refuses_everything(url, str(urlsplit(owner_url(url)).username))


@pytest.fixture
async def town_server(postgres: PostgresServer) -> AsyncIterator[PostgresServer]:
    """A server without databases of the portal; what is made on it is dropped."""
    yield postgres
    connection = await asyncpg.connect(postgres.dsn())
    try:
        for service in SERVICES:
            name = f"preau_{service.replace('-', '_')}"
            await connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            await connection.execute(f"DROP ROLE IF EXISTS {name}_app")
            await connection.execute(f"DROP ROLE IF EXISTS {name}")
    finally:
        await connection.close()


@pytest.fixture
def compose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, town_server: PostgresServer) -> Callable[[], None]:
    """Call to start: the secrets are made in ``tmp_path`` as its first service does."""
    for program in (*SERVICES, *(f"set-up-{each}" for each in SERVICES)):
        (tmp_path / program).mkdir()
    for program in ("drawn", "gateway", "bank", "postgresql", "rabbitmq", "set-up"):
        (tmp_path / program).mkdir()
    for name, value in {"POSTGRESQL": f"127.0.0.1:{town_server.port}", "RABBITMQ": "broker:5672"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("BANK_PAGES", "http://localhost:8090")

    def start() -> None:
        monkeypatch.setattr(make_secrets, "ROOT", tmp_path)
        monkeypatch.setattr(make_secrets, "GIVEN", tmp_path / "none")
        monkeypatch.setattr("os.chown", lambda *_owner: None)
        make_secrets.main([])

    return start


def files(folder: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


async def psql(server: PostgresServer, file: Path) -> None:
    """What the service `roles` of docker-compose.yml does."""
    options = ["--quiet", "--no-psqlrc", "--set", "ON_ERROR_STOP=1", "--file", str(file)]
    process = await asyncio.create_subprocess_exec(str(server.tools / "psql"), *options, server.dsn())
    assert await process.wait() == 0


async def is_set_up_and_refuses(folder: Path) -> None:
    """Every service's set-up, with the files that its container reads; then its program's role."""
    for service in SERVICES:
        owner = (folder / f"set-up-{service}/migration_database_url").read_text(encoding="utf-8")
        running = (folder / service / "database_url").read_text(encoding="utf-8")
        await migrate(owner, migrations(service), running_url=running)
        await refuses_everything(running, str(urlsplit(owner).username))


async def test_a_composed_system_has_two_roles_and_making_them_again_changes_nothing(
    tmp_path: Path, compose: Callable[[], None], town_server: PostgresServer
) -> None:
    compose()
    for _ in range(2):
        await psql(town_server, tmp_path / "postgresql/databases.sql")
    before = files(tmp_path)
    compose()
    assert files(tmp_path) == before
    await is_set_up_and_refuses(tmp_path)


async def test_a_composed_system_of_one_role_gets_the_other_and_keeps_its_tables(
    tmp_path: Path, compose: Callable[[], None], town_server: PostgresServer
) -> None:
    compose()
    for service in SERVICES:
        database = f"preau_{service.replace('-', '_')}"
        url = await ensure_database(town_server.dsn(), database, password="as-before")
        await migrate(url, migrations(service))
        (tmp_path / service / "database_url").chmod(0o600)
        (tmp_path / service / "database_url").write_text(url, encoding="utf-8")
        (tmp_path / f"set-up-{service}/migration_database_url").unlink()
    shutil.rmtree(tmp_path / "drawn")  # as a version before kept no copies
    compose()
    await psql(town_server, tmp_path / "postgresql/databases.sql")
    owner = urlsplit((tmp_path / "set-up-billing/migration_database_url").read_text(encoding="utf-8"))
    assert (owner.username, owner.password) == ("preau_billing", "as-before")
    await is_set_up_and_refuses(tmp_path)


async def test_the_chart_has_two_roles_for_each_database(
    capsys: pytest.CaptureFixture[str], town_server: PostgresServer
) -> None:
    """The operator makes each managed role with the password of its Secret, and each database with its owner."""
    manifests = chart.rendered(chart.WITH_SERVERS)
    draw_secrets.main(["town", "--postgresql", "server"])
    drawn = {each["metadata"]["name"]: each["stringData"] for each in json.loads(capsys.readouterr().out)["items"]}
    connection = await asyncpg.connect(town_server.dsn())
    try:
        for role in chart.of_kind(manifests, "Cluster")["postgresql"]["spec"]["managed"]["roles"]:
            secret = drawn[role["passwordSecret"]["name"]]
            assert secret["username"] == role["name"]
            await connection.execute(f"CREATE ROLE {role['name']} LOGIN PASSWORD '{secret['password']}'")
        for each in chart.of_kind(manifests, "Database").values():
            await connection.execute(f"CREATE DATABASE {each['spec']['name']} OWNER {each['spec']['owner']}")
    finally:
        await connection.close()
    jobs = chart.of_kind(manifests, "Job")
    for service in SERVICES:
        (of_owner,) = (
            source["secret"]["name"]
            for volume in jobs[f"set-up-{service}"]["spec"]["template"]["spec"]["volumes"]
            for source in volume.get("projected", {}).get("sources", [])
            if "migration_database_url" in json.dumps(source)
        )
        here = f"127.0.0.1:{town_server.port}"
        owner = drawn[of_owner]["migration_database_url"].replace("server:5432", here)
        running = drawn[f"preau-{service}"]["database_url"].replace("server:5432", here)
        await migrate(owner, migrations(service), running_url=running)
        await refuses_everything(running, str(urlsplit(owner).username))


async def test_the_local_portal_has_two_roles_for_each_database(town_server: PostgresServer) -> None:
    for service in SERVICES:
        database = f"preau_{service.replace('-', '_')}"
        owner = await ensure_database(town_server.dsn(), database, password="of-the-owner")
        running = await ensure_running_role(town_server.dsn(), database, password="of-the-program")
        await migrate(owner, migrations(service), running_url=running)
        await refuses_everything(running, database)


@pytest.mark.parametrize("service", SERVICES)
def test_what_is_never_rewritten_is_granted_no_update_and_no_delete(service: str) -> None:
    """Every table that a trigger keeps from any change; the exceptions say which columns and why."""
    text = "".join(file.read_text(encoding="utf-8") for file in sorted(migrations(service).glob("0*.sql")))
    kept = set(re.findall(r"BEFORE UPDATE OR DELETE OR TRUNCATE ON (\w+)\s+FOR EACH STATEMENT", text))
    grants = (migrations(service) / "grants.sql").read_text(encoding="utf-8")
    locked, trimmed = {"invoice": "UPDATE (invoice_id)"}, {"bank_word"}
    for rights, tables in re.findall(r"^GRANT ([^;]+?)\s+ON ([\w, ]+) TO :running_role;", grants, re.MULTILINE):
        for table in kept & set(tables.split(", ")) - trimmed:
            more = re.sub(r"\s+", " ", rights).removesuffix(locked.get(table, ""))
            assert not re.search("UPDATE|DELETE|ALL", more), table
