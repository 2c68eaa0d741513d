"""The outbox: a fact is stored in the transaction that makes it true, and published by the relay afterwards.

What was published is kept ``EVENTS_KEPT_DAYS``, so that it can be said again to who lost it (``say-again``).
"""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import asyncpg
import structlog
from aiohttp import web

from chassis import retention, tracing
from chassis.broker import AWAY, BROKER, Exchange, Message, publish
from chassis.broker_accounts import EVENTS_EXCHANGE
from chassis.clock import now
from chassis.database import DATABASE, Database, Part, Transaction, opened, store
from chassis.envelope import Envelope
from chassis.health import NAME
from chassis.logs import correlation_id
from chassis.metrics import PUBLISHED
from chassis.retention import Retention
from chassis.settings import ServiceSettings
from chassis.tasks import end, keep_running
from contracts.events import Event
from contracts.failures import Unavailable

CHANNEL = "outbox"
BATCH_MAX = 200
POLL_SECONDS = 5.0
PACE_SECONDS = 0.02
"""Batches begin no closer together: an event alone leaves at once, of a stream some leave together."""
STANDBY_SECONDS = 1.0
"""How long a replica leaves the events to the one that it saw publishing, which hears of each as well."""
PUBLISHED_EVENTS = Retention("outbox", "published_at")
ANSWERED_KEYS = Retention("idempotency_key", "answered_at")
LOCK = 7_267_305_101  # one relay publishes at a time: facts of a subject leave in order, unless one is not confirmed

log = structlog.get_logger()


async def add(tx: Transaction, *events: Event) -> None:
    """Store events in the caller's transaction; they are published once it has committed, at least once."""
    if events:
        await store(tx, part(*events))


class Origin(NamedTuple):
    """The request or message that something goes back to."""

    correlation_id: str
    traceparent: str | None


def origin() -> Origin:
    """What is being worked on."""
    return Origin(correlation_id(), tracing.traceparent())


def part(*events: Event, origins: Sequence[Origin] | None = None) -> Part:
    """The same, to be stored together with what the events tell of; ``origins``, one an event, if not what is being
    worked on."""
    told = origins if origins is not None else [origin()] * len(events)
    return Part(
        "said AS (INSERT INTO outbox (type, subject, data, correlation_id, traceparent) "
        "SELECT type, subject, data, correlation_id, traceparent "
        "FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) "
        "WITH ORDINALITY AS e (type, subject, data, correlation_id, traceparent, number) ORDER BY number "
        "RETURNING pg_notify($6, ''))",
        (
            [event.type for event in events],
            [event.subject for event in events],
            [event.model_dump_json() for event in events],
            [each.correlation_id for each in told],
            [each.traceparent for each in told],
            CHANNEL,
        ),
    )


async def forget(tx: Transaction, *subjects: str) -> None:
    """Delete the events of subjects whose names nobody may keep, published or not: what they are now is told next."""
    await tx.execute("DELETE FROM outbox WHERE subject = ANY($1)", subjects)


def use_outbox(app: web.Application, settings: ServiceSettings) -> None:
    """Run the relay from start to stop; any number of replicas may, one publishes at a time."""
    wake = app[DATABASE].wake_on(CHANNEL)

    async def run(app: web.Application) -> AsyncIterator[None]:
        relay = keep_running(lambda: _relay(app, wake), "outbox relay")
        trimming = keep_running(lambda: _trim_hourly(app[DATABASE], settings.events_kept_days), "outbox trimming")
        yield
        await end(relay, trimming)

    app.cleanup_ctx.append(run)


