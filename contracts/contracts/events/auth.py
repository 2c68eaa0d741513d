"""What auth says: who the families are, and when a session ends."""

from datetime import date
from enum import StrEnum
from uuid import UUID

from contracts.events.event import Event
from contracts.model import Contract, Instant, Label, Reference, Version


class Custody(StrEnum):
    """Which days of a child are this household's: ISO week parity, or all of them."""

    FREE = "free"
    EVEN_WEEKS = "even_weeks"
    ODD_WEEKS = "odd_weeks"


class HouseholdChild(Contract):
    """A child as one of its households knows it."""

    child_id: UUID
    first_name: Label
    last_name: Label
    birth_date: date
    school: Label
    class_name: Label
    custody: Custody = Custody.FREE


class HouseholdChanged(Event):
    """A household as it is now, children included."""

    type = "auth.household.changed"

    household_id: UUID
    version: Version
    reference: Reference
    name: Label
    address: tuple[Label, ...]
    active: bool
    children: tuple[HouseholdChild, ...]

    @property
    def subject(self) -> str:
        return f"household/{self.household_id}"


class GuardianChanged(Event):
    """An adult of a household as known now; ``email`` is absent until one is known."""

    type = "auth.guardian.changed"

    guardian_id: UUID
    household_id: UUID
    version: Version
    first_name: Label
    last_name: Label
    email: str | None
    active: bool

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
