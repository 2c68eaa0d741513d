"""A service with one listener whose behaviour a test chooses, on a real database and broker."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from uuid import UUID

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from chassis import idempotency, outbox
from chassis.broker import use_broker
from chassis.clock import now
from chassis.command import Service, set_up
from chassis.database import DATABASE, Transaction, use_database
from chassis.http import application
from chassis.inbox import Consumers, use_consumers
from chassis.migrations import migrate
from chassis.outbox import use_outbox
from chassis.settings import ServiceSettings
from chassis.testing import eventually
from contracts.events.auth import SessionEnded

Listen = Callable[[SessionEnded, Transaction], Awaitable[None]]


class Rig:
    """A service with one listener whose behaviour the test chooses, and a table for its effects."""

    def __init__(self, settings: ServiceSettings, migrations: Path) -> None:
        self.consumers = Consumers("rig")
        self.settings = settings
        self.behave: Listen = self.note
        self.attempts = 0
        self.server: TestServer | None = None
        rig = self

        @self.consumers.on(SessionEnded)
        async def take_note(event: SessionEnded, tx: Transaction) -> None:
            rig.attempts += 1
            await rig.behave(event, tx)

        self.service = Service("rig", ServiceSettings, self.build, migrations, self.consumers)

    async def is_published(self) -> bool:
        async with self.app[DATABASE].transaction() as tx:
            return not await tx.fetchval("SELECT count(*) FROM outbox WHERE published_at IS NULL")

    async def note(self, event: SessionEnded, tx: Transaction) -> None:
        await tx.execute("INSERT INTO effect (session_id) VALUES ($1)", event.session_id)

    def build(self, settings: ServiceSettings) -> web.Application:
        app = application("rig", settings)
        app.router.add_post("/sessions/{id}", self.end_session)
        use_database(app, settings)
        use_broker(app, settings)
        use_outbox(app, settings)
        use_consumers(app, self.consumers, settings)
        return app

    async def end_session(self, request: web.Request) -> web.Response:
        """Say once that a session ended, however often it is asked."""
        event = SessionEnded(session_id=UUID(request.match_info["id"]), ended_at=now())
        async with request.app[DATABASE].transaction() as tx:
            if await idempotency.claim_key(tx, "rig", str(event.session_id), b"") is None:
                await outbox.add(tx, event)
                await idempotency.store_answer(tx, "rig", str(event.session_id), b"done")
        return web.Response()

    async def start(self) -> None:
        await set_up(self.service, self.settings)
        self.server = TestServer(self.build(self.settings))
        await self.server.start_server()

    async def stop(self) -> None:
        if self.server:
            await self.server.close()

    @property
    def app(self) -> web.Application:
        assert self.server is not None
        app = self.server.app
        assert isinstance(app, web.Application)
        return app

    async def ready(self) -> tuple[int, dict[str, str]]:
        """What readiness answers, and what it says of each thing the service stands on."""
        assert self.server is not None
        async with (
            aiohttp.ClientSession() as http,
            http.get(self.server.make_url("/health/ready")) as response,
        ):
            return response.status, (await response.json())["checks"]

    async def becomes_ready(self) -> None:
        async def ask() -> bool:
            return (await self.ready())[0] == 200

        await eventually(ask)

    async def says(self, check: str, words: str) -> None:
        """Wait until readiness says ``words`` of ``check``, and is not given."""

        async def ask() -> bool:
            status, checks = await self.ready()
            return status == 503 and words in checks[check]

        await eventually(ask)

    async def effects(self) -> list[UUID]:
        async with self.app[DATABASE].transaction() as tx:
            return [row["session_id"] for row in await tx.fetch("SELECT session_id FROM effect ORDER BY position")]

    async def waits_for(self, count: int) -> list[UUID]:
        async def ask() -> list[UUID]:
            found = await self.effects()
            return found if len(found) >= count else []

        return await eventually(ask)


MakeRig = Callable[[str, str], Awaitable[Rig]]


@pytest.fixture
async def rig_on(tmp_path: Path) -> AsyncIterator[MakeRig]:
    """Call with a database and a broker host: a service that runs on them until the end."""
    (tmp_path / "0001_effect.sql").write_text(
        "CREATE TABLE effect (position bigint GENERATED ALWAYS AS IDENTITY, session_id uuid NOT NULL);"
    )
    started: list[Rig] = []

    async def start(database_url: str, amqp_url: str) -> Rig:
        settings = ServiceSettings(
            amqp_url=amqp_url,
            auth_url="http://unused",
            http_port=0,
            database_url=database_url,
            database_connections_max=30,
            retry_delays_seconds=(0.2, 0.4),
            deliveries_max=3,
        )
        await migrate(database_url, tmp_path)
        started.append(Rig(settings, tmp_path))
        await started[-1].start()
        return started[-1]

    yield start
    for each in started:
        await each.stop()


@pytest.fixture
async def rig(rig_on: MakeRig, empty_database_url: str, amqp_url: str) -> Rig:
    return await rig_on(empty_database_url, amqp_url)
