"""What planning says: which days a child is booked."""

from datetime import date
from enum import StrEnum
from uuid import UUID

from contracts.events.event import Event
from contracts.model import Contract, Instant, Label, Version


class Channel(StrEnum):
    """How a change came in: « par internet », « par la mairie », « import », « automatique »."""

    INTERNET = "internet"
    TOWN_HALL = "town_hall"
    IMPORT = "import"
    AUTOMATIC = "automatic"


class BookedDay(Contract):
    """One day of one activity as it is after the change."""

    activity_id: UUID
    activity_label: Label
    day: date
    booked: bool


class BookingsChanged(Event):
    """Days of one child in one household that changed together.

    ``version`` grows by one with each change of the (household, child) pair; a listener keeps, for each day and
    activity, the state that came with the highest version.
    """

    type = "planning.bookings.changed"

    household_id: UUID
    child_id: UUID
    child_first_name: Label
    version: Version
    channel: Channel
    changed_by: UUID
    changed_at: Instant
    days: tuple[BookedDay, ...]

    @property
    def subject(self) -> str:
        return f"bookings/{self.household_id}/{self.child_id}"
