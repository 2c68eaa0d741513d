"""pytest fixtures for services: a local authority that signs tokens, and a probe on the broker."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar
from uuid import UUID, uuid4

import aio_pika
import asyncpg
import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chassis import logs
from chassis.broker import Message, declare, publish
from chassis.broker_accounts import EVENTS_EXCHANGE
from chassis.clock import now
from chassis.envelope import Envelope
from chassis.identity import ALGORITHM, ISSUER, JWKS_PATH, claims_of
from contracts.events import Event
from contracts.identity import Identity, Role

WAIT_SECONDS = 60

Answer = TypeVar("Answer")


async def eventually(ask: Callable[[], Awaitable[Answer | None]], *, seconds: float = WAIT_SECONDS) -> Answer:
    """The first answer that is true, asked for again and again; ``TimeoutError`` when none comes.

    The clock is read between two questions: a cancelled wait may be swallowed by a library and would go on for ever.
    """
    give_up = time.monotonic() + seconds
    while not (answer := await ask()):
        if time.monotonic() > give_up:
            raise TimeoutError(f"nothing after {seconds} s")
        await asyncio.sleep(0.03)
    return answer


_SEARCHED = (
    "SELECT c.table_name, c.column_name, c.udt_name FROM information_schema.columns c "
    "JOIN information_schema.tables t USING (table_schema, table_name) WHERE t.table_type = 'BASE TABLE' "
    "AND c.table_schema = 'public' AND c.udt_name IN ('text', 'varchar', 'json', 'jsonb', 'bytea', '_text')"
)


async def columns_with(connection: "asyncpg.Connection[asyncpg.Record]", *texts: str) -> set[str]:
    """Every ``table.column`` of the database that holds one of these texts, in any case, as text, JSON or bytes."""
    found = set[str]()
    for table, column, kind in await connection.fetch(_SEARCHED):
        holds = (
            f"position(convert_to(x, 'UTF8') IN \"{column}\") > 0"
            if kind == "bytea"
            else f'position(lower(x) IN lower("{column}"::text)) > 0'
        )
        query = f'SELECT EXISTS (SELECT FROM "{table}", unnest($1::text[]) AS x WHERE {holds})'  # noqa: S608
        if await connection.fetchval(query, list(texts)):
            found.add(f"{table}.{column}")
    return found


class Tokens:
    """Signs tokens as auth does, and publishes its keys over HTTP at ``url``."""

    def __init__(self) -> None:
        self.url = ""
        self.key_id = "test-key"
        self._key = Ed25519PrivateKey.generate()

    def jwks(self) -> dict[str, Any]:
        public = jwt.algorithms.OKPAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return {"keys": [{**public, "kid": self.key_id, "use": "sig", "alg": ALGORITHM}]}

    def token(self, identity: Identity, *, audience: str, seconds: int = 60, **claims: Any) -> str:
        """A token for any identity; further claims replace the usual ones."""
        issued = int(time.time())
        usual = {"iss": ISSUER, "aud": audience, "iat": issued, "exp": issued + seconds, "jti": uuid4().hex}
        payload = {**claims_of(identity), **usual, **claims}
        return jwt.encode(payload, self._key, algorithm=ALGORITHM, headers={"kid": self.key_id})

    def parent(self, household_id: UUID, *, audience: str, email: str | None = "parent@example.org") -> str:
        """The token of a guardian of ``household_id``."""
        identity = Identity(
            subject_id=uuid4(),
            session_id=uuid4(),
            name="Camille Dupont",
            roles=frozenset({Role.PARENT}),
            household_id=household_id,
            email=email,
        )
        return self.token(identity, audience=audience)

    def staff(self, *roles: Role, audience: str) -> str:
        """The token of somebody of the town hall."""
        identity = Identity(subject_id=uuid4(), session_id=uuid4(), name="Agent Mairie", roles=frozenset(roles))
        return self.token(identity, audience=audience)

    @staticmethod
    def headers(token: str, **more: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {token}", **more}


@pytest.fixture(scope="session", autouse=True)
def logs_aside() -> None:
    """Logs go to standard error, as in production; what a command prints stays readable."""
    logs.configure("test", "WARNING")


@pytest.fixture
async def tokens() -> AsyncIterator[Tokens]:
    """A signing authority on a real port."""
    authority = Tokens()

    async def keys(_request: web.Request) -> web.Response:
        return web.json_response(authority.jwks())

    app = web.Application()
    app.router.add_get(JWKS_PATH, keys)
    async with TestServer(app) as server:
        authority.url = str(server.make_url("")).rstrip("/")
        yield authority


class Probe:
    """Sees every event that is published, and publishes some."""

    def __init__(self, channel: aio_pika.abc.AbstractChannel, queue: aio_pika.abc.AbstractQueue) -> None:
        self.channel = channel
        self._queue = queue

    async def next(self, event_type: str, *, seconds: float = WAIT_SECONDS) -> Envelope:
        """The next event of that type; others are passed over. ``TimeoutError`` when none comes."""

        async def ask() -> Envelope | None:
            while incoming := await self._queue.get(no_ack=True, fail=False):
                envelope = Envelope.model_validate_json(incoming.body)
                if envelope.type == event_type:
                    return envelope
            return None

        return await eventually(ask, seconds=seconds)

    async def none(self, event_type: str, *, seconds: float = 1) -> None:
        """Check that no event of that type comes for a while."""
        with contextlib.suppress(TimeoutError):
            envelope = await self.next(event_type, seconds=seconds)
            raise AssertionError(f"unexpected {event_type}: {envelope.data}")

    async def unbind(self) -> None:
        """See nothing any more, so that an event may be one that nobody listens to."""
        await self._queue.unbind(EVENTS_EXCHANGE, "#")

    async def publish(self, event: Event, *, event_id: UUID | None = None, times: int = 1) -> UUID:
        """Publish an event as another service would, ``times`` times with the same id."""
        envelope = Envelope(
            id=event_id or uuid4(),
            source="test",
            type=event.type,
            subject=event.subject,
            time=now(),
            correlationid=uuid4().hex,
            data=event.model_dump(mode="json"),
        )
        message = Message(envelope.model_dump_json().encode(), str(envelope.id), event.type, envelope.correlationid)
        exchange = await self.channel.get_exchange(EVENTS_EXCHANGE)
        for _ in range(times):
            await publish(exchange, message)
        return envelope.id


@pytest.fixture
async def probe(amqp_url: str) -> AsyncIterator[Probe]:
    """A probe on the test's own broker host; declares the exchange, so use it before events are expected."""
    await declare(amqp_url, [], [])
    connection = await aio_pika.connect(amqp_url, timeout=10)
    async with connection:
        channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        queue = await channel.declare_queue(exclusive=True, auto_delete=True)
        await queue.bind(await channel.get_exchange(EVENTS_EXCHANGE), "#")
        yield Probe(channel, queue)
