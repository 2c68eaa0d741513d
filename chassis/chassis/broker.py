"""RabbitMQ, the only module that speaks AMQP.

One topic exchange carries every event; each listener has a durable quorum queue; a message that must wait goes
through a delay rung of its service and comes back to its queue; one that cannot be handled is parked. All of a
service's own is named after it, so that its account can be held to it (`broker_accounts`). An event that nobody
listens to is kept for a week in `preau.unrouted`: nothing is dropped in silence, nobody's absence blocks the outbox.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import aio_pika
import structlog
from aio_pika.abc import (
    AbstractChannel,
    AbstractConnection,
    AbstractExchange,
    AbstractIncomingMessage,
    AbstractQueue,
    HeadersType,
)
from aio_pika.exceptions import CONNECTION_EXCEPTIONS, ChannelNotFoundEntity
from aiohttp import web

from chassis.broker_accounts import EVENTS_EXCHANGE, PROBE
from chassis.health import NAME, add_check
from chassis.settings import EdgeSettings
from chassis.tasks import end, keep_running
from contracts.failures import Unavailable

UNROUTED = "preau.unrouted"
WEEK_MS = 7 * 24 * 3600 * 1000
DELIVERIES_GUARD = 20  # a worker that dies on a message gets it back this often before the broker parks it
CONFIRM_SECONDS = 10

AWAY = (*CONNECTION_EXCEPTIONS, TimeoutError)
"""What a publish, a declaration or a consumer raises when the broker is away or refuses."""

log = structlog.get_logger()


Exchange = AbstractExchange


@dataclass(frozen=True)
class Message:
    """Bytes on their way, with the headers that say what they are."""

    body: bytes
    message_id: str
    routing_key: str
    correlation_id: str = ""
    headers: dict[str, Any] = field(default_factory=dict)
    content_type: str = "application/cloudevents+json"

    def _pika(self) -> aio_pika.Message:
        return aio_pika.Message(
            self.body,
            message_id=self.message_id,
            correlation_id=self.correlation_id or None,
            content_type=self.content_type,
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            headers=self.headers,
        )


class Delivery:
    """A message that came in; it is acknowledged once what it asked for is stored."""

    def __init__(self, incoming: AbstractIncomingMessage) -> None:
        self._incoming = incoming
        self.message = Message(
            body=incoming.body,
            message_id=incoming.message_id or "",
            routing_key=incoming.routing_key or "",
            correlation_id=incoming.correlation_id or "",
            headers=_plain(incoming.headers),
            content_type=incoming.content_type or "",
        )

    async def acknowledge(self) -> None:
        """Tell the broker that the message is done with."""
        await self._incoming.ack()

    async def give_back(self) -> None:
        """Put the message back at its place in the queue."""
        await self._incoming.nack(requeue=True)


def _plain(headers: HeadersType) -> dict[str, Any]:
    return {name: value for name, value in headers.items() if not name.startswith("x-")}


def parked_name(queue: str) -> str:
    """Where a queue's messages are parked."""
    return f"{queue}.parked"


def home_name(queue: str) -> str:
    """The exchange that leads to each queue of the same service, parking included, by its name."""
    return f"{_service(queue)}.queues"


def rung_name(queue: str, delay_seconds: float) -> str:
    """The delay rung of a queue's service for so many seconds, an exchange and a queue of the same name."""
    return f"{_service(queue)}.delay.{round(delay_seconds * 1000)}ms"


def _service(queue: str) -> str:
    return queue.partition(".")[0]


