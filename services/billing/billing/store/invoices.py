"""Published invoices and the ledger."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from billing.domain.invoicing import Draft
from billing.domain.ledger import Entry
from chassis.database import Transaction
from contracts.api.billing import Invoice, InvoiceLine, InvoiceStatus, InvoiceSummary

LIST_MAX = 500

_SUMMARY = (
    "SELECT i.*, coalesce((SELECT sum(e.amount_cents) FROM ledger_entry e WHERE e.invoice_id = i.invoice_id), 0)"
    "::bigint AS left_cents, (SELECT ci.checkout_id FROM checkout_invoice ci "
    "WHERE ci.invoice_id = i.invoice_id AND ci.open) AS checkout_id FROM invoice i WHERE i.household_id = $1"
)


def _summary(row: Any) -> InvoiceSummary:
    left, total = row["left_cents"], row["total_cents"]
    partly = InvoiceStatus.TO_PAY if left == total else InvoiceStatus.PARTIALLY_PAID
    return InvoiceSummary(
        invoice_id=row["invoice_id"],
        number=row["number"],
        month=row["month"],
        published_on=row["published_on"],
        due_on=row["due_on"],
        total_cents=total,
        left_cents=left,
        status=partly if left > 0 else InvoiceStatus.PAID,
        checkout_id=row["checkout_id"],
    )


async def hold_runs(tx: Transaction) -> None:
    """Let one run publish at a time."""
    await tx.execute("SELECT pg_advisory_xact_lock(hashtext('billing.invoice_run'))")


async def add_run(
    tx: Transaction, month: date, due_on: date, by: UUID, at: datetime, invoices: int, total_cents: int
) -> UUID:
    run_id: UUID = await tx.fetchval(
        "INSERT INTO invoice_run (month, due_on, requested_by, run_at, invoices, total_cents) "
        "VALUES ($1, $2, $3, $4, $5, $6) RETURNING run_id",
        month,
        due_on,
        by,
        at,
        invoices,
        total_cents,
    )
    return run_id


async def next_numbers(tx: Transaction, year: int, count: int) -> list[str]:
    """The next numbers of a year, without a gap: drawn in the transaction that publishes, and given back with it."""
    last: int = await tx.fetchval(
        "INSERT INTO invoice_counter (year, last) VALUES ($1, $2) "
        "ON CONFLICT (year) DO UPDATE SET last = invoice_counter.last + $2 RETURNING last",
        year,
        count,
    )
    return [f"{year}-{number:06d}" for number in range(last - count + 1, last + 1)]


async def add_invoice(
    tx: Transaction,
    draft: Draft,
    *,
    run_id: UUID,
    number: str,
    month: date,
    due_on: date,
    town: str,
    at: datetime,
    on: date,
) -> UUID:
    """A published invoice with its lines and the household as it is now."""
    invoice_id: UUID = await tx.fetchval(
        "INSERT INTO invoice (run_id, number, household_id, month, published_at, published_on, due_on, total_cents, "
        "town, household_name, household_reference, household_address) "
        "SELECT $1, $2, h.household_id, $4, $5, $6, $7, $8, $9, h.name, h.reference, h.address "
        "FROM household h WHERE h.household_id = $3 RETURNING invoice_id",
        run_id,
        number,
        draft.household_id,
        month,
        at,
        on,
        due_on,
        draft.total_cents,
        town,
    )
    await _add_lines(tx, invoice_id, draft)
    return invoice_id


async def _add_lines(tx: Transaction, invoice_id: UUID, draft: Draft) -> None:
    await tx.executemany(
        "INSERT INTO invoice_line (invoice_id, position, child_first_name, activity_label, count, unit_price_cents, "
        "amount_cents, explanation) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        [
            (
                invoice_id,
                position,
                line.child_first_name,
                line.activity_label,
                line.count,
                line.unit_price_cents,
                line.amount_cents,
                line.explanation,
            )
            for position, line in enumerate(draft.lines)
        ],
    )


async def add_ledger_transaction(
    tx: Transaction, key: str, household_id: UUID, entries: Sequence[Entry], at: datetime
) -> bool:
    """Write a movement once for its key; False when it was written before."""
    transaction_id = await tx.fetchval(
        "INSERT INTO ledger_transaction (key, at) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING "
        "RETURNING transaction_id",
        key,
        at,
    )
    if transaction_id is None:
        return False
    await tx.executemany(
        "INSERT INTO ledger_entry (transaction_id, account, household_id, invoice_id, amount_cents) "
        "VALUES ($1, $2, $3, $4, $5)",
        [(transaction_id, entry.account, household_id, entry.invoice_id, entry.amount_cents) for entry in entries],
    )
    return True


async def credit_cents(tx: Transaction, household_id: UUID) -> int:
    """What the town owes the household."""
    owed: int = await tx.fetchval(
        "SELECT coalesce(-sum(amount_cents), 0)::bigint FROM ledger_entry "
        "WHERE household_id = $1 AND account = 'credit'",
        household_id,
    )
    return owed


async def lock_household(tx: Transaction, household_id: UUID) -> None:
    """Let one movement at a time use a household's credit."""
    await tx.execute("SELECT FROM household WHERE household_id = $1 FOR UPDATE", household_id)


async def lock_invoices(tx: Transaction, invoice_ids: Sequence[UUID]) -> None:
    """Lock invoices, always in the same order. (They never change; the lock stands for what is left to pay.)"""
    await tx.execute(
        "SELECT FROM invoice WHERE invoice_id = ANY($1::uuid[]) ORDER BY invoice_id FOR UPDATE", list(invoice_ids)
    )


async def summaries(
    tx: Transaction, household_id: UUID, invoice_ids: Sequence[UUID] | None = None
) -> list[InvoiceSummary]:
    """The household's invoices, newest first, or those named that are its own."""
    wanted = list(invoice_ids) if invoice_ids is not None else None
    rows = await tx.fetch(
        f"{_SUMMARY} AND ($2::uuid[] IS NULL OR i.invoice_id = ANY($2)) ORDER BY i.published_at DESC, i.number DESC "
        f"LIMIT {LIST_MAX}",
        household_id,
        wanted,
    )
    return [_summary(row) for row in rows]


async def invoice(tx: Transaction, household_id: UUID, invoice_id: UUID) -> Invoice | None:
    """A published invoice of the household with its lines."""
    row = await tx.fetchrow(f"{_SUMMARY} AND i.invoice_id = $2", household_id, invoice_id)
    if row is None:
        return None
    lines = await tx.fetch("SELECT * FROM invoice_line WHERE invoice_id = $1 ORDER BY position", invoice_id)
    return Invoice(
        summary=_summary(row),
        town=row["town"],
        household_name=row["household_name"],
        household_reference=row["household_reference"],
        household_address=tuple(row["household_address"]),
        lines=tuple(
            InvoiceLine(
                child_first_name=line["child_first_name"],
                activity_label=line["activity_label"],
                count=line["count"],
                unit_price_cents=line["unit_price_cents"],
                amount_cents=line["amount_cents"],
                explanation=line["explanation"],
            )
            for line in lines
        ),
    )
