"""The one-command stack: what ``make run`` promises, on a folder of its own."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import stat
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest

from chassis.testing import eventually
from local_stack import demo, leftovers
from local_stack.failures import StartError
from local_stack.leftovers import Leftover
from local_stack.postgres import PostgresServer
from local_stack.stack import SERVICES, WANTED_PORTS, Stack
from local_stack.unprivileged import reachable_folder, run_as

pytestmark = [pytest.mark.timeout(300)]


class Running:
    """``python -m local_stack run`` in a folder, and what it printed."""

    def __init__(self, folder: Path, process: asyncio.subprocess.Process) -> None:
        self.folder, self.process, self.printed = folder, process, ""

    @property
    def description(self) -> dict[str, Any]:
        described: dict[str, Any] = json.loads((self.folder / ".local/stack.json").read_text(encoding="utf-8"))
        return described

    async def says(self, wanted: str) -> None:
        assert self.process.stdout is not None
        async with asyncio.timeout(180):
            while wanted not in self.printed:
                line = await self.process.stdout.readline()
                assert line, self.printed
                self.printed += line.decode()

    async def households(self) -> int:
        """How many families the administrator sees."""
        staff = self.description["demo"]["staff"][0]
        auth = self.description["services"]["auth"]["url"]
        async with aiohttp.ClientSession(raise_for_status=True) as http:
            payload = {"identifier": staff["identifier"], "secret": staff["secret"], "client_address": "127.0.0.1"}
            async with http.post(f"{auth}/sessions", json=payload) as response:
                session = (await response.json())["session"]
            async with http.post(f"{auth}/tokens", json={"session": session, "audience": "auth"}) as response:
                headers = {"Authorization": f"Bearer {(await response.json())['token']}"}
            async with http.get(f"{auth}/households", headers=headers) as response:
                return len((await response.json())["households"])


async def local_stack(folder: Path, word: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "local_stack", word),
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


@contextlib.asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Running]:
    made = Running(folder, await local_stack(folder, "run"))
    try:
        await made.says("ready in")
        yield made
    finally:
        if made.process.returncode is None:
            made.process.send_signal(signal.SIGINT)
        await made.process.communicate()


def left_in(folder: Path) -> list[Leftover]:
    """What still works for the portal of a folder, its servers too."""
    kept = folder / ".local"
    servers = reachable_folder(kept, run_as("postgres"))
    return [each for place in (kept, servers / "postgresql", servers / "rabbitmq") for each in leftovers.find(place)]


def test_data_whose_passwords_are_lost_are_begun_again(tmp_path: Path) -> None:
    """The clone was removed and made again at the same place; its servers' data had been elsewhere, in /var/tmp."""
    stack = Stack(tmp_path / "stack")
    for _time in range(2):
        stack.folder.mkdir()
        stack.secrets = stack.kept_secrets()
        data = stack.servers_folder / "postgresql" / "private" / "data"
        assert not data.exists()
        data.mkdir(parents=True)
        assert stack.kept_secrets() == stack.secrets
        assert data.exists()
        elsewhere = stack.servers_folder
        shutil.rmtree(stack.folder)
    shutil.rmtree(elsewhere, ignore_errors=True)


async def answers(url: str) -> bool:
    try:
        async with aiohttp.ClientSession() as http, http.get(f"{url}/health/ready") as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False


def lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def test_run_describes_itself_restarts_what_crashes_and_keeps_its_data(tmp_path: Path) -> None:
    with contextlib.ExitStack() as other_program:
        with contextlib.suppress(OSError):  # another portal may have it already
            other_program.enter_context(socket.create_server(("127.0.0.1", WANTED_PORTS["mail"])))
        async with running(tmp_path) as first:
            assert f"port {WANTED_PORTS['mail']} is taken: mail is on" in first.printed
            described = first.description
            assert stat.S_IMODE((tmp_path / ".local/stack.json").stat().st_mode) == 0o600
            assert described.keys() >= {"gateway_url", "bank_url", "mail_url", "amqp_url", "webhooks"}
            assert described["databases"].keys() == set(SERVICES)
            assert len(described["demo"]["parents"]) == 12
            assert {each["role"] for each in described["demo"]["staff"]} == {"administrator", "till_keeper", "clerk"}
            for line in (first.description["gateway_url"], "demo01", "mairie", "4970 1000 0000 0006"):
                assert line in first.printed

            os.kill(described["services"]["billing"]["pid"], signal.SIGKILL)
            await first.says("billing stopped by itself")
            await eventually(lambda: answers(described["services"]["billing"]["url"]), seconds=30)
            assert first.description["services"]["billing"]["pid"] != described["services"]["billing"]["pid"]

            refused = await local_stack(tmp_path, "reset")
            assert b"running already" in (await refused.communicate())[0]
            assert refused.returncode == 1
            pids = [each["pid"] for each in first.description["services"].values()]
            first.process.stdout._transport.close()  # type: ignore[union-attr]  # nobody reads what it says any more
            first.process.send_signal(signal.SIGHUP)  # as when the terminal is closed
            assert await first.process.wait() == 0
            assert not any(map(lives, pids))
            assert left_in(tmp_path) == []
            assert not (tmp_path / ".local/stack.json").exists()

    async with running(tmp_path) as second:
        assert await second.households() == 12
        pids = [each["pid"] for each in second.description["services"].values()]
        second.process.kill()
        await second.process.wait()

        async def ended() -> bool:
            return not any(map(lives, pids)) and not left_in(tmp_path)

        await eventually(ended, seconds=30)
    forgotten = await local_stack(tmp_path, "reset")
    await forgotten.communicate()
    assert forgotten.returncode == 0
    assert not (tmp_path / ".local").exists()


@pytest.mark.parametrize("moment", ["secrets.json", "log/auth.log"])
async def test_ctrl_c_stops_a_start_at_once_and_leaves_nothing(moment: str, tmp_path: Path) -> None:
    process = await local_stack(tmp_path, "run")

    async def it_is_that_far() -> bool:
        return (tmp_path / ".local" / moment).exists()

    await eventually(it_is_that_far, seconds=60)
    process.send_signal(signal.SIGINT)
    printed, _ = await process.communicate()
    assert process.returncode == 0
    assert b"stopping" in printed
    assert b"Traceback" not in printed
    assert b"ready in" not in printed
    assert left_in(tmp_path) == []
    forgotten = await local_stack(tmp_path, "reset")
    await forgotten.communicate()
    assert forgotten.returncode == 0


async def test_servers_one_already_has_are_used(postgres: PostgresServer, amqp_url: str, tmp_path: Path) -> None:
    stack = Stack(tmp_path / "stack", database_url=postgres.dsn(), amqp_url=amqp_url)
    try:
        await stack.start()
        await demo.fill(stack)
        assert stack.amqp_url == amqp_url
        assert all(f":{postgres.port}/" in dsn for dsn in stack.databases.values())
        assert not (tmp_path / "stack/postgresql").exists()
        assert not (tmp_path / "stack/rabbitmq").exists()
        demo.unfinished(stack).touch()  # as if the filling had been interrupted
        with pytest.raises(StartError, match="half filled: drop the databases preau_auth"):
            await demo.fill(stack)
    finally:
        await stack.stop()


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A folder that the account of a server can reach, which pytest's own are not."""
    made = Path(tempfile.mkdtemp(prefix="preau-postgres-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made)


@pytest.fixture
async def postgres_alone(reachable: Path) -> AsyncIterator[PostgresServer]:
    """A server that keeps its data as in production."""
    server = PostgresServer(reachable, password="kept")
    await server.start()
    yield server
    await server.stop()


async def test_postgresql_killed_while_a_session_works_starts_again_once_that_has_ended(
    postgres_alone: PostgresServer,
) -> None:
    session = await asyncpg.connect(postgres_alone.dsn())
    await session.execute("CREATE TABLE kept AS SELECT 1 AS number")
    busy = asyncio.create_task(session.fetchval("SELECT count(*) FROM generate_series(1, 20000000)"))
    await asyncio.sleep(0.3)
    await postgres_alone.kill()
    await postgres_alone.start()
    await asyncio.wait([busy])  # it may even have come to its end
    again = await asyncpg.connect(postgres_alone.dsn())
    assert await again.fetchval("SELECT number FROM kept") == 1
    await again.close()


async def test_postgresql_and_its_sessions_stand_still_while_they_are_paused(postgres_alone: PostgresServer) -> None:
    session = await asyncpg.connect(postgres_alone.dsn())
    postgres_alone.pause()
    asked = asyncio.create_task(session.fetchval("SELECT 1"))
    done, _ = await asyncio.wait([asked], timeout=0.5)
    assert not done
    postgres_alone.go_on()
    assert await asked == 1
    await session.close()
