"""What a day is for a household's child, and what becomes of a wish to change some."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from contracts.api.planning import (
    ActivityColumn,
    ActivityView,
    BookingLine,
    BookingWish,
    Cell,
    CellState,
    ChildView,
    Day,
    EnrolmentWish,
    LineOutcome,
    LineRefusal,
)
from contracts.events.planning import BookedDay, BookingsChanged, Channel
from contracts.failures import Invalid
from planning.domain.calendar import Calendar, is_own_week

Slot = tuple[UUID, date]
"""An activity on a day."""


@dataclass(frozen=True)
class Booking:
    """A slot that was touched: how it stands, and the version at which it last changed."""

    booked: bool
    version: int


@dataclass(frozen=True)
class Situation:
    """All that decides about a child's days: loaded under lock for a change, as it is for a look."""

    household_id: UUID
    child: ChildView
    version: int
    calendar: Calendar
    activities: Mapping[UUID, ActivityView]
    enrolments: Mapping[UUID, EnrolmentWish]
    bookings: Mapping[Slot, Booking]
    booked_elsewhere: frozenset[Slot]
    occupation: Mapping[Slot, int]

    def is_booked(self, slot: Slot) -> bool:
        """Tell whether this household has booked the slot."""
        return slot in self.bookings and self.bookings[slot].booked

    def is_enrolled(self, slot: Slot) -> bool:
        """Tell whether the child may book that activity on that day."""
        enrolment = self.enrolments.get(slot[0])
        return enrolment is not None and enrolment.first_day <= slot[1] <= enrolment.last_day

    def is_full(self, slot: Slot) -> bool:
        """Tell whether no place is left."""
        capacity = self.activities[slot[0]].capacity
        return capacity is not None and self.occupation.get(slot, 0) >= capacity

    def is_others(self, slot: Slot) -> bool:
        """Tell whether the day is the child's other household's."""
        return slot in self.booked_elsewhere or not is_own_week(self.child.custody, slot[1])

    def until(self, slot: Slot) -> datetime:
        """Until when the slot can be changed from how it stands."""
        activity = self.activities[slot[0]]
        notice = activity.cancelling_notice if self.is_booked(slot) else activity.booking_notice
        return self.calendar.deadline(notice, slot[1])

    def cell(self, slot: Slot, *, now: datetime, on_behalf: bool) -> Cell:
        """What the planning shows of a slot. Staff (``on_behalf``) are not held by deadlines."""
        booked, until = self.is_booked(slot), self.until(slot)
        reason = self.calendar.closed_because(*slot)
        if reason:
            return Cell(activity_id=slot[0], state=CellState.CLOSED, changeable=False, until=None, reason=reason)
        if not booked and self.is_others(slot):
            return Cell(activity_id=slot[0], state=CellState.OTHER_HOUSEHOLD, changeable=False, until=None)
        state = CellState.BOOKED if booked else CellState.FULL if self.is_full(slot) else CellState.FREE
        in_time = on_behalf or now < until
        return Cell(activity_id=slot[0], state=state, changeable=in_time and state is not CellState.FULL, until=until)

    def days(self, dates: list[date], *, now: datetime, on_behalf: bool) -> tuple[Day, ...]:
        """The rows of a planning; days about nothing are left out."""
        rows = []
        for day in dates:
            slots = [(activity.activity_id, day) for activity in self.columns()]
            shown = [slot for slot in slots if self._is_shown(slot)]
            cells = tuple(self.cell(slot, now=now, on_behalf=on_behalf) for slot in shown)
            if cells:
                rows.append(Day(day=day, note=self.calendar.note(day), cells=cells))
        return tuple(rows)

    def _is_shown(self, slot: Slot) -> bool:
        return self.is_enrolled(slot) and self.calendar.is_offered(self.activities[slot[0]], slot[1])

    def columns(self) -> list[ActivityColumn]:
        """The activities the child is enrolled in, in the town's order."""
        enrolled = [self.activities[activity_id] for activity_id in self.enrolments]
        ordered = sorted(enrolled, key=lambda activity: (activity.position, activity.label))
        return [ActivityColumn(activity_id=activity.activity_id, label=activity.label) for activity in ordered]


