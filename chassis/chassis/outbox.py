"""The transactional outbox: an event is stored in the transaction of its change, and published by the relay.

Published events are kept ``EVENTS_KEPT_DAYS``, so that they can be published again (``republish --since``).
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
from chassis.database import DATABASE, Database, Statement, Transaction, execute_together, opened
from chassis.envelope import Envelope
from chassis.health import NAME
from chassis.logs import correlation_id
from chassis.metrics import PUBLISHED
from chassis.retention import Retention
from chassis.settings import ServiceSettings
from chassis.tasks import cancel_and_wait, run_forever
from contracts.events import Event
from contracts.failures import Unavailable

CHANNEL = "outbox"
BATCH_MAX = 200
POLL_SECONDS = 5.0
PACE_SECONDS = 0.02
"""The least time between two batches: a single event is published immediately, a stream of them in batches."""
STANDBY_SECONDS = 1.0
"""How long a replica waits that found another one publishing."""
PUBLISHED_EVENTS = Retention("outbox", "published_at")
ANSWERED_KEYS = Retention("idempotency_key", "answered_at")
DELETE_EVENTS_OF = "DELETE FROM outbox WHERE subject = ANY($1)"
LOCK = 7_267_305_101  # one relay publishes at a time, so that the events of a subject are published in order

log = structlog.get_logger()


async def add(tx: Transaction, *events: Event) -> None:
    """Store events in the caller's transaction; after its commit each is published at least once."""
    if events:
        await execute_together(tx, insert_statement(*events))


class Origin(NamedTuple):
    """The request or message that caused an event."""

    correlation_id: str
    traceparent: str | None


def origin() -> Origin:
    """The origin of the current task."""
    return Origin(correlation_id(), tracing.traceparent())


def insert_statement(*events: Event, origins: Sequence[Origin] | None = None) -> Statement:
    """The statement of ``add``, to be executed together with others; ``origins`` has one for each event, by default
    that of the current task."""
    origins = origins if origins is not None else [origin()] * len(events)
    return Statement(
        "outbox_rows AS (INSERT INTO outbox (type, subject, data, correlation_id, traceparent) "
        "SELECT type, subject, data, correlation_id, traceparent "
        "FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) "
        "WITH ORDINALITY AS e (type, subject, data, correlation_id, traceparent, number) ORDER BY number "
        "RETURNING pg_notify($6, ''))",
        (
            [event.type for event in events],
            [event.subject for event in events],
            [event.model_dump_json() for event in events],
            [each.correlation_id for each in origins],
            [each.traceparent for each in origins],
            CHANNEL,
        ),
    )


async def delete_events_of(tx: Transaction, *subjects: str) -> None:
    """Delete all events of subjects that are erased; the caller then adds the event of their erasure.

    A service that calls it has an index of its own on ``outbox (subject)``.
    """
    await tx.execute(DELETE_EVENTS_OF, subjects)


def use_outbox(app: web.Application, settings: ServiceSettings) -> None:
    """Run the relay from start to stop; with several replicas, one publishes at a time."""
    wake = app[DATABASE].wake_on(CHANNEL)

    async def run(app: web.Application) -> AsyncIterator[None]:
        relay = run_forever(lambda: _relay(app, wake), "outbox relay")
        retention_task = run_forever(
            lambda: _delete_expired_hourly(app[DATABASE], settings.events_kept_days), "outbox retention"
        )
        yield
        await cancel_and_wait(relay, retention_task)

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


async def _delete_expired_hourly(database: Database, kept_days: int) -> None:
    while True:
        await delete_expired(database, kept_days)
        await asyncio.sleep(3600)


async def delete_expired(database: Database, kept_days: int) -> None:
    """Delete events published, and answers kept for idempotency keys, longer ago than ``kept_days``."""
    before = now() - timedelta(days=kept_days)
    for each in (PUBLISHED_EVENTS, ANSWERED_KEYS):
        await retention.delete_expired(database, each, before)


async def republish(database_url: str, words: list[str]) -> int:
    """``republish --since TIME``: publish again the events since then; consumers skip those they have handled."""
    try:
        since = datetime.fromisoformat(words[1]).astimezone() if words[:1] == ["--since"] and len(words) == 2 else None
    except (ValueError, OverflowError):
        since = None
    if since is None:
        sys.stderr.write("usage: republish --since TIME, such as 2026-11-24T18:00+01:00\n")
        return 2
    async with opened(database_url) as database, database.transaction() as tx:
        done = await tx.execute("UPDATE outbox SET published_at = NULL WHERE published_at >= $1", since)
        await tx.execute("SELECT pg_notify($1, '')", CHANNEL)
    sys.stdout.write(f"{done.removeprefix('UPDATE ')} events will be published again by the running service\n")
    return 0


async def publish_batch(database: Database, exchange: Exchange, source: str) -> int | None:
    """Publish the oldest events and mark those the broker confirmed; their number, None while another replica
    publishes."""
    async with database.transaction() as tx:
        if not await tx.fetchval("SELECT pg_try_advisory_xact_lock($1)", LOCK):
            return None
        rows = await tx.fetch("SELECT * FROM outbox WHERE published_at IS NULL ORDER BY position LIMIT $1", BATCH_MAX)
        if not rows:
            return 0
        failures = await asyncio.gather(*(_publish_row(exchange, row, source) for row in rows), return_exceptions=True)
        confirmed = [row["position"] for row, failure in zip(rows, failures, strict=True) if failure is None]
        await tx.execute("UPDATE outbox SET published_at = now() WHERE position = ANY($1::bigint[])", confirmed)
    for row, failure in zip(rows, failures, strict=True):
        if failure is None:
            PUBLISHED.labels(row["type"]).inc()
    for failure in failures:
        if failure is not None:
            raise ConnectionError(f"the broker did not confirm an event: {failure}") from failure
    return len(rows)


async def _publish_row(exchange: Exchange, row: "asyncpg.Record", source: str) -> None:
    """Publish one event in the trace in which it was added, and wait until the broker confirms it."""
    facts = {"messaging.system": "rabbitmq", "messaging.operation.type": "send"}
    with tracing.continue_trace(row["traceparent"], f"publish {row['type']}", tracing.Kind.PRODUCER, facts):
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
