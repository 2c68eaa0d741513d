"""The exchanges and queues of a service, their names and their declaration."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractExchange

from chassis.broker_accounts import EVENTS_EXCHANGE, PROBE

UNROUTED = "preau.unrouted"
WEEK_MS = 7 * 24 * 3600 * 1000
DELIVERIES_GUARD = 20  # a worker that dies on a message gets it back this often before the broker parks it


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
