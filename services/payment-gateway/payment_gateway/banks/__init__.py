"""What the payment gateway wants of a bank, whichever it is.

A driver speaks for one account, under a name of its own that is also the end of its webhook's address. Adding a bank
is one module here, one settings class and one entry in ``app``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Protocol
from uuid import UUID

import aiohttp
from aiohttp import web

from contracts.api.payment_gateway import PayerForm
from contracts.events.billing import CheckoutOpened
from contracts.events.payment import Mode
from payment_gateway.domain.failures import BankUnreachable, NoAccount
from payment_gateway.domain.payments import Answer, Attempt, is_name
from payment_gateway.settings import Networks

ANSWER_BYTES_MAX = 262_144


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


@dataclass(frozen=True)
class Notice:
    """A notification: the reference it names, the bank's or ours, and its answer when its signature proves it.

    One that ``is_signed`` may be a hint too, where it says nothing about the result. Without a reference it is the
    bank's, and about nothing that is followed here. ``ValueError`` when the reference
    cannot be one.
    """

    reference: str | None
    answer: Answer | None = None
    is_signed: bool = True

    def __post_init__(self) -> None:
        if self.reference is not None and not is_name(self.reference):
            raise ValueError("the reference is not one")


class Forged(Exception):  # noqa: N818 - what it is
    """A notification that is not the bank's: no signature of its own, or of another account."""


class Unreadable(Exception):  # noqa: N818 - what it is
    """A notification that the bank signed for this account, and that lacks something or holds a value that is none.

    What can be read of it is kept for a person: ``reference`` of a payment, its ``amount_cents``, the ``result``.
    """

    def __init__(self, why: str, *, reference: str | None, amount: str | None, result: str | None) -> None:
        super().__init__(f"signed, but cannot be read: {why}")
        self.reference = reference if is_name(reference) else None
        self.result = result if is_name(result) else None
        is_amount = amount is not None and re.fullmatch(r"[1-9][0-9]{0,8}", amount, re.ASCII)
        self.amount_cents = int(amount) if amount and is_amount else None


class Bank(Protocol):
    """A driver: it speaks the bank's protocol and stores nothing.

    ``can_be_asked`` and ``can_refund`` say what services the bank has; ``ask`` and ``refund`` are called only then.
    """

    name: str
    account: str
    mode: Mode
    tills: frozenset[str]
    sources: Networks
    can_be_asked: bool
    can_refund: bool

    async def start(self) -> None:
        """Open the HTTP client."""

    async def stop(self) -> None:
        """Close the HTTP client."""

    async def check(self) -> None:
        """Make sure that the bank knows this account; ``BankRefused`` or ``BankUnreachable``."""

    def reference(self, checkout: CheckoutOpened, payment_id: UUID) -> str:
        """Our reference of an attempt, in the characters this bank allows."""

    def can_tell(self, payer_email: str) -> bool:
        """Whether the bank can be given this mail address, which it wants for its own receipt."""

    async def open(self, attempt: Attempt) -> Opened:
        """Announce the attempt to the bank; ``BankRefused`` or ``BankUnreachable``."""

    def form(self, attempt: Attempt) -> PayerForm | None:
        """What the parent's browser posts to the bank, where the bank wants a form."""

    async def ask(self, attempt: Attempt) -> Heard:
        """Ask for the authoritative result; ``BankUnreachable`` when there is no answer to rely on."""

    async def close(self, attempt: Attempt) -> None:
        """Close the bank's page where the bank lets us, so that nobody pays on it any more; ``BankUnreachable``."""

    async def refund(self, attempt: Attempt, amount_cents: int, key: str) -> Heard:
        """Give money back, once for the same ``key``; all that is back then. ``BankRefused`` or ``BankUnreachable``."""

    def read_notice(self, query: str, body: bytes, headers: Mapping[str, str]) -> Notice:
        """What a notification says, read from its raw bytes; ``Forged`` unless it can be the bank's, ``Unreadable``."""


def cents(text: str) -> int:
    """Cents as banks write them, digits and nothing else; ``ValueError``."""
    if not re.fullmatch(r"[0-9]{1,11}", text):
        raise ValueError("not an amount in cents")
    return int(text)


def is_elsewhere(source: str, announced: Networks) -> bool:
    """Whether a notification comes from outside the addresses that its bank announced; False where it announced none.

    It is a reason to look at the bank's announcements, and no reason to believe or refuse anything.
    """
    if not announced:
        return False
    try:
        address = ip_address(source)
    except ValueError:
        return True
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return not any(address in network for network in announced)


async def whole(response: aiohttp.ClientResponse) -> bytes:
    """A bank's answer to its end, in however many pieces it comes; ``BankUnreachable`` when it is too long."""
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > ANSWER_BYTES_MAX:
            raise BankUnreachable("the bank's answer is too long", retry_after_seconds=10)
    return bytes(body)


BANKS = web.AppKey("banks", dict[str, Bank])


def bank_of(app: web.Application, attempt: Attempt) -> Bank:
    """The driver of the account an attempt was made at."""
    bank = app[BANKS].get(attempt.bank)
    if bank is None or bank.account != attempt.account:
        raise NoAccount("this payment's bank account is not configured here any more", bank=attempt.bank)
    return bank


def bank_for_till(app: web.Application, till: str) -> Bank:
    """Where a till's payments go: the account that names it, else the first."""
    banks = list(app[BANKS].values())
    return next((bank for bank in banks if till in bank.tills), banks[0])
