"""The whole portal on this machine: private servers, stand-ins for the bank and the mail, and the six programs."""

import asyncio
import json
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp

from local_stack import banks, leftovers, packages
from local_stack.failures import start_error
from local_stack.leftovers import Leftover
from local_stack.ports import claim
from local_stack.postgres import PostgresServer, ensure_database, ensure_running_role
from local_stack.processes import Program
from local_stack.rabbit import RabbitServer
from local_stack.supervision import Part, Say, keep, together
from local_stack.unprivileged import reachable_folder, run_as

SERVICES = ("auth", "planning", "billing", "payment-gateway", "notifier")
PROGRAMS = (*SERVICES, "gateway")
WANTED_PORTS = {
    "gateway": 8080,
    "auth": 8081,
    "planning": 8082,
    "billing": 8083,
    "payment-gateway": 8084,
    "notifier": 8085,
    "bank": 8090,
    "mail": 8025,
    "smtp": 8026,
    "postgresql": 8032,
    "rabbitmq": 8072,
}
READY_SECONDS = 90
COMMAND_SECONDS = 120
PROCESS = {"PATH": os.environ.get("PATH", ""), "MALLOC_ARENA_MAX": "1"}
"""What every program gets: one memory arena, since a program has one busy thread."""
NO_SETTINGS: Mapping[str, Mapping[str, str]] = {}
TOWN = "Saint-Aubin"
TILL = {
    "TOWN_SIRET": "00000000000000",
    "TOWN_ADDRESS": "1 place de la Mairie, 00000 Saint-Aubin",
    "TOWN_CONTACT": "enfance@saint-aubin.example",
    "PART_CENTS_MIN": "1000",
    "TILL_ADDRESS": "Régie enfance, 1 place de la Mairie, le mardi et le jeudi de 9 h à 12 h",
}
EXAMPLES = Path(__file__).parents[3] / "contracts" / "examples"


