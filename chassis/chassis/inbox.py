"""The inbox: a consumer runs once per event, in one transaction with the row that records it.

A message whose handling fails is retried with growing delays. One that cannot be parsed, that a named failure refuses,
or that has failed too often goes to the dead-letter queue with its reason.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, TypeVar

import structlog
from aiohttp import web
from pydantic import ValidationError

from chassis import retention, tracing
from chassis.broker import AWAY as BROKER_AWAY
from chassis.broker import (
    BROKER,
    Broker,
    Delivery,
    Message,
    QueueSpec,
    dead_letter_queue,
    publish,
    retry_delay_queue,
    service_exchange,
)
from chassis.clock import now
from chassis.database import DATABASE, Database, Transaction
from chassis.envelope import Envelope
from chassis.logs import bind_correlation_id
from chassis.metrics import CONSUMED
from chassis.retention import Retention
from chassis.settings import ServiceSettings
from chassis.tasks import cancel_and_wait, run_forever
from contracts.events import Event
from contracts.failures import Refusal, Unavailable

PREFETCH = 20
DATABASE_WAIT_SECONDS = 600
BROKER_WAIT_SECONDS = 600
"""How long a message waits to be moved while the broker is away or blocks publishers. With the wait for the database it
stays below the 30 minutes after which RabbitMQ closes the channel of a consumer that has not acknowledged."""
REQUEUE_SECONDS_MAX = 60
"""The longest pause before a message is requeued, so that redelivery does not become a busy loop."""
ATTEMPT = "preau-attempt"
REASON = "preau-reason"
CONSUMER = "preau-consumer"
DEAD_LETTERED_AT = "preau-dead-lettered-at"
CONSUMED_EVENTS = Retention("inbox", "received_at")

Handle = Callable[[Any, Transaction], Coroutine[Any, Any, None]]
HandleT = TypeVar("HandleT", bound=Handle)

log = structlog.get_logger()


class RetryLater(Exception):  # noqa: N818 - an instruction to the worker, not an error
    """Raised by a consumer that cannot handle an event yet because another event has not arrived; it is retried."""


@dataclass(frozen=True)
class Consumer:
    """A handler, its event type and its queue."""

    queue: str
    event: type[Event]
    handle: Handle

    @property
    def queue_spec(self) -> QueueSpec:
        """The queue that ``migrate`` declares and binds."""
        return QueueSpec(self.queue, (self.event.type,))


@dataclass
class Consumers:
    """The consumers of a service; each registers itself by the decorator ``on``."""

    service: str
    all: list[Consumer] = field(default_factory=list)

    def on(self, event: type[Event]) -> Callable[[HandleT], HandleT]:
        """Run the decorated function for each ``event``, from the queue ``service.function-name``."""

        def declare(handle: HandleT) -> HandleT:
            name: str = handle.__name__
            queue = f"{self.service}.{name.replace('_', '-')}"
            self.all.append(Consumer(queue, event, handle))
            return handle

        return declare

    def queues(self) -> list[QueueSpec]:
        """The queues that ``migrate`` declares and binds."""
        return [consumer.queue_spec for consumer in self.all]


def use_consumers(app: web.Application, consumers: Consumers, settings: ServiceSettings) -> None:
    """Run the consumers from start to stop; messages in flight at stop are finished first."""

    async def run(app: web.Application) -> AsyncIterator[None]:
        workers = [Worker(app[DATABASE], app[BROKER], consumer, settings) for consumer in consumers.all]
        tasks = [run_forever(worker.run, worker.consumer.queue) for worker in workers]
        tasks.append(
            run_forever(lambda: _delete_expired_hourly(app[DATABASE], 2 * settings.events_kept_days), "inbox retention")
        )
        yield
        await cancel_and_wait(*tasks)
        await asyncio.gather(*(worker.finish() for worker in workers))

    app.cleanup_ctx.append(run)


class Worker:
    """Handles the messages of one consumer, several at a time."""

    def __init__(self, database: Database, broker: Broker, consumer: Consumer, settings: ServiceSettings) -> None:
        self.consumer = consumer
        self._database = database
        self._broker = broker
        self._delays = settings.retry_delays_seconds
        self._deliveries_max = settings.deliveries_max
        self._in_flight: set[asyncio.Task[Any]] = set()

    async def run(self) -> None:
        """Consume for ever."""
        await self._broker.consume(self.consumer.queue_spec, self._take, prefetch=PREFETCH, delays_seconds=self._delays)

    async def finish(self) -> None:
        """Wait a few seconds for messages in flight; the broker redelivers the rest."""
        if self._in_flight:
            await asyncio.wait(self._in_flight, timeout=5)

    async def _take(self, delivery: Delivery) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._in_flight.add(task)
        try:
            bind_correlation_id(delivery.message.correlation_id or delivery.message.message_id)
            with self._span(delivery.message):
                await self._handle(delivery)
                await delivery.acknowledge()
        except BROKER_AWAY as error:
            log.warning("message not moved", queue=self.consumer.queue, error=str(error) or type(error).__name__)
            await self._requeue(delivery)
        except Exception:
            log.exception("message not moved", queue=self.consumer.queue)
            await self._requeue(delivery)
        finally:
            self._in_flight.discard(task)

    async def _requeue(self, delivery: Delivery) -> None:
        """Requeue a message that was neither acknowledged nor moved; the inbox skips it if it was handled.

        Held instead, it would occupy one of the consumer's prefetch slots until its channel closes.
        """
        CONSUMED.labels(self.consumer.queue, "requeued").inc()
        await asyncio.sleep(min(2**delivery.requeued, REQUEUE_SECONDS_MAX))
        await delivery.requeue()

    def _span(self, message: Message) -> tracing.Span:
        parent, queue = message.headers.get(tracing.HEADER), self.consumer.queue
        facts = {"messaging.system": "rabbitmq", "messaging.operation.type": "process"}
        return tracing.continue_trace(parent, f"process {queue}", tracing.Kind.CONSUMER, facts)

    async def _handle(self, delivery: Delivery) -> None:
        message = delivery.message
        try:
            envelope = Envelope.model_validate_json(message.body)
            event = envelope.event()
        except (ValidationError, ValueError) as error:
            await self._dead_letter(message, f"cannot be read: {error}")
            return
        try:
            is_new = await self._once(envelope, event)
            CONSUMED.labels(self.consumer.queue, "handled" if is_new else "duplicate").inc()
        except Refusal as refusal:
            await self._dead_letter(message, f"{refusal.code}: {refusal.detail}")
        except RetryLater as reason:
            await self._delay(message, str(reason))
        except Exception as error:
            log.exception("consumer failed", queue=self.consumer.queue, event_id=message.message_id)
            await self._delay(message, f"{type(error).__name__}: {error}")

    async def _once(self, envelope: Envelope, event: Event) -> bool:
        """Run the consumer unless it already ran for this event; wait here while the database is away."""
        give_up = asyncio.get_running_loop().time() + DATABASE_WAIT_SECONDS
        pause = 0.5
        while True:
            try:
                async with self._database.transaction() as tx:
                    is_new = await _is_new(tx, self.consumer.queue, envelope)
                    if is_new:
                        await self.consumer.handle(event, tx)
                return is_new
            except Unavailable as error:
                if asyncio.get_running_loop().time() > give_up:
                    raise RetryLater(f"the database is away: {error}") from error
                log.warning("waiting for the database", queue=self.consumer.queue, error=str(error))
                await asyncio.sleep(pause)
                pause = min(pause * 2, 10)

    async def _delay(self, message: Message, reason: str) -> None:
        attempt = _attempt(message)
        if attempt >= self._deliveries_max:
            await self._dead_letter(message, f"gave up after {attempt} attempts: {reason}")
            return
        delay = self._delays[min(attempt, len(self._delays)) - 1]
        log.warning("message delayed", queue=self.consumer.queue, attempt=attempt, delay_seconds=delay, reason=reason)
        CONSUMED.labels(self.consumer.queue, "delayed").inc()
        tracing.current().fails()
        headers = {**message.headers, ATTEMPT: attempt + 1, REASON: reason[:1000]}
        await self._move(
            retry_delay_queue(self.consumer.queue, delay),
            replace(message, routing_key=self.consumer.queue, headers=headers),
        )

    async def _dead_letter(self, message: Message, reason: str) -> None:
        CONSUMED.labels(self.consumer.queue, "dead_lettered").inc()
        tracing.current().fails()
        log.error("message dead-lettered", queue=self.consumer.queue, event_id=message.message_id, reason=reason)
        headers = {
            ATTEMPT: 1,
            **message.headers,
            REASON: reason[:1000],
            CONSUMER: self.consumer.queue,
            DEAD_LETTERED_AT: now().isoformat(),
        }
        queue = self.consumer.queue
        await self._move(
            service_exchange(queue), replace(message, routing_key=dead_letter_queue(queue), headers=headers)
        )

    async def _move(self, exchange_name: str, message: Message) -> None:
        """Publish the copy with a confirm; only then may the original be acknowledged."""
        async with asyncio.timeout(BROKER_WAIT_SECONDS), self._broker.publishing() as channel:
            await publish(await channel.get_exchange(exchange_name, ensure=False), message)


def _attempt(message: Message) -> int:
    """The number of this attempt, from 1; the header may have been set by another client."""
    attempt = message.headers.get(ATTEMPT, 1)
    return attempt if isinstance(attempt, int) else 1


async def _delete_expired_hourly(database: Database, kept_days: int) -> None:
    while True:
        await delete_expired(database, kept_days)
        await asyncio.sleep(3600)


async def delete_expired(database: Database, kept_days: int) -> None:
    """Delete the records of events older than any that can be republished."""
    await retention.delete_expired(database, CONSUMED_EVENTS, now() - timedelta(days=kept_days))


async def _is_new(tx: Transaction, queue: str, envelope: Envelope) -> bool:
    inserted = await tx.fetchval(
        "INSERT INTO inbox (listener, event_id) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING true",
        queue,
        envelope.id,
    )
    return bool(inserted)
