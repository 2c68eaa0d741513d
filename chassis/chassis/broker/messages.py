"""What is published and what comes in."""

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
    """A message that came in; it is acknowledged once what it asked for is stored, or else given back."""

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
    def given_back(self) -> int:
        """How often the broker has delivered the message before and got it back."""
        count = self._incoming.headers.get("x-delivery-count", 0)
        return count if isinstance(count, int) else 0

    async def acknowledge(self) -> None:
        """Tell the broker that the message is done with."""
        async with asyncio.timeout(CONFIRM_SECONDS):
            await self._incoming.ack()

    async def give_back(self) -> None:
        """Put the message back at its place in the queue; the broker delivers it again at once.

        When even that cannot be said the channel is ended: the broker takes back whatever was delivered over it.
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
