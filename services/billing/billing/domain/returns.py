"""Money that goes back to a household, or that the bank takes back, as a balanced movement. Pure."""

from collections.abc import Sequence
from uuid import UUID

from billing.domain.ledger import Account, Entry


def give_back(
    amount_cents: int, credit_cents: int, paid: Sequence[tuple[UUID, int]], *, means: str, till: str
) -> tuple[Entry, ...]:
    """The bank account loses it, by the means and at the till it came: first out of the household's credit, then
    invoices that were paid are due again.

    ``paid`` names invoices with what was paid on each, the payment's own first. Credit and paid invoices together hold
    at least what ever came in, so nothing is left over; a credit is never made negative.
    """
    from_credit = min(max(credit_cents, 0), amount_cents)
    entries = [Entry(Account.BANK, -amount_cents, means=means, till=till)]
    if from_credit:
        entries.append(Entry(Account.CREDIT, from_credit))
    rest = amount_cents - from_credit
    for invoice_id, cents in paid:
        if due_again := min(cents, rest):
            entries.append(Entry(Account.RECEIVABLE, due_again, invoice_id))
            rest -= due_again
    if rest:
        raise ValueError(f"{rest} cents were never paid by this household")
    return tuple(entries)
