"""The inbox: a listener runs once per event, in one transaction with the note that it did.

What cannot be done now comes back after a growing delay; what cannot be done at all is parked with its reason.
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
from chassis.broker import BROKER, Broker, Delivery, Message, QueueWish, home_name, parked_name, publish, rung_name
from chassis.clock import now
from chassis.database import DATABASE, Database, Transaction
from chassis.envelope import Envelope
from chassis.logs import bind_correlation_id
from chassis.metrics import HEARD
from chassis.retention import Retention
from chassis.settings import ServiceSettings
from chassis.tasks import end, keep_running
from contracts.events import Event
from contracts.failures import Refusal, Unavailable

PREFETCH = 20
DATABASE_WAIT_SECONDS = 600
BROKER_WAIT_SECONDS = 600
"""How long a message that is to be moved waits in place for a broker that is away or takes no messages. Together with
the wait for the database this is less than the half an hour after which RabbitMQ gives a consumer up."""
GIVE_BACK_SECONDS_MAX = 60
"""How long a message is kept at most before it is given back, so that it does not come again at once for ever."""
ATTEMPT = "preau-attempt"
REASON = "preau-reason"
LISTENER = "preau-listener"
PARKED_AT = "preau-parked-at"
HEARD_EVENTS = Retention("inbox", "received_at")

Handle = Callable[[Any, Transaction], Coroutine[Any, Any, None]]
Listens = TypeVar("Listens", bound=Handle)

log = structlog.get_logger()


class Later(Exception):  # noqa: N818 - an answer to the chassis, not an error
    """A listener cannot do its work yet, for want of a fact that is on its way."""


@dataclass(frozen=True)
class Listener:
    """A function, the events it hears and the queue they come by."""

    queue: str
    event: type[Event]
    handle: Handle

    @property
    def wish(self) -> QueueWish:
        """What set-up declares and binds."""
        return QueueWish(self.queue, (self.event.type,))


@dataclass
class Listeners:
    """The listeners of a service, declared where they are written."""

    service: str
    all: list[Listener] = field(default_factory=list)

    def on(self, event: type[Event]) -> Callable[[Listens], Listens]:
        """Run the decorated function for each ``event``, by the queue ``service.function-name``."""

        def declare(handle: Listens) -> Listens:
            name: str = handle.__name__
            queue = f"{self.service}.{name.replace('_', '-')}"
            self.all.append(Listener(queue, event, handle))
            return handle

        return declare

    def queues(self) -> list[QueueWish]:
        """What set-up declares and binds."""
        return [listener.wish for listener in self.all]


def use_listeners(app: web.Application, listeners: Listeners, settings: ServiceSettings) -> None:
    """Consume every listener's queue from start to stop; what is in flight at stop is finished first."""

    async def run(app: web.Application) -> AsyncIterator[None]:
        workers = [Worker(app[DATABASE], app[BROKER], listener, settings) for listener in listeners.all]
        tasks = [keep_running(worker.run, worker.listener.queue) for worker in workers]
        tasks.append(keep_running(lambda: _trim_hourly(app[DATABASE], 2 * settings.events_kept_days), "inbox trimming"))
        yield
        await end(*tasks)
        await asyncio.gather(*(worker.finish() for worker in workers))

    app.cleanup_ctx.append(run)


