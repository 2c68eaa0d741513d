"""Harm to messages: said again with the same id, put out of order, made unreadable."""

import asyncio
import importlib
import json
from random import Random
from uuid import UUID

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from chassis.broker import QueueSpec, service_exchange
from chassis.broker_accounts import EVENTS_EXCHANGE
from chassis.envelope import Envelope
from local_stack import families
from local_stack.stack import SERVICES
from tests.chaos.tenant import Town

LISTENING = ("planning", "billing", "payment_gateway", "notifier")
COPIES, HELD = 200, 200
HOLD_SECONDS = 2.0
FIRST = 10
"""Of two consumers the one with the higher priority is served first."""


def queues_of(package: str) -> list[QueueSpec]:
    """Those of a service's listeners, each with the events that it is for."""
    found: list[QueueSpec] = importlib.import_module(f"{package}.consumers").consumers.queues()
    return found


def queues() -> list[str]:
    """Every listener's."""
    return [each.name for package in LISTENING for each in queues_of(package)]


async def duplicate(town: Town, channel: AbstractChannel, chance: Random) -> str:
    """Events that were said are said once more, in any order, by nobody of ours: old ones come after newer ones."""
    query = "SELECT * FROM outbox WHERE published_at IS NOT NULL ORDER BY position DESC LIMIT $1"
    told = [
        (service, row) for service in SERVICES for row in await families.sql(town.stack, service, query, COPIES // 4)
    ]
    chance.shuffle(told)
    exchange = await channel.get_exchange(EVENTS_EXCHANGE)
    for service, row in told[:COPIES]:
        envelope = Envelope(
            id=row["event_id"],
            source=service,
            type=row["type"],
            subject=row["subject"],
            time=row["occurred_at"],
            correlationid=row["correlation_id"],
            data=json.loads(row["data"]),
        )
        await exchange.publish(_message(envelope.model_dump_json().encode(), row["event_id"]), row["type"])
    return f"{len(told[:COPIES])} events"


async def reorder(_town: Town, channel: AbstractChannel, chance: Random) -> str:
    """A queue's messages are taken away from its listeners for a while, and put back in another order.

    A copy is confirmed before its original is acknowledged: if this connection breaks, both are there.
    """
    queue = chance.choice(queues())
    held: list[AbstractIncomingMessage] = []
    await channel.set_qos(prefetch_count=HELD)
    source = await channel.get_queue(queue)

    async def hold(message: AbstractIncomingMessage) -> None:
        held.append(message)

    tag = await source.consume(hold, arguments={"x-priority": FIRST})
    await asyncio.sleep(HOLD_SECONDS)
    await source.cancel(tag)
    chance.shuffle(held)
    home = await channel.get_exchange(service_exchange(queue))
    for message in held:
        await home.publish(message, queue)
        await message.ack()
    return f"{len(held)} of {queue}"


async def spoil(town: Town, channel: AbstractChannel, chance: Random) -> str:
    """Bytes that are no event come into a listener's queue; where they are parked, that is why."""
    queue, message_id = chance.choice(queues()), UUID(int=chance.getrandbits(128), version=4)
    town.spoiled.add((queue, str(message_id)))
    home = await channel.get_exchange(service_exchange(queue))
    await home.publish(_message(chance.randbytes(40), message_id), queue)
    return queue


def _message(body: bytes, message_id: UUID) -> aio_pika.Message:
    mode = aio_pika.DeliveryMode.PERSISTENT
    content_type = "application/cloudevents+json"
    return aio_pika.Message(body, message_id=str(message_id), content_type=content_type, delivery_mode=mode)
