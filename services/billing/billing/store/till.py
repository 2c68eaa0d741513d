"""What came in and went out at the till, and what each household owes."""

from collections.abc import AsyncIterator
from datetime import date, datetime
from typing import Any
from uuid import UUID

from chassis.database import Transaction
from contracts.api.cash_desk import Account, CounterMeans, Journal, Receipt, ReceiptRequest, Taking, Takings

ACCOUNTS_SHOWN_MAX = 50
ENTRIES_SHOWN_MAX = 500


async def add_receipt(
    tx: Transaction,
    household_id: UUID,
    request: ReceiptRequest,
    *,
    number: str,
    surplus_cents: int,
    by: UUID,
    at: datetime,
) -> Receipt:
    """Money as it was taken in."""
    row: Any = await tx.fetchrow(
        "INSERT INTO receipt (number, household_id, means, amount_cents, surplus_cents, received_on, reference, "
        "recorded_by, recorded_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING receipt_id",
        number,
        household_id,
        request.means,
        request.amount_cents,
        surplus_cents,
        request.received_on,
        request.reference,
        by,
        at,
    )
    return Receipt(
        receipt_id=row["receipt_id"],
        number=number,
        household_id=household_id,
        means=CounterMeans(request.means),
        amount_cents=request.amount_cents,
        surplus_cents=surplus_cents,
        received_on=request.received_on,
        reference=request.reference,
        recorded_at=at,
    )


async def accounts(tx: Transaction, search: str) -> list[Account]:
    """Households whose name or reference contains what is searched, those that owe first."""
    pattern = "%" + search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    rows = await tx.fetch(
        "WITH due AS (SELECT i.household_id, sum(b.left_cents) AS cents FROM invoice_balance b "
        "JOIN invoice i USING (invoice_id) WHERE b.left_cents > 0 GROUP BY i.household_id), shown AS ("
        "SELECT h.household_id, h.name, h.reference, coalesce(due.cents, 0)::bigint AS due_cents "
        "FROM household h LEFT JOIN due USING (household_id) WHERE h.name ILIKE $1 OR h.reference ILIKE $1 "
        "ORDER BY due.cents IS NOT NULL DESC, h.reference LIMIT $2) "
        "SELECT *, coalesce((SELECT -sum(e.amount_cents) FROM ledger_entry e WHERE e.household_id = shown.household_id "
        "AND e.account = 'credit'), 0)::bigint AS credit_cents FROM shown ORDER BY due_cents > 0 DESC, reference",
        pattern,
        ACCOUNTS_SHOWN_MAX,
    )
    return [Account(**dict(row)) for row in rows]


_MONEY = (
    "FROM ledger_entry e JOIN ledger_transaction t USING (transaction_id) "
    "WHERE e.account = 'bank' AND t.day BETWEEN $1 AND $2"
)


async def journal(tx: Transaction, first: date, last: date) -> Journal:
    """What came in and went out from a day to another, both included: by day and means, and the newest one by one."""
    sums = await tx.fetch(
        "SELECT t.day, e.means, count(*) AS count, "
        "sum(e.amount_cents)::bigint AS amount_cents "
        f"{_MONEY} GROUP BY 1, 2 ORDER BY t.day DESC, 2",
        first,
        last,
    )
    rows = await tx.fetch(
        "SELECT t.at, t.day, e.means, t.key, coalesce(r.number, t.note) AS number, "
        "coalesce(h.name, '?') AS household_name, coalesce(h.reference, '?') AS household_reference, e.amount_cents "
        "FROM ledger_entry e JOIN ledger_transaction t USING (transaction_id) "
        "LEFT JOIN household h USING (household_id) LEFT JOIN receipt r ON t.key = 'receipt/' || r.receipt_id "
        "WHERE e.account = 'bank' AND t.day BETWEEN $1 AND $2 ORDER BY t.day DESC, t.at DESC LIMIT $3",
        first,
        last,
        ENTRIES_SHOWN_MAX,
    )
    return Journal(
        first=first,
        last=last,
        takings=tuple(Takings(**dict(row)) for row in sums),
        entries=tuple(Taking(**dict(row)) for row in rows),
        total_cents=sum(row["amount_cents"] for row in sums),
    )


async def entries(tx: Transaction, first: date, last: date) -> AsyncIterator[Any]:
    """Every entry of the ledger from a day to another, in the order in which they were written."""
    query = (
        "SELECT t.day, t.transaction_id, t.key, t.note, e.account, e.product, e.means, e.till, h.reference, h.name, "
        "i.number AS invoice_number, e.amount_cents "
        "FROM ledger_transaction t JOIN ledger_entry e USING (transaction_id) "
        "LEFT JOIN household h USING (household_id) LEFT JOIN invoice i USING (invoice_id) "
        "WHERE t.day BETWEEN $1 AND $2 ORDER BY t.day, t.transaction_id, e.entry_id"
    )
    async for row in tx.cursor(query, first, last, prefetch=500):
        yield row