class Worker:
    """Takes one listener's messages, several at a time."""

    def __init__(self, database: Database, broker: Broker, listener: Listener, settings: ServiceSettings) -> None:
        self.listener = listener
        self._database = database
        self._broker = broker
        self._delays = settings.retry_delays_seconds
        self._deliveries_max = settings.deliveries_max
        self._in_flight: set[asyncio.Task[Any]] = set()

    async def run(self) -> None:
        """Consume for ever."""
        await self._broker.consume(self.listener.wish, self._take, prefetch=PREFETCH, delays_seconds=self._delays)

    async def finish(self) -> None:
        """Wait for what is in flight, a few seconds at most; the broker redelivers the rest."""
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
            log.warning("message not moved", queue=self.listener.queue, error=str(error) or type(error).__name__)
            await self._give_back(delivery)
        except Exception:
            log.exception("message not moved", queue=self.listener.queue)
            await self._give_back(delivery)
        finally:
            self._in_flight.discard(task)

    async def _give_back(self, delivery: Delivery) -> None:
        """Neither acknowledged nor moved: the broker delivers it again, and the inbox knows whether it is done.

        Kept instead, it would take up one of the few places of the consumer until its channel ends.
        """
        HEARD.labels(self.listener.queue, "given back").inc()
        await asyncio.sleep(min(2**delivery.given_back, GIVE_BACK_SECONDS_MAX))
        await delivery.give_back()

    def _span(self, message: Message) -> tracing.Span:
        told, queue = message.headers.get(tracing.HEADER), self.listener.queue
        facts = {"messaging.system": "rabbitmq", "messaging.operation.type": "process"}
        return tracing.continued(told, f"process {queue}", tracing.Kind.CONSUMER, facts)

    async def _handle(self, delivery: Delivery) -> None:
        message = delivery.message
        try:
            envelope = Envelope.model_validate_json(message.body)
            event = envelope.event()
        except (ValidationError, ValueError) as error:
            await self._park(message, f"cannot be read: {error}")
            return
        try:
            is_new = await self._once(envelope, event)
            HEARD.labels(self.listener.queue, "done" if is_new else "known").inc()
        except Refusal as refusal:
            await self._park(message, f"{refusal.code}: {refusal.detail}")
        except Later as wait:
            await self._delay(message, str(wait))
        except Exception as error:
            log.exception("listener failed", queue=self.listener.queue, event_id=message.message_id)
            await self._delay(message, f"{type(error).__name__}: {error}")

    async def _once(self, envelope: Envelope, event: Event) -> bool:
        """Run the listener unless it already ran for this event; wait in place while the database is away."""
        give_up = asyncio.get_running_loop().time() + DATABASE_WAIT_SECONDS
        pause = 0.5
        while True:
            try:
                async with self._database.transaction() as tx:
                    is_new = await _is_new(tx, self.listener.queue, envelope)
                    if is_new:
                        await self.listener.handle(event, tx)
                return is_new
            except Unavailable as error:
                if asyncio.get_running_loop().time() > give_up:
                    raise Later(f"the database is away: {error}") from error
                log.warning("waiting for the database", queue=self.listener.queue, error=str(error))
                await asyncio.sleep(pause)
                pause = min(pause * 2, 10)

    async def _delay(self, message: Message, reason: str) -> None:
        attempt = _attempt(message)
        if attempt >= self._deliveries_max:
            await self._park(message, f"gave up after {attempt} attempts: {reason}")
            return
        delay = self._delays[min(attempt, len(self._delays)) - 1]
        log.warning("message delayed", queue=self.listener.queue, attempt=attempt, delay_seconds=delay, reason=reason)
        HEARD.labels(self.listener.queue, "delayed").inc()
        tracing.current().fails()
        headers = {**message.headers, ATTEMPT: attempt + 1, REASON: reason[:1000]}
        await self._move(
            rung_name(self.listener.queue, delay), replace(message, routing_key=self.listener.queue, headers=headers)
        )

    async def _park(self, message: Message, reason: str) -> None:
        HEARD.labels(self.listener.queue, "parked").inc()
        tracing.current().fails()
        log.error("message parked", queue=self.listener.queue, event_id=message.message_id, reason=reason)
        headers = {
            ATTEMPT: 1,
            **message.headers,
            REASON: reason[:1000],
            LISTENER: self.listener.queue,
            PARKED_AT: now().isoformat(),
        }
        queue = self.listener.queue
        await self._move(home_name(queue), replace(message, routing_key=parked_name(queue), headers=headers))

    async def _move(self, exchange_name: str, message: Message) -> None:
        """Publish the copy and see it confirmed; only then may the original be acknowledged."""
        async with asyncio.timeout(BROKER_WAIT_SECONDS), self._broker.publishing() as channel:
            await publish(await channel.get_exchange(exchange_name, ensure=False), message)


def _attempt(message: Message) -> int:
    """Which attempt this is; the header may come from elsewhere than here."""
    told = message.headers.get(ATTEMPT, 1)
    return told if isinstance(told, int) else 1


async def _trim_hourly(database: Database, kept_days: int) -> None:
    while True:
        await trim(database, kept_days)
        await asyncio.sleep(3600)


async def trim(database: Database, kept_days: int) -> None:
    """Forget which events were heard longer ago than any is said again."""
    await retention.forget(database, HEARD_EVENTS, now() - timedelta(days=kept_days))


async def _is_new(tx: Transaction, listener: str, envelope: Envelope) -> bool:
    inserted = await tx.fetchval(
        "INSERT INTO inbox (listener, event_id) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING true",
        listener,
        envelope.id,
    )
    return bool(inserted)
