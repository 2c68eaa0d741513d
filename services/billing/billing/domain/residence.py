"""Where a household lives, as others may know it: without its quotient."""

from collections.abc import Sequence
from uuid import UUID

from contracts.api.tariffs import Terms
from contracts.events.billing import ResidenceChanged, ResidenceFrom


def residences(terms: Sequence[Terms]) -> tuple[ResidenceFrom, ...]:
    """The days on which it changes. ``terms`` are in the order in which they were recorded: of two for the same day the
    later one holds. What is not known is a resident, as for prices."""
    holds = {each.valid_from: each.resident for each in terms}
    found: list[ResidenceFrom] = []
    for day in sorted(holds):
        if holds[day] is not (found[-1].resident if found else True):
            found.append(ResidenceFrom(first_day=day, resident=holds[day]))
    return tuple(found)


def told(household_id: UUID, version: int, terms: Sequence[Terms]) -> ResidenceChanged:
    """The event of it."""
    return ResidenceChanged(household_id=household_id, version=version, residences=residences(terms))
