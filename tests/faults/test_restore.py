"""The day everything is lost but last night's backup: `make restore-drill`.

Databases and broker are destroyed while an event that says money came in is in the broker's queues alone. The
databases come back from their dumps, the event is said again, and the payment is settled and mailed once.
"""

import asyncio
import hashlib
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from chassis.testing import eventually
from local_stack import packages
from local_stack.stack import SERVICES, Stack

pytestmark = [pytest.mark.drill, pytest.mark.faults, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]
OWN_SERVERS = True

OPERATE = Path(__file__).parents[2] / "deploy/operate"
TABLES = """SELECT format('%I', tablename) AS name FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"""


async def contents(stack: Stack) -> dict[str, str]:
    """A digest of every row of every table of every service."""
    found = {}
    for service in SERVICES:
        connection = await asyncpg.connect(stack.databases[service])
        for table in [row["name"] for row in await connection.fetch(TABLES)]:
            rows = await connection.fetch(f"SELECT it::text AS row FROM {table} it ORDER BY 1")
            text = "\n".join(row["row"] for row in rows)
            found[f"{service}.{table}"] = f"{len(rows)} {hashlib.sha256(text.encode()).hexdigest()}"
        await connection.close()
    return found


async def operate(stack: Stack, name: str, *words: str, status: int = 0, **settings: str) -> str:
    """Run an operator's command against the stack's PostgreSQL, as its administrator; what it printed."""
    where = urlsplit(stack.postgres.dsn())
    environment = {
        "PATH": f"{stack.postgres.tools}:{os.environ['PATH']}",
        "PGHOST": where.hostname or "",
        "PGPORT": str(where.port),
        "PGUSER": where.username or "",
        "PGPASSWORD": where.password or "",
        **settings,
    }
    pipe, command = asyncio.subprocess.PIPE, (str(OPERATE / name), *words)
    process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=pipe, stderr=pipe)
    printed, said = (each.decode() for each in await process.communicate())
    assert process.returncode == status, said
    return printed if status == 0 and printed else said


async def encrypted(folder: Path) -> dict[str, str]:
    """The settings of backups for a key of their own; its public half is all that the machine needs."""
    await asyncio.to_thread(packages.age)
    keygen = await asyncio.create_subprocess_exec("age-keygen", "-o", str(folder / "key"), stderr=-3)
    assert await keygen.wait() == 0
    public = ("age-keygen", "-y", "-o", str(folder / "recipients"), str(folder / "key"))
    assert await (await asyncio.create_subprocess_exec(*public)).wait() == 0
    return {
        "BACKUP_FOLDER": str(folder / "backups"),
        "BACKUP_RECIPIENTS": str(folder / "recipients"),
        "BACKUP_IDENTITY": str(folder / "key"),
    }


def is_encrypted(file: Path) -> bool:
    return file.read_bytes().startswith(b"age-encryption.org/v1")


def names(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir() if each.name != ".lock"}


async def backed_up_beside_others(stack: Stack, folder: Path, **settings: str) -> Path:
    """A backup, after one that failed and one whose time is over; a damaged copy of it is not restored."""
    kept, old = folder / "backups", folder / "backups/2020-01-01T000000Z"
    await asyncio.to_thread(old.mkdir, parents=True)
    os.utime(old, (0, 0))
    assert "nothing was saved" in await operate(stack, "backup", status=1, **settings, PGPASSWORD="wrong")
    assert names(kept) == {old.name}
    made = Path((await operate(stack, "backup", **settings)).strip())
    assert names(kept) == {made.name}
    dumps = {f"preau_{name.replace('-', '_')}.dump.age" for name in SERVICES}
    assert names(made) == dumps | {"since", "SHA256SUMS"}
    assert all(is_encrypted(made / each) for each in dumps)
    damaged = folder / "damaged"
    shutil.copytree(made, damaged)
    with (damaged / "preau_notifier.dump.age").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"?")
    said = await operate(stack, "restore", str(damaged), "--yes", status=1, **settings)
    assert "was damaged; nothing was changed" in said
    return made


@pytest.mark.parametrize("family", ["demo05"], indirect=True)
async def test_databases_and_broker_are_destroyed_and_nothing_is_lost(
    family: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stack: Stack = family.stack
    await family.bank_faults(notice="never")
    id_op = await family.begin()
    for name in ("billing", "notifier"):
        await stack.kill(name)
    await family.bank(id_op, "pay")
    assert await family.notify(id_op) == 200

    async def only_the_broker_knows() -> bool:
        waiting = "SELECT count(*) FROM outbox WHERE published_at IS NULL OR type <> 'payment.confirmed'"
        said = "SELECT count(*) FROM outbox WHERE type = 'payment.confirmed' AND published_at IS NOT NULL"
        return bool(await family.sql("payment-gateway", said)) and not await family.sql("payment-gateway", waiting)

    await eventually(only_the_broker_knows, seconds=30)
    for program in stack.programs.values():
        await program.stop()
    began = time.monotonic()
    before = await contents(stack)
    kept = await encrypted(tmp_path)
    folder = await backed_up_beside_others(stack, tmp_path, **kept)
    backed_up = time.monotonic()
    for server in (stack.postgres, stack.rabbit):
        await server.kill()
        await asyncio.to_thread(shutil.rmtree, server.folder)

    fresh = Stack(stack.folder, durable=False)
    try:
        await fresh.start()
        for program in fresh.programs.values():
            await program.stop()
        restoring = time.monotonic()
        said = await operate(fresh, "restore", str(folder), "--yes", **kept)
        restored = time.monotonic()
        assert await contents(fresh) == before
        await asyncio.gather(*(program.start() for program in fresh.programs.values()))
        await asyncio.gather(*(fresh.ready(name) for name in (*SERVICES, "gateway")))
        since = said.split()[-1]
        for name in SERVICES:
            await fresh.command(name, "republish", "--since", since)
        family.stack, family.gateway_url = fresh, fresh.gateway_url
        await family.is_settled_once(id_op)
        with capsys.disabled():
            sys.stdout.write(
                f"\n{len(before)} tables: backed up in {backed_up - began:.1f} s, restored in "
                f"{restored - restoring:.1f} s, all the same; the payment settled and mailed once\n"
            )
    finally:
        await fresh.stop()
