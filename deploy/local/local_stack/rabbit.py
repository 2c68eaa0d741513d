"""A private RabbitMQ node: own folder, ports, name and name server, loopback only."""

import asyncio
import json
import logging
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import aio_pika
from yarl import URL

from chassis.broker_accounts import SET_UP, definitions
from local_stack import leftovers, packages
from local_stack.failures import start_error
from local_stack.ports import claim_any
from local_stack.processes import Program
from local_stack.unprivileged import passable_folder, private_folder, run_as

START_SECONDS = 90
STOP_SECONDS = 30
PROBE_QUEUE = "preau.start"

logging.getLogger("aiormq.connection").setLevel(logging.CRITICAL)  # the broker refuses until it is up


class RabbitServer:
    """RabbitMQ in ``folder`` with the virtual hosts given; ready once it has confirmed a message.

    ``password`` is that of the account for set-up, ``accounts`` has those of the programs.
    """

    def __init__(
        self,
        folder: Path,
        *,
        password: str,
        port: int | None = None,
        vhosts: Sequence[str] = ("preau",),
        accounts: Mapping[str, str] | None = None,
    ) -> None:
        self.port = port or claim_any()
        self.folder = folder
        self._passwords = {SET_UP: password, **(accounts or {})}
        self._vhosts = tuple(vhosts)
        self._name_server_port = claim_any()
        self._distribution_port = claim_any()
        self._node = f"preau{_kept_number(folder / 'node')}@localhost"
        self._name_server: Program | None = None
        self._program: Program | None = None
        self._is_up = False

    @property
    def pid(self) -> int | None:
        return self._program.pid if self._program else None

    @property
    def log(self) -> Path:
        return self.folder / "rabbitmq.log"

    def url(self, vhost: str | None = None, account: str = SET_UP) -> str:
        """How an account reaches a virtual host, the first one unless named."""
        host = quote(vhost or self._vhosts[0], safe="")
        return f"amqp://{account}:{self._passwords[account]}@127.0.0.1:{self.port}/{host}"

    async def start(self) -> None:
        """Start the node and its name server, and wait for a confirmed message."""
        script = await asyncio.to_thread(packages.rabbitmq_server)
        who = run_as("rabbitmq")
        passable_folder(self.folder)
        private = private_folder(self.folder / "private", who)
        unfinished, data = private / "unfinished", private / "mnesia"
        if unfinished.exists():  # its first start was interrupted: it has no message yet
            await asyncio.to_thread(shutil.rmtree, data, ignore_errors=True)
        if not data.exists():
            unfinished.touch()
        self._configure(private)
        environment = self._environment(private)
        if self._name_server is None or not self._name_server.is_running:
            epmd = shutil.which("epmd") or "/usr/bin/epmd"
            command = [epmd, "-port", str(self._name_server_port), "-address", "127.0.0.1"]
            self._name_server = Program("epmd", command, environment, self.folder / "epmd.log", who, private)
            await self._name_server.start()
        end = signal.SIGTERM  # Erlang takes SIGINT for somebody at its keyboard
        self._program = Program("rabbitmq", [str(script)], environment, self.log, who, private, if_we_die=end)
        self._is_up = False
        await self._program.start()
        await self._confirms()
        self._is_up = True
        unfinished.unlink(missing_ok=True)

    async def stop(self) -> None:
        """Stop the node, then its name server. A node that is still starting does not always hear that it should."""
        if self._program:
            await self._program.stop(seconds=STOP_SECONDS if self._is_up else 2)
        if self._name_server:
            await self._name_server.stop(seconds=3)

    async def kill(self) -> None:
        """End the node at once; its name server stays for the next start."""
        if self._program:
            await self._program.kill()

    def pause(self) -> None:
        """Stop the node where it is, until it goes on."""
        if self._program:
            self._program.pause()

    def go_on(self) -> None:
        """Let the node go on after a pause."""
        if self._program:
            self._program.go_on()

    async def control(self, *words: str) -> None:
        """Run ``rabbitmqctl`` on the node."""
        assert self._program is not None, "the node runs"
        script = (await asyncio.to_thread(packages.rabbitmq_server)).with_name("rabbitmqctl")
        private = self.folder / "private"
        command = Program(
            "rabbitmqctl",
            [str(script), *words],
            self._environment(private),
            self.folder / "rabbitmqctl.log",
            self._program.who,
            folder=private,
        )
        await command.start()
        assert command.process is not None
        if await asyncio.wait_for(command.process.wait(), timeout=60):
            raise RuntimeError(f"rabbitmqctl {words[0]} failed:\n{command.tail()}")

    def _configure(self, private: Path) -> None:
        (private / "rabbitmq.conf").write_text(
            f"listeners.tcp.local = 127.0.0.1:{self.port}\n"
            f"load_definitions = {private}/definitions.json\n"
            "loopback_users = none\n"
            "vm_memory_high_watermark.absolute = 1GB\n"
            "disk_free_limit.absolute = 100MB\n"
            "log.console = false\n"
            "log.file.level = warning\n",
            encoding="utf-8",
        )
        accounts = json.dumps(definitions(self._vhosts, self._passwords))
        localhost = (
            '{host, {127,0,0,1}, ["localhost"]}.\n{lookup, [file, native]}.\n'  # a bare system has no /etc/hosts
        )
        for name, text in (("definitions.json", accounts), ("enabled_plugins", "[].\n"), ("inetrc", localhost)):
            (private / name).write_text(text, encoding="utf-8")
        owner = private.stat()
        for file in ("rabbitmq.conf", "definitions.json", "enabled_plugins", "inetrc"):
            os.chown(private / file, owner.st_uid, owner.st_gid)
            (private / file).chmod(0o600)

    def _environment(self, private: Path) -> dict[str, str]:
        return {
            **leftovers.mark(self.folder),
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "LANG": "C.UTF-8",
            "HOME": str(private),
            "RABBITMQ_NODENAME": self._node,
            "RABBITMQ_CONFIG_FILE": str(private / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(private / "none.conf"),
            "RABBITMQ_MNESIA_BASE": str(private / "mnesia"),
            "RABBITMQ_LOG_BASE": str(private / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(private / "enabled_plugins"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(private / "config"),
            "RABBITMQ_FEATURE_FLAGS_FILE": str(private / "feature_flags"),
            "RABBITMQ_PID_FILE": str(private / "pid"),
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "ERL_INETRC": str(private / "inetrc"),
            "ERL_EPMD_PORT": str(self._name_server_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RUNNING_UNDER_SYSTEMD": "true",  # the script becomes the node, in the place of waiting for it
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none",
        }

    async def _confirms(self) -> None:
        assert self._program is not None
        deadline = asyncio.get_running_loop().time() + START_SECONDS
        while True:
            try:
                async with asyncio.timeout(5):
                    await _probe(self.url())
            except Exception as error:
                if not self._program.is_running or asyncio.get_running_loop().time() > deadline:
                    if self._name_server and not self._name_server.is_running:
                        raise start_error(self._name_server, self._name_server_port) from error
                    raise start_error(self._program, self.port, self._distribution_port) from error
                await asyncio.sleep(0.2)
            else:
                return


async def _probe(url: str) -> None:
    connection = aio_pika.Connection(URL(url))
    try:
        await connection.connect(timeout=3)
        channel = await connection.channel()
        await channel.declare_queue(
            PROBE_QUEUE, durable=True, arguments={"x-queue-type": "quorum", "x-max-length": 1, "x-message-ttl": 10_000}
        )
        await channel.default_exchange.publish(aio_pika.Message(b""), PROBE_QUEUE)
    finally:
        await connection.close()  # one that was never opened too: else it complains when it is collected


def _kept_number(file: Path) -> int:
    """A number drawn once for a folder: the node's data carry its name."""
    kept = file.read_text() if file.exists() else ""
    if not kept:  # or left empty by somebody who was interrupted here
        kept = str(claim_any())
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(kept)
    return int(kept)
