"""planning: what a child can be booked for, and the days that are."""

from datetime import time
from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, model_validator

from contracts.model import Contract, Day, Instant, Label, Line

Weekday = Annotated[int, Field(ge=1, le=7)]
"""ISO weekday, Monday is 1."""


class PeriodKind(StrEnum):
    """Which days an activity is about."""

    SCHOOL_DAYS = "school_days"
    WEDNESDAYS = "wednesdays"
    SMALL_HOLIDAYS = "small_holidays"
    SUMMER = "summer"
    EXPLICIT = "explicit"


class DeadlineUnit(StrEnum):
    """What the days of a notice are counted in: all, those that are neither weekend nor public holiday, or those on
    which the activity itself takes place."""

    CALENDAR_DAYS = "calendar_days"
    WORKING_DAYS = "working_days"
    SERVICE_DAYS = "service_days"


SERVICE_DAYS_MAX = 20


class Deadline(Contract):
    """Until when a day may be changed, in Europe/Paris. One rule in one of three forms.

    ``days_before`` days of ``counting`` before it, at ``at``; or ``weekday_before``, that weekday of the week before
    the day's, at ``at``; or ``until``, one instant for every day (but no later than the day's first minute).
    """

    days_before: int = Field(default=0, ge=0, le=60)
    counting: DeadlineUnit = DeadlineUnit.CALENDAR_DAYS
    at: time | None = None
    weekday_before: Weekday | None = None
    until: Instant | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if (self.at is None) is (self.until is None):
            raise ValueError("a notice has either a time of the day or an instant")
        if self.at is not None and self.at.tzinfo is not None:
            raise ValueError("the time of the day is that of Europe/Paris, without an offset")
        if self.days_before and (self.until or self.weekday_before):
            raise ValueError("a notice counts days, or names a weekday or an instant, not both")
        if self.counting is DeadlineUnit.SERVICE_DAYS and self.days_before > SERVICE_DAYS_MAX:
            raise ValueError(f"at most {SERVICE_DAYS_MAX} service days are counted")
        return self


Places = Annotated[int, Field(ge=0, le=10_000)]
"""How many children on one day."""
ACTIVITY_DAYS_MAX = 1500


class ActivityRequest(Contract):
    """``PUT /activities/{activity_id}``.

    ``days`` are those of an explicit period, and empty otherwise. ``schools`` restricts the activity to children of
    those schools; empty means all. Families may book from ``opens_at`` on; absent, always. ``capacity`` is per day,
    ``school_capacities`` per school within it; beyond either there is a waiting list by arrival. With
    ``siblings_first``, siblings of a booked child come first; with ``residents_first``, children who live in the town
    on that day come before all others. A freed place is granted immediately, or with ``offer_hours`` offered for that
    long to one child after the other.
    """

    label: Label
    period: PeriodKind
    weekdays: frozenset[Weekday] = Field(min_length=1)
    first_day: Day
    last_day: Day
    booking_notice: Deadline
    cancelling_notice: Deadline
    capacity: Places | None = None
    school_capacities: dict[Label, Places] = Field(default={}, max_length=100)
    position: int = Field(default=0, ge=0, le=1000)
    days: frozenset[Day] = Field(default=frozenset(), max_length=400)
    schools: frozenset[Label] = Field(default=frozenset(), max_length=100)
    opens_at: Instant | None = None
    siblings_first: bool = False
    residents_first: bool = False
    offer_hours: int | None = Field(default=None, ge=1, le=168)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not 0 <= (self.last_day - self.first_day).days <= ACTIVITY_DAYS_MAX:
            raise ValueError(f"an activity lasts 1 to {ACTIVITY_DAYS_MAX} days")
        if bool(self.days) is not (self.period is PeriodKind.EXPLICIT):
            raise ValueError("an explicit period names its days, and no other does")
        return self


class ActivityView(ActivityRequest):
    """An activity as it is."""

    activity_id: UUID


class ActivityList(Contract):
    """``GET /activities``."""

    activities: tuple[ActivityView, ...]


class ActivityDay(Contract):
    """A day an activity is about, why it is closed, and until when it can be booked and cancelled."""

    day: Day
    closed: Label | None
    book_until: Instant
    cancel_until: Instant


class ActivityCalendar(Contract):
    """``POST /activities/preview`` with an ``ActivityRequest``: the days it would have, before it is saved.

    ``known_until`` is the last day of the published school calendar: past it, nothing that depends on it is offered.
    """

    days: tuple[ActivityDay, ...]
    known_until: Day | None


class SchoolDayRequest(Contract):
    """``PUT /school-days/{day}``: a change by decree. With ``holiday`` the day becomes a holiday of that name;
    without, a school day whatever the published calendar has."""

    holiday: Label | None


class ClosureRequest(Contract):
    """``POST /closures``: a day that cannot be booked, for one activity and one school, or for all when none is named.

    ``cancel_bookings`` cancels the bookings of the day: exactly ``cancel_seen`` if given, else the request is refused
    with their number.
    """

    day: Day
    reason: Line
    activity_id: UUID | None = None
    school: Line | None = None
    cancel_bookings: bool = False
    cancel_seen: int | None = Field(default=None, ge=0, le=1_000_000)


class Closure(ClosureRequest):
    """A closure as it is, and how many bookings it cancelled; ``nobody_attends`` its school, as far as is known."""

    cancelled: int = Field(default=0, ge=0)
    nobody_attends: bool = False


class ClosureList(Contract):
    """``GET /closures``: those still to come."""

    closures: tuple[Closure, ...]
