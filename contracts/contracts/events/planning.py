"""Events of planning: bookings, enrolments, waiting lists and attendance."""

from enum import StrEnum
from uuid import UUID

from contracts.events.auth import Span
from contracts.events.event import Event
from contracts.model import Contract, Day, Instant, Label, Version


class Channel(StrEnum):
    """How a change came in: « par internet », « par la mairie », « import », « automatique », « liste d'attente »."""

    INTERNET = "internet"
    TOWN_HALL = "town_hall"
    IMPORT = "import"
    AUTOMATIC = "automatic"
    WAITING_LIST = "waiting_list"


class Presence(StrEnum):
    """What became of a day: booked and there, not there, not there with a good reason, there without a booking."""

    PRESENT = "present"
    ABSENT = "absent"
    JUSTIFIED = "justified"
    EXTRA = "extra"


class BookedDay(Contract):
    """One day of one activity as it is after the change."""

    activity_id: UUID
    activity_label: Label
    day: Day
    booked: bool


class BookingsChanged(Event):
    """Days of one child in one household that changed together.

    ``version`` grows by one with each change of the (household, child) pair; a consumer keeps, for each day and
    activity, the state that came with the highest version. ``reason`` is why the town hall closed the days;
    ``enrolled`` are the dates that it gave the child's enrolment, and that the days are outside of. With either,
    ``waited`` are days of waiting lists that the child left because of it.
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
    waited: tuple[BookedDay, ...] = ()
    reason: Label | None = None
    enrolled: Span | None = None

    @property
    def subject(self) -> str:
        return f"bookings/{self.household_id}/{self.child_id}"


class EnrolmentChanged(Event):
    """A child may book an activity from a day to another; ``version`` grows with each change of the same enrolment."""

    type = "planning.enrolment.changed"

    household_id: UUID
    child_id: UUID
    activity_id: UUID
    activity_label: Label
    first_day: Day
    last_day: Day
    version: Version

    @property
    def subject(self) -> str:
        return f"enrolment/{self.household_id}/{self.child_id}/{self.activity_id}"


class PlaceGranted(Event):
    """A place came free and went to the child that waited longest; the booking itself is in ``BookingsChanged``."""

    type = "planning.place.granted"

    household_id: UUID
    child_id: UUID
    child_first_name: Label
    version: Version
    activity_id: UUID
    activity_label: Label
    day: Day
    granted_at: Instant
    cancel_until: Instant

    @property
    def subject(self) -> str:
        return f"bookings/{self.household_id}/{self.child_id}"


class PlaceOffered(Event):
    """A place came free and is held for the child that waited longest, until it is accepted or refused, or the offer
    is over. ``position`` is the child's in the list: it is offered a place once for each time that it joins one.
    """

    type = "planning.place.offered"

    household_id: UUID
    child_id: UUID
    child_first_name: Label
    activity_id: UUID
    activity_label: Label
    day: Day
    position: int
    offered_at: Instant
    offered_until: Instant

    @property
    def subject(self) -> str:
        return f"bookings/{self.household_id}/{self.child_id}"


class OfferLapsed(Event):
    """An offer expired: the child left the waiting list, and the place goes to the next child, if any may still have
    it. ``position`` is that of ``PlaceOffered``. The family may request the day again until ``book_until``."""

    type = "planning.offer.lapsed"

    household_id: UUID
    child_id: UUID
    child_first_name: Label
    activity_id: UUID
    activity_label: Label
    day: Day
    position: int
    offered_until: Instant
    lapsed_at: Instant
    book_until: Instant

    @property
    def subject(self) -> str:
        return f"bookings/{self.household_id}/{self.child_id}"


class AttendanceRecorded(Event):
    """What became of a child's day, as marked last: ``version`` grows with each change of the same day of the child,
    in whichever of its households. ``late_pickup`` is a child that came and was fetched late.
    """

    type = "planning.attendance.recorded"

    household_id: UUID
    child_id: UUID
    child_first_name: Label
    activity_id: UUID
    activity_label: Label
    day: Day
    presence: Presence
    late_pickup: bool
    booked: bool
    version: Version
    recorded_by: UUID
    recorded_at: Instant

    @property
    def subject(self) -> str:
        return f"attendance/{self.household_id}/{self.child_id}"
