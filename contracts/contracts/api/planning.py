"""planning: what a child can be booked for, and the days that are."""

from datetime import date, time
from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, SecretStr, model_validator

from contracts.events.auth import Custody
from contracts.events.planning import Channel
from contracts.model import Contract, Instant, Label, Month, SeenVersion, Version

Weekday = Annotated[int, Field(ge=1, le=7)]
"""ISO weekday, Monday is 1."""


class PeriodKind(StrEnum):
    """Which days an activity is about."""

    SCHOOL_DAYS = "school_days"
    WEDNESDAYS = "wednesdays"
    SMALL_HOLIDAYS = "small_holidays"
    SUMMER = "summer"
    EXPLICIT = "explicit"


class Counting(StrEnum):
    """What the days of a notice are counted in: all, those that are neither weekend nor public holiday, or those on
    which the activity itself takes place."""

    CALENDAR_DAYS = "calendar_days"
    WORKING_DAYS = "working_days"
    SERVICE_DAYS = "service_days"


SERVICE_DAYS_MAX = 20


class Notice(Contract):
    """Until when a day may be changed, in Europe/Paris. One rule in one of three forms.

    ``days_before`` days of ``counting`` before it, at ``at``; or ``weekday_before``, that weekday of the week before
    the day's, at ``at``; or ``until``, one instant for every day (but no later than the day's first minute).
    """

    days_before: int = Field(default=0, ge=0, le=60)
    counting: Counting = Counting.CALENDAR_DAYS
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
        if self.counting is Counting.SERVICE_DAYS and self.days_before > SERVICE_DAYS_MAX:
            raise ValueError(f"at most {SERVICE_DAYS_MAX} service days are counted")
        return self


Places = Annotated[int, Field(ge=0, le=10_000)]
"""How many children on one day."""

ACTIVITY_DAYS_MAX = 1500


class ActivityWish(Contract):
    """``PUT /activities/{activity_id}``.

    ``days`` are those of an explicit period, and of no other. ``schools`` restricts the activity to children of those
    schools; none means all. From ``opens_at`` on a family may book; absent, it always may. ``capacity`` is for each
    day, ``school_capacities`` for the children of a school, within it; past either there is a waiting list, by arrival;
    with ``siblings_first``, siblings of a booked child come before; with ``residents_first``, those who live in the
    town on that day come before all others. A place that comes free is theirs at once, or with ``offer_hours`` offered
    for that long, and then to the next.
    """

    label: Label
    period: PeriodKind
    weekdays: frozenset[Weekday] = Field(min_length=1)
    first_day: date
    last_day: date
    booking_notice: Notice
    cancelling_notice: Notice
    capacity: Places | None = None
    school_capacities: dict[Label, Places] = Field(default={}, max_length=100)
    position: int = Field(default=0, ge=0, le=1000)
    days: frozenset[date] = Field(default=frozenset(), max_length=400)
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


class ActivityView(ActivityWish):
    """An activity as it is."""

    activity_id: UUID


class ActivityList(Contract):
    """``GET /activities``."""

    activities: tuple[ActivityView, ...]


class ActivityDay(Contract):
    """A day an activity is about, why it is closed, and until when it can be booked and cancelled."""

    day: date
    closed: Label | None
    book_until: Instant
    cancel_until: Instant


class ActivityCalendar(Contract):
    """``POST /activities/preview`` with an ``ActivityWish``: the days it would have, before it is saved.

    ``known_until`` is the last day of the published school calendar: past it, nothing that depends on it is offered.
    """

    days: tuple[ActivityDay, ...]
    known_until: date | None


class SchoolDayWish(Contract):
    """``PUT /school-days/{day}``: what a decree changed. With a ``holiday`` the day is one, of that name; without, the
    day is a school day whatever the published calendar says."""

    holiday: Label | None


class ClosureWish(Contract):
    """``POST /closures``: a day nobody can book; for one activity and one school, or for all when none is named."""

    day: date
    reason: Label
    activity_id: UUID | None = None
    school: Label | None = None
    cancel_bookings: bool = False


class Closure(ClosureWish):
    """A closure as it is, and how many bookings it cancelled."""

    cancelled: int = Field(default=0, ge=0)


class ClosureList(Contract):
    """``GET /closures``: those still to come."""

    closures: tuple[Closure, ...]


class EnrolmentWish(Contract):
    """``PUT /households/{household_id}/children/{child_id}/enrolments/{activity_id}``: from a day to another, both
    included, in place of the dates before.

    ``seen_version`` is that of the enrolment as it was shown, 0 where there was none; absent, it takes the place of
    whatever is there. Days to come that are booked outside these dates are told, and cancelled with
    ``cancel_bookings``.
    """

    first_day: date
    last_day: date
    seen_version: SeenVersion | None = None
    cancel_bookings: bool = False

    @model_validator(mode="after")
    def _is_in_order(self) -> Self:
        if self.last_day < self.first_day:
            raise ValueError("the last day is before the first")
        return self


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


