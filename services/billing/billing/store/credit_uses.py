"""A household's credit that pays published invoices."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from billing.domain import ledger
from billing.domain.ledger import Account
from billing.store import invoices
from chassis import outbox
from chassis.database import Transaction
from contracts.api.billing import InvoiceSummary
from contracts.events.billing import InvoiceSettled


async def use_credit(
    tx: Transaction, household_id: UUID, chosen: Sequence[UUID] | None, by: UUID | None, at: datetime
) -> int:
    """Have the credit pay what it can of these invoices, or of all, oldest first; how many cents it paid.

    An invoice that a payment holds is left to that payment. The household and its invoices are locked, in this order.
    """
    await invoices.lock_household(tx, household_id)
    credit = await invoices.credit_cents(tx, household_id)
    if credit <= 0:
        return 0
    ids = [each.invoice_id for each in await invoices.summaries(tx, household_id, chosen)]
    await invoices.lock_invoices(tx, ids)
    found = {each.invoice_id: each for each in reversed(await invoices.summaries(tx, household_id, ids))}
    lefts = {key: each.left_cents for key, each in found.items() if each.left_cents > 0 and not each.under_way}
    entries, settled = ledger.set_off(credit, lefts)
    used = sum(each.amount_cents for each in entries if each.account is Account.CREDIT)
    if used:
        credit_use_id: UUID = await tx.fetchval(
            "INSERT INTO credit_use (household_id, amount_cents, used_by, used_at) VALUES ($1, $2, $3, $4) "
            "RETURNING credit_use_id",
            household_id,
            used,
            by,
            at,
        )
        await invoices.add_ledger_transaction(tx, f"credit-use/{credit_use_id}", household_id, entries, at)
        await outbox.add(tx, *(_settled(household_id, found[each], credit_use_id, at) for each in settled))
    return used


def _settled(household_id: UUID, invoice: InvoiceSummary, credit_use_id: UUID, at: datetime) -> InvoiceSettled:
    return InvoiceSettled(
        invoice_id=invoice.invoice_id,
        household_id=household_id,
        number=invoice.number,
        payment_id=credit_use_id,
        settled_at=at,
        means="credit",
    )
