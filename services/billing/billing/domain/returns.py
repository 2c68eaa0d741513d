"""Money that goes back to a household, or that the bank takes back, as a balanced movement. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from billing.domain.ledger import Account, Entry


@dataclass(frozen=True)
class Asked:
    """What an invoice asked, what credit notes took off it, and what is left to pay."""

    invoice_id: UUID
    total_cents: int
    credited_cents: int
    left_cents: int


def give_back(
    amount_cents: int, credit_cents: int, invoices: Sequence[Asked], *, means: str, till: str
) -> tuple[Entry, ...]:
    """The bank account loses it, by the means and at the till it came: first out of the household's credit, then
    invoices that were paid are due again, in their order.

    Where the town had paid a credit out already, so is what it had credited: the household owes that, and an invoice is
    how it can pay it. What no invoice ever asked (an overpayment that was given back at the till, and that the bank
    takes back too) is a debt on the household's credit account.
    """
    from_credit = min(max(credit_cents, 0), amount_cents)
    entries = [Entry(Account.BANK, -amount_cents, means=means, till=till)]
    rest = amount_cents - from_credit
    paid = [(each.invoice_id, max(0, each.total_cents - each.credited_cents - each.left_cents)) for each in invoices]
    credited = [
        (each.invoice_id, each.total_cents - each.left_cents - cents)
        for each, (_, cents) in zip(invoices, paid, strict=True)
    ]
    for invoice_id, cents in (*paid, *credited):
        if due_again := min(cents, rest):
            entries.append(Entry(Account.RECEIVABLE, due_again, invoice_id))
            rest -= due_again
    if from_credit + rest:
        entries.append(Entry(Account.CREDIT, from_credit + rest))
    return tuple(entries)
