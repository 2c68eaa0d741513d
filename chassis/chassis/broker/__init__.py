"""RabbitMQ, the only package that speaks AMQP.

One topic exchange carries every event; each listener has a durable quorum queue; a message that must wait goes
through a delay rung of its service and comes back to its queue; one that cannot be handled is parked. All of a
service's own is named after it, so that its account can be held to it (`broker_accounts`). An event that nobody
listens to is kept for a week in `preau.unrouted`: nothing is dropped in silence, nobody's absence blocks the outbox.

A program has two connections. A broker short of memory or disk reads nothing more from a connection that publishes,
acknowledgements included; what consumes goes on by its own, and so makes room.
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
    QueueWish,
    declare,
    home_name,
    parked_name,
    rung_name,
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
    "QueueWish",
    "declare",
    "depth",
    "home_name",
    "opened",
    "parked_name",
    "publish",
    "publish_all",
    "rung_name",
    "take",
    "use_broker",
    "waiting",
]

PROBE_SECONDS = 4
MISSING_SECONDS = 5
"""How long a consumer whose queue is missing, and which may not declare it, waits before it looks again."""
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
        """Begin connecting; whoever needs the broker waits for it."""
        await self._publishing.start()
        await self._consuming.start()

    async def stop(self) -> None:
        """Close the connections."""
        await self._publishing.stop()
        await self._consuming.stop()

    @contextlib.asynccontextmanager
    async def publishing(self) -> AsyncIterator[AbstractChannel]:
        """A channel to publish over; waits as long as the broker is away or takes no messages."""
        channel = await self._publishing.free_channel()
        try:
            yield channel
        finally:
            await close(channel)

    @contextlib.asynccontextmanager
    async def looking(self) -> AsyncIterator[AbstractChannel]:
        """A channel to look at queues; raises at once when the broker is away."""
        if not self._consuming.is_up:
            raise ConnectionError("no connection to the broker")
        channel = await self._consuming.channel()
        try:
            yield channel
        finally:
            await close(channel)

    async def check(self) -> None:
        """Raise unless a probe message is published and confirmed; an open port proves nothing."""
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
        """Raise unless every queue that the program consumes is consumed; says which is not, and why."""
        if self._interrupted:
            raise Unavailable("; ".join(f"{name}: {why}" for name, why in sorted(self._interrupted.items())))

    async def consume(
        self,
        queue: QueueWish,
        handle: Callable[[Delivery], Awaitable[None]],
        *,
        prefetch: int,
        delays_seconds: Sequence[float] = (),
    ) -> None:
        """Hand each message of ``queue`` to ``handle``, for ever; several at a time, at most ``prefetch``.

        A queue that was deleted is declared again, with the delays, when the program's account may do that.
        """

        async def on_message(incoming: AbstractIncomingMessage) -> None:
            await handle(Delivery(incoming))

        async def find(channel: AbstractChannel) -> AbstractQueue:
            await self._until_declared(queue, delays_seconds)
            return await channel.get_queue(queue.name, ensure=False)

        await self._attend(queue.name, find, on_message, prefetch)

    async def attend_live(self, types: Sequence[str], handle: Callable[[bytes], Awaitable[None]]) -> None:
        """Hand the bodies of events to ``handle`` as they pass, for ever; nothing is acknowledged, and what passes
        while the broker is away is missed."""

        async def on_message(incoming: AbstractIncomingMessage) -> None:
            await handle(incoming.body)

        async def own_queue(channel: AbstractChannel) -> AbstractQueue:
            queue = await channel.declare_queue(exclusive=True, auto_delete=True, arguments={"x-max-length": 10_000})
            exchange = await channel.get_exchange(EVENTS_EXCHANGE)
            for each in types:
                await queue.bind(exchange, each)
            return queue

        await self._attend(LIVE, own_queue, on_message, None)

    async def _attend(self, name: str, find_queue: FindQueue, on_message: OnMessage, prefetch: int | None) -> None:
        """Consume a queue for ever, over a new channel whenever one ends; without ``prefetch`` all that passes."""
        while True:
            self._interrupted.setdefault(name, "no connection to the broker")
            try:
                channel = await self._consuming.channel(prefetch=prefetch)
                try:
                    await self._attend_over(channel, name, find_queue, on_message, is_acknowledged=bool(prefetch))
                except AWAY:
                    await close(channel)
                    raise
            except AWAY as error:
                self._interrupted[name] = _reason(error)
                log.warning("consumer interrupted", queue=name, error=_reason(error))
            await asyncio.sleep(0.5)

    async def _attend_over(
        self,
        channel: AbstractChannel,
        name: str,
        find_queue: FindQueue,
        on_message: OnMessage,
        *,
        is_acknowledged: bool,
    ) -> None:
        """Consume until the channel ends; again when the broker ended the consumer alone, for its queue was deleted.

        What is being worked on is finished meanwhile: whoever closes a channel cancels the work of its messages.
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
            self._interrupted[name] = "the broker ended the consumer"
            log.warning("consumer ended by the broker", queue=name)

    async def _until_declared(self, queue: QueueWish, delays_seconds: Sequence[float]) -> None:
        """Wait for a queue that is missing, having tried to declare it."""
        while not await self._is_declared(queue.name):
            try:
                await declare(self._url, [queue], delays_seconds)
                log.error("queue was missing, declared again; say-again repeats what it missed", queue=queue.name)
            except AWAY as error:
                self._interrupted[queue.name] = f"the queue is missing: run `migrate`, then `say-again` ({error})"
                log.error("queue is missing and may not be declared", queue=queue.name, error=str(error))  # noqa: TRY400
                await asyncio.sleep(MISSING_SECONDS)

    async def _is_declared(self, queue: str) -> bool:
        try:
            async with self.looking() as channel, asyncio.timeout(CONFIRM_SECONDS):
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
    add_check(app, "consumers", broker.check_consumers)
