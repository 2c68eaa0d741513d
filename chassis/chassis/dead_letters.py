"""The dead-lettered messages of a service: ``dead-letters list | show QUEUE | replay QUEUE [ID] | drop QUEUE ID``."""

import json
import sys
from typing import Any

from chassis import inbox
from chassis.broker import Delivery, Message, dead_letter_queue, opened, publish, service_exchange, take
from chassis.inbox import Consumers

LIMIT = 1000
USAGE = "usage: dead-letters list | show QUEUE | replay QUEUE [MESSAGE_ID] | drop QUEUE MESSAGE_ID\n"


async def run(amqp_url: str, consumers: Consumers | None, words: list[str]) -> int:
    """Run one of the commands and return its exit status; prints JSON lines."""
    queues = [consumer.queue for consumer in consumers.all] if consumers else []
    match words:
        case ["list"]:
            return await _list(amqp_url, queues)
        case ["show", queue] if queue in queues:
            return await _show(amqp_url, queue)
        case ["replay", queue] if queue in queues:
            return await _replay(amqp_url, queue, None)
        case ["replay", queue, message_id] if queue in queues:
            return await _replay(amqp_url, queue, message_id)
        case ["drop", queue, message_id] if queue in queues:
            return await _drop(amqp_url, queue, message_id)
    sys.stderr.write(USAGE + "".join(f"  {queue}\n" for queue in queues))
    return 2


def _print(**facts: Any) -> None:
    sys.stdout.write(json.dumps(facts, ensure_ascii=False) + "\n")


def _facts(message: Message) -> dict[str, Any]:
    headers = message.headers
    return {
        "message_id": message.message_id,
        "reason": headers.get(inbox.REASON, "its worker died, or it was delivered too often"),
        "attempts": headers.get(inbox.ATTEMPT),
        "dead_lettered_at": headers.get(inbox.DEAD_LETTERED_AT),
    }


async def _list(amqp_url: str, queues: list[str]) -> int:
    async with opened(amqp_url) as channel:
        for queue in queues:
            for delivery in await take(channel, dead_letter_queue(queue), LIMIT):
                _print(queue=queue, **_facts(delivery.message))
    return 0


async def _show(amqp_url: str, queue: str) -> int:
    async with opened(amqp_url) as channel:
        for delivery in await take(channel, dead_letter_queue(queue), LIMIT):
            message = delivery.message
            _print(queue=queue, **_facts(message), body=message.body.decode(errors="replace"))
    return 0


async def _replay(amqp_url: str, queue: str, message_id: str | None) -> int:
    async with opened(amqp_url) as channel:
        chosen = _chosen(await take(channel, dead_letter_queue(queue), LIMIT), message_id)
        for delivery in chosen:
            message = delivery.message
            headers = {name: value for name, value in message.headers.items() if name != inbox.ATTEMPT}
            again = Message(message.body, message.message_id, queue, message.correlation_id, headers)
            await publish(await channel.get_exchange(service_exchange(queue)), again)
            await delivery.acknowledge()
            _print(queue=queue, message_id=message.message_id, replayed=True)
    return 0 if chosen or message_id is None else 1


async def _drop(amqp_url: str, queue: str, message_id: str) -> int:
    async with opened(amqp_url) as channel:
        chosen = _chosen(await take(channel, dead_letter_queue(queue), LIMIT), message_id)
        for delivery in chosen:
            await delivery.acknowledge()
            _print(queue=queue, message_id=message_id, dropped=True, **{"body": delivery.message.body.decode()})
    return 0 if chosen else 1


def _chosen(deliveries: list[Delivery], message_id: str | None) -> list[Delivery]:
    return [each for each in deliveries if message_id in {None, each.message.message_id}]
