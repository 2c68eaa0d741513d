"""Many days by one rule: the lines that a plan comes to, so that it is decided like any other wish."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import date, timedelta
from uuid import UUID

from contracts.api.bookings import LINES_MAX, BookingLine, BookingRequest, PlanRequest
from contracts.failures import Invalid
from planning.domain.booking_context import BookingContext, Slot

Week = Mapping[tuple[UUID, int], bool]
"""Booked or not, by activity and ISO weekday; what is not in it stays as it is."""


def dates(first: date, last: date) -> list[date]:
    """Every day from the first to the last."""
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def span(plan: PlanRequest) -> tuple[date, date]:
    """The days that must be known: those of the plan, and those it takes as a model."""
    return min(plan.first_day, plan.like_first_day or plan.first_day), max(
        plan.last_day, plan.like_last_day or plan.last_day
    )


def booking_request(
    plan: PlanRequest, found: BookingContext, model: BookingContext | None, *, seen: int, today: date
) -> BookingRequest | None:
    """The lines of the days that would change; None without any. ``model`` is the child that is followed, if one is.

    A day that is closed, or past its deadline, stays in, so that the parent is told why it will not change. Raises
    ``Invalid`` when a plan comes to too many lines.
    """
    week = {} if model else _week(plan, found)
    lines = []
    for day in dates(max(plan.first_day, today), plan.last_day):
        for activity_id in found.activities:
            slot = (activity_id, day)
            booked = _like(model, slot) if model else week.get((activity_id, day.isoweekday()))
            stands = found.is_booked(slot) or slot in found.ranks
            if booked is not None and booked != stands and _is_about(found, slot):
                line = BookingLine(activity_id=activity_id, day=day, booked=booked, or_wait=booked and plan.or_wait)
                lines.append(line)
    if len(lines) > LINES_MAX:
        raise Invalid("too many days at once", errors=[{"field": "last_day", "message": "too many days at once"}])
    return BookingRequest(child_id=found.child.child_id, seen_version=seen, lines=tuple(lines)) if lines else None


def usual_week(found: BookingContext, first: date, last: date) -> Week:
    """What a child usually does: booked where it was on at least half of the days that were open to this household.

    A model only adds: nothing is cancelled because it was not done before, nor because a sibling does not do it.
    """
    seen: dict[tuple[UUID, int], list[bool]] = defaultdict(list)
    for day in dates(first, last):
        for activity_id in found.activities:
            slot = (activity_id, day)
            booked = found.is_booked(slot)
            if booked or (_is_about(found, slot) and not found.closed_because(slot) and not found.is_others(slot)):
                seen[activity_id, day.isoweekday()].append(booked)
    return {key: True for key, booked in seen.items() if sum(booked) * 2 >= len(booked)}


def _week(plan: PlanRequest, found: BookingContext) -> Week:
    if plan.like_first_day and plan.like_last_day:
        return usual_week(found, plan.like_first_day, plan.like_last_day)
    return {(slot.activity_id, slot.weekday): slot.booked for slot in plan.week}


def _like(model: BookingContext, slot: Slot) -> bool | None:
    """What the child that is followed has booked that day; None for the rest, since a model only adds."""
    return True if model.is_booked(slot) else None


def _is_about(found: BookingContext, slot: Slot) -> bool:
    return found.is_enrolled(slot) and found.is_offered(slot)