class Enrolment(Contract):
    """An enrolment as it is; who changed it last came in by ``channel``. ``cancelled`` says how many booked days the
    change that is being answered has cancelled."""

    activity_id: UUID
    activity_label: Label
    first_day: date
    last_day: date
    version: Version
    channel: Channel | None = None
    changed_at: Instant | None = None
    cancelled: int = Field(default=0, ge=0)


class EnrolmentChoice(Contract):
    """An activity that a child may be enrolled in: open to its school, not over, and not running for it already.

    ``version`` is that of an enrolment that is over, 0 where there was none.
    """

    activity_id: UUID
    label: Label
    first_day: date
    last_day: date
    version: SeenVersion


class ChildEnrolments(Contract):
    """A child, what it is enrolled in, and what it could be."""

    child: ChildView
    enrolments: tuple[Enrolment, ...]
    choices: tuple[EnrolmentChoice, ...]


class EnrolmentBook(Contract):
    """``GET /households/{household_id}/enrolments``."""

    children: tuple[ChildEnrolments, ...]


class CellState(StrEnum):
    """What a day of an activity is for this household's child."""

    FREE = "free"
    BOOKED = "booked"
    FULL = "full"
    WAITING = "waiting"
    CLOSED = "closed"
    OTHER_HOUSEHOLD = "other_household"


class Cell(Contract):
    """One activity on one day. ``changeable`` says whether ticking is possible now, ``until`` until when it was or is.

    A full day that is changeable has a waiting list to join; ``rank`` is the child's place in it. ``opens_at`` is set
    while booking has not begun. ``reason`` is set for closed cells. ``offered_until`` is set while a place is held for
    who waits: booking the day takes it, leaving the list refuses it.
    """

    activity_id: UUID
    state: CellState
    changeable: bool
    until: Instant | None
    reason: Label | None = None
    rank: int | None = Field(default=None, ge=1)
    opens_at: Instant | None = None
    offered_until: Instant | None = None


class Day(Contract):
    """A row of the month; only days with at least one cell are given. ``note`` names a holiday or school holidays."""

    day: date
    note: Label | None
    cells: tuple[Cell, ...]


class ActivityColumn(Contract):
    """A column of the month."""

    activity_id: UUID
    label: Label


class PlaceOnOffer(Contract):
    """A place that is held for a child until an instant."""

    activity_id: UUID
    activity_label: Label
    day: date
    until: Instant


class Offer(PlaceOnOffer):
    """A place that waits for a family's answer; ``version`` goes back with it, so that an answer given elsewhere is
    told."""

    child_id: UUID
    child_first_name: Label
    version: SeenVersion


class OfferList(Contract):
    """``GET /households/{household_id}/offers``: the places that are held for the children, the first to end first."""

    offers: tuple[Offer, ...]


class OfferAnswer(Contract):
    """``POST /households/{household_id}/offers/accept``, or ``…/decline``: to book the day, or to leave its list.

    ``seen_version`` is the offer's own.
    """

    child_id: UUID
    activity_id: UUID
    day: date
    seen_version: SeenVersion


class NextDay(Contract):
    """A day to come on which a child is booked, and for what."""

    day: date
    activities: tuple[Label, ...]


class ChildAhead(Contract):
    """A child and the first days on which it is booked, from today on."""

    child: ChildView
    days: tuple[NextDay, ...]


class HouseholdAhead(OfferList):
    """``GET /households/{household_id}/ahead``: what comes next for each child, and places that wait for an answer."""

    children: tuple[ChildAhead, ...]


class MonthView(Contract):
    """``GET /households/{household_id}/children/{child_id}/months/{month}``.

    ``version`` is what the parent saw: it goes back with the changes, so that an edit made elsewhere is told.
    ``offers`` are all that are open to the child, whatever the month.
    """

    child: ChildView
    month: Month
    first_month: Month
    last_month: Month
    version: SeenVersion
    activities: tuple[ActivityColumn, ...]
    days: tuple[Day, ...]
    offers: tuple[PlaceOnOffer, ...] = ()


class BookingLine(Contract):
    """One wish: this activity, this day, booked or not; ``or_wait``: on the waiting list if the day is full."""

    activity_id: UUID
    day: date
    booked: bool
    or_wait: bool = False


LINES_MAX = 2000


class BookingWish(Contract):
    """``POST /households/{household_id}/bookings`` with an ``Idempotency-Key``: only what changes."""

    child_id: UUID
    seen_version: SeenVersion
    lines: tuple[BookingLine, ...] = Field(min_length=1, max_length=LINES_MAX)


