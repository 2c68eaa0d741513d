"""Which mail a fact asks for, in which language, and when a mail that did not go is tried again."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from contracts.model import Language

PAUSE_MAX = timedelta(hours=1)


class Kind(StrEnum):
    """The mails there are; each has its template."""

    TICKET = "ticket"
    REFUSED = "refused"
    HELD = "held"
    REFUND = "refund"
    REFUND_UNDONE = "refund_undone"
    RETURNED = "returned"
    INVOICE = "invoice"
    REMINDER = "reminder"
    CREDIT = "credit"
    CREDIT_REFUND = "credit_refund"
    SURPLUS = "surplus"
    RECAP = "recap"
    PLACE = "place"
    OFFER = "offer"
    LAPSED = "lapsed"
    CLOSED = "closed"
    ENDED = "ended"
    RESET = "reset"
    CONFIRM_EMAIL = "confirm_email"
    EMAIL_REPLACED = "email_replaced"
    NEW_DEVICE = "new_device"
    ANNOUNCEMENT = "announcement"


OPTIONAL = frozenset({Kind.INVOICE, Kind.REMINDER, Kind.RECAP, Kind.ANNOUNCEMENT})
"""Left with one click; the others are the answer to what somebody did."""

PRIORITY = {
    Kind.RESET: 0,
    Kind.CONFIRM_EMAIL: 0,
    Kind.EMAIL_REPLACED: 0,
    Kind.NEW_DEVICE: 0,
    Kind.TICKET: 0,
    Kind.REFUSED: 0,
    Kind.HELD: 0,
    Kind.REFUND: 0,
    Kind.REFUND_UNDONE: 0,
    Kind.RETURNED: 0,
    Kind.PLACE: 0,
    Kind.OFFER: 0,
    Kind.LAPSED: 1,
    Kind.CLOSED: 1,
    Kind.ENDED: 1,
    Kind.INVOICE: 1,
    Kind.REMINDER: 1,
    Kind.CREDIT: 1,
    Kind.CREDIT_REFUND: 0,
    Kind.SURPLUS: 0,
    Kind.RECAP: 1,
    Kind.ANNOUNCEMENT: 2,
}
"""What somebody waits for goes before what everybody gets."""


@dataclass(frozen=True)
class Contact:
    """A person who can be written to: a guardian, or somebody of the town hall about their own codes."""

    person_id: UUID
    first_name: str
    email: str


@dataclass(frozen=True)
class Mail:
    """A mail as it is stored; ``event`` is the fact it tells, as JSON, ``traceparent`` where it was intended."""

    mail_id: UUID
    kind: Kind
    recipient: str
    first_name: str
    language: Language
    unsubscribe_key: UUID | None
    event: dict[str, Any]
    attempts: int
    traceparent: str | None = None

    @property
    def domain(self) -> str:
        """Whose mail server takes it."""
        return domain_of(self.recipient)


def domain_of(address: str) -> str:
    """The part of an address after its ``@``."""
    return address.rpartition("@")[2].lower()


def intent(kind: Kind, fact: object, contact: Contact) -> str:
    """The unique name of a mail: one a fact and person."""
    return f"{kind}/{fact}/{contact.person_id}"


def pause(times: int, first_seconds: float) -> timedelta:
    """How long to wait after so many failures: the pause doubles up to an hour."""
    return min(timedelta(seconds=first_seconds * 2.0 ** min(times - 1, 12)), PAUSE_MAX)


def next_try(attempts: int, first_pause_seconds: float, *, now: datetime) -> datetime:
    """When to try again after so many attempts."""
    return now + pause(attempts, first_pause_seconds)
