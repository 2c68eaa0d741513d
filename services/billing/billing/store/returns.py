"""Payments under review hold their invoices; payments that go back make invoices due again."""

from uuid import UUID

from billing.domain.returns import Asked
from billing.store import invoices
from chassis.database import Transaction


async def hold(tx: Transaction, payment_id: UUID, checkout_id: UUID) -> None:
    """Keep a checkout's invoices until the till keeper has decided, unless that came before this news.

    Where they had been let go they are taken again, but an invoice that another payment holds meanwhile.
    """
    is_new = await tx.fetchval(
        "INSERT INTO payment_hold (payment_id, checkout_id, ended) VALUES ($1, $2, false) ON CONFLICT DO NOTHING "
        "RETURNING true",
        payment_id,
        checkout_id,
    )
    if not is_new:
        return
    await tx.execute(
        "UPDATE checkout_invoice mine SET open = true FROM checkout c WHERE mine.checkout_id = $1 "
        "AND c.checkout_id = $1 AND c.status <> 'settled' AND NOT mine.open AND NOT EXISTS (SELECT FROM "
        "checkout_invoice other WHERE other.invoice_id = mine.invoice_id AND other.open)",
        checkout_id,
    )


async def end_hold(tx: Transaction, payment_id: UUID, checkout_id: UUID) -> None:
    """The till keeper has decided."""
    await tx.execute(
        "INSERT INTO payment_hold (payment_id, checkout_id, ended) VALUES ($1, $2, true) "
        "ON CONFLICT (payment_id) DO UPDATE SET ended = true",
        payment_id,
        checkout_id,
    )


async def is_held(tx: Transaction, checkout_id: UUID) -> bool:
    """Whether a payment of this checkout waits for the till keeper."""
    held: bool = await tx.fetchval(
        "SELECT EXISTS (SELECT FROM payment_hold WHERE checkout_id = $1 AND NOT ended)", checkout_id
    )
    return held


async def how_it_came(tx: Transaction, payment_id: UUID) -> tuple[str, str] | None:
    """The means and the till of a payment's money; None while it is not in the ledger."""
    row = await tx.fetchrow(
        "SELECT e.means, e.till FROM ledger_entry e JOIN ledger_transaction t USING (transaction_id) "
        "WHERE t.key = $1 AND e.account = 'bank'",
        f"payment/{payment_id}",
    )
    return (row["means"], row["till"]) if row else None


async def asked(tx: Transaction, household_id: UUID, checkout_id: UUID) -> list[Asked]:
    """The household's invoices, locked: the checkout's first, then the newest."""
    rows = await tx.fetch(
        "SELECT i.invoice_id FROM invoice i LEFT JOIN checkout_invoice ci "
        "ON ci.invoice_id = i.invoice_id AND ci.checkout_id = $2 "
        "WHERE i.household_id = $1 ORDER BY ci.position NULLS LAST, i.published_at DESC, i.number DESC",
        household_id,
        checkout_id,
    )
    ids = [row["invoice_id"] for row in rows]
    await invoices.lock_invoices(tx, ids)
    found = {each.invoice_id: each for each in await invoices.summaries(tx, household_id, ids)}
    known = [found[invoice_id] for invoice_id in ids]
    return [Asked(each.invoice_id, each.total_cents, each.credited_cents, each.left_cents) for each in known]
