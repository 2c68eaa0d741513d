"""Messages published and received, and publisher confirms."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import aio_pika
from aio_pika.abc import AbstractExchange, AbstractIncomingMessage, HeadersType
from aio_pika.exceptions import CONNECTION_EXCEPTIONS

CONFIRM_SECONDS = 10

AWAY = (*CONNECTION_EXCEPTIONS, TimeoutError)
"""What a publish, a declaration or a consumer raises when the broker is away or refuses."""

Exchange = AbstractExchange


@dataclass(frozen=True)
class Message:
    """A message body with its AMQP properties and headers."""

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
    """A received message, to be acknowledged once its effect is stored, or requeued."""

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

    @property
    def requeued(self) -> int:
        """How often the message was delivered before and requeued."""
        count = self._incoming.headers.get("x-delivery-count", 0)
        return count if isinstance(count, int) else 0

    async def acknowledge(self) -> None:
        """Acknowledge the message: its effect is stored."""
        async with asyncio.timeout(CONFIRM_SECONDS):
            await self._incoming.ack()

    async def requeue(self) -> None:
        """Return the message to its queue; the broker redelivers it immediately.

        If that cannot be sent, the channel is closed: it then requeues whatever was delivered over it.
        """
        try:
            async with asyncio.timeout(CONFIRM_SECONDS):
                await self._incoming.nack(requeue=True)
        except AWAY:
            await self._incoming.channel.close()


def _plain(headers: HeadersType) -> dict[str, Any]:
    return {name: value for name, value in headers.items() if not name.startswith("x-")}


async def publish(exchange: AbstractExchange, message: Message) -> None:
    """Publish a message and wait for the broker's confirmation; a returned or refused one raises."""
    await exchange.publish(message._pika(), message.routing_key, mandatory=True, timeout=CONFIRM_SECONDS)


async def publish_all(exchange: AbstractExchange, messages: Sequence[Message]) -> list[BaseException | None]:
    """Publish a batch in order; for each message None once the broker confirmed it, else why it did not."""
    return await asyncio.gather(*(publish(exchange, message) for message in messages), return_exceptions=True)
