"""What becomes of a wish to change some days, and of the places that come free."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from contracts.api.bookings import BookingLine, BookingRequest, LineOutcome, LineRefusal
from contracts.api.calendar import ActivityView
from contracts.events.planning import BookedDay, BookingsChanged, Channel, PlaceGranted, PlaceOffered
from contracts.failures import Invalid
from planning.domain.booking_context import BookingContext, Slot


@dataclass(frozen=True)
class Decision:
    """What becomes of a wish: an outcome for every line, the days that really change, the lists joined and left."""

    lines: tuple[LineOutcome, ...]
    changed: tuple[BookedDay, ...]
    joined: tuple[Slot, ...]
    left: tuple[Slot, ...]
    version: int

    def ranked(self, ranks: Mapping[Slot, int]) -> tuple[LineOutcome, ...]:
        """The lines with the places in the waiting lists; who joined and has none was granted the place at once."""
        lines = []
        for line in self.lines:
            slot = (line.activity_id, line.day)
            update = {"rank": ranks.get(slot), "booked": slot not in ranks} if slot in self.joined else {}
            lines.append(line.model_copy(update=update))
        return tuple(lines)


class LineChange(NamedTuple):
    """What a line does when it is not refused; neither for one that is as wished already."""

    changes: bool = False
    joins: bool = False
    leaves: bool = False


def decide(situation: BookingContext, request: BookingRequest, *, now: datetime, on_behalf: bool) -> Decision:
    """Weigh each line by itself: saved, waiting, or refused with its reason; never silently partial.

    Staff (``on_behalf``) are exempt from deadlines and the opening instant, and from nothing else. Raises ``Invalid``
    for a slot named twice.
    """
    slots = slots_of(request)
    lines: list[LineOutcome] = []
    changed: list[BookedDay] = []
    joined: list[Slot] = []
    left: list[Slot] = []
    for line, slot in zip(request.lines, slots, strict=True):
        outcome, act = _decide_line(situation, line, request.seen_version, now=now, on_behalf=on_behalf)
        lines.append(outcome)
        if act.changes:
            changed.append(booked_day(situation.activities[slot[0]], slot[1], booked=line.booked))
        if act.joins:
            joined.append(slot)
        if act.leaves:
            left.append(slot)
    version = situation.version + bool(changed or joined or left)
    return Decision(tuple(lines), tuple(changed), tuple(joined), tuple(left), version)


def slots_of(request: BookingRequest) -> list[Slot]:
    """What a wish is about, line by line; ``Invalid`` when a slot is named twice."""
    slots = [(line.activity_id, line.day) for line in request.lines]
    if len(set(slots)) != len(slots):
        raise Invalid("a day is named twice", errors=[{"field": "lines", "message": "a day is named twice"}])
    return slots


def booked_day(activity: ActivityView, day: date, *, booked: bool) -> BookedDay:
    """A day as events tell it."""
    return BookedDay(activity_id=activity.activity_id, activity_label=activity.label, day=day, booked=booked)


def _decide_line(
    situation: BookingContext, line: BookingLine, seen_version: int, *, now: datetime, on_behalf: bool
) -> tuple[LineOutcome, LineChange]:
    slot = (line.activity_id, line.day)
    activity = situation.activities.get(line.activity_id)
    refusal, reason, until, act = None, None, None, LineChange()
    is_cancelled = situation.is_booked(slot) and not line.booked
    if activity is None or not (is_cancelled or situation.is_enrolled(slot)):
        refusal = LineRefusal.NOT_ENROLLED
    elif not (is_cancelled or situation.is_offered(slot)):
        refusal = LineRefusal.NOT_OFFERED
    elif reason := situation.closed_because(slot):
        refusal = LineRefusal.CLOSED
    elif not situation.is_booked(slot) and situation.is_others(slot):
        refusal = LineRefusal.OTHER_HOUSEHOLD
    else:
        act = _line_change(situation, line, slot, now=now)
        refusal = _refusal_reason(situation, slot, act, seen_version, now=now, on_behalf=on_behalf)
        if refusal is None and act.joins and not line.or_wait:
            refusal = LineRefusal.FULL
        if refusal is None and line.booked and not act.changes and slot in situation.offers:
            refusal = LineRefusal.OFFER_OVER
        act = LineChange() if refusal else act
        until = _since(situation, slot, refusal)
    stays = situation.is_booked(slot)
    outcome = LineOutcome(
        activity_id=line.activity_id,
        activity_label=activity.label if activity else "?",
        day=line.day,
        wished=line.booked,
        booked=line.booked if act.changes else stays,
        refusal=refusal,
        reason=reason,
        until=until,
        rank=None if act.leaves else situation.ranks.get(slot),
        was_waiting=act.leaves,
    )
    return outcome, act


def _since(situation: BookingContext, slot: Slot, refusal: LineRefusal | None) -> datetime | None:
    """The instant that a refusal is about: when the deadline passed, or when booking opens."""
    match refusal:
        case LineRefusal.PAST_DEADLINE:
            return situation.until(slot)
        case LineRefusal.NOT_YET_OPEN:
            return situation.activities[slot[0]].opens_at
        case _:
            return None


def _line_change(situation: BookingContext, line: BookingLine, slot: Slot, *, now: datetime) -> LineChange:
    """What an open slot of the household would have to go through to become as wished."""
    booked, waits = situation.is_booked(slot), slot in situation.ranks
    if not line.booked:
        return LineChange(changes=booked, leaves=waits)
    if booked:
        return LineChange()
    if situation.is_full(slot) and not situation.has_offer(slot, now=now):
        return LineChange(joins=not waits)
    return LineChange(changes=True, leaves=waits)


def _refusal_reason(
    situation: BookingContext, slot: Slot, act: LineChange, seen_version: int, *, now: datetime, on_behalf: bool
) -> LineRefusal | None:
    """Why an open slot of the household cannot change now, None when it can. Leaving a list is always allowed."""
    if not act.changes and not act.joins:
        return None
    booking = situation.bookings.get(slot)
    if booking is not None and booking.version > seen_version:
        return LineRefusal.CHANGED_ELSEWHERE
    if on_behalf:
        return None
    if not situation.is_booked(slot) and situation.opens_at(slot, now=now):
        return LineRefusal.NOT_YET_OPEN
    return LineRefusal.PAST_DEADLINE if now >= situation.until(slot) else None


def undo(child_id: UUID, changes: Collection[tuple[Slot, bool, bool]], version: int) -> BookingRequest | None:
    """The wish that takes a change back. ``changes`` are its slots, booked or not, waiting list or not.

    Seen is the change's own version, so what changed again since then is told. A place left in a waiting list is not
    given back; None when there is nothing else.
    """
    lines = tuple(
        BookingLine(activity_id=slot[0], day=slot[1], booked=not booked, or_wait=not booked)
        for slot, booked, waiting in changes
        if booked or not waiting
    )
    return BookingRequest(child_id=child_id, seen_version=version, lines=lines) if lines else None


def may_grant(situation: BookingContext, slot: Slot, *, now: datetime) -> bool:
    """Tell whether a free place goes to who waits: it could book it now, so never past the kitchen's deadline."""
    is_open = situation.is_enrolled(slot) and situation.is_offered(slot) and not situation.closed_because(slot)
    is_free_to_book = is_open and not situation.is_others(slot) and not situation.opens_at(slot, now=now)
    return is_free_to_book and not situation.is_full(slot) and now < situation.until(slot)


