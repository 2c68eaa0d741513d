"""Which mail a fact asks for, and when a mail that did not go is tried again."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

PAUSE_MAX = timedelta(hours=1)


class Kind(StrEnum):
    """The mails there are; each has its templates."""

    TICKET = "ticket"
    INVOICE = "invoice"
    RECAP = "recap"
    RESET = "reset"
    CONFIRM_EMAIL = "confirm_email"


@dataclass(frozen=True)
class Contact:
    """A guardian who can be written to."""

    guardian_id: UUID
    first_name: str
    email: str


@dataclass(frozen=True)
class Mail:
    """A mail as it is stored; ``event`` is the fact it tells, as JSON."""

    mail_id: UUID
    kind: Kind
    recipient: str
    first_name: str
    event: dict[str, Any]
    attempts: int


def intent(kind: Kind, fact: object, contact: Contact) -> str:
    """The unique name of a mail: one a fact and person."""
    return f"{kind}/{fact}/{contact.guardian_id}"


def next_try(attempts: int, first_pause_seconds: float, *, now: datetime) -> datetime:
    """When to try again after so many attempts: the pause doubles up to an hour."""
    pause = timedelta(seconds=first_pause_seconds * 2.0 ** min(attempts - 1, 12))
    return now + min(pause, PAUSE_MAX)
