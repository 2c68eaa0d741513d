"""The whole portal for tests: made and filled once per test process and cash desk, then copied for each module.

A copy has its own databases (cloned from templates), the broker emptied, and its own programs. Making a portal takes
some 40 s of processor time, copying one about 12.
"""

import importlib
import shutil
from collections.abc import Mapping
from pathlib import Path

import asyncpg

from chassis.broker import UNROUTED, dead_letter_queue, opened, waiting_messages
from chassis.testing import eventually
from local_stack import demo
from local_stack.stack import SERVICES, Stack


def database(service: str) -> str:
    """The name of a service's database, and of the role that owns it."""
    return f"preau_{service.replace('-', '_')}"


def template(service: str) -> str:
    """The name of the database that a copy's is cloned from."""
    return f"template_{database(service)}"


def consumer_queues() -> list[str]:
    """The queue of every consumer."""
    programs = (importlib.import_module(f"{name.replace('-', '_')}.__main__") for name in SERVICES)
    return [queue.name for program in programs for queue in program.SERVICE.queues]


class PreparedPortal:
    """A filled portal whose programs are stopped; its PostgreSQL and RabbitMQ run until ``close``."""

    def __init__(self, folder: Path, till: str) -> None:
        self.stack = Stack(folder, durable=False, till=till)

    async def prepare(self) -> None:
        """Start the portal, fill it, stop its programs, and keep its databases as templates."""
        await self.stack.start()
        await demo.fill(self.stack)
        await eventually(self._is_quiet)
        for program in self.stack.programs.values():
            await program.stop()
        connection = await asyncpg.connect(self.stack.postgres.dsn())
        try:
            for name in SERVICES:
                await connection.execute(f'ALTER DATABASE "{database(name)}" RENAME TO "{template(name)}"')
        finally:
            await connection.close()

    async def _is_quiet(self) -> bool:
        """Whether every event is published and handled."""
        for name in SERVICES:
            connection = await asyncpg.connect(self.stack.databases[name])
            try:
                if await connection.fetchval("SELECT EXISTS (SELECT FROM outbox WHERE published_at IS NULL)"):
                    return False
            finally:
                await connection.close()
        async with opened(self.stack.rabbit.url()) as channel:
            return not any([await waiting_messages(channel, queue) for queue in consumer_queues()])

    async def clone(self) -> None:
        """New databases from the templates, and empty queues."""
        connection = await asyncpg.connect(self.stack.postgres.dsn())
        try:
            for name in SERVICES:
                new = database(name)
                await connection.execute(f'DROP DATABASE IF EXISTS "{new}" WITH (FORCE)')
                await connection.execute(
                    f'CREATE DATABASE "{new}" OWNER "{new}" TEMPLATE "{template(name)}" STRATEGY FILE_COPY'
                )
                await connection.execute(f'REVOKE CONNECT, TEMPORARY ON DATABASE "{new}" FROM PUBLIC')
                await connection.execute(f'GRANT CONNECT ON DATABASE "{new}" TO "{new}_app"')
        finally:
            await connection.close()
        async with opened(self.stack.rabbit.url()) as channel:
            queues = consumer_queues()
            for queue in (*queues, *map(dead_letter_queue, queues), UNROUTED):
                await (await channel.get_queue(queue, ensure=True)).purge()

    async def close(self) -> None:
        """Stop the servers and remove everything."""
        await self.stack.stop()
        self.stack.forget()


class PortalCopy(Stack):
    """The portal of one test module on the servers of a prepared one, with its own programs, databases and logs."""

    def __init__(self, folder: Path, prepared: PreparedPortal, settings: Mapping[str, Mapping[str, str]]) -> None:
        source = prepared.stack
        super().__init__(
            folder,
            durable=False,
            till=source.till,
            settings=settings,
            database_url=source.postgres.dsn(),
            amqp_url=source.rabbit.url(),
        )
        self._prepared, self._rabbit = prepared, source.rabbit
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(source.folder / "secrets.json", folder / "secrets.json")
        shutil.copytree(source.folder / "bank", folder / "bank", dirs_exist_ok=True)

    async def _start_broker(self) -> None:
        """It runs."""

    async def _set_up(self) -> None:
        await self._prepared.clone()
        await self._start_database()

    async def stop(self) -> None:
        """Stop the programs; the servers serve the next copy."""
        self._rabbit = None
        await super().stop()
