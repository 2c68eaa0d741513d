"""notifier: preferences, the mail log and the town hall's message."""

from enum import StrEnum
from typing import Self
from uuid import UUID

from pydantic import Field, model_validator

from contracts.model import Contract, Instant, Label, Language


class Preferences(Contract):
    """``GET`` and ``PUT /preferences``: which mails the signed-in guardian wants; payment mails are always sent.

    ``language`` is the guardian's own choice, for pages and mails; without one, the household's holds.
    """

    invoice_published: bool = False
    reminders: bool = True
    booking_recap: bool = False
    announcements: bool = True
    language: Language | None = None


class PreferencesView(Preferences):
    """What is saved, and the address it goes to; ``email_returns``: mails to it came back, none is sent any more."""

    email: str | None
    email_returns: bool
    saved_at: Instant | None


class AudienceRequest(Contract):
    """Whom a message is for: one school's families, those of an activity, or all when neither is named."""

    school: Label | None = None
    activity_id: UUID | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if self.school is not None and self.activity_id is not None:
            raise ValueError("a message is for a school or for an activity")
        return self


class AnnouncementRequest(AudienceRequest):
    """``POST /announcements``: a message in Markdown, shown immediately or from ``starts_at``.

    ``by_mail`` also sends it as mail when it starts.
    """

    markdown: str = Field(min_length=1, max_length=10_000)
    starts_at: Instant | None = None
    ends_at: Instant | None = None
    by_mail: bool = False

    @model_validator(mode="after")
    def _ends_after_its_start(self) -> Self:
        if self.ends_at and self.starts_at and self.ends_at <= self.starts_at:
            raise ValueError("a message ends after its start")
        return self


class Audience(Contract):
    """``GET /announcements/audience``, with ``school`` or ``activity_id``: the size of the audience.

    ``households`` see the message; ``mails`` is the number of guardians who have an address and have not unsubscribed.
    """

    households: int
    mails: int


class Announcement(Contract):
    """``GET /announcement``, public: the current message; empty Markdown if there is none."""

    markdown: str


class Announcements(Contract):
    """``GET /households/{household_id}/announcements``: what is shown to its guardians now, newest first."""

    announcements: tuple[Announcement, ...]


class AnnouncementState(StrEnum):
    """Where a message stands."""

    PLANNED = "planned"
    SHOWN = "shown"
    ENDED = "ended"


class AnnouncementView(AnnouncementRequest):
    """A message as staff see it, with how many mails were made of it and how many of them went."""

    announcement_id: int
    starts_at: Instant
    activity_label: Label | None
    state: AnnouncementState
    saved_at: Instant
    mails: int
    mails_sent: int


class AudienceActivity(Contract):
    """An activity that some child is enrolled in."""

    activity_id: UUID
    label: Label


class AnnouncementArchive(Contract):
    """``GET /announcements``, newest first, and the schools and activities a message can be for."""

    announcements: tuple[AnnouncementView, ...]
    schools: tuple[Label, ...]
    activities: tuple[AudienceActivity, ...]


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


class PaymentMail(Contract):
    """A mail about a payment; ``recipient`` and ``answer`` are visible to staff only."""

    kind: Label
    status: MailStatus
    created_at: Instant
    sent_at: Instant | None
    recipient: str | None = None
    answer: str | None = None


class PaymentMails(Contract):
    """``GET /households/{household_id}/payments/{payment_id}/mails``, oldest first."""

    mails: tuple[PaymentMail, ...]


class Unsubscription(Contract):
    """``POST /unsubscriptions``, with the link of a mail: unsubscribe from one kind of optional mail."""

    unsubscribe_key: UUID
    kind: Label