async def _relay(app: web.Application, wake: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    while True:
        try:
            async with app[BROKER].publishing() as channel:
                exchange = await channel.get_exchange(EVENTS_EXCHANGE, ensure=False)
                while not channel.is_closed:
                    began = loop.time()
                    wake.clear()
                    count = await publish_batch(app[DATABASE], exchange, app[NAME])
                    if count is None:
                        await asyncio.sleep(STANDBY_SECONDS)
                    elif count < BATCH_MAX:
                        with contextlib.suppress(TimeoutError):
                            await asyncio.wait_for(wake.wait(), timeout=POLL_SECONDS)
                        await asyncio.sleep(began + PACE_SECONDS - loop.time())
        except (*AWAY, Unavailable, asyncpg.PostgresError) as error:
            log.warning("outbox relay interrupted", error=str(error), kind=type(error).__name__)
        await asyncio.sleep(0.5)


async def _trim_hourly(database: Database, kept_days: int) -> None:
    while True:
        await trim(database, kept_days)
        await asyncio.sleep(3600)


async def trim(database: Database, kept_days: int) -> None:
    """Forget what was published, and what was answered to a key, longer ago."""
    before = now() - timedelta(days=kept_days)
    for each in (PUBLISHED_EVENTS, ANSWERED_KEYS):
        await retention.forget(database, each, before)


async def say_again(database_url: str, words: list[str]) -> int:
    """``say-again SINCE``: publish once more what was published since then; who has heard it does nothing twice."""
    try:
        since = datetime.fromisoformat(words[0]).astimezone() if len(words) == 1 else None
    except (ValueError, OverflowError):
        since = None
    if since is None:
        sys.stderr.write("usage: say-again SINCE, such as 2026-11-24T18:00+01:00\n")
        return 2
    async with opened(database_url) as database, database.transaction() as tx:
        done = await tx.execute("UPDATE outbox SET published_at = NULL WHERE published_at >= $1", since)
        await tx.execute("SELECT pg_notify($1, '')", CHANNEL)
    sys.stdout.write(f"{done.removeprefix('UPDATE ')} events are said again by the service that runs\n")
    return 0


async def publish_batch(database: Database, exchange: Exchange, source: str) -> int | None:
    """Publish the oldest events and mark those the broker confirmed; how many it took on, None while another replica
    publishes."""
    async with database.transaction() as tx:
        if not await tx.fetchval("SELECT pg_try_advisory_xact_lock($1)", LOCK):
            return None
        rows = await tx.fetch("SELECT * FROM outbox WHERE published_at IS NULL ORDER BY position LIMIT $1", BATCH_MAX)
        if not rows:
            return 0
        failures = await asyncio.gather(*(_say(exchange, row, source) for row in rows), return_exceptions=True)
        confirmed = [row["position"] for row, failure in zip(rows, failures, strict=True) if failure is None]
        await tx.execute("UPDATE outbox SET published_at = now() WHERE position = ANY($1::bigint[])", confirmed)
    for row, failure in zip(rows, failures, strict=True):
        if failure is None:
            PUBLISHED.labels(row["type"]).inc()
    for failure in failures:
        if failure is not None:
            raise ConnectionError(f"the broker did not confirm an event: {failure}") from failure
    return len(rows)


async def _say(exchange: Exchange, row: "asyncpg.Record", source: str) -> None:
    """Publish one event in the trace in which it was added, and wait until the broker confirms it."""
    facts = {"messaging.system": "rabbitmq", "messaging.operation.type": "send"}
    with tracing.continued(row["traceparent"], f"publish {row['type']}", tracing.Kind.PRODUCER, facts):
        await publish(exchange, _message(row, source))


def _message(row: "asyncpg.Record", source: str) -> Message:
    data: dict[str, Any] = json.loads(row["data"])
    envelope = Envelope(
        id=row["event_id"],
        source=source,
        type=row["type"],
        subject=row["subject"],
        time=row["occurred_at"],
        correlationid=row["correlation_id"],
        data=data,
    )
    return Message(
        envelope.model_dump_json().encode(),
        message_id=str(row["event_id"]),
        routing_key=row["type"],
        correlation_id=row["correlation_id"],
        headers=dict(tracing.headers()),
    )
