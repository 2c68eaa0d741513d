"""From days to invoice lines: each day is priced by the tariff of that day, and invoiced once."""

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeVar
from uuid import UUID

from billing.domain.tariffs import Household, PriceBook
from contracts.api.billing import AnomalyKind, Price

Key = TypeVar("Key", bound=Hashable)

CORRECTION = "régularisation"
UNUSUAL_FACTOR = 3
UNUSUAL_CENTS_MIN = 100_00


@dataclass(frozen=True, slots=True)
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
    invoice_id: UUID | None = None


@dataclass(frozen=True)
class Line:
    """So many days of an activity for a child at one price."""

    child_id: UUID
    child_first_name: str
    activity_label: str
    childcare: bool
    count: int
    unit_price_cents: int
    explanation: str

    @property
    def amount_cents(self) -> int:
        return self.count * self.unit_price_cents


@dataclass(frozen=True)
class Finding:
    """Something a person should look at before publishing."""

    kind: AnomalyKind
    detail: str


@dataclass(frozen=True)
class Draft:
    """An invoice before it has a number: its lines, and the days they stand for with the price of each in cents."""

    household_id: UUID
    lines: tuple[Line, ...]
    days: tuple[tuple[Usage, int], ...]
    tariffs: frozenset[UUID]
    findings: tuple[Finding, ...]

    @property
    def total_cents(self) -> int:
        return sum(line.amount_cents for line in self.lines)

    @property
    def missing(self) -> tuple[str, ...]:
        """The activities without a price."""
        return tuple(each.detail for each in self.findings if each.kind is AnomalyKind.TARIFF_MISSING)

    @property
    def is_due(self) -> bool:
        """Whether there is an invoice to publish: nothing by halves, nothing that would owe nothing."""
        return not self.missing and self.total_cents > 0

    @property
    def products(self) -> dict[str, int]:
        """What each activity earns, in cents."""
        found: dict[str, int] = defaultdict(int)
        for line in self.lines:
            found[line.activity_label] += line.amount_cents
        return {label: cents for label, cents in found.items() if cents}


def draft(usages: Sequence[Usage], household: Household, book: PriceBook, month: date) -> Draft:
    """A household's invoice. A day that is no longer booked comes back at the price it was invoiced at.

    What would owe nothing is left for a later month, and loses nothing; so is a household with a day that no tariff
    prices, which ``missing`` names.
    """
    priced: list[tuple[Usage, int, str]] = []
    missing: set[str] = set()
    tariffs: set[UUID] = set()
    without_quotient: set[str] = set()
    for usage in usages:
        if not usage.booked:
            assert usage.invoiced_price_cents is not None, "only an invoiced day is taken back"
            priced.append((usage, usage.invoiced_price_cents, CORRECTION))
            continue
        found = book.price(usage.activity_id, usage.day, household, usage.child_id)
        if found is None:
            missing.add(usage.activity_label)
            continue
        priced.append((usage, found.unit_price_cents, _why(found, usage.day, month)))
        if found.tariff_id:
            tariffs.add(found.tariff_id)
        if "QF non connu" in found.explanation:
            without_quotient.add(usage.activity_label)
    lines = _lines(priced, household, book)
    return Draft(
        household.household_id,
        lines,
        tuple((usage, cents) for usage, cents, _ in priced),
        frozenset(tariffs),
        _findings(missing, without_quotient, sum(line.amount_cents for line in lines)),
    )


def _why(found: Price, day: date, month: date) -> str:
    return found.explanation if day >= month else f"{CORRECTION} · {found.explanation}"


def _lines(priced: Sequence[tuple[Usage, int, str]], household: Household, book: PriceBook) -> tuple[Line, ...]:
    counts: dict[tuple[str, str, int, str, UUID, bool], int] = defaultdict(int)
    for usage, cents, why in priced:
        childcare = book.is_childcare(usage.activity_id, usage.day, household, usage.child_id)
        key = (usage.child_first_name, usage.activity_label, cents, why, usage.child_id, childcare)
        counts[key] += 1 if usage.booked else -1
    return tuple(
        Line(child_id, child, activity, childcare, count, cents, why)
        for (child, activity, cents, why, child_id, childcare), count in sorted(counts.items())
        if count
    )


def _findings(missing: set[str], without_quotient: set[str], total_cents: int) -> tuple[Finding, ...]:
    found = []
    if missing:
        found.append(Finding(AnomalyKind.TARIFF_MISSING, ", ".join(sorted(missing))[:200]))
    if without_quotient:
        found.append(Finding(AnomalyKind.QUOTIENT_MISSING, ", ".join(sorted(without_quotient))[:200]))
    if total_cents <= 0 and not missing:
        found.append(Finding(AnomalyKind.OWES_NOTHING, "reporté sur un mois suivant"))
    return tuple(found)


def unusual(total_cents: int, before_cents: Sequence[int]) -> Finding | None:
    """An amount over three times the usual one, the mean of the household's last invoices, and over 100 €."""
    if not before_cents or total_cents < UNUSUAL_CENTS_MIN:
        return None
    usual = sum(before_cents) // len(before_cents)
    if total_cents <= UNUSUAL_FACTOR * usual:
        return None
    euros = f"{usual // 100},{usual % 100:02d}"
    return Finding(AnomalyKind.UNUSUAL_AMOUNT, f"d'habitude environ {euros}\N{NO-BREAK SPACE}€")


@dataclass(frozen=True)
class Cheaper:
    """An invoiced day that costs less by what is known now."""

    usage: Usage
    now_cents: int
    explanation: str

    @property
    def credit_cents(self) -> int:
        assert self.usage.invoiced_price_cents is not None, "it was invoiced"
        return self.usage.invoiced_price_cents - self.now_cents


def cheaper(invoiced: Sequence[Usage], household: Household, book: PriceBook) -> dict[UUID, list[Cheaper]]:
    """The days of each invoice that would cost less today: a credit to propose. Nothing is ever charged afterwards."""
    found: dict[UUID, list[Cheaper]] = defaultdict(list)
    for usage in invoiced:
        today = book.price(usage.activity_id, usage.day, household, usage.child_id)
        if today is None or usage.invoice_id is None or usage.invoiced_price_cents is None:
            continue
        if today.unit_price_cents < usage.invoiced_price_cents:
            found[usage.invoice_id].append(Cheaper(usage, today.unit_price_cents, today.explanation))
    return dict(found)


def shares(paid_cents: int, amounts_cents: Mapping[Key, int]) -> dict[Key, int]:
    """What was paid on an invoice, shared over its lines by their amounts; the shares sum to what was paid.

    The cents that a division leaves go to the largest remainders, so that no line ever gets a cent more than its due.
    """
    total = sum(amounts_cents.values())
    if total <= 0 or paid_cents <= 0:
        return dict.fromkeys(amounts_cents, 0)
    parts = {key: divmod(paid_cents * cents, total) for key, cents in amounts_cents.items()}
    given = {key: whole for key, (whole, _) in parts.items()}
    for key in sorted(parts, key=lambda each: -parts[each][1])[: paid_cents - sum(given.values())]:
        given[key] += 1
    return given
