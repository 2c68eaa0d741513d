"""planning: booking requests, one by one or by a weekly plan, their outcomes, and the change history."""

from enum import StrEnum
from typing import Self
from uuid import UUID

from pydantic import Field, model_validator

from contracts.api.calendar import Weekday
from contracts.api.enrolments import ChildView
from contracts.events.planning import Channel
from contracts.model import Contract, Day, Instant, Label, SeenVersion, Version


class BookingLine(Contract):
    """One day of an activity, to be booked or not; ``or_wait``: join the waiting list if the day is full."""

    activity_id: UUID
    day: Day
    booked: bool
    or_wait: bool = False


LINES_MAX = 2000


class BookingRequest(Contract):
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
    """The outcome of a line; ``refusal`` is absent if it was saved. ``booked`` is the present state of the day.

    ``reason`` is why the day is closed, ``until`` the deadline that has passed, or when booking opens. A line that was
    saved but is not booked as requested is waiting, at ``rank``. ``was_waiting``: the child left the waiting list.
    """

    activity_id: UUID
    activity_label: Label
    day: Day
    wished: bool
    booked: bool
    refusal: LineRefusal | None = None
    reason: Label | None = None
    until: Instant | None = None
    rank: int | None = Field(default=None, ge=1)
    was_waiting: bool = False


class BookingOutcome(Contract):
    """The outcome of every requested line. ``version`` is that of the change, if it can be undone."""

    child: ChildView
    version: int
    undoable: bool = False
    lines: tuple[LineOutcome, ...]


class UndoRequest(Contract):
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


class PlanRequest(Contract):
    """``POST /households/{household_id}/plans`` with an ``Idempotency-Key``: many days by one rule.

    One of: ``week``, a pattern; ``like_first_day`` to ``like_last_day``, the pattern that these days show for each
    child: a weekday is booked if it was on at least half of the days the activity took place; or ``like_child_id``,
    day by day what that child of the household has. A model only adds: nothing is cancelled because it is not in it.
    Only days from today on, and only those that would change.
    ``together``: a day that one of the children cannot have is booked for none of them, and nobody waits.
    With ``preview`` nothing is saved: the answer is what would become of it.
    """

    children: tuple[PlanChild, ...] = Field(min_length=1, max_length=20)
    first_day: Day
    last_day: Day
    week: tuple[WeekSlot, ...] = Field(default=(), max_length=200)
    like_first_day: Day | None = None
    like_last_day: Day | None = None
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
    """One line of « mes dernières modifications »; ``waiting_messages`` when it joined or left the waiting list."""

    channel: Channel
    changed_at: Instant
    day: Day
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