@dataclass(frozen=True)
class Decision:
    """What becomes of a wish: an outcome for every line, and the days that really change."""

    lines: tuple[LineOutcome, ...]
    changed: tuple[BookedDay, ...]
    version: int


def decide(situation: Situation, wish: BookingWish, *, now: datetime, on_behalf: bool) -> Decision:
    """Weigh each line by itself: saved, or refused with its reason; never silently partial.

    Staff (``on_behalf``) are exempt from deadlines and from nothing else. Raises ``Invalid`` for a slot named twice.
    """
    slots = [(line.activity_id, line.day) for line in wish.lines]
    if len(set(slots)) != len(slots):
        raise Invalid("a day is named twice", errors=[{"field": "lines", "message": "a day is named twice"}])
    lines, changed = [], []
    for line in wish.lines:
        outcome = _weigh(situation, line, wish.seen_version, now=now, on_behalf=on_behalf)
        lines.append(outcome)
        if outcome.refusal is None and line.booked != situation.is_booked((line.activity_id, line.day)):
            label = situation.activities[line.activity_id].label
            changed.append(
                BookedDay(activity_id=line.activity_id, activity_label=label, day=line.day, booked=line.booked)
            )
    return Decision(tuple(lines), tuple(changed), situation.version + bool(changed))


def _weigh(
    situation: Situation, line: BookingLine, seen_version: int, *, now: datetime, on_behalf: bool
) -> LineOutcome:
    slot = (line.activity_id, line.day)
    activity = situation.activities.get(line.activity_id)
    refusal, reason, until = None, None, None
    if activity is None or not situation.is_enrolled(slot):
        refusal = LineRefusal.NOT_ENROLLED
    elif not situation.calendar.is_offered(activity, line.day):
        refusal = LineRefusal.NOT_OFFERED
    elif reason := situation.calendar.closed_because(*slot):
        refusal = LineRefusal.CLOSED
    elif not situation.is_booked(slot) and situation.is_others(slot):
        refusal = LineRefusal.OTHER_HOUSEHOLD
    elif situation.is_booked(slot) != line.booked:
        refusal = _hindrance(situation, slot, seen_version, now=now, on_behalf=on_behalf)
        until = situation.until(slot) if refusal is LineRefusal.PAST_DEADLINE else None
    return LineOutcome(
        activity_id=line.activity_id,
        activity_label=activity.label if activity else "?",
        day=line.day,
        wished=line.booked,
        booked=situation.is_booked(slot) if refusal else line.booked,
        refusal=refusal,
        reason=reason,
        until=until,
    )


def _hindrance(
    situation: Situation, slot: Slot, seen_version: int, *, now: datetime, on_behalf: bool
) -> LineRefusal | None:
    """Why an open slot of the household cannot change now, None when it can."""
    booking = situation.bookings.get(slot)
    if booking is not None and booking.version > seen_version:
        return LineRefusal.CHANGED_ELSEWHERE
    if not on_behalf and now >= situation.until(slot):
        return LineRefusal.PAST_DEADLINE
    if not situation.is_booked(slot) and situation.is_full(slot):
        return LineRefusal.FULL
    return None


def told(
    situation: Situation, days: tuple[BookedDay, ...], version: int, *, channel: Channel, by: UUID, at: datetime
) -> BookingsChanged:
    """The event of a change."""
    return BookingsChanged(
        household_id=situation.household_id,
        child_id=situation.child.child_id,
        child_first_name=situation.child.first_name,
        version=version,
        channel=channel,
        changed_by=by,
        changed_at=at,
        days=days,
    )
