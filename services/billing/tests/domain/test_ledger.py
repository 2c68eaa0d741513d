"""Whatever is published, paid, overpaid, refunded and credited, every movement balances and no cent is lost."""

from collections import defaultdict
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from billing.domain import chain
from billing.domain.ledger import (
    Account,
    Entry,
    credit_used,
    credited,
    overpaid,
    published,
    refunded,
    settle,
)
from billing.domain.returns import Asked, give_back

CENTS = st.integers(1, 100_000)


@given(amount=CENTS, lefts=st.lists(st.integers(0, 50_000), max_size=6))
def test_a_settlement_balances_and_pays_no_invoice_twice(amount: int, lefts: list[int]) -> None:
    left = {uuid4(): cents for cents in lefts}
    done = settle(amount, list(left), left, means="cash", till="REGIE")
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


def test_a_cent_is_money_and_nothing_is_no_movement() -> None:
    invoice_id = uuid4()
    assert credit_used(invoice_id, 10_00, 0) == ()
    assert [each.amount_cents for each in credit_used(invoice_id, 10_00, 1)] == [1, -1]
    assert overpaid(invoice_id, 0) == ()
    assert overpaid(invoice_id, 1) == ()
    assert [each.amount_cents for each in overpaid(invoice_id, -1)] == [1, -1]
    done = settle(1, [invoice_id], {invoice_id: 1}, means="cash", till="REGIE")
    assert (done.settled, done.surplus_cents, len(done.entries)) == ((invoice_id,), 0, 2)


class Books(RuleBasedStateMachine):
    """A household's account, told twice: by the ledger's entries, and by what anybody would note on paper."""

    def __init__(self) -> None:
        super().__init__()
        self.entries: list[Entry] = []
        self.invoices: list[UUID] = []
        self.total: dict[UUID, int] = {}
        self.credited: dict[UUID, int] = defaultdict(int)
        self.money = 0
        self.payments = 0

    def write(self, entries: tuple[Entry, ...]) -> None:
        assert sum(entry.amount_cents for entry in entries) == 0
        self.entries += entries

    @property
    def lefts(self) -> dict[UUID, int]:
        """What is left on each invoice, by the entries."""
        found = dict.fromkeys(self.invoices, 0)
        for each in self.entries:
            if each.invoice_id:
                found[each.invoice_id] += each.amount_cents
        return found

    @property
    def credit(self) -> int:
        return -sum(each.amount_cents for each in self.entries if each.account is Account.CREDIT)

    @rule(canteen=CENTS, morning=st.integers(0, 50_000))
    def publish(self, canteen: int, morning: int) -> None:
        invoice_id, products = uuid4(), {"Cantine": canteen, **({"Matin": morning} if morning else {})}
        credit = self.credit
        self.invoices.append(invoice_id)
        self.write(published(invoice_id, products))
        self.write(credit_used(invoice_id, canteen + morning, credit))
        self.total[invoice_id] = canteen + morning

    @precondition(lambda self: self.invoices)
    @rule(amount=CENTS, count=st.integers(1, 4))
    def pay(self, amount: int, count: int) -> None:
        chosen = self.invoices[-count:]
        done = settle(amount, chosen, self.lefts, means="card", till="REGIE")
        self.write(done.entries)
        self.money += amount
        self.payments += amount

    @precondition(lambda self: self.invoices)
    @rule(data=st.data())
    def correct(self, data: st.DataObject) -> None:
        invoice_id = data.draw(st.sampled_from(self.invoices))
        creditable = self.total[invoice_id] - self.credited[invoice_id]
        if creditable:
            cents = data.draw(st.integers(1, creditable))
            self.write(credited(invoice_id, {"Cantine": cents}))
            self.write(overpaid(invoice_id, self.lefts[invoice_id]))
            self.credited[invoice_id] += cents

    @precondition(lambda self: self.credit > 0)
    @rule(data=st.data())
    def refund(self, data: st.DataObject) -> None:
        cents = data.draw(st.integers(1, self.credit))
        self.write(refunded(cents, means="transfer", till="REGIE"))
        self.money -= cents

    @precondition(lambda self: self.payments > 0)
    @rule(data=st.data())
    def reverse(self, data: st.DataObject) -> None:
        """The bank takes money back, or the town refunds a payment: what this paid is due again."""
        cents = data.draw(st.integers(1, self.payments))
        lefts = self.lefts
        asked = [Asked(each, self.total[each], self.credited[each], lefts[each]) for each in self.invoices]
        self.write(give_back(cents, self.credit, asked, means="card", till="REGIE"))
        self.money -= cents
        self.payments -= cents

    @invariant()
    def every_balance_is_right(self) -> None:
        assert sum(each.amount_cents for each in self.entries) == 0
        lefts = self.lefts
        assert all(0 <= left <= self.total[each] for each, left in lefts.items())
        owed = sum(self.total.values()) - sum(self.credited.values())
        assert sum(lefts.values()) - self.credit == owed - self.money


TestBooks = Books.TestCase


def test_the_chain_shows_what_was_changed_taken_out_or_slipped_in() -> None:
    links = chain.extend(None, [(f"2026-{number:06d}", bytes([number]) * 32) for number in range(1, 6)])
    digests = [each.digest for each in links]
    assert chain.broken(None, links, digests) == []
    assert chain.extend(links[2], [(each.number, each.digest) for each in links[3:]]) == links[3:]
    changed = [*digests[:2], bytes(32), *digests[3:]]
    assert chain.broken(None, links, changed) == ["2026-000003: the document does not say what was published"]
    without = links[:2] + links[3:]
    assert "the chain is broken" in chain.broken(None, without, [each.digest for each in without])[0]
    assert chain.gaps(["2026-000001", "2026-000004", "A-2026-000002"]) == [
        "2026-000002",
        "2026-000003",
        "A-2026-000001",
    ]
