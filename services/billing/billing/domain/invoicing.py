"""From days to invoice lines: each day is priced by the tariff of that day, and invoiced once."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TypeVar
from uuid import UUID

from billing.domain.attendance import Basis, charged, childcare, childcare_words
from billing.domain.tariffs import Household, PriceBook
from contracts.api.billing import AnomalyKind, CreditNoteLine
from contracts.api.tariffs import Tariff

Key = TypeVar("Key", bound=Hashable)

CORRECTION = "régularisation"
CANCELLED = "jour annulé"
UNUSUAL_FACTOR = 3
UNUSUAL_CENTS_MIN = 100_00


@dataclass(frozen=True, slots=True)
class Invoiced:
    """How a day was invoiced, less what credit notes took off since. ``base_cents`` is its price before attendance;
    ``waived`` is a day that a credit note gave back whole: it costs nothing, whatever attendance says.
    """

    invoice_id: UUID
    price_cents: int
    base_cents: int
    tariff_id: UUID
    waived: bool = False


@dataclass(frozen=True, slots=True)
class Usage:
    """A day of a child: its basis now, None when there is nothing to invoice, and the one that was invoiced last."""

    household_id: UUID
    child_id: UUID
    activity_id: UUID
    day: date
    basis: Basis | None
    seen_as: Basis | None
    child_first_name: str
    activity_label: str
    invoiced: Invoiced | None

    @property
    def is_waiting(self) -> bool:
        return self.basis is not self.seen_as

    @property
    def price_cents(self) -> int:
        """What invoices and credit notes made of it so far."""
        return self.invoiced.price_cents if self.invoiced else 0


@dataclass(frozen=True)
class Worth:
    """What a day costs by what is known now, the rule and the price before attendance that make it, and why."""

    cents: int
    base_cents: int
    tariff: Tariff
    explanation: str

    def on(self, invoice_id: UUID) -> Invoiced:
        """The day, invoiced so."""
        return Invoiced(invoice_id, self.cents, self.base_cents, self.tariff.tariff_id)


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
    unit_care_cents: int = 0

    @property
    def amount_cents(self) -> int:
        return self.count * self.unit_price_cents

    @property
    def childcare_cents(self) -> int:
        """What of it counts for the tax credit."""
        return self.count * self.unit_care_cents


@dataclass(frozen=True)
class Finding:
    """Something a person should look at before publishing."""

    kind: AnomalyKind
    detail: str


@dataclass(frozen=True)
class Draft:
    """An invoice before it has a number: its lines, and the days they stand for with what each is worth (None when it
    is taken back). ``seen`` are days that changed without changing what is owed, with how they stay invoiced.
    """

    household_id: UUID
    lines: tuple[Line, ...]
    days: tuple[tuple[Usage, Worth | None], ...]
    seen: tuple[tuple[Usage, Invoiced | None], ...]
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
    def tariffs(self) -> frozenset[UUID]:
        """The rules that made it."""
        return frozenset(worth.tariff.tariff_id for _, worth in self.days if worth)

    @property
    def products(self) -> dict[str, int]:
        """What each activity earns, in cents."""
        found: dict[str, int] = defaultdict(int)
        for line in self.lines:
            found[line.activity_label] += line.amount_cents
        return {label: cents for label, cents in found.items() if cents}


class NoTariff(Exception):  # noqa: N818 - an answer
    """No rule prices this day."""


class Prices:
    """What a household's days cost. ``usages`` hold every absence of the months they are of."""

    def __init__(self, usages: Sequence[Usage], household: Household, book: PriceBook) -> None:
        self._household, self._book = household, book
        self._absences: dict[tuple[UUID, UUID, int, int], list[date]] = defaultdict(list)
        for each in usages:
            if each.basis is Basis.ABSENT:
                self._absences[_month(each)].append(each.day)

    def worth(self, usage: Usage, *, reprice: bool = False) -> Worth | None:
        """What a day costs now, None for nothing at all; ``NoTariff`` when no rule says.

        A day that was invoiced keeps its rule and its price before attendance, unless ``reprice`` finds a lower one in
        what is known of the household now.
        """
        if usage.basis is None:
            return None
        price = self._book.price(usage.activity_id, usage.day, self._household, usage.child_id)
        if usage.invoiced is None:
            if price is None or price.tariff_id is None:
                raise NoTariff
            tariff, base_cents = self._book.named(price.tariff_id), price.unit_price_cents
        else:
            tariff, base_cents = self._book.named(usage.invoiced.tariff_id), usage.invoiced.base_cents
            if reprice and price:
                base_cents = min(base_cents, price.unit_price_cents)
        if usage.invoiced and usage.invoiced.waived:
            return Worth(0, base_cents, tariff, tariff.label)
        earlier = sum(day < usage.day for day in self._absences[_month(usage)])
        found = charged(tariff.attendance, base_cents, usage.basis, earlier_absences=earlier)
        if found is None:
            return None
        is_of_price = price is not None and price.unit_price_cents == base_cents
        words = (price.explanation if price and is_of_price else tariff.label, *found[1])
        return Worth(found[0], base_cents, tariff, " · ".join(words))


def _month(usage: Usage) -> tuple[UUID, UUID, int, int]:
    return usage.child_id, usage.activity_id, usage.day.year, usage.day.month