class Broker:
    """One connection to the broker, made again for as long as the program runs."""

    def __init__(self, url: str, *, name: str) -> None:
        self._url = url
        self._name = name
        self._connection: AbstractConnection | None = None
        self._up = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._probe_channel: AbstractChannel | None = None

    async def start(self) -> None:
        """Begin connecting; whoever needs the broker waits for it."""
        self._running = keep_running(self._run, "broker connection")

    async def stop(self) -> None:
        """Close the connection."""
        if self._running:
            await end(self._running)

    async def _run(self) -> None:
        pause = 0.2
        while True:
            try:
                async with asyncio.timeout(15):
                    self._connection = await aio_pika.connect(
                        self._url, timeout=10, client_properties={"connection_name": self._name}
                    )
                closed = asyncio.Event()
                self._connection.close_callbacks.add(lambda *_, closed=closed: closed.set())
                log.info("broker connected")
                self._up.set()
                pause = 0.2
                await closed.wait()
                log.warning("broker connection lost")
            except AWAY as error:
                log.warning("broker away", error=str(error), pause_seconds=pause)
            finally:
                self._up.clear()
                self._probe_channel = None
                await self._drop_connection()
            await asyncio.sleep(pause)
            pause = min(pause * 2, 5)

    async def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection:
            with contextlib.suppress(*AWAY):
                async with asyncio.timeout(3):
                    await connection.close()

    async def channel(self, *, prefetch: int | None = None) -> AbstractChannel:
        """A new channel with publisher confirms, as soon as there is a connection."""
        await self._up.wait()
        if self._connection is None:
            raise ConnectionError("the broker connection was just lost")
        async with asyncio.timeout(CONFIRM_SECONDS):
            channel = self._connection.channel(publisher_confirms=True, on_return_raises=True)
            await channel.initialize()
            if prefetch:
                await channel.set_qos(prefetch_count=prefetch)
            return channel

    async def check(self) -> None:
        """Raise unless a probe message is published and confirmed; an open port proves nothing."""
        if not self._up.is_set():
            raise Unavailable("no connection to the broker")
        if self._probe_channel is None or self._probe_channel.is_closed:
            self._probe_channel = await self.channel()
        probe = Message(b"", message_id="probe", routing_key=PROBE)
        await publish(await self._probe_channel.get_exchange(PROBE, ensure=False), probe)

    async def consume(self, queue: str, handle: Callable[[Delivery], Awaitable[None]], *, prefetch: int) -> None:
        """Hand each message of ``queue`` to ``handle``, for ever; several at a time, at most ``prefetch``."""

        async def on_message(incoming: AbstractIncomingMessage) -> None:
            await handle(Delivery(incoming))

        await self._attend(lambda channel: channel.get_queue(queue, ensure=True), on_message, prefetch)

    async def attend_live(self, patterns: Sequence[str], handle: Callable[[bytes], Awaitable[None]]) -> None:
        """Hand the bodies of events to ``handle`` as they pass, for ever; nothing is acknowledged, and what passes
        while the broker is away is missed."""

        async def on_message(incoming: AbstractIncomingMessage) -> None:
            await handle(incoming.body)

        async def own_queue(channel: AbstractChannel) -> AbstractQueue:
            queue = await channel.declare_queue(exclusive=True, auto_delete=True, arguments={"x-max-length": 10_000})
            exchange = await channel.get_exchange(EVENTS_EXCHANGE)
            for pattern in patterns:
                await queue.bind(exchange, pattern)
            return queue

        await self._attend(own_queue, on_message, None)

    async def _attend(
        self,
        find_queue: Callable[[AbstractChannel], Awaitable[AbstractQueue]],
        on_message: Callable[[AbstractIncomingMessage], Awaitable[None]],
        prefetch: int | None,
    ) -> None:
        """Consume a queue for ever, over a new channel whenever one ends; without ``prefetch`` all that passes."""
        while True:
            try:
                channel = await self.channel(prefetch=prefetch)
                closed = asyncio.Event()
                channel.close_callbacks.add(lambda *_, closed=closed: closed.set())
                async with asyncio.timeout(CONFIRM_SECONDS):
                    queue = await find_queue(channel)
                    tag = await queue.consume(on_message, no_ack=prefetch is None)
                try:
                    await closed.wait()
                finally:
                    if not channel.is_closed:
                        with contextlib.suppress(*AWAY):
                            await queue.cancel(tag)
            except AWAY as error:
                log.warning("consumer interrupted", error=str(error))
            await asyncio.sleep(0.5)


async def publish(exchange: AbstractExchange, message: Message) -> None:
    """Publish a message and wait for the broker's confirmation; a returned or refused one raises."""
    await exchange.publish(message._pika(), message.routing_key, mandatory=True, timeout=CONFIRM_SECONDS)


async def publish_all(exchange: AbstractExchange, messages: Sequence[Message]) -> list[BaseException | None]:
    """Publish a batch in order; for each message None once the broker confirmed it, else why it did not."""
    return await asyncio.gather(*(publish(exchange, message) for message in messages), return_exceptions=True)


@dataclass(frozen=True)
class QueueWish:
    """A listener's queue and the events it is bound to."""

    name: str
    routing_keys: tuple[str, ...]


