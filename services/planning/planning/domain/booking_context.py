"""What a day is for a household's child: all that decides about it, and what the planning shows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from contracts.api.calendar import ActivityView
from contracts.api.enrolments import ChildView, EnrolmentRequest
from contracts.api.months import ActivityColumn, Cell, CellState, Day, PlaceOnOffer
from contracts.events.auth import Custody, Span
from planning.domain.calendar import Calendar, is_own_week

Slot = tuple[UUID, date]
"""An activity on a day."""


class ContextQuery(NamedTuple):
    """Whose days are looked at: those of a household's child between two dates."""

    household_id: UUID
    child_id: UUID
    first: date
    last: date


@dataclass(frozen=True)
class Booking:
    """A slot that was touched: how it stands, and the version at which it last changed."""

    booked: bool
    version: int


@dataclass(frozen=True)
class BookingContext:
    """All that decides about a child's days: loaded under lock for a change, as it is for a look.

    ``ranks`` are the child's places in waiting lists, ``offers`` the places that are held for it, and until when.
    ``occupation`` counts booked and held places, ``of_school`` those of the child's school where they have places of
    their own. ``taken_elsewhere`` are slots that the child's other household booked or waits for. ``own_spans`` are
    the days that are this household's by date, ``others_spans`` the other's.
    """

    household_id: UUID
    child: ChildView
    version: int
    calendar: Calendar
    activities: Mapping[UUID, ActivityView]
    enrolments: Mapping[UUID, EnrolmentRequest]
    bookings: Mapping[Slot, Booking]
    taken_elsewhere: frozenset[Slot]
    occupation: Mapping[Slot, int]
    of_school: Mapping[Slot, int] = field(default_factory=dict)
    ranks: Mapping[Slot, int] = field(default_factory=dict)
    offers: Mapping[Slot, datetime] = field(default_factory=dict)
    own_spans: tuple[Span, ...] = ()
    others_spans: tuple[Span, ...] = ()

    def is_booked(self, slot: Slot) -> bool:
        """Tell whether this household has booked the slot."""
        return slot in self.bookings and self.bookings[slot].booked

    def is_enrolled(self, slot: Slot) -> bool:
        """Tell whether the child may book that activity on that day."""
        enrolment = self.enrolments.get(slot[0])
        return enrolment is not None and enrolment.first_day <= slot[1] <= enrolment.last_day

    def is_offered(self, slot: Slot) -> bool:
        """Tell whether the activity takes place that day for the child's school, closed or not."""
        activity = self.activities[slot[0]]
        is_for_school = not activity.schools or self.child.school in activity.schools
        return is_for_school and self.calendar.is_offered(activity, slot[1])

    def closed_because(self, slot: Slot) -> str | None:
        """Why nobody of the child's school can book the slot."""
        return self.calendar.closed_because(*slot, self.child.school)

    def is_full(self, slot: Slot) -> bool:
        """Tell whether no place is left, for anybody or for the child's school."""
        activity = self.activities[slot[0]]
        of_school = activity.school_capacities.get(self.child.school)
        is_full = activity.capacity is not None and self.occupation.get(slot, 0) >= activity.capacity
        return is_full or (of_school is not None and self.of_school.get(slot, 0) >= of_school)

    def has_offer(self, slot: Slot, *, now: datetime) -> bool:
        """Tell whether a place of the slot is held for the child."""
        return slot in self.offers and now < self.offers[slot]

    def open_offers(self, *, now: datetime) -> tuple[PlaceOnOffer, ...]:
        """The places that are held for the child, by day."""
        return tuple(
            PlaceOnOffer(
                activity_id=slot[0],
                activity_label=self.activities[slot[0]].label,
                day=slot[1],
                until=self.offers[slot],
            )
            for slot in sorted(self.offers, key=lambda slot: slot[1])
            if slot[0] in self.activities and self.has_offer(slot, now=now)
        )

    def is_others(self, slot: Slot) -> bool:
        """Tell whether the day is the child's other household's."""
        return slot in self.taken_elsewhere or not self.is_own_day(slot[1])

    def is_own_day(self, day: date) -> bool:
        """Whether custody gives the day to this household: named by its dates, or not by the other's and of its weeks.

        A household with dates and no weeks (``release_places``) has its dates and nothing else.
        """
        if any(span.first_day <= day <= span.last_day for span in self.own_spans):
            return True
        if any(span.first_day <= day <= span.last_day for span in self.others_spans):
            return False
        is_by_dates = self.child.custody is Custody.FREE and self.own_spans
        return not is_by_dates and is_own_week(self.child.custody, day)

    def until(self, slot: Slot) -> datetime:
        """Until when the slot can be changed from how it stands."""
        activity = self.activities[slot[0]]
        notice = activity.cancelling_notice if self.is_booked(slot) else activity.booking_notice
        return self.calendar.deadline(activity, notice, slot[1])

    def opens_at(self, slot: Slot, *, now: datetime) -> datetime | None:
        """When booking begins, if it has not yet."""
        opens_at = self.activities[slot[0]].opens_at
        return opens_at if opens_at is not None and now < opens_at else None

    def cell(self, slot: Slot, *, now: datetime, on_behalf: bool) -> Cell:
        """What the planning shows of a slot: open until when, or closed since when and why.

        Staff (``on_behalf``) are not held by deadlines nor by the opening instant.
        """
        booked, until = self.is_booked(slot), self.until(slot)
        reason = self.closed_because(slot)
        if reason:
            return Cell(activity_id=slot[0], state=CellState.CLOSED, changeable=False, until=None, reason=reason)
        if not booked and self.is_others(slot):
            return Cell(activity_id=slot[0], state=CellState.OTHER_HOUSEHOLD, changeable=False, until=None)
        opens_at = None if booked or on_behalf else self.opens_at(slot, now=now)
        return Cell(
            activity_id=slot[0],
            state=self._state(slot),
            changeable=opens_at is None and (on_behalf or now < until),
            until=until,
            rank=self.ranks.get(slot),
            opens_at=opens_at,
            offered_until=self.offers[slot] if self.has_offer(slot, now=now) else None,
        )

    def _state(self, slot: Slot) -> CellState:
        if self.is_booked(slot):
            return CellState.BOOKED
        if slot in self.ranks:
            return CellState.WAITING
        return CellState.FULL if self.is_full(slot) else CellState.FREE

    def days(self, dates: list[date], *, now: datetime, on_behalf: bool) -> tuple[Day, ...]:
        """The rows of a planning; days about nothing are left out, but what is booked is always seen."""
        rows = []
        for day in dates:
            slots = [(activity.activity_id, day) for activity in self.columns()]
            shown = [s for s in slots if self.is_booked(s) or (self.is_enrolled(s) and self.is_offered(s))]
            cells = tuple(self.cell(slot, now=now, on_behalf=on_behalf) for slot in shown)
            if cells:
                rows.append(Day(day=day, note=self.calendar.note(day), cells=cells))
        return tuple(rows)

    def columns(self) -> list[ActivityColumn]:
        """The activities the child is enrolled in, in the town's order."""
        enrolled = [self.activities[activity_id] for activity_id in self.enrolments]
        ordered = sorted(enrolled, key=lambda activity: (activity.position, activity.label))
        return [ActivityColumn(activity_id=activity.activity_id, label=activity.label) for activity in ordered]
