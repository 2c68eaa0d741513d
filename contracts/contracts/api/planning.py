"""planning: what a child can be booked for, and the days that are."""

from datetime import date, time
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field

from contracts.events.auth import Custody
from contracts.events.planning import Channel
from contracts.model import Contract, Instant, Label, Month

Weekday = Annotated[int, Field(ge=1, le=7)]
"""ISO weekday, Monday is 1."""


class PeriodKind(StrEnum):
    """Which days an activity is about."""

    SCHOOL_DAYS = "school_days"
    WEDNESDAYS = "wednesdays"
    SMALL_HOLIDAYS = "small_holidays"
    SUMMER = "summer"


class Counting(StrEnum):
    """What the days of a notice are counted in."""

    CALENDAR_DAYS = "calendar_days"
    WORKING_DAYS = "working_days"


class Notice(Contract):
    """Until when a day may be changed: so many days before it, at a time of the day in Europe/Paris."""

    days_before: int = Field(ge=0, le=60)
    counting: Counting = Counting.CALENDAR_DAYS
    at: time


class ActivityWish(Contract):
    """``PUT /activities/{activity_id}``."""

    label: Label
    period: PeriodKind
    weekdays: frozenset[Weekday] = Field(min_length=1)
    first_day: date
    last_day: date
    booking_notice: Notice
    cancelling_notice: Notice
    capacity: int | None = Field(default=None, ge=0, le=10_000)
    position: int = Field(default=0, ge=0, le=1000)


class ActivityView(ActivityWish):
    """An activity as it is."""

    activity_id: UUID


class ActivityList(Contract):
    """``GET /activities``."""

    activities: tuple[ActivityView, ...]


class ClosureWish(Contract):
    """``POST /closures``: a day nobody can book; for one activity, or for all when none is named."""

    day: date
    reason: Label
    activity_id: UUID | None = None
    cancel_bookings: bool = False


class Closure(ClosureWish):
    """A closure as it is, and how many bookings it cancelled."""

    cancelled: int = Field(default=0, ge=0)


class ClosureList(Contract):
    """``GET /closures``: those still to come."""

    closures: tuple[Closure, ...]


class EnrolmentWish(Contract):
    """``PUT /households/{household_id}/children/{child_id}/enrolments/{activity_id}``."""

    first_day: date
    last_day: date


class ChildView(Contract):
    """A child of the household, and whether it is enrolled in something."""

    child_id: UUID
    first_name: Label
    last_name: Label
    school: Label
    class_name: Label
    custody: Custody
    enrolled: bool


class ChildList(Contract):
    """``GET /households/{household_id}/children``."""

    children: tuple[ChildView, ...]


class CellState(StrEnum):
    """What a day of an activity is for this household's child."""

    FREE = "free"
    BOOKED = "booked"
    FULL = "full"
    CLOSED = "closed"
    OTHER_HOUSEHOLD = "other_household"


class Cell(Contract):
    """One activity on one day. ``changeable`` says whether ticking is possible now, ``until`` until when it was or is.

    ``reason`` is set for closed cells, and for cells that cannot be changed for another cause than time.
    """

    activity_id: UUID
    state: CellState
    changeable: bool
    until: Instant | None
    reason: Label | None = None


class Day(Contract):
    """A row of the month; only days with at least one cell are given. ``note`` names a holiday or school holidays."""

    day: date
    note: Label | None
    cells: tuple[Cell, ...]


class ActivityColumn(Contract):
    """A column of the month."""

    activity_id: UUID
    label: Label


class MonthView(Contract):
    """``GET /households/{household_id}/children/{child_id}/months/{month}``.

    ``version`` is what the parent saw: it goes back with the changes, so that an edit made elsewhere is told.
    """

    child: ChildView
    month: Month
    first_month: Month
    last_month: Month
    version: int = Field(ge=0)
    activities: tuple[ActivityColumn, ...]
    days: tuple[Day, ...]


class BookingLine(Contract):
    """One wish: this activity, this day, booked or not."""

    activity_id: UUID
    day: date
    booked: bool


class BookingWish(Contract):
    """``POST /households/{household_id}/bookings`` with an ``Idempotency-Key``: only what changes."""

    child_id: UUID
    seen_version: int = Field(ge=0)
    lines: tuple[BookingLine, ...] = Field(min_length=1, max_length=400)


class LineRefusal(StrEnum):
    """Why a line was not saved."""

    CLOSED = "closed"
    PAST_DEADLINE = "past_deadline"
    FULL = "full"
    NOT_ENROLLED = "not_enrolled"
    NOT_OFFERED = "not_offered"
    CHANGED_ELSEWHERE = "changed_elsewhere"
    OTHER_HOUSEHOLD = "other_household"


class LineOutcome(Contract):
    """What became of a line; ``refusal`` is absent when it is saved. ``booked`` is how the day stands now.

    ``reason`` is why the day is closed, ``until`` when its deadline passed.
    """

    activity_id: UUID
    activity_label: Label
    day: date
    wished: bool
    booked: bool
    refusal: LineRefusal | None = None
    reason: Label | None = None
    until: Instant | None = None


class BookingOutcome(Contract):
    """The recap: every line that was asked, none left out."""

    child: ChildView
    version: int
    lines: tuple[LineOutcome, ...]


class Change(Contract):
    """One line of « mes dernières modifications »."""

    channel: Channel
    changed_at: Instant
    day: date
    booked: bool


class ActivityChanges(Contract):
    """The changes of one activity, newest first."""

    activity_id: UUID
    label: Label
    changes: tuple[Change, ...]


class ChangeHistory(Contract):
    """``GET /households/{household_id}/children/{child_id}/changes``."""

    child: ChildView
    activities: tuple[ActivityChanges, ...]
