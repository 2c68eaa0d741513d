"""Events of auth: households, guardians and sessions."""

from datetime import date
from enum import StrEnum
from uuid import UUID

from pydantic import Field, model_validator

from contracts.events.event import Event
from contracts.model import Contract, Day, Instant, Label, Language, Reference, Version


class Custody(StrEnum):
    """Which days of a child are this household's: ISO week parity, or all of them."""

    FREE = "free"
    EVEN_WEEKS = "even_weeks"
    ODD_WEEKS = "odd_weeks"


class Span(Contract):
    """Days from the first to the last, both included."""

    first_day: Day
    last_day: Day

    @model_validator(mode="after")
    def _is_in_order(self) -> "Span":
        if self.last_day < self.first_day:
            raise ValueError("the last day is before the first")
        return self


class HouseholdChild(Contract):
    """A child as one of its households knows it.

    ``custody_days`` are this household's and no other's, whatever the week; beside ``free`` they are its only ones.
    """

    child_id: UUID
    first_name: Label
    last_name: Label
    birth_date: date
    school: Label
    class_name: Label
    custody: Custody = Custody.FREE
    custody_days: tuple[Span, ...] = ()


class HouseholdChanged(Event):
    """A household as it is now, children included; of one that was ``erased`` nobody keeps names.

    ``locale`` is what it is written to in, as long as a guardian has not chosen.
    """

    type = "auth.household.changed"

    household_id: UUID
    version: Version
    reference: Reference
    name: Label
    address: tuple[Label, ...]
    active: bool
    erased: bool = False
    locale: Language = Language.FR
    children: tuple[HouseholdChild, ...]

    @property
    def subject(self) -> str:
        return f"household/{self.household_id}"


class GuardianChanged(Event):
    """A guardian as known now; ``email`` is absent until one is known.

    Of an ``erased`` guardian consumers delete names and addresses wherever they are stored.
    """

    type = "auth.guardian.changed"

    guardian_id: UUID
    household_id: UUID
    version: Version
    first_name: Label
    last_name: Label
    email: str | None
    active: bool
    erased: bool = False

    @property
    def subject(self) -> str:
        return f"guardian/{self.guardian_id}"


class SessionEnded(Event):
    """A session that nobody may use any more."""

    type = "auth.session.ended"

    session_id: UUID
    ended_at: Instant

    @property
    def subject(self) -> str:
        return f"session/{self.session_id}"


class ResetRequested(Event):
    """A new secret was requested and an account has that address, to which alone the link goes.

    The token is encrypted for the service that writes the mail: it cannot be read in outboxes, queues or tables.
    """

    type = "auth.reset.requested"

    link_id: UUID
    account_id: UUID
    first_name: Label
    identifier: str
    email: str
    sealed_token: str
    expires_at: Instant

    @property
    def subject(self) -> str:
        return f"account/{self.account_id}"


class EmailGiven(Event):
    """Somebody gave an address as their own: it is believed once the link that is sent there was used.

    ``sealed_token`` as in ``ResetRequested``.
    """

    type = "auth.email.given"

    link_id: UUID
    account_id: UUID
    first_name: Label
    email: str
    sealed_token: str
    expires_at: Instant

    @property
    def subject(self) -> str:
        return f"account/{self.account_id}"


class NewDeviceUsed(Event):
    """A sign-in from a device that this account never used before; not published for its first device.

    ``browser`` and ``system`` come from the user agent; either may be empty.
    """

    type = "auth.device.new"

    session_id: UUID
    account_id: UUID
    first_name: Label
    email: str
    browser: str = Field(max_length=40)
    system: str = Field(max_length=40)
    signed_in_at: Instant

    @property
    def subject(self) -> str:
        return f"account/{self.account_id}"


class EmailReplaced(Event):
    """An account has another address now; ``email`` is the one before, whose owner may not have wanted it."""

    type = "auth.email.replaced"

    account_id: UUID
    first_name: Label
    email: str
    replaced_at: Instant

    @property
    def subject(self) -> str:
        return f"account/{self.account_id}"
