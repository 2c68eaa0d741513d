"""RabbitMQ, the only package that speaks AMQP.

One topic exchange carries every event. Each consumer has a durable quorum queue. A message to be retried waits in a
retry-delay queue of its service and returns to its queue; one that cannot be handled goes to a dead-letter queue.
Exchanges and queues are prefixed with the name of their service, which its broker account is restricted to
(`broker_accounts`). An event without a consumer is kept for a week in `preau.unrouted`, so no event is dropped and no
missing consumer blocks the outbox.

A program has two connections. During a memory or disk alarm the broker stops reading from connections that publish,
acknowledgements included; consumers use a connection of their own, so that they keep draining their queues.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import aio_pika
import structlog
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractQueue
from aio_pika.exceptions import ChannelNotFoundEntity
from aiohttp import web

from chassis.broker.connection import Link, close
from chassis.broker.messages import (
    AWAY,
    CONFIRM_SECONDS,
    Delivery,
    Exchange,
    Message,
    publish,
    publish_all,
)
from chassis.broker.topology import (
    DELIVERIES_GUARD,
    UNROUTED,
    QueueSpec,
    dead_letter_queue,
    declare,
    retry_delay_queue,
    service_exchange,
)
from chassis.broker_accounts import EVENTS_EXCHANGE, PROBE
from chassis.health import NAME, add_check
from chassis.settings import EdgeSettings
from contracts.failures import Unavailable

__all__ = [
    "AWAY",
    "BROKER",
    "DELIVERIES_GUARD",
    "UNROUTED",
    "Broker",
    "Delivery",
    "Exchange",
    "Message",
    "QueueSpec",
    "dead_letter_queue",
    "declare",
    "opened",
    "publish",
    "publish_all",
    "queue_depth",
    "retry_delay_queue",
    "service_exchange",
    "take",
    "use_broker",
    "waiting_messages",
]

PROBE_SECONDS = 4
MISSING_SECONDS = 5
"""Pause of a consumer whose queue is missing and whose account may not declare it."""
LIVE = "live events"

log = structlog.get_logger()

OnMessage = Callable[[AbstractIncomingMessage], Awaitable[None]]
FindQueue = Callable[[AbstractChannel], Awaitable[AbstractQueue]]


class Broker:
    """The connections of a program to the broker: one to publish, one to consume."""

    def __init__(self, url: str, *, name: str) -> None:
        self._url = url
        self._publishing = Link(url, name=name)
        self._consuming = Link(url, name=f"{name} consumers")
        self._probe_channel: AbstractChannel | None = None
        self._interrupted: dict[str, str] = {}

    async def start(self) -> None:
        """Start connecting in the background; callers wait until the connection is up."""
        await self._publishing.start()
        await self._consuming.start()

    async def stop(self) -> None:
        """Close the connections."""
        await self._publishing.stop()
        await self._consuming.stop()

    @contextlib.asynccontextmanager
    async def publishing(self) -> AsyncIterator[AbstractChannel]:
        """A channel to publish over; waits while the broker is away or blocks publishers."""
        channel = await self._publishing.free_channel()
        try:
            yield channel
        finally:
            await close(channel)

    @contextlib.asynccontextmanager
    async def inspecting(self) -> AsyncIterator[AbstractChannel]:
        """A channel to inspect queues; raises immediately when the broker is away."""
        if not self._consuming.is_up:
            raise ConnectionError("no connection to the broker")
        channel = await self._consuming.channel()
        try:
            yield channel
        finally:
            await close(channel)

    async def check(self) -> None:
        """Raise ``Unavailable`` unless the broker confirms a probe message; an open port proves nothing."""
        if not self._publishing.is_up:
            raise Unavailable("no connection to the broker")
        if await self._publishing.is_blocked():
            raise Unavailable("the broker takes no messages: it is short of memory or disk (an alarm)")
        probe = Message(b"", message_id="probe", routing_key=PROBE)
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                if self._probe_channel is None or self._probe_channel.is_closed:
                    self._probe_channel = await self._publishing.channel()
                await publish(await self._probe_channel.get_exchange(PROBE, ensure=False), probe)
        except TimeoutError:
            raise Unavailable(f"the broker has not confirmed a message in {PROBE_SECONDS} s") from None

    async def check_consumers(self) -> None:
        """Raise ``Unavailable``, naming the queues, unless every consumer of the program is running."""
        if self._interrupted:
            raise Unavailable("; ".join(f"{name}: {why}" for name, why in sorted(self._interrupted.items())))

    async def consume(
        self,
        queue: QueueSpec,
        handle: Callable[[Delivery], Awaitable[None]],
        *,
        prefetch: int,
        delays_seconds: Sequence[float] = (),
    ) -> None:
        """Pass each message of ``queue`` to ``handle``, for ever; at most ``prefetch`` at a time.

        A deleted queue is declared again, with its retry-delay queues, if the account is allowed to.
        """

        async def on_message(incoming: AbstractIncomingMessage) -> None:
            await handle(Delivery(incoming))

        async def find(channel: AbstractChannel) -> AbstractQueue:
            await self._until_declared(queue, delays_seconds)
            return await channel.get_queue(queue.name, ensure=False)

        await self._consume(queue.name, find, on_message, prefetch)

    async def consume_live(self, types: Sequence[str], handle: Callable[[bytes], Awaitable[None]]) -> None:
        """Pass the bodies of events to ``handle`` as they are published, for ever. Nothing is acknowledged; events
        published while the broker is away are missed."""

        async def on_message(incoming: AbstractIncomingMessage) -> None:
            await handle(incoming.body)

        async def own_queue(channel: AbstractChannel) -> AbstractQueue:
            queue = await channel.declare_queue(exclusive=True, auto_delete=True, arguments={"x-max-length": 10_000})
            exchange = await channel.get_exchange(EVENTS_EXCHANGE)
            for each in types:
                await queue.bind(exchange, each)
            return queue

        await self._consume(LIVE, own_queue, on_message, None)

    async def _consume(self, name: str, find_queue: FindQueue, on_message: OnMessage, prefetch: int | None) -> None:
        """Consume a queue for ever, over a new channel whenever one closes; without ``prefetch``, unacknowledged."""
        while True:
            self._interrupted.setdefault(name, "no connection to the broker")
            try:
                channel = await self._consuming.channel(prefetch=prefetch)
                try:
                    await self._consume_over(channel, name, find_queue, on_message, is_acknowledged=bool(prefetch))
                except AWAY:
                    await close(channel)
                    raise
            except AWAY as error:
                self._interrupted[name] = _reason(error)
                log.warning("consumer interrupted", queue=name, error=_reason(error))
            await asyncio.sleep(0.5)

    async def _consume_over(
        self,
        channel: AbstractChannel,
        name: str,
        find_queue: FindQueue,
        on_message: OnMessage,
        *,
        is_acknowledged: bool,
    ) -> None:
        """Consume until the channel closes; start again when the broker cancels the consumer, its queue being deleted.

        The channel stays open meanwhile: closing it would cancel the work on messages already delivered.
        """
        ended = asyncio.Event()
        channel.close_callbacks.add(lambda *_: ended.set())
        (await channel.get_underlay_channel()).on_consumer_cancel_callbacks.add(lambda _frame: ended.set())
        while not channel.is_closed:
            ended.clear()
            queue = await find_queue(channel)
            async with asyncio.timeout(CONFIRM_SECONDS):
                tag = await queue.consume(on_message, no_ack=not is_acknowledged)
            if self._interrupted.pop(name, None):
                log.info("consuming", queue=name)
            try:
                await ended.wait()
            except asyncio.CancelledError:
                with contextlib.suppress(*AWAY):
                    async with asyncio.timeout(CONFIRM_SECONDS):
                        await queue.cancel(tag)
                raise
            self._interrupted[name] = "the broker cancelled the consumer"
            log.warning("consumer cancelled by the broker", queue=name)

    async def _until_declared(self, queue: QueueSpec, delays_seconds: Sequence[float]) -> None:
        """Wait until the queue exists, trying to declare it."""
        while not await self._is_declared(queue.name):
            try:
                await declare(self._url, [queue], delays_seconds)
                log.error(
                    "queue was missing, declared again; run `republish` for what it missed",
                    queue=queue.name,
                )
            except AWAY as error:
                self._interrupted[queue.name] = f"the queue is missing: run `migrate`, then `republish` ({error})"
                log.error("queue is missing and may not be declared", queue=queue.name, error=str(error))  # noqa: TRY400
                await asyncio.sleep(MISSING_SECONDS)

    async def _is_declared(self, queue: str) -> bool:
        try:
            async with self.inspecting() as channel, asyncio.timeout(CONFIRM_SECONDS):
                await channel.declare_queue(queue, passive=True)
        except ChannelNotFoundEntity:
            return False
        return True


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncIterator[AbstractChannel]:
    """A channel for a command or a test, closed at the end."""
    connection = await aio_pika.connect(url, timeout=10)
    async with connection:
        yield await connection.channel(publisher_confirms=True, on_return_raises=True)


async def queue_depth(channel: AbstractChannel, queue: str) -> tuple[int, int]:
    """Messages and consumers of a queue; ``LookupError`` if it does not exist."""
    try:
        found = await channel.declare_queue(queue, passive=True)
    except ChannelNotFoundEntity as error:
        raise LookupError(f"no queue {queue}") from error
    return found.declaration_result.message_count or 0, found.declaration_result.consumer_count or 0


async def waiting_messages(channel: AbstractChannel, queue: str) -> int:
    """Messages in a queue; raises as ``queue_depth``."""
    return (await queue_depth(channel, queue))[0]


async def take(channel: AbstractChannel, queue: str, limit: int) -> list[Delivery]:
    """At most ``limit`` messages of a queue, unacknowledged: they return to it when the channel closes."""
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
    """Connect the application to the broker from start to stop, with the readiness checks broker and consumers."""
    broker = Broker(settings.amqp_url, name=app[NAME])
    app[BROKER] = broker

    async def run(_app: web.Application) -> AsyncIterator[None]:
        await broker.start()
        yield
        await broker.stop()

    app.cleanup_ctx.append(run)
    add_check(app, "broker", broker.check)
    add_check(app, "consumers", broker.check_consumers)
