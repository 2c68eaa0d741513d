"""What goes back balances, empties the credit first, and makes due no more than was paid."""

from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from billing.domain.ledger import Account
from billing.domain.returns import Asked, give_back


@given(st.data(), st.integers(0, 50_000), st.lists(st.integers(1, 50_000), min_size=1, max_size=5))
def test_what_goes_back_balances(data: st.DataObject, credit: int, lefts: list[int]) -> None:
    paid = [Asked(uuid4(), cents + 5, 3, 2) for cents in lefts]
    amount = data.draw(st.integers(1, credit + sum(lefts)))
    entries = give_back(amount, credit, paid, means="card", till="REGIE")
    assert sum(entry.amount_cents for entry in entries) == 0
    used = sum(entry.amount_cents for entry in entries if entry.account is Account.CREDIT)
    assert used == min(credit, amount)
    again = {entry.invoice_id: entry.amount_cents for entry in entries if entry.account is Account.RECEIVABLE}
    assert all(0 < again.get(each.invoice_id, 1) <= each.total_cents - 5 for each in paid)


def test_what_no_invoice_ever_asked_is_a_debt_of_the_household() -> None:
    """One cent was due and a hundred came; the till gave ninety-nine back, and now the bank takes the hundred."""
    entries = give_back(100, 0, [Asked(uuid4(), 1, 0, 0)], means="card", till="REGIE")
    assert [(entry.account, entry.amount_cents) for entry in entries] == [
        (Account.BANK, -100),
        (Account.RECEIVABLE, 1),
        (Account.CREDIT, 99),
    ]


def test_what_was_paid_is_due_again_before_what_was_credited() -> None:
    credited, paid = Asked(uuid4(), 10, 10, 0), Asked(uuid4(), 10, 0, 0)
    for amount, expected in ((10, [(paid, 10)]), (14, [(paid, 10), (credited, 4)])):
        entries = give_back(amount, 0, [credited, paid], means="card", till="REGIE")
        again = [(entry.invoice_id, entry.amount_cents) for entry in entries if entry.account is Account.RECEIVABLE]
        assert again == [(each.invoice_id, cents) for each, cents in expected]
