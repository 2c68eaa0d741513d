"""The command line of a service: serve (default), migrate, dead-letters, republish, doctor, and its own."""

import asyncio
import contextlib
import gc
import socket
import sys
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import structlog
import uvloop
from aiohttp import web

from chassis import dead_letters, logs, outbox, tracing
from chassis.broker import AWAY as BROKER_AWAY
from chassis.broker import QueueSpec, declare
from chassis.command_errors import SetUpRefused, explain
from chassis.connections import Connections, Site, raise_file_limit
from chassis.database import AWAY as DATABASE_AWAY
from chassis.database_roles import RoleError, excess_rights
from chassis.database_servers import connect
from chassis.doctor import doctor
from chassis.draining import DRAIN
from chassis.health_metrics import OUTBOX_AGE, Gauge, HealthMetric
from chassis.inbox import Consumers
from chassis.memory import use_memory
from chassis.metrics import use_metrics
from chassis.migrations import MigrationError, migrate, pending
from chassis.settings import EdgeSettings, ServiceSettings, SetUpSettings, load

OwnCommand = Callable[[Any, list[str]], Coroutine[Any, Any, int]]

START_WAIT_SECONDS = 120
UNUSED = "unused"
"""The argument of ``migrate`` when the service is stopped: migrations then take unlimited time."""
NOT_YET = (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InternalServerError)
"""Errors of a server that is being set up: a role that is missing, or rights on the database that another session
grants at the same time (« tuple concurrently updated »)."""
CONNECTIONS_WAITING_MAX = 4_096
"""The listen backlog; the kernel's limit may be lower."""

log = structlog.get_logger()


@dataclass(frozen=True)
class Service:
    """A program of Préau. Without ``migrations`` it has no database (the gateway).

    ``prepare`` runs in ``migrate`` after the migrations, for instance to fill a reference table. ``health_metrics`` and
    ``gauges`` (metrics without an alert) are measured besides those of every service.
    """

    name: str
    settings: type[EdgeSettings]
    build: Callable[[Any], web.Application]
    migrations: Path | None = None
    consumers: Consumers | None = None
    commands: dict[str, OwnCommand] = field(default_factory=dict)
    prepare: Callable[[Any], Awaitable[None]] | None = None
    health_metrics: tuple[HealthMetric, ...] = ()
    gauges: tuple[Gauge, ...] = ()

    @property
    def queues(self) -> list[QueueSpec]:
        """The queues of its consumers."""
        return self.consumers.queues() if self.consumers else []


def main(service: Service, arguments: list[str] | None = None) -> None:
    """Run the command in ``arguments`` and exit with its status."""
    given = sys.argv[1:] if arguments is None else arguments
    command, rest = (given[0], given[1:]) if given else ("serve", [])
    settings = load(service.settings)
    logs.configure(
        service.name, "CRITICAL" if command == "doctor" else settings.log_level
    )  # its report fits one screen
    if command == "serve" and not rest:
        _serve(service, settings)
        return
    known: dict[str, OwnCommand] = {"doctor": lambda s, words: run_doctor(service, s, words), **service.commands}
    if isinstance(settings, ServiceSettings):
        known["migrate"] = lambda s, words: _migrate(service, s, words)
        known["dead-letters"] = lambda s, words: dead_letters.run(s.amqp_url, service.consumers, words)
        known["republish"] = lambda s, words: outbox.republish(s.database_url, words)
    if command not in known:
        wrong = "serve takes no argument" if command == "serve" else f"no command {command!r}"
        sys.stderr.write(f"{service.name}: {wrong}; there are serve, {', '.join(sorted(known))}\n")
        raise SystemExit(2)
    raise SystemExit(_run(service, known[command](settings, rest), command))


def _run(service: Service, work: Coroutine[Any, Any, int], command: str) -> int:
    """Run a command; an expected failure prints one sentence, a defect raises."""
    try:
        return uvloop.run(work)
    except Exception as error:
        if not (explained := explain(error)):
            raise
        sentence, status = explained
        sys.stderr.write(f"{service.name} {command}: {sentence}\n")
        return status


async def set_up(
    service: Service, settings: ServiceSettings, *, owner_url: str | None = None, is_used: bool = True
) -> None:
    """Apply the migrations and declare the queues; idempotent.

    ``owner_url`` is the database as the owner of its tables; without it the migrations must be applied already.
    ``is_used``: the service runs on the database, so migrations must not block it for long.
    """
    assert service.migrations is not None, f"{service.name} has no database"
    if owner_url:
        await migrate(owner_url, service.migrations, running_url=settings.database_url, is_used=is_used)
    elif missing := await pending(settings.database_url, service.migrations):
        raise MigrationError(f"{', '.join(missing)} missing, which only the owner of the tables can apply")
    if service.prepare:
        await service.prepare(settings)
    await declare(settings.amqp_url, service.queues, settings.retry_delays_seconds)


