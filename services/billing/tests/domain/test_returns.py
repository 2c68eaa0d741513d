"""What goes back balances, empties the credit first, and makes due no more than was paid."""

from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.domain.ledger import Account
from billing.domain.returns import give_back


@given(st.data(), st.integers(0, 50_000), st.lists(st.integers(1, 50_000), min_size=1, max_size=5))
def test_what_goes_back_balances(data: st.DataObject, credit: int, lefts: list[int]) -> None:
    paid = [(uuid4(), cents) for cents in lefts]
    amount = data.draw(st.integers(1, credit + sum(lefts)))
    entries = give_back(amount, credit, paid, means="card", till="REGIE")
    assert sum(entry.amount_cents for entry in entries) == 0
    used = sum(entry.amount_cents for entry in entries if entry.account is Account.CREDIT)
    assert used == min(credit, amount)
    again = {entry.invoice_id: entry.amount_cents for entry in entries if entry.account is Account.RECEIVABLE}
    assert all(0 < again[invoice] <= cents for invoice, cents in paid if invoice in again)


def test_more_than_ever_came_in_is_a_defect() -> None:
    with pytest.raises(ValueError, match="never paid"):
        give_back(10, 3, [(uuid4(), 6)], means="card", till="REGIE")
