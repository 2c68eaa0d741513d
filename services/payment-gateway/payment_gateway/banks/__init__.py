"""What the payment gateway wants of a bank, whichever it is.

Adding a bank is one module here and one line in ``app``.
"""

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from aiohttp import web

from contracts.events.billing import CheckoutOpened
from contracts.events.payment import Mode
from payment_gateway.domain.payments import Answer, Attempt


@dataclass(frozen=True)
class Opened:
    """The bank's own reference of the attempt, and the page where the parent pays."""

    bank_reference: str
    payer_url: str


@dataclass(frozen=True)
class Heard:
    """A bank's answer, with the bytes it came in."""

    answer: Answer
    body: bytes


class Bank(Protocol):
    """A driver: it speaks the bank's protocol and stores nothing."""

    name: str
    account: str
    mode: Mode

    async def start(self) -> None:
        """Open the HTTP client."""

    async def stop(self) -> None:
        """Close the HTTP client."""

    def reference(self, checkout: CheckoutOpened, payment_id: UUID) -> str:
        """Our reference of an attempt, in the characters this bank allows."""

    async def open(self, attempt: Attempt) -> Opened:
        """Announce the attempt to the bank; ``BankRefused`` or ``BankUnreachable``."""

    async def ask(self, attempt: Attempt) -> Heard:
        """Ask for the authoritative result; ``BankUnreachable`` when there is no answer to rely on."""

    def notice_reference(self, query: str, body: bytes) -> str | None:
        """The bank reference that a notification speaks of, or None when it cannot be read."""


BANKS = web.AppKey("banks", dict[str, Bank])