def offered(situation: BookingContext, slot: Slot, position: int, *, hours: int, at: datetime) -> PlaceOffered:
    """The event of a place that is held for who waits: for so many hours, but never past the deadline for booking."""
    return PlaceOffered(
        household_id=situation.household_id,
        child_id=situation.child.child_id,
        child_first_name=situation.child.first_name,
        activity_id=slot[0],
        activity_label=situation.activities[slot[0]].label,
        day=slot[1],
        position=position,
        offered_at=at,
        offered_until=min(at + timedelta(hours=hours), situation.until(slot)),
    )


def changed_event(
    situation: BookingContext,
    days: tuple[BookedDay, ...],
    version: int,
    *,
    channel: Channel,
    by: UUID,
    at: datetime,
    waited: tuple[BookedDay, ...] = (),
    reason: str | None = None,
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
        waited=waited,
        reason=reason,
    )


def granted(situation: BookingContext, slot: Slot, changed: BookingsChanged) -> PlaceGranted:
    """The event of a place that went to who waited, beside that of the booking."""
    activity = situation.activities[slot[0]]
    return PlaceGranted(
        household_id=changed.household_id,
        child_id=changed.child_id,
        child_first_name=changed.child_first_name,
        version=changed.version,
        activity_id=slot[0],
        activity_label=activity.label,
        day=slot[1],
        granted_at=changed.changed_at,
        cancel_until=situation.calendar.deadline(activity, activity.cancelling_notice, slot[1]),
    )
