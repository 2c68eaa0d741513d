"""Wishes that are decided together: one after the other, or those of siblings who go together or not at all."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from contracts.api.bookings import BookingRequest, LineOutcome, LineRefusal
from planning.domain.booking_context import BookingContext, Slot
from planning.domain.bookings import Decision, decide


class Candidate(NamedTuple):
    """A child's wish, what decides about it, and whether staff have it (``on_behalf``)."""

    found: BookingContext
    request: BookingRequest
    on_behalf: bool


def decide_in_order(requests: Sequence[Candidate], *, now: datetime) -> list[Decision]:
    """Decide wishes in their order, one a child; a place that one takes is taken for those behind it.

    What was found is as it stood at one instant, before any of the wishes. A place that one gives back is not seen by
    the others: it is theirs who wait.
    """
    taken: Counter[tuple[Slot, str | None]] = Counter()
    decisions = []
    for found, request, on_behalf in requests:
        decision = decide(_after(found, request, taken) if taken else found, request, now=now, on_behalf=on_behalf)
        booked = {(day.activity_id, day.day) for day in decision.changed if day.booked}
        for slot in booked.difference(found.offers):  # a place that is held for the child is counted already
            taken.update([(slot, None), (slot, found.child.school)])
        decisions.append(decision)
    return decisions


def decide_together(requests: Sequence[Candidate], *, now: datetime) -> list[Decision]:
    """The same for siblings: a day that one of them wishes and cannot have is changed for none."""
    apart = decide_in_order(requests, now=now)
    lines = [line for decision in apart for line in decision.lines]
    failing = {(line.activity_id, line.day) for line in lines if line.wished and line.refusal}
    decisions = decide_in_order([each._replace(request=_without(each.request, failing)) for each in requests], now=now)
    return [
        replace(decision, lines=(*decision.lines, *_refused(found, before.lines, failing)))
        for (found, _, _), before, decision in zip(requests, apart, decisions, strict=True)
    ]


def _after(found: BookingContext, request: BookingRequest, taken: Counter[tuple[Slot, str | None]]) -> BookingContext:
    """The situation once the wishes before have their places."""
    slots = [(line.activity_id, line.day) for line in request.lines]
    in_all = {slot: found.occupation.get(slot, 0) + taken[slot, None] for slot in slots}
    of_school = {slot: found.of_school.get(slot, 0) + taken[slot, found.child.school] for slot in slots}
    return replace(found, occupation={**found.occupation, **in_all}, of_school={**found.of_school, **of_school})


def _without(request: BookingRequest, failing: Collection[Slot]) -> BookingRequest:
    lines = tuple(line for line in request.lines if not line.booked or (line.activity_id, line.day) not in failing)
    return request.model_copy(update={"lines": lines})


def _refused(found: BookingContext, lines: Sequence[LineOutcome], failing: Collection[Slot]) -> list[LineOutcome]:
    refused = []
    for line in lines:
        slot = (line.activity_id, line.day)
        if line.wished and slot in failing:
            update = {"refusal": LineRefusal.NOT_FOR_ALL, "booked": found.is_booked(slot)}
            refused.append(line if line.refusal else line.model_copy(update=update))
    return refused
