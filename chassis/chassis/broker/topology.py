"""The exchanges and queues of a service, their names and their declaration."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractExchange

from chassis.broker_accounts import EVENTS_EXCHANGE, PROBE

UNROUTED = "preau.unrouted"
WEEK_MS = 7 * 24 * 3600 * 1000
DELIVERIES_GUARD = 20  # a message whose worker dies is redelivered this often before the broker dead-letters it


def dead_letter_queue(queue: str) -> str:
    """The queue that keeps the messages of ``queue`` which could not be handled."""
    return f"{queue}.parked"


def service_exchange(queue: str) -> str:
    """The direct exchange of a service: it routes to each of its queues, dead-letter queues included, by name."""
    return f"{_service(queue)}.queues"


def retry_delay_queue(queue: str, delay_seconds: float) -> str:
    """The retry-delay queue of a service for so many seconds; an exchange of the same name leads to it."""
    return f"{_service(queue)}.delay.{round(delay_seconds * 1000)}ms"


def _service(queue: str) -> str:
    return queue.partition(".")[0]


@dataclass(frozen=True)
class QueueSpec:
    """A consumer's queue and the event types that are bound to it."""

    name: str
    routing_keys: tuple[str, ...]


async def declare(url: str, queues: Iterable[QueueSpec], delays_seconds: Iterable[float]) -> None:
    """Declare what a service needs: the shared exchanges, its queues, their dead-letter and retry-delay queues."""
    async with asyncio.timeout(60):
        connection = await aio_pika.connect(url, timeout=10)
        async with connection:
            channel = await connection.channel()
            events = await _declare_shared(channel)
            delays = tuple(delays_seconds)
            for spec in queues:
                await _declare_queue(channel, events, spec)
                for delay in delays:
                    await _declare_retry_delay(channel, spec.name, delay)


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


async def _declare_retry_delay(channel: AbstractChannel, queue: str, delay_seconds: float) -> None:
    # A message keeps its routing key here: the name of the queue to which it returns.
    name = retry_delay_queue(queue, delay_seconds)
    exchange = await channel.declare_exchange(name, aio_pika.ExchangeType.FANOUT, durable=True)
    waiting = await channel.declare_queue(
        name,
        durable=True,
        arguments={
            "x-queue-type": "quorum",
            "x-message-ttl": round(delay_seconds * 1000),
            "x-dead-letter-exchange": service_exchange(queue),
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        },
    )
    await waiting.bind(exchange)


async def _declare_queue(channel: AbstractChannel, events: AbstractExchange, spec: QueueSpec) -> None:
    direct = await channel.declare_exchange(service_exchange(spec.name), aio_pika.ExchangeType.DIRECT, durable=True)
    dead_letters = await channel.declare_queue(
        dead_letter_queue(spec.name), durable=True, arguments={"x-queue-type": "quorum"}
    )
    await dead_letters.bind(direct, dead_letter_queue(spec.name))
    queue = await channel.declare_queue(
        spec.name,
        durable=True,
        arguments={
            "x-queue-type": "quorum",
            "x-delivery-limit": DELIVERIES_GUARD,
            "x-dead-letter-exchange": service_exchange(spec.name),
            "x-dead-letter-routing-key": dead_letter_queue(spec.name),
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        },
    )
    await queue.bind(direct, spec.name)
    for routing_key in spec.routing_keys:
        await queue.bind(events, routing_key)
