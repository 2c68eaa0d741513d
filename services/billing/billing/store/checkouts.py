"""Checkouts: what a household is paying together."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from billing.store import invoices
from chassis.database import Transaction
from contracts.api.billing import Checkout, CheckoutStatus
from contracts.events.billing import CheckoutInvoice


async def add_checkout(
    tx: Transaction, household_id: UUID, held: Sequence[CheckoutInvoice], *, opened_at: datetime, expires_at: datetime
) -> UUID:
    """Open a checkout over these parts of invoices."""
    checkout_id: UUID = await tx.fetchval(
        "INSERT INTO checkout (household_id, status, amount_cents, opened_at, expires_at) "
        "VALUES ($1, 'open', $2, $3, $4) RETURNING checkout_id",
        household_id,
        sum(invoice.amount_cents for invoice in held),
        opened_at,
        expires_at,
    )
    await tx.executemany(
        "INSERT INTO checkout_invoice (checkout_id, invoice_id, position, amount_cents, open) "
        "VALUES ($1, $2, $3, $4, true)",
        [(checkout_id, invoice.invoice_id, position, invoice.amount_cents) for position, invoice in enumerate(held)],
    )
    return checkout_id


async def household(tx: Transaction, household_id: UUID) -> Any:
    """The household's name, reference and address."""
    return await tx.fetchrow("SELECT name, reference, address FROM household WHERE household_id = $1", household_id)


async def checkout(tx: Transaction, household_id: UUID, checkout_id: UUID) -> Checkout | None:
    row = await tx.fetchrow(
        "SELECT * FROM checkout WHERE checkout_id = $1 AND household_id = $2", checkout_id, household_id
    )
    if row is None:
        return None
    ids = await invoice_ids(tx, checkout_id)
    found = {each.invoice_id: each for each in await invoices.summaries(tx, household_id, ids)}
    return Checkout(
        checkout_id=checkout_id,
        status=row["status"],
        amount_cents=row["amount_cents"],
        invoices=tuple(found[invoice_id] for invoice_id in ids),
        expires_at=row["expires_at"],
    )


async def invoice_ids(tx: Transaction, checkout_id: UUID) -> list[UUID]:
    """The invoices of a checkout in its order; none when billing never opened it."""
    rows = await tx.fetch(
        "SELECT invoice_id FROM checkout_invoice WHERE checkout_id = $1 ORDER BY position", checkout_id
    )
    return [row["invoice_id"] for row in rows]


async def close(tx: Transaction, checkout_id: UUID, status: CheckoutStatus) -> None:
    """Settle or release a checkout and let go of its invoices; a settled one stays settled."""
    await tx.execute(
        "UPDATE checkout SET status = $2 WHERE checkout_id = $1 AND status <> 'settled'", checkout_id, status
    )
    await tx.execute("UPDATE checkout_invoice SET open = false WHERE checkout_id = $1 AND open", checkout_id)


async def overdue(tx: Transaction, before: datetime) -> list[UUID]:
    """Open checkouts that nobody can pay any more, but those of which a payment waits for the till keeper."""
    rows = await tx.fetch(
        "SELECT checkout_id FROM checkout c WHERE status = 'open' AND expires_at < $1 AND NOT EXISTS (SELECT FROM "
        "payment_hold h WHERE h.checkout_id = c.checkout_id AND NOT h.ended) ORDER BY expires_at LIMIT 100",
        before,
    )
    return [row["checkout_id"] for row in rows]
