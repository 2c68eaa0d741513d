"""What attendance makes of a price, and days that change again and again without a cent charged twice."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.domain.attendance import Basis, charged
from billing.domain.invoicing import Prices, Usage, cheaper, draft, waived
from billing.domain.tariffs import Household, PriceBook
from contracts.api.billing import AnomalyKind
from contracts.api.tariffs import AttendanceRules, FlatPrice, Tariff, Terms

MONTH = date(2026, 11, 1)
CANTEEN, CHILD, HOUSEHOLD = UUID(int=1), UUID(int=2), UUID(int=3)
RULES = AttendanceRules(
    justified_percent=0, unjustified_percent=50, free_absences=1, extra_cents=200, late_pickup_cents=500
)
B = Basis


def book(rules: AttendanceRules | None = RULES, cents: int = 425) -> PriceBook:
    rule = Tariff(
        tariff_id=UUID(int=4),
        label="Cantine 2026",
        activity_id=CANTEEN,
        activity_label="Cantine",
        valid_from=date(2026, 9, 1),
        formula=FlatPrice(unit_price_cents=cents),
        attendance=rules,
    )
    return PriceBook([rule])


def usage(number: int, basis: Basis | None) -> Usage:
    return Usage(HOUSEHOLD, CHILD, CANTEEN, MONTH + timedelta(days=number), basis, None, "Léa", "Cantine", None)


@pytest.mark.parametrize(
    ("basis", "earlier", "expected"),
    [
        (B.BOOKED, 0, (425, "")),
        (B.PRESENT, 0, (425, "")),
        (B.PRESENT_LATE, 0, (925, "départ en retard : +5 €")),
        (B.JUSTIFIED, 0, (0, "absence justifiée : non facturée")),
        (B.ABSENT, 0, (0, "absence non justifiée n° 1 du mois : non facturée")),
        (B.ABSENT, 1, (213, "absence non justifiée : 50 % de 4,25 €")),  # 212.5, half a cent upwards
        (B.EXTRA, 0, (625, "présence sans réservation : +2 €")),
        (B.EXTRA_LATE, 0, (1_125, "présence sans réservation : +2 € · départ en retard : +5 €")),
    ],
)
def test_each_rule_makes_its_price_and_says_so(basis: Basis, earlier: int, expected: tuple[int, str]) -> None:
    found = charged(RULES, 425, basis, earlier_absences=earlier)
    assert found is not None
    assert (found[0], " · ".join(found[1]).replace("\N{NO-BREAK SPACE}", " ")) == expected


@pytest.mark.parametrize("basis", list(Basis))
def test_without_rules_what_is_booked_costs_its_price_whoever_came(basis: Basis) -> None:
    extra = basis in {B.EXTRA, B.EXTRA_LATE}
    assert charged(None, 425, basis, earlier_absences=0) == (None if extra else (425, ()))


def test_the_first_absences_of_a_month_are_free_in_the_order_of_days() -> None:
    usages = [usage(number, B.ABSENT) for number in (20, 3, 9)] + [usage(33, B.ABSENT), usage(5, B.JUSTIFIED)]
    each = draft(usages, Household(HOUSEHOLD), book(), MONTH)
    priced = {day.day.day: worth.cents for day, worth in each.days if worth and day.day.month == MONTH.month}
    assert priced == {4: 0, 10: 213, 21: 213, 6: 0}
    assert each.total_cents == 426  # the one of December is the first of its month


def test_a_day_that_nobody_checked_is_named_where_attendance_counts() -> None:
    days = [usage(1, B.BOOKED), usage(2, B.BOOKED), usage(3, B.PRESENT)]
    (found,) = draft(days, Household(HOUSEHOLD), book(), MONTH).findings
    assert (found.kind, found.detail) == (AnomalyKind.ATTENDANCE_UNCHECKED, "Cantine : 2 jours")
    assert draft(days, Household(HOUSEHOLD), book(None), MONTH).findings == ()


def test_a_correction_keeps_the_price_that_the_family_was_told() -> None:
    """Neither a quotient nor a price that changed since is charged because somebody marks a presence."""
    (day, worth) = draft([usage(1, B.BOOKED)], Household(HOUSEHOLD), book(cents=400), MONTH).days[0]
    assert worth is not None
    invoiced = replace(day, basis=B.PRESENT_LATE, seen_as=B.BOOKED, invoiced=worth.on(UUID(int=7)))
    each = draft([invoiced], Household(HOUSEHOLD), book(cents=900), MONTH)
    assert [(line.count, line.unit_price_cents, line.explanation) for line in each.lines] == [
        (-1, 400, "régularisation"),
        (1, 900, "régularisation · Cantine 2026 · départ en retard : +5\N{NO-BREAK SPACE}€"),
    ]
    there = replace(invoiced, basis=B.PRESENT)
    again = draft([there], Household(HOUSEHOLD), book(cents=900), MONTH)
    assert (again.lines, again.seen) == ((), ((there, there.invoiced),))


class Ledger:
    """A month of one child: its days, what invoices asked and what credit notes gave back."""

    def __init__(self, prices: PriceBook) -> None:
        self.book, self.days, self.net = prices, dict[int, Usage](), 0

    def learn(self, facts: Mapping[int, Basis | None]) -> None:
        for number, basis in facts.items():
            self.days[number] = replace(self.days.get(number, usage(number, None)), basis=basis)

    def run(self) -> int:
        """Publish what is due; what would be due later otherwise."""
        found = [each for each in self.days.values() if each.is_waiting or each.basis is B.ABSENT]
        each = draft(found, Household(HOUSEHOLD), self.book, MONTH)
        self._keep(each.seen)
        if not each.is_due:
            return each.total_cents
        self.net += each.total_cents
        invoice_id = uuid4()
        self._keep([(day, worth.on(invoice_id) if worth else None) for day, worth in each.days])
        return 0

    def credit(self) -> None:
        """Publish every credit that is proposed."""
        found = cheaper(list(self.days.values()), Household(HOUSEHOLD), self.book)
        for invoice_id, days in found.items():
            self.net -= sum(each.credit_cents for each in days)
            self._keep([(each.usage, each.worth.on(invoice_id) if each.worth else None) for each in days])

    def waive(self, number: int) -> None:
        """Give a day back whole."""
        day = self.days.get(number)
        if day and day.invoiced and day.price_cents:
            self.net -= day.price_cents
            self._keep([(day, waived(day))])

    def _keep(self, days: object) -> None:
        for day, invoiced in days:  # type: ignore[attr-defined]
            self.days[(day.day - MONTH).days] = replace(day, seen_as=day.basis, invoiced=invoiced)

    @property
    def worth(self) -> int:
        prices = Prices(list(self.days.values()), Household(HOUSEHOLD), self.book)
        return sum(found.cents for each in self.days.values() if (found := prices.worth(each)))


BASES = st.none() | st.sampled_from(list(Basis))
STEPS = st.lists(
    st.tuples(
        st.dictionaries(st.integers(0, 5), BASES, max_size=6),
        st.sampled_from(["run", "credit", "waive", "nothing"]),
    ),
    max_size=8,
)
ANY_RULES = st.builds(
    AttendanceRules,
    justified_percent=st.integers(0, 100),
    unjustified_percent=st.integers(0, 200),
    free_absences=st.integers(0, 3),
    extra_cents=st.integers(0, 300),
    late_pickup_cents=st.integers(0, 300),
)


@given(rules=st.none() | ANY_RULES, cents=st.integers(0, 999), steps=STEPS)
def test_whatever_comes_when_each_day_is_charged_exactly_once(
    rules: AttendanceRules | None, cents: int, steps: list[tuple[dict[int, Basis | None], str]]
) -> None:
    """What was invoiced less what was credited, with what the next run would ask, is what the days are worth."""
    ledger = Ledger(book(rules, cents))
    for facts, then in steps:
        ledger.learn(facts)
        if then == "run":
            ledger.run()
        elif then == "credit":
            ledger.credit()
        elif then == "waive":
            ledger.waive(0)
    waiting = ledger.run()
    assert ledger.net + waiting == ledger.worth
    assert ledger.net >= 0
    assert ledger.run() == waiting  # a second run asks nothing more


def test_a_late_quotient_and_an_absence_together_are_one_credit() -> None:
    ledger = Ledger(book())
    ledger.learn({1: B.ABSENT, 2: B.ABSENT, 3: B.BOOKED})
    ledger.run()
    assert ledger.net == 213 + 425
    ledger.book = book(cents=300)
    ledger.learn({2: B.JUSTIFIED, 3: B.PRESENT})
    ledger.credit()
    assert ledger.net == 300
    known = Household(HOUSEHOLD, (Terms(valid_from=MONTH, quotient_cents=None, resident=True),))
    assert cheaper(list(ledger.days.values()), known, ledger.book) == {}
