"""Siblings who go together or not at all: what is left of their wishes once each day suits all of them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from contracts.api.bookings import BookingWish, LineOutcome, LineRefusal
from planning.domain.bookings import decide
from planning.domain.situation import Situation, Slot


@dataclass(frozen=True)
class Part:
    """One child's share: the wish that is left, if any, and what became of the other lines."""

    found: Situation
    wish: BookingWish | None
    refused: tuple[LineOutcome, ...]


def together(wishes: Sequence[tuple[Situation, BookingWish]], *, now: datetime, on_behalf: bool) -> list[Part]:
    """Leave out the days that one of the children who wish them cannot have; a place is counted once for each child."""
    taken: Counter[tuple[Slot, str | None]] = Counter()
    weighed, failing = [], set()
    for found, wish in wishes:
        lines = decide(_after(found, wish, taken), wish, now=now, on_behalf=on_behalf).lines
        for line in lines:
            slot = (line.activity_id, line.day)
            if line.wished and line.refusal:
                failing.add(slot)
            elif line.wished and not found.is_booked(slot):
                taken.update([(slot, None), (slot, found.child.school)])
        weighed.append((found, wish, lines))
    return [_part(found, wish, lines, failing) for found, wish, lines in weighed]


def _after(found: Situation, wish: BookingWish, taken: Counter[tuple[Slot, str | None]]) -> Situation:
    """The situation once the siblings before have their places."""
    slots = [(line.activity_id, line.day) for line in wish.lines]
    in_all = {slot: found.occupation.get(slot, 0) + taken[slot, None] for slot in slots}
    of_school = {slot: found.of_school.get(slot, 0) + taken[slot, found.child.school] for slot in slots}
    return replace(found, occupation={**found.occupation, **in_all}, of_school={**found.of_school, **of_school})


def _part(found: Situation, wish: BookingWish, lines: Sequence[LineOutcome], failing: set[Slot]) -> Part:
    left, refused = [], []
    for line, outcome in zip(wish.lines, lines, strict=True):
        slot = (line.activity_id, line.day)
        if not line.booked or slot not in failing:
            left.append(line)
        elif outcome.refusal:
            refused.append(outcome)
        else:
            stands = found.is_booked(slot)
            refused.append(outcome.model_copy(update={"refusal": LineRefusal.NOT_FOR_ALL, "booked": stands}))
    kept = wish.model_copy(update={"lines": tuple(left)}) if left else None
    return Part(found, kept, tuple(refused))
