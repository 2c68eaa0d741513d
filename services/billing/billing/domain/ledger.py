"""Every movement of money as a balanced set of entries; debits are positive."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class Account(StrEnum):
    """What the town is owed, what it earned, what the bank took for it, and what it owes households."""

    RECEIVABLE = "receivable"
    REVENUE = "revenue"
    BANK = "bank"
    CREDIT = "credit"


@dataclass(frozen=True)
class Entry:
    """One side of a movement, in cents. A receivable names its invoice, revenue its product (an activity), money of the
    account ``bank`` how it came and to which till.
    """

    account: Account
    amount_cents: int
    invoice_id: UUID | None = None
    product: str | None = None
    means: str | None = None
    till: str | None = None


@dataclass(frozen=True)
class Settlement:
    """What a payment does: the invoices it pays, those it settles whole, and what is over."""

    entries: tuple[Entry, ...]
    settled: tuple[UUID, ...]
    surplus_cents: int


def published(invoice_id: UUID, products: Mapping[str, int]) -> tuple[Entry, ...]:
    """The household owes what the town has earned by each product."""
    earned = [Entry(Account.REVENUE, -cents, product=product) for product, cents in products.items()]
    return Entry(Account.RECEIVABLE, sum(products.values()), invoice_id), *earned


def credited(invoice_id: UUID, products: Mapping[str, int]) -> tuple[Entry, ...]:
    """A credit note takes back what was earned; the invoice may then be paid for more than it asks."""
    given_back = [Entry(Account.REVENUE, cents, product=product) for product, cents in products.items()]
    return *given_back, Entry(Account.RECEIVABLE, -sum(products.values()), invoice_id)


def overpaid(invoice_id: UUID, left_cents: int) -> tuple[Entry, ...]:
    """What was paid beyond what an invoice asks now becomes the household's credit: ``left_cents`` is then negative."""
    if left_cents >= 0:
        return ()
    return Entry(Account.RECEIVABLE, -left_cents, invoice_id), Entry(Account.CREDIT, left_cents)


def refunded(amount_cents: int, *, means: str, till: str) -> tuple[Entry, ...]:
    """The till gives a credit back."""
    return Entry(Account.CREDIT, amount_cents), Entry(Account.BANK, -amount_cents, means=means, till=till)


def credit_used(invoice_id: UUID, total_cents: int, credit_cents: int) -> tuple[Entry, ...]:
    """The household's credit pays what it can of a new invoice."""
    used = min(total_cents, credit_cents)
    return (Entry(Account.CREDIT, used), Entry(Account.RECEIVABLE, -used, invoice_id)) if used > 0 else ()


def set_off(credit_cents: int, left_cents: Mapping[UUID, int]) -> tuple[tuple[Entry, ...], tuple[UUID, ...]]:
    """The household's credit pays what it can of published invoices, given oldest first; those it settles whole."""
    entries, settled, rest = list[Entry](), list[UUID](), max(credit_cents, 0)
    for invoice_id, left in left_cents.items():
        if used := min(left, rest):
            entries.append(Entry(Account.RECEIVABLE, -used, invoice_id))
            rest -= used
            if used == left:
                settled.append(invoice_id)
    if entries:
        entries.insert(0, Entry(Account.CREDIT, -sum(each.amount_cents for each in entries)))
    return tuple(entries), tuple(settled)


def settle(
    amount_cents: int,
    invoices: Sequence[UUID],
    left_cents: Mapping[UUID, int],
    *,
    means: str,
    till: str,
) -> Settlement:
    """Spread money that came in over the invoices it is for, in their order; the rest is the household's credit.

    ``left_cents`` is what is left to pay on each invoice now. Nothing is lost: the entries balance whatever is left.
    """
    entries, settled, rest = [Entry(Account.BANK, amount_cents, means=means, till=till)], [], amount_cents
    for invoice_id in invoices:
        paid = min(left_cents[invoice_id], rest)
        if paid > 0:
            entries.append(Entry(Account.RECEIVABLE, -paid, invoice_id))
            rest -= paid
            if paid == left_cents[invoice_id]:
                settled.append(invoice_id)
    if rest:
        entries.append(Entry(Account.CREDIT, -rest))
    return Settlement(tuple(entries), tuple(settled), rest)