async def declare(url: str, queues: Iterable[QueueWish], delays_seconds: Iterable[float]) -> None:
    """Declare everything a service needs: exchange, unrouted, probe, its queues, their parking and rungs."""
    async with asyncio.timeout(60):
        connection = await aio_pika.connect(url, timeout=10)
        async with connection:
            channel = await connection.channel()
            events = await _declare_shared(channel)
            delays = tuple(delays_seconds)
            for wish in queues:
                await _declare_listener(channel, events, wish)
                for delay in delays:
                    await _declare_rung(channel, wish.name, delay)


async def _declare_shared(channel: AbstractChannel) -> AbstractExchange:
    unrouted = await channel.declare_exchange(UNROUTED, aio_pika.ExchangeType.FANOUT, durable=True)
    kept = await channel.declare_queue(
        UNROUTED,
        durable=True,
        arguments={"x-queue-type": "quorum", "x-max-length": 100_000, "x-message-ttl": WEEK_MS},
    )
    await kept.bind(unrouted)
    probe = await channel.declare_exchange(PROBE, aio_pika.ExchangeType.FANOUT, durable=True)
    probed = await channel.declare_queue(
        PROBE, durable=True, arguments={"x-queue-type": "quorum", "x-max-length": 10, "x-message-ttl": 10_000}
    )
    await probed.bind(probe)
    return await channel.declare_exchange(
        EVENTS_EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True, arguments={"alternate-exchange": UNROUTED}
    )


async def _declare_rung(channel: AbstractChannel, queue: str, delay_seconds: float) -> None:
    # The rung keeps the routing key, which is the name of the queue to come back to.
    name = rung_name(queue, delay_seconds)
    rung = await channel.declare_exchange(name, aio_pika.ExchangeType.FANOUT, durable=True)
    waiting = await channel.declare_queue(
        name,
        durable=True,
        arguments={
            "x-queue-type": "quorum",
            "x-message-ttl": round(delay_seconds * 1000),
            "x-dead-letter-exchange": home_name(queue),
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        },
    )
    await waiting.bind(rung)


async def _declare_listener(channel: AbstractChannel, events: AbstractExchange, wish: QueueWish) -> None:
    home = await channel.declare_exchange(home_name(wish.name), aio_pika.ExchangeType.DIRECT, durable=True)
    parked = await channel.declare_queue(parked_name(wish.name), durable=True, arguments={"x-queue-type": "quorum"})
    await parked.bind(home, parked_name(wish.name))
    queue = await channel.declare_queue(
        wish.name,
        durable=True,
        arguments={
            "x-queue-type": "quorum",
            "x-delivery-limit": DELIVERIES_GUARD,
            "x-dead-letter-exchange": home_name(wish.name),
            "x-dead-letter-routing-key": parked_name(wish.name),
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        },
    )
    await queue.bind(home, wish.name)
    for routing_key in wish.routing_keys:
        await queue.bind(events, routing_key)


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncIterator[AbstractChannel]:
    """A channel for a command or a test, closed at the end."""
    connection = await aio_pika.connect(url, timeout=10)
    async with connection:
        yield await connection.channel(publisher_confirms=True, on_return_raises=True)


async def depth(channel: AbstractChannel, queue: str) -> tuple[int, int]:
    """How many messages wait in a queue and how many listen to it; ``LookupError`` when there is none of that name."""
    try:
        found = await channel.declare_queue(queue, passive=True)
    except ChannelNotFoundEntity as error:
        raise LookupError(f"no queue {queue}") from error
    return found.declaration_result.message_count or 0, found.declaration_result.consumer_count or 0


async def waiting(channel: AbstractChannel, queue: str) -> int:
    """How many messages wait in a queue; raises as ``depth``."""
    return (await depth(channel, queue))[0]


async def take(channel: AbstractChannel, queue: str, limit: int) -> list[Delivery]:
    """At most ``limit`` messages of a queue, not acknowledged: they go back when the channel closes."""
    try:
        source = await channel.get_queue(queue, ensure=True)
    except ChannelNotFoundEntity as error:
        raise LookupError(f"no queue {queue}") from error
    found: list[Delivery] = []
    while len(found) < limit and (incoming := await source.get(no_ack=False, fail=False)):
        found.append(Delivery(incoming))
    return found


BROKER = web.AppKey("broker", Broker)


def use_broker(app: web.Application, settings: EdgeSettings) -> None:
    """Give the application its connection to the broker, and a readiness check."""
    broker = Broker(settings.amqp_url, name=app[NAME])
    app[BROKER] = broker

    async def run(_app: web.Application) -> AsyncIterator[None]:
        await broker.start()
        yield
        await broker.stop()

    app.cleanup_ctx.append(run)
    add_check(app, "broker", broker.check)