class Stack:
    """Starts, restarts and stops everything; ``folder`` keeps its data, secrets and logs.

    ``database_url`` and ``amqp_url`` name servers that run already; without them private ones are started.
    ``settings`` are what a program gets besides, by its name.
    ``till`` collects the invoices; parents pay at the bank of that till, see ``banks``, at any other at PayFiP.
    """

    def __init__(
        self,
        folder: Path,
        *,
        durable: bool = True,
        say: Say = lambda _line: None,
        database_url: str = "",
        amqp_url: str = "",
        till: str = "REGIE-ENFANCE",
        settings: Mapping[str, Mapping[str, str]] = NO_SETTINGS,
    ) -> None:
        self.folder, self.till, self._settings = folder, till, settings
        self.programs: dict[str, Program] = {}
        self.databases: dict[str, str] = {}
        """Each service's database as the owner of its tables, who migrates."""
        self.running_databases: dict[str, str] = {}
        """The same as the role that the program runs as."""
        self.ports: dict[str, int] = {}
        self._durable, self._say = durable, say
        self._postgres: PostgresServer | None = None
        self._rabbit: RabbitServer | None = None
        self._database_url, self.amqp_url = database_url, amqp_url
        self.secrets: dict[str, str] = {}

    @property
    def gateway_url(self) -> str:
        return self.url("gateway")

    @property
    def rabbit(self) -> RabbitServer:
        assert self._rabbit is not None, "the broker is not ours"
        return self._rabbit

    @property
    def postgres(self) -> PostgresServer:
        assert self._postgres is not None, "the database is not ours"
        return self._postgres

    @property
    def servers_folder(self) -> Path:
        """Where the private servers keep their data, which they must reach."""
        return reachable_folder(self.folder, run_as("postgres"))

    def url(self, name: str) -> str:
        """Where a program answers."""
        return f"http://127.0.0.1:{self.ports[name]}"

    async def start(self) -> None:
        """Servers, set-up of every service, then every service."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o711)
        self.secrets = self.kept_secrets()
        self._claim_ports()
        if not self.amqp_url:
            await asyncio.to_thread(packages.rabbitmq_server)
            self._rabbit = RabbitServer(
                self.servers_folder / "rabbitmq",
                password=self.secrets["rabbitmq"],
                port=self.ports["rabbitmq"],
                accounts={name: self.secrets[f"amqp_{name}"] for name in PROGRAMS},
            )
            self.amqp_url = self._rabbit.url()
        await together(self._start_broker(), self._set_up())
        self.programs = {"mail": self._stand_in("mail", "local_stack.mail"), "bank": self._bank()}
        self.programs.update({name: self._program(name, []) for name in PROGRAMS})
        await together(*(program.start() for program in self.programs.values()))
        await together(*(self.ready(name) for name in self.programs))

    async def stop(self) -> None:
        """Programs first, servers last; each is asked, whatever becomes of another."""
        done = await asyncio.gather(*(program.stop() for program in self.programs.values()), return_exceptions=True)
        servers = [server for server in (self._rabbit, self._postgres) if server]
        done += await asyncio.gather(*(server.stop() for server in servers), return_exceptions=True)
        if failures := [each for each in done if isinstance(each, BaseException)]:
            raise failures[0]

    async def end_leftovers(self) -> list[Leftover]:
        """End what an earlier run has left in this folder, which nobody else may use now; what there was."""
        servers = self.servers_folder
        return [
            each
            for folder in (self.folder, servers / "rabbitmq", servers / "postgresql")
            for each in await leftovers.end(folder)
        ]

    async def kill(self, name: str) -> None:
        """End a program at once, as kill -9 does."""
        await self.programs[name].kill()

    async def restart(self, name: str) -> None:
        """Start a program again and wait until it is ready."""
        await self.programs[name].start()
        await self.ready(name)

    async def ready(self, name: str) -> None:
        """Wait until a program says that it is ready."""
        program, deadline = self.programs[name], asyncio.get_running_loop().time() + READY_SECONDS
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as http:
            while asyncio.get_running_loop().time() < deadline and program.is_running:
                try:
                    async with http.get(f"{self.url(name)}/health/ready") as response:
                        if response.status == 200:
                            return
                except (TimeoutError, aiohttp.ClientError):
                    pass
                await asyncio.sleep(0.1)
        raise start_error(program, self.ports[name], *([self.ports["smtp"]] if name == "mail" else []))

    async def command(self, name: str, *words: str, **environment: str) -> None:
        """Run one of a service's commands to its end."""
        program = self._program(name, list(words))
        owner = {"MIGRATION_DATABASE_URL": self.databases[name]} if words[0] == "migrate" else {}
        program.environment = {**program.environment, **owner, **environment}
        if await program.run(seconds=COMMAND_SECONDS):
            raise RuntimeError(f"{name} {words[0]} failed:\n{program.tail()}")

    def another(self, name: str, **environment: str) -> Program:
        """One more process of a program, with its settings and these, not started yet."""
        program = self._program(name, [])
        program.environment = {**program.environment, **environment}
        return program

    async def watch(self, changed: Callable[[], None]) -> None:
        """Restart what crashes, say so and call ``changed``, until cancelled."""
        parts: dict[str, Part] = {**self.programs}
        if self._postgres:
            parts["postgresql"] = self._postgres
        if self._rabbit:
            parts["rabbitmq"] = self._rabbit
        await together(*(keep(name, part, self._say, changed) for name, part in parts.items()))

    def describe(self, demo: dict[str, Any]) -> dict[str, Any]:
        """What ``.local/stack.json`` says."""
        return {
            "gateway_url": self.gateway_url,
            "bank_url": self.url("bank"),
            "mail_url": self.url("mail"),
            "amqp_url": self.amqp_url,
            "databases": self.running_databases,
            "owner_databases": self.databases,
            "services": {name: {"url": self.url(name), "pid": self.programs[name].pid} for name in PROGRAMS},
            "webhooks": {name: {"url": f"{self.gateway_url}/webhooks/{name}"} for name in banks.WEBHOOKS},
            "demo": demo,
        }

    def kept_secrets(self) -> dict[str, str]:
        """The passwords and keys of this folder, made once."""
        file = self.folder / "secrets.json"
        names = ["postgresql", "rabbitmq", "auth_key", "link", "csrf", "paybox_bank", *banks.SECRETS]
        names += [*(f"{kind}_{name}" for kind in ("db", "db_app") for name in SERVICES)]
        names += [*(f"amqp_{name}" for name in PROGRAMS)]
        kept: dict[str, str] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        if not kept:
            self.forget_data()  # of a clone that was here before, in /var/tmp: nobody has its passwords any more
        if any(name not in kept for name in names):
            kept = {**{name: secrets.token_hex(32) for name in names}, "paybox_bank": banks.bank_key(), **kept}
            unfinished = file.with_suffix(".unfinished")
            unfinished.touch(mode=0o600)
            unfinished.write_text(json.dumps(kept), encoding="utf-8")
            unfinished.rename(file)
        return kept

    def forget(self) -> None:
        """Remove everything that is kept."""
        for folder in {self.servers_folder, self.folder}:
            shutil.rmtree(folder)

    def forget_data(self) -> None:
        """Remove what servers and stand-ins keep; secrets and logs stay."""
        for folder in (
            self.servers_folder / "postgresql",
            self.servers_folder / "rabbitmq",
            self.folder / "bank",
        ):
            shutil.rmtree(folder, ignore_errors=True)

    def _claim_ports(self) -> None:
        for name, wanted in WANTED_PORTS.items():
            self.ports[name] = claim(wanted)
            if self.ports[name] != wanted:
                self._say(f"port {wanted} is taken: {name} is on {self.ports[name]}")

    async def _set_up(self) -> None:
        """Every service's set-up; it waits for the broker by itself."""
        await self._start_database()
        await together(*(self.command(name, "migrate", AMQP_URL=self.amqp_url) for name in SERVICES))

    async def _start_database(self) -> None:
        if not self._database_url:
            self._postgres = PostgresServer(
                self.servers_folder / "postgresql",
                password=self.secrets["postgresql"],
                port=self.ports["postgresql"],
                durable=self._durable,
            )
            await self._postgres.start()
            self._database_url = self._postgres.dsn()
        for name in SERVICES:
            database = f"preau_{name.replace('-', '_')}"
            self.databases[name] = await ensure_database(
                self._database_url, database, password=self.secrets[f"db_{name}"]
            )
            self.running_databases[name] = await ensure_running_role(
                self._database_url, database, password=self.secrets[f"db_app_{name}"]
            )

    async def _start_broker(self) -> None:
        if self._rabbit:
            await self._rabbit.start()

    def _stand_in(self, name: str, module: str, **environment: str) -> Program:
        base = {
            **PROCESS,
            **leftovers.mark(self.folder),
            **self._settings.get(name, {}),
            "HTTP_PORT": str(self.ports[name]),
            **environment,
        }
        base.setdefault("SMTP_PORT", str(self.ports["smtp"]))
        return Program(name, [sys.executable, "-m", module], base, self.folder / "log" / f"{name}.log")

    def _bank(self) -> Program:
        known = banks.known_at_bank(self.secrets, f"{self.gateway_url}/webhooks")
        return self._stand_in("bank", "bank_simulator", DATA_FOLDER=str(self.folder / "bank"), **known)

    def _program(self, name: str, words: list[str]) -> Program:
        command = [sys.executable, "-m", name.replace("-", "_"), *words]
        log = self.folder / "log" / f"{name}.log"
        return Program(name, command, self._environment(name), log)

    def _environment(self, name: str) -> dict[str, str]:
        common = {
            **PROCESS,
            **leftovers.mark(self.folder),
            **self._settings.get(name, {}),
            "AMQP_URL": self._rabbit.url(account=name) if self._rabbit else self.amqp_url,
            "AUTH_URL": self.url("auth"),
            "HTTP_PORT": str(self.ports[name]),
            "PUBLIC_URL": self.gateway_url,
            "TOWN_NAME": TOWN,
            "DATABASE_URL": self.running_databases.get(name, ""),
        }
        own = {
            "auth": {
                "AUTH_KEY_SECRET": self.secrets["auth_key"],
                "LINK_SECRET": self.secrets["link"],
                "DEMO_ACCOUNTS": "true",
            },
            "planning": {"SCHOOL_ZONE": "B"},
            "billing": {**TILL, "TILL_REFERENCE": self.till},
            "payment-gateway": banks.accounts(self.secrets, self.url("bank")),
            "notifier": {
                "MAIL_FROM": "portail@saint-aubin.example",
                "SMTP_HOST": "127.0.0.1",
                "SMTP_PORT": str(self.ports["smtp"]),
                "SMTP_TLS": "none",
                "MAIL_EXAMPLES": str(EXAMPLES),
                "LINK_SECRET": self.secrets["link"],
            },
            "gateway": {
                "PLANNING_URL": self.url("planning"),
                "BILLING_URL": self.url("billing"),
                "PAYMENT_GATEWAY_URL": self.url("payment-gateway"),
                "NOTIFIER_URL": self.url("notifier"),
                "CSRF_SECRET": self.secrets["csrf"],
                "BANK_ORIGINS": self.url("bank"),
            },
        }
        return {**common, **own[name]}