async def run_doctor(service: Service, settings: EdgeSettings, words: list[str]) -> int:
    """The command ``doctor``."""
    queues = [queue.name for queue in service.queues]
    if service.migrations is None or not isinstance(settings, ServiceSettings):
        return await doctor(service.name, settings, words, queues=queues)
    database, health_metrics = (settings.database_url, service.migrations), (OUTBOX_AGE, *service.health_metrics)
    return await doctor(service.name, settings, words, database=database, queues=queues, health_metrics=health_metrics)


async def _migrate(service: Service, settings: ServiceSettings, words: list[str]) -> int:
    if words not in ([], [UNUSED]):
        sys.stderr.write(f"usage: migrate [{UNUSED}]\n")
        return 2
    owner_url = load(SetUpSettings).migration_database_url
    try:
        await _retry_until_up(
            lambda: set_up(service, settings, owner_url=owner_url, is_used=not words),
            "database or broker away, waiting",
        )
    except (MigrationError, RoleError) as error:
        log.error("set-up failed, nothing of the migration is done", error=str(error))  # noqa: TRY400 - the message is complete
        return 1
    except SetUpRefused as error:
        log.error("set-up refused", error=str(error))  # noqa: TRY400 - the message is complete
        return 1
    log.info("set-up done")
    return 0


async def _retry_until_up(step: Callable[[], Awaitable[None]], message: str) -> None:
    deadline = asyncio.get_running_loop().time() + START_WAIT_SECONDS
    while True:
        try:
            await step()
            return
        except (*DATABASE_AWAY, *BROKER_AWAY, *NOT_YET) as error:
            if asyncio.get_running_loop().time() > deadline:
                raise
            log.warning(message, error=str(error))
            await asyncio.sleep(1)


def _tune_garbage_collector() -> None:
    """Freeze the objects that live until the end, and run the garbage collector less often.

    With the default thresholds it traverses every waiting request again and again under load.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def _serve(service: Service, settings: EdgeSettings) -> None:
    async def build() -> web.Application:
        tracing.configure(service.name, settings)
        if service.migrations and isinstance(settings, ServiceSettings):
            await _wait_for_migrations(service.migrations, settings)
        app = service.build(settings)
        gauges = (OUTBOX_AGE, *service.health_metrics, *service.gauges) if service.migrations else ()
        use_metrics(app, settings, gauges, [queue.name for queue in service.queues])
        use_memory(app)
        app.on_cleanup.append(tracing.stop)  # after everything else
        app[DRAIN].handle_signals()
        _tune_garbage_collector()
        return app

    most = raise_file_limit(settings.connections_max)
    with contextlib.closing(
        socket.create_server((settings.http_host, settings.http_port), backlog=CONNECTIONS_WAITING_MAX)
    ) as listening:
        log.info("serving", address="{}:{}".format(*listening.getsockname()[:2]))
        table = Connections(most, by_address=settings.is_met_by_clients)
        _run_until_signal(lambda: _serving(build, listening, table, settings))


async def _serving(
    build: Callable[[], Awaitable[web.Application]],
    listening: socket.socket,
    table: Connections,
    settings: EdgeSettings,
) -> None:
    runner = web.AppRunner(await build(), access_log=None, shutdown_timeout=settings.shutdown_seconds)
    await runner.setup()
    try:
        await Site(runner, listening, table, backlog=CONNECTIONS_WAITING_MAX).start()
        await table.sweep()
    finally:
        await runner.cleanup()


def _run_until_signal(run: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run until a signal arrives, then shut down in order."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        loop = runner.get_loop()
        running = loop.create_task(run())
        try:
            loop.run_until_complete(running)
        except (web.GracefulExit, KeyboardInterrupt):
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError, web.GracefulExit):
                loop.run_until_complete(running)


async def _wait_for_migrations(folder: Path, settings: ServiceSettings) -> None:
    while True:
        try:
            missing = await pending(settings.database_url, folder)
        except DATABASE_AWAY as error:
            log.warning("database away, waiting", error=str(error))
        else:
            if not missing:
                await _check_running_role(settings.database_url)
                return
            log.warning("waiting for set-up", missing=missing)
        await asyncio.sleep(1)


async def _check_running_role(database_url: str) -> None:
    """Exit with status 2 if the program's role could change immutable data."""
    connection = await connect(database_url, connect_seconds=10)
    try:
        excess = await excess_rights(connection)
    finally:
        await connection.close()
    if excess:
        log.error("DATABASE_URL names a role with too many rights, see docs/runbook.md", rights=excess)
        raise SystemExit(2)
