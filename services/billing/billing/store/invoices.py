"""Published invoices and the ledger."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from billing.domain.failures import AccountChanged
from billing.domain.ledger import Entry
from chassis.clock import day_of
from chassis.database import Transaction
from contracts.api.billing import Invoice, InvoiceLine, InvoiceStatus, InvoiceSummary, Issuer, PendingPayment

LIST_MAX = 500

_SUMMARY = (
    "SELECT i.*, coalesce((SELECT sum(e.amount_cents) FROM ledger_entry e WHERE e.invoice_id = i.invoice_id), 0)"
    "::bigint AS left_cents, (SELECT ci.checkout_id FROM checkout_invoice ci "
    "WHERE ci.invoice_id = i.invoice_id AND ci.open) AS checkout_id, EXISTS (SELECT FROM checkout_invoice ci "
    "JOIN payment_hold h USING (checkout_id) WHERE ci.invoice_id = i.invoice_id AND NOT h.ended) AS is_held, "
    "coalesce((SELECT sum(c.total_cents) "
    "FROM credit_note c WHERE c.invoice_id = i.invoice_id), 0)::bigint AS credited_cents "
    "FROM invoice i WHERE i.household_id = $1"
)


def _summary(row: Any) -> InvoiceSummary:
    left, total = row["left_cents"], row["total_cents"]
    partly = InvoiceStatus.TO_PAY if left == total - row["credited_cents"] else InvoiceStatus.PARTIALLY_PAID
    return InvoiceSummary(
        invoice_id=row["invoice_id"],
        number=row["number"],
        month=row["month"],
        published_on=row["published_on"],
        due_on=row["due_on"],
        total_cents=total,
        left_cents=max(left, 0),  # below it is for `verify` to say; the household sees a paid invoice
        status=partly if left > 0 else InvoiceStatus.PAID,
        checkout_id=row["checkout_id"],
        credited_cents=row["credited_cents"],
        under_way=_under_way(row) if left > 0 else None,
    )


def _under_way(row: Any) -> PendingPayment | None:
    if row["is_held"]:
        return PendingPayment.UNDER_REVIEW
    return PendingPayment.BEING_PAID if row["checkout_id"] else None


async def next_numbers(tx: Transaction, series: str, year: int, count: int) -> list[str]:
    """The next numbers of a series (``""`` invoices, ``A-`` credit notes, ``R-`` receipts) and year, without a gap:
    drawn in the transaction that publishes, and given back with it.
    """
    last: int = await tx.fetchval(
        "INSERT INTO document_counter AS c (series, year, last) VALUES ($1, $2, $3) "
        "ON CONFLICT (series, year) DO UPDATE SET last = c.last + $3 RETURNING last",
        series,
        year,
        count,
    )
    return [f"{series}{year}-{number:06d}" for number in range(last - count + 1, last + 1)]


async def add_invoices(tx: Transaction, run_id: UUID, published: Sequence[tuple[UUID, Invoice]], at: datetime) -> None:
    """Published invoices, each with its household's id, as they will be read for ever."""
    await tx.executemany(
        "INSERT INTO invoice (invoice_id, run_id, number, household_id, month, published_at, published_on, due_on, "
        "total_cents, issuer, household_name, household_reference, household_address) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        [
            (
                model.summary.invoice_id,
                run_id,
                model.summary.number,
                household_id,
                model.summary.month,
                at,
                model.summary.published_on,
                model.summary.due_on,
                model.summary.total_cents,
                model.issuer.model_dump(),
                model.household_name,
                model.household_reference,
                list(model.household_address),
            )
            for household_id, model in published
        ],
    )
    await _add_lines(tx, [model for _, model in published])


async def _add_lines(tx: Transaction, models: Sequence[Invoice]) -> None:
    await tx.executemany(
        "INSERT INTO invoice_line (invoice_id, position, child_id, child_first_name, activity_label, childcare, count, "
        "unit_price_cents, amount_cents, explanation, childcare_cents) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        [
            (
                model.summary.invoice_id,
                position,
                line.child_id,
                line.child_first_name,
                line.activity_label,
                line.childcare,
                line.count,
                line.unit_price_cents,
                line.amount_cents,
                line.explanation,
                line.childcare_cents,
            )
            for model in models
            for position, line in enumerate(model.lines)
        ],
    )