class LineRefusal(StrEnum):
    """Why a line was not saved."""

    CLOSED = "closed"
    PAST_DEADLINE = "past_deadline"
    NOT_YET_OPEN = "not_yet_open"
    FULL = "full"
    NOT_ENROLLED = "not_enrolled"
    NOT_OFFERED = "not_offered"
    CHANGED_ELSEWHERE = "changed_elsewhere"
    OTHER_HOUSEHOLD = "other_household"
    NOT_FOR_ALL = "not_for_all"
    OFFER_OVER = "offer_over"


class LineOutcome(Contract):
    """What became of a line; ``refusal`` is absent when it is saved. ``booked`` is how the day stands now.

    ``reason`` is why the day is closed, ``until`` when its deadline passed, or when booking opens. A line that is saved
    but not booked as wished waits, at ``rank``.
    """

    activity_id: UUID
    activity_label: Label
    day: date
    wished: bool
    booked: bool
    refusal: LineRefusal | None = None
    reason: Label | None = None
    until: Instant | None = None
    rank: int | None = Field(default=None, ge=1)


class BookingOutcome(Contract):
    """The recap: every line that was asked, none left out. ``version`` names the change if there is one to undo."""

    child: ChildView
    version: int
    undoable: bool = False
    lines: tuple[LineOutcome, ...]


class UndoWish(Contract):
    """``POST /households/{household_id}/undo`` with an ``Idempotency-Key``: take one change back, by its version.

    What changed again since then, and what is past its deadline, is refused line by line as ever. Answers a
    ``BookingOutcome``.
    """

    child_id: UUID
    version: Version


class WeekSlot(Contract):
    """An activity on a weekday, booked or not."""

    activity_id: UUID
    weekday: Weekday
    booked: bool


class PlanChild(Contract):
    """A child to plan for; ``seen_version`` is that of the preview, absent before one."""

    child_id: UUID
    seen_version: SeenVersion | None = None


DAYS_OF_A_PLAN_MAX = 400


class PlanWish(Contract):
    """``POST /households/{household_id}/plans`` with an ``Idempotency-Key``: many days by one rule.

    One of: ``week``, a pattern; ``like_first_day`` to ``like_last_day``, the pattern that these days show for each
    child: a weekday is booked if it was on at least half of the days the activity took place; or ``like_child_id``,
    day by day what that child of the household has. A model only adds: nothing is cancelled because it is not in it.
    Only days from today on, and only those that would change.
    ``together``: a day that one of the children cannot have is booked for none of them, and nobody waits.
    With ``preview`` nothing is saved: the answer is what would become of it.
    """

    children: tuple[PlanChild, ...] = Field(min_length=1, max_length=20)
    first_day: date
    last_day: date
    week: tuple[WeekSlot, ...] = Field(default=(), max_length=200)
    like_first_day: date | None = None
    like_last_day: date | None = None
    like_child_id: UUID | None = None
    or_wait: bool = False
    together: bool = False
    preview: bool = False

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        if not 0 <= (self.last_day - self.first_day).days < DAYS_OF_A_PLAN_MAX:
            raise ValueError(f"a plan is for 1 to {DAYS_OF_A_PLAN_MAX} days")
        if (self.like_first_day is None) is not (self.like_last_day is None):
            raise ValueError("the days to take as a model have a first and a last")
        if self.like_first_day and self.like_last_day and not 0 <= (self.like_last_day - self.like_first_day).days < 63:
            raise ValueError("the days to take as a model are 63 at most")
        if sum((bool(self.week), self.like_first_day is not None, self.like_child_id is not None)) != 1:
            raise ValueError("a plan has exactly one rule")
        if len({child.child_id for child in self.children}) != len(self.children):
            raise ValueError("a child is named twice")
        if self.or_wait and self.together:
            raise ValueError("children who wait get their places one by one, not together")
        return self


class PlanOutcome(Contract):
    """What became, or would become, of a plan: an outcome a child; one without lines has nothing to change."""

    outcomes: tuple[BookingOutcome, ...]


class Change(Contract):
    """One line of « mes dernières modifications »; ``waiting`` when it joined or left the waiting list."""

    channel: Channel
    changed_at: Instant
    day: date
    booked: bool
    waiting: bool = False


class ActivityChanges(Contract):
    """The changes of one activity, newest first."""

    activity_id: UUID
    label: Label
    changes: tuple[Change, ...]


class ChangeHistory(Contract):
    """``GET /households/{household_id}/children/{child_id}/changes``."""

    child: ChildView
    activities: tuple[ActivityChanges, ...]


class FeedView(Contract):
    """``GET /feed``: when one's calendar address was made and last read; absent as long as there is none."""

    made_at: Instant | None
    read_at: Instant | None


class FeedKey(Contract):
    """``PUT /feed``: the secret of one's calendar, told once, in place of any before; and whose days it shows."""

    key: str
    children: tuple[ChildView, ...]


class FeedRead(Contract):
    """``POST /feeds/read``: the booked days of the household, or of one child, as ``text/calendar``."""

    key: SecretStr = Field(max_length=200)
    child_id: UUID | None = None
