"""Whatever is published, paid, overpaid and credited, every movement balances and no cent is lost."""

from datetime import date, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.domain.failures import TariffMissing
from billing.domain.invoicing import Tariff, Usage, draft, price
from billing.domain.ledger import Account, credit_used, published, settle

MONTH = date(2026, 11, 1)
CANTEEN, CHILD = UUID(int=1), UUID(int=2)
CENTS = st.integers(1, 100_000)


def usage(day: date, household: UUID, *, booked: bool = True, invoiced: int | None = None) -> Usage:
    return Usage(household, CHILD, CANTEEN, day, booked, "Léa", "Cantine", invoiced)


@given(amount=CENTS, lefts=st.lists(st.integers(0, 50_000), max_size=6))
def test_a_settlement_balances_and_pays_no_invoice_twice(amount: int, lefts: list[int]) -> None:
    left = {uuid4(): cents for cents in lefts}
    done = settle(amount, list(left), left)
    assert sum(entry.amount_cents for entry in done.entries) == 0
    paid = {each: -sum(e.amount_cents for e in done.entries if e.invoice_id == each) for each in left}
    assert all(0 <= paid[each] <= left[each] for each in left)
    assert amount == sum(paid.values()) + done.surplus_cents
    assert set(done.settled) == {each for each in left if left[each] and paid[each] == left[each]}
    assert done.surplus_cents == max(0, amount - sum(lefts))


@given(total=CENTS, credit=st.integers(0, 200_000))
def test_credit_pays_what_it_can_and_never_more(total: int, credit: int) -> None:
    entries = credit_used(uuid4(), total, credit)
    assert sum(entry.amount_cents for entry in entries) == 0
    used = sum(entry.amount_cents for entry in entries if entry.account is Account.CREDIT)
    assert used == min(total, credit)
    assert sum(entry.amount_cents for entry in published(uuid4(), total)) == 0


@given(
    days=st.lists(st.tuples(st.integers(0, 29), st.booleans()), max_size=30, unique_by=lambda pair: pair[0]),
    cents=st.integers(0, 1_000),
)
def test_a_draft_is_the_sum_of_its_days(days: list[tuple[int, bool]], cents: int) -> None:
    household = uuid4()
    usages = [
        usage(MONTH + timedelta(days=number), household, booked=booked, invoiced=None if booked else 300)
        for number, booked in days
    ]
    expected = sum(cents if booked else -300 for _, booked in days)
    drafts = draft(usages, {CANTEEN: [Tariff(date(2026, 9, 1), cents)]}, MONTH)
    assert [each.total_cents for each in drafts] == ([expected] if expected > 0 else [])
    for each in drafts:
        assert each.total_cents == sum(line.count * line.unit_price_cents for line in each.lines)


def test_a_day_has_the_newest_price_valid_on_it() -> None:
    tariffs = [Tariff(date(2026, 9, 1), 400), Tariff(date(2026, 11, 15), 450)]
    assert price(tariffs, date(2026, 8, 31)) is None
    assert price(tariffs, date(2026, 11, 14)) == 400
    assert price(tariffs, date(2026, 11, 15)) == 450


def test_days_at_two_prices_are_two_lines_and_a_cancelled_one_is_a_correction() -> None:
    household = uuid4()
    usages = [
        usage(date(2026, 11, 10), household),
        usage(date(2026, 11, 12), household),
        usage(date(2026, 11, 20), household),
        usage(date(2026, 10, 6), household, booked=False, invoiced=390),
    ]
    (each,) = draft(usages, {CANTEEN: [Tariff(date(2026, 9, 1), 400), Tariff(date(2026, 11, 15), 450)]}, MONTH)
    assert [(line.count, line.unit_price_cents, line.explanation) for line in each.lines] == [
        (-1, 390, "régularisation"),
        (2, 400, "tarif unique"),
        (1, 450, "tarif unique"),
    ]
    assert each.total_cents == 860


def test_a_missing_price_is_named_and_stops_everything() -> None:
    with pytest.raises(TariffMissing) as refused:
        draft([usage(MONTH, uuid4())], {}, MONTH)
    assert refused.value.facts == {"activities": ["Cantine"]}