async def add_ledger_transaction(
    tx: Transaction,
    key: str,
    household_id: UUID,
    entries: Sequence[Entry],
    at: datetime,
    *,
    day: date | None = None,
    note: str | None = None,
) -> bool:
    """Write a movement once for its key; False when it was written before. Its accounting day is that of ``at``."""
    return bool(await add_ledger_transactions(tx, [(key, household_id, entries)], at, day=day, note=note))


async def add_ledger_transactions(
    tx: Transaction,
    movements: Sequence[tuple[str, UUID, Sequence[Entry]]],
    at: datetime,
    *,
    day: date | None = None,
    note: str | None = None,
) -> int:
    """Write movements, each once for its key; how many were new."""
    rows = await tx.fetch(
        "INSERT INTO ledger_transaction (key, at, day, note) SELECT key, $2, $3, $4 FROM unnest($1::text[]) AS key "
        "ON CONFLICT (key) DO NOTHING RETURNING key, transaction_id",
        [key for key, _, _ in movements],
        at,
        day or day_of(at),
        note,
    )
    ids = {row["key"]: row["transaction_id"] for row in rows}
    await tx.executemany(
        "INSERT INTO ledger_entry (transaction_id, account, household_id, invoice_id, product, means, till, "
        "amount_cents) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        [
            (ids[key], e.account, household_id, e.invoice_id, e.product, e.means, e.till, e.amount_cents)
            for key, household_id, entries in movements
            if key in ids
            for e in entries
        ],
    )
    return len(ids)


async def credit_cents(tx: Transaction, household_id: UUID) -> int:
    """What the town owes the household."""
    owed: int = await tx.fetchval(
        "SELECT coalesce(-sum(amount_cents), 0)::bigint FROM ledger_entry "
        "WHERE household_id = $1 AND account = 'credit'",
        household_id,
    )
    return owed


async def refuse_if_changed(tx: Transaction, household_id: UUID, seen_balance_cents: int) -> int:
    """What a household owes, less its credit; ``AccountChanged`` where whoever decides about it saw another amount.

    The caller holds the household.
    """
    due: int = await tx.fetchval(
        "SELECT coalesce(sum(greatest(cents, 0)), 0)::bigint FROM (SELECT sum(amount_cents) AS cents FROM ledger_entry "
        "WHERE household_id = $1 AND account = 'receivable' GROUP BY invoice_id) d",
        household_id,
    )
    balance: int = due - max(0, await credit_cents(tx, household_id))
    if balance != seen_balance_cents:
        raise AccountChanged("this account has changed since it was shown", balance_cents=balance)
    return balance


async def credits_cents(tx: Transaction, household_ids: Sequence[UUID]) -> dict[UUID, int]:
    """What the town owes each of these households, for those it owes something."""
    rows = await tx.fetch(
        "SELECT household_id, -sum(amount_cents)::bigint AS owed FROM ledger_entry "
        "WHERE household_id = ANY($1::uuid[]) AND account = 'credit' GROUP BY household_id "
        "HAVING sum(amount_cents) < 0",
        household_ids,
    )
    return {row["household_id"]: row["owed"] for row in rows}


async def usual_cents(tx: Transaction, household_ids: Sequence[UUID]) -> dict[UUID, list[int]]:
    """The totals of each household's last three invoices."""
    rows = await tx.fetch(
        "SELECT h AS household_id, i.total_cents FROM unnest($1::uuid[]) AS h CROSS JOIN LATERAL "
        "(SELECT total_cents FROM invoice WHERE household_id = h ORDER BY published_at DESC LIMIT 3) i",
        household_ids,
    )
    found: dict[UUID, list[int]] = defaultdict(list)
    for row in rows:
        found[row["household_id"]].append(row["total_cents"])
    return found


async def lock_households(tx: Transaction, household_ids: Sequence[UUID]) -> None:
    """The same for several, always in the same order."""
    await tx.execute(
        "SELECT FROM household WHERE household_id = ANY($1::uuid[]) ORDER BY household_id FOR NO KEY UPDATE",
        household_ids,
    )


async def lock_household(tx: Transaction, household_id: UUID) -> None:
    """Let one movement at a time use a household's credit."""
    await tx.execute("SELECT FROM household WHERE household_id = $1 FOR NO KEY UPDATE", household_id)


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
    issuer = Issuer.model_validate(row["issuer"])
    return Invoice(
        summary=_summary(row),
        town=issuer.town,
        issuer=issuer,
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
                child_id=line["child_id"],
                childcare=line["childcare"],
            )
            for line in lines
        ),
    )