def draft(usages: Sequence[Usage], household: Household, book: PriceBook, month: date) -> Draft:
    """A household's invoice. A day that was invoiced and costs something else now comes back at what it was invoiced
    at, and is charged anew.

    What would owe nothing is left for a later month, and loses nothing; so is a household with a day that no tariff
    prices, which ``missing`` names. Days that cost nothing, now or before, need no invoice.
    """
    prices = Prices(usages, household, book)
    days: list[tuple[Usage, Worth | None]] = []
    seen: list[tuple[Usage, Invoiced | None]] = []
    missing: set[str] = set()
    for usage in usages:
        try:
            worth = prices.worth(usage)
        except NoTariff:
            missing.add(usage.activity_label)
            continue
        if (worth.cents if worth else 0) == usage.price_cents and (usage.invoiced or not worth):
            seen.append((usage, usage.invoiced if worth else None))
        else:
            days.append((usage, worth))
    lines = _lines(days, book, month)
    if not any(line.amount_cents for line in lines):
        seen += [(usage, usage.invoiced if worth else None) for usage, worth in days]
        lines, days = (), []
    return Draft(household.household_id, lines, tuple(days), tuple(seen), _findings(days, missing, lines))


def _lines(days: Sequence[tuple[Usage, Worth | None]], book: PriceBook, month: date) -> tuple[Line, ...]:
    counts: dict[tuple[str, str, int, str, UUID, bool, int], int] = defaultdict(int)
    for usage, worth in days:
        of, child_id = (usage.child_first_name, usage.activity_label), usage.child_id
        if usage.invoiced and usage.price_cents:
            tariff = book.named(usage.invoiced.tariff_id)
            care = childcare(tariff, usage.seen_as, usage.price_cents, usage.invoiced.base_cents)
            why = " · ".join((CORRECTION, *childcare_words(tariff, care)))
            counts[*of, usage.price_cents, why, child_id, tariff.childcare, care] -= 1
        if worth:
            is_late = usage.day < month or usage.invoiced
            care = childcare(worth.tariff, usage.basis, worth.cents, worth.base_cents)
            words = (*((CORRECTION,) if is_late else ()), worth.explanation, *childcare_words(worth.tariff, care))
            counts[*of, worth.cents, " · ".join(words), child_id, worth.tariff.childcare, care] += 1
    return tuple(
        Line(child_id, child, activity, is_care, count, cents, why, care)
        for (child, activity, cents, why, child_id, is_care, care), count in sorted(counts.items())
        if count
    )


def _findings(
    days: Sequence[tuple[Usage, Worth | None]], missing: set[str], lines: Sequence[Line]
) -> tuple[Finding, ...]:
    without_quotient = {usage.activity_label for usage, worth in days if worth and "QF non connu" in worth.explanation}
    unchecked = Counter(
        usage.activity_label
        for usage, worth in days
        if worth and worth.tariff.attendance and usage.basis is Basis.BOOKED
    )
    found = []
    if missing:
        found.append(Finding(AnomalyKind.TARIFF_MISSING, ", ".join(sorted(missing))[:200]))
    if unchecked:
        said = (f"{label} : {count} jour{'s' * (count > 1)}" for label, count in sorted(unchecked.items()))
        found.append(Finding(AnomalyKind.ATTENDANCE_UNCHECKED, ", ".join(said)[:200]))
    if without_quotient:
        found.append(Finding(AnomalyKind.QUOTIENT_MISSING, ", ".join(sorted(without_quotient))[:200]))
    if lines and not missing and sum(line.amount_cents for line in lines) <= 0:
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
    """An invoiced day that costs less by what is known now; ``worth`` is None when it costs nothing any more."""

    usage: Usage
    worth: Worth | None

    @property
    def credit_cents(self) -> int:
        return self.usage.price_cents - (self.worth.cents if self.worth else 0)

    @property
    def explanation(self) -> str:
        return self.worth.explanation if self.worth else CANCELLED


def cheaper(usages: Sequence[Usage], household: Household, book: PriceBook) -> dict[UUID, list[Cheaper]]:
    """The days of each invoice that would cost less today: a credit to propose. What costs more waits for a run."""
    prices, found = Prices(usages, household, book), defaultdict(list)
    for usage in usages:
        if usage.invoiced:
            day = Cheaper(usage, prices.worth(usage, reprice=True))
            if day.credit_cents > 0:
                found[usage.invoiced.invoice_id].append(day)
    return dict(found)


def creditable(usages: Sequence[Usage], invoice_id: UUID) -> list[Usage]:
    """The days that an invoice charges, credit notes taken off."""
    return [each for each in usages if each.invoiced and each.invoiced.invoice_id == invoice_id and each.price_cents]


def waived(usage: Usage) -> Invoiced:
    """An invoiced day that a credit note gave back whole."""
    assert usage.invoiced is not None, "only an invoiced day is given back"
    return replace(usage.invoiced, price_cents=0, waived=True)


def credit_lines(days: Sequence[tuple[Usage, str, int]]) -> tuple[list[CreditNoteLine], dict[str, int]]:
    """The lines of a credit note, from days with why and how much each gives back, and what each product loses."""
    counts: dict[tuple[str, str, int], int] = defaultdict(int)
    products: dict[str, int] = defaultdict(int)
    for usage, why, cents in days:
        counts[usage.child_first_name, f"{usage.activity_label} · {why}"[:200], cents] += 1
        products[usage.activity_label] += cents
    lines = [
        CreditNoteLine(
            child_first_name=child, label=words, count=count, unit_credit_cents=cents, amount_cents=count * cents
        )
        for (child, words, cents), count in sorted(counts.items())
    ]
    return lines, dict(products)


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
