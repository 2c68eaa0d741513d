"""notifier: preferences, the mail log and the town hall's message."""

from enum import StrEnum
from uuid import UUID

from pydantic import Field

from contracts.model import Contract, Instant, Label


class Language(StrEnum):
    """The languages that mails are written in."""

    FR = "fr"
    EN = "en"


class Preferences(Contract):
    """``GET`` and ``PUT /preferences``: which mails the signed-in guardian wants; payment mails are always sent."""

    invoice_published: bool = False
    booking_recap: bool = False
    language: Language = Language.FR


class PreferencesView(Preferences):
    """What is saved, and the address it goes to."""

    email: str | None
    saved_at: Instant | None


class AnnouncementWish(Contract):
    """``PUT /announcement``: the message of the town hall, in Markdown."""

    markdown: str = Field(max_length=10_000)
    starts_at: Instant
    ends_at: Instant | None = None


class Announcement(Contract):
    """``GET /announcement``, for everyone: the message shown now; empty Markdown when there is none."""

    markdown: str


class MailStatus(StrEnum):
    """Where a mail stands."""

    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"
    BOUNCED = "bounced"


class MailView(Contract):
    """A line of the mail log: never the body."""

    mail_id: UUID
    kind: Label
    recipient: str
    status: MailStatus
    attempts: int
    created_at: Instant
    sent_at: Instant | None
    last_answer: str | None


class MailLog(Contract):
    """``GET /mails``, newest first, or ``GET /mails?status=failed``; ``counts`` are of all mails."""

    mails: tuple[MailView, ...]
    counts: dict[MailStatus, int]


class Unsubscription(Contract):
    """``POST /unsubscriptions``, by whoever has the link of a mail: stop one kind of optional mail."""

    unsubscribe_key: UUID
    kind: Label
