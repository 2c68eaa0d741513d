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
    """One side of a movement, in cents; a receivable names its invoice."""

    account: Account
    amount_cents: int
    invoice_id: UUID | None = None


@dataclass(frozen=True)
class Settlement:
    """What a payment does: the invoices it pays, those it settles whole, and what is over."""

    entries: tuple[Entry, ...]
    settled: tuple[UUID, ...]
    surplus_cents: int


def published(invoice_id: UUID, total_cents: int) -> tuple[Entry, ...]:
    """The household owes what the town has earned."""
    return Entry(Account.RECEIVABLE, total_cents, invoice_id), Entry(Account.REVENUE, -total_cents)


def credit_used(invoice_id: UUID, total_cents: int, credit_cents: int) -> tuple[Entry, ...]:
    """The household's credit pays what it can of a new invoice."""
    used = min(total_cents, credit_cents)
    return (Entry(Account.CREDIT, used), Entry(Account.RECEIVABLE, -used, invoice_id)) if used > 0 else ()


def settle(amount_cents: int, invoices: Sequence[UUID], left_cents: Mapping[UUID, int]) -> Settlement:
    """Spread money the bank took over the invoices of its checkout, in their order; the rest is the household's credit.

    ``left_cents`` is what is left to pay on each invoice now. Nothing is lost: the entries balance whatever is left.
    """
    entries, settled, rest = [Entry(Account.BANK, amount_cents)], [], amount_cents
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
