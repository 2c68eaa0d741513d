"""From days to invoice lines: each day is priced by the tariff of that day, and invoiced once."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from billing.domain.failures import TariffMissing
from contracts.api.billing import InvoiceLine

FLAT = "tarif unique"
CORRECTION = "régularisation"


@dataclass(frozen=True)
class Tariff:
    """A flat price a day, from a date on."""

    valid_from: date
    unit_price_cents: int


@dataclass(frozen=True)
class Usage:
    """A day that is booked and not invoiced yet, or invoiced and not booked any more."""

    household_id: UUID
    child_id: UUID
    activity_id: UUID
    day: date
    booked: bool
    child_first_name: str
    activity_label: str
    invoiced_price_cents: int | None


@dataclass(frozen=True)
class Draft:
    """An invoice before it has a number: its lines, and the days they stand for with the price of each."""

    household_id: UUID
    lines: tuple[InvoiceLine, ...]
    days: tuple[tuple[Usage, int], ...]

    @property
    def total_cents(self) -> int:
        return sum(line.amount_cents for line in self.lines)


def price(tariffs: Sequence[Tariff], day: date) -> int | None:
    """The price of a day: that of the newest tariff valid on it; None without one."""
    valid = [tariff for tariff in tariffs if tariff.valid_from <= day]
    return max(valid, key=lambda tariff: tariff.valid_from).unit_price_cents if valid else None


def draft(usages: Iterable[Usage], tariffs: Mapping[UUID, Sequence[Tariff]], month: date) -> list[Draft]:
    """One draft a household; a household that would owe nothing is left for a later month, and loses nothing.

    A day that is no longer booked comes back at the price it was invoiced at. Raises ``TariffMissing`` naming the
    activities without a price: nothing is invoiced by halves.
    """
    priced: dict[UUID, list[tuple[Usage, int]]] = defaultdict(list)
    missing: dict[str, date] = {}
    for usage in usages:
        cents = price(tariffs.get(usage.activity_id, ()), usage.day) if usage.booked else usage.invoiced_price_cents
        if cents is None:
            missing.setdefault(usage.activity_label, usage.day)
        else:
            priced[usage.household_id].append((usage, cents))
    if missing:
        raise TariffMissing("some days have no price", activities=sorted(missing))
    drafts = [Draft(household_id, _lines(days, month), tuple(days)) for household_id, days in priced.items()]
    return [each for each in drafts if each.total_cents > 0]


def _lines(days: Sequence[tuple[Usage, int]], month: date) -> tuple[InvoiceLine, ...]:
    counts: dict[tuple[str, str, int, str], int] = defaultdict(int)
    for usage, cents in days:
        is_of_month = usage.booked and usage.day >= month
        key = (usage.child_first_name, usage.activity_label, cents, FLAT if is_of_month else CORRECTION)
        counts[key] += 1 if usage.booked else -1
    return tuple(
        InvoiceLine(
            child_first_name=child,
            activity_label=activity,
            count=count,
            unit_price_cents=cents,
            amount_cents=count * cents,
            explanation=explanation,
        )
        for (child, activity, cents, explanation), count in sorted(counts.items())
        if count
    )
