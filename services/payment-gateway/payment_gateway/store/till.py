"""What the till keeper decided, what wants a decision, and what a day brought."""

from datetime import datetime
from uuid import UUID

from chassis.database import Transaction
from contracts.api.payment_gateway import BankDay, PaymentDecision, PaymentIssue, PaymentTransition, SettledInvoice
from contracts.events.billing import InvoiceSettled
from contracts.identity import Identity

UNANSWERED_TOO_OFTEN = 5


async def add_decision(
    tx: Transaction,
    decision_id: UUID,
    payment_id: UUID,
    request: PaymentDecision,
    by: Identity,
    at: datetime,
    *,
    bank_key: str | None = None,
) -> None:
    await tx.execute(
        "INSERT INTO till_decision (decision_id, payment_id, command, amount_cents, reason, evidence, decided_by, "
        "decided_by_name, decided_at, bank_key) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        decision_id,
        payment_id,
        request.command,
        request.amount_cents,
        request.reason,
        request.evidence,
        by.subject_id,
        by.name,
        at,
        bank_key,
    )


async def refund_asked(tx: Transaction, decision_id: UUID) -> tuple[int, str] | None:
    """The amount of a refund that the bank was asked for, and under which key; None when it was not."""
    row = await tx.fetchrow("SELECT amount_cents, bank_key FROM till_decision WHERE decision_id = $1", decision_id)
    return (row["amount_cents"], row["bank_key"]) if row else None


async def is_made(tx: Transaction, decision_id: UUID) -> bool:
    """Whether a decision has moved its attempt."""
    made: bool = await tx.fetchval("SELECT EXISTS (SELECT FROM payment_move WHERE decision_id = $1)", decision_id)
    return made


async def note_failed_refund(tx: Transaction, payment_id: UUID, refund: str, amount_cents: int, at: datetime) -> None:
    """The bank gave up a refund: once for each, however often it says so."""
    await tx.execute(
        "WITH told AS (INSERT INTO failed_refund (payment_id, bank_refund, amount_cents, told_at) "
        "VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING RETURNING amount_cents) "
        "UPDATE payment p SET failed_refunds = failed_refunds + 1, changed_at = $4, "
        "failed_refund_cents = failed_refund_cents + told.amount_cents FROM told WHERE p.payment_id = $1",
        payment_id,
        refund,
        amount_cents,
        at,
    )


async def failed_refunds_cents(tx: Transaction, payment_id: UUID) -> int:
    """What refunds that failed were of, decided or not."""
    cents: int = await tx.fetchval(
        "SELECT coalesce(sum(amount_cents), 0)::bigint FROM failed_refund WHERE payment_id = $1", payment_id
    )
    return cents


async def note_bank_refund(tx: Transaction, payment_id: UUID, refund: str, amount_cents: int, at: datetime) -> int:
    """A refund that the bank names, once however often it says so; what its refunds are in all."""
    await tx.execute(
        "INSERT INTO bank_refund (payment_id, bank_refund, amount_cents, told_at) VALUES ($1, $2, $3, $4) "
        "ON CONFLICT DO NOTHING",
        payment_id,
        refund,
        amount_cents,
        at,
    )
    cents: int = await tx.fetchval(
        "SELECT sum(amount_cents)::bigint FROM bank_refund WHERE payment_id = $1", payment_id
    )
    return cents


async def note_contradiction(tx: Transaction, payment_id: UUID, cents: int, at: datetime) -> None:
    """Money that counts here and that the bank says it gave or took back: for the till keeper to look at."""
    await tx.execute(
        "UPDATE payment SET contradicted_cents = $2, changed_at = $3 WHERE payment_id = $1 "
        "AND contradicted_cents <> $2",
        payment_id,
        cents,
        at,
    )


async def close_contradiction(tx: Transaction, payment_id: UUID) -> None:
    """The till keeper has looked."""
    await tx.execute("UPDATE payment SET contradicted_cents = 0 WHERE payment_id = $1", payment_id)


async def close_failed_refunds(tx: Transaction, payment_id: UUID) -> None:
    """The till keeper has decided what becomes of the refunds that failed."""
    await tx.execute("UPDATE payment SET failed_refund_cents = 0 WHERE payment_id = $1", payment_id)


async def acknowledge(tx: Transaction, payment_id: UUID) -> None:
    """Take a surplus off the list."""
    await tx.execute("UPDATE payment SET surplus_cents = 0 WHERE payment_id = $1", payment_id)


async def note_surplus(tx: Transaction, payment_id: UUID, surplus_cents: int) -> None:
    """billing found money beyond what was due."""
    await tx.execute(
        "UPDATE payment SET surplus_cents = $2, credited_cents = $2 WHERE payment_id = $1", payment_id, surplus_cents
    )


async def note_settlement(tx: Transaction, event: InvoiceSettled) -> None:
    """billing settled an invoice, with a payment of ours or by other means; only ours are kept."""
    await tx.execute(
        "INSERT INTO settlement (payment_id, invoice_id, number, settled_at) "
        "SELECT payment_id, $2, $3, $4 FROM payment WHERE payment_id = $1 ON CONFLICT DO NOTHING",
        event.payment_id,
        event.invoice_id,
        event.number,
        event.settled_at,
    )


async def settled_with(tx: Transaction, payment_id: UUID) -> tuple[SettledInvoice, ...]:
    """The invoices that a payment settled."""
    rows = await tx.fetch(
        "SELECT number, settled_at FROM settlement WHERE payment_id = $1 ORDER BY settled_at, number", payment_id
    )
    return tuple(SettledInvoice(**dict(row)) for row in rows)


async def moves_of(tx: Transaction, payment_id: UUID) -> tuple[PaymentTransition, ...]:
    """Every move of an attempt, with the decision behind it, oldest first."""
    rows = await tx.fetch(
        "SELECT m.from_status, m.to_status, m.said_by, m.at, m.amount_cents, m.undone_cents, m.reason, "
        "d.decided_by_name AS decided_by, d.evidence "
        "FROM payment_move m LEFT JOIN till_decision d USING (decision_id) WHERE m.payment_id = $1 ORDER BY m.move_id",
        payment_id,
    )
    return tuple(PaymentTransition(**dict(row)) for row in rows)


async def exceptions(tx: Transaction, limit: int) -> tuple[PaymentIssue, ...]:
    """What wants a person, oldest first: one line an attempt, its most pressing reason."""
    rows = await tx.fetch(
        "SELECT CASE WHEN p.status IN ('review', 'disputed') THEN p.status "
        "WHEN p.contradicted_cents > 0 THEN 'contradicted' "
        "WHEN p.failed_refund_cents > 0 THEN 'refund_failed' WHEN p.surplus_cents > 0 THEN 'surplus' "
        "ELSE 'unanswered' END AS kind, p.payment_id, c.opened->>'household_name' AS household_name, "
        "c.opened->>'household_reference' AS household_reference, CASE WHEN p.status IN ('review', 'disputed') "
        "THEN p.amount_cents WHEN p.contradicted_cents > 0 THEN p.contradicted_cents "
        "WHEN p.failed_refund_cents > 0 THEN p.failed_refund_cents "
        "WHEN p.surplus_cents > 0 THEN p.surplus_cents ELSE p.amount_cents END AS amount_cents, p.changed_at AS since "
        "FROM payment p JOIN checkout c USING (checkout_id) WHERE p.status IN ('review', 'disputed') "
        "OR p.contradicted_cents > 0 OR p.failed_refund_cents > 0 OR p.surplus_cents > 0 OR p.unanswered >= $1 "
        "ORDER BY p.changed_at LIMIT $2",
        UNANSWERED_TOO_OFTEN,
        limit,
    )
    return tuple(PaymentIssue(**dict(row)) for row in rows)


async def days(tx: Transaction, begins: datetime, ends: datetime) -> tuple[BankDay, ...]:
    """What each account confirmed and what went back between two instants; of the confirmed, what is there since."""
    rows = await tx.fetch(
        "SELECT p.bank, p.account, p.mode, "
        "count(*) FILTER (WHERE is_paid)::int AS confirmed, "
        "coalesce(sum(p.taken_cents) FILTER (WHERE is_paid), 0)::bigint AS confirmed_cents, "
        "count(*) FILTER (WHERE m.amount_cents IS NOT NULL)::int AS returned, "
        "(coalesce(sum(m.amount_cents), 0) - coalesce(sum(m.undone_cents), 0))::bigint AS returned_cents, "
        "count(r.cents) FILTER (WHERE is_paid)::int AS remitted, "
        "coalesce(sum(r.cents) FILTER (WHERE is_paid), 0)::bigint AS remitted_cents, "
        "count(t.payment_id) FILTER (WHERE is_paid)::int AS arrived, "
        "coalesce(sum(p.taken_cents) FILTER (WHERE is_paid AND t.payment_id IS NOT NULL), 0)::bigint AS arrived_cents "
        "FROM (SELECT *, to_status = 'confirmed' AND from_status NOT IN ('disputed', 'refunded', "
        "'partially_refunded') AS is_paid FROM payment_move) m JOIN payment p USING (payment_id) "
        "LEFT JOIN LATERAL (SELECT sum(l.amount_cents) AS cents FROM remittance_line l "
        "WHERE l.payment_id = p.payment_id AND l.kind = 'taken' AND l.source = 'bank') r ON true "
        "LEFT JOIN arrived_at_treasury t ON t.payment_id = p.payment_id "
        "WHERE m.at >= $1 AND m.at < $2 "
        "AND (m.is_paid OR m.undone_cents IS NOT NULL OR m.amount_cents IS NOT NULL AND m.from_status <> 'review') "
        "GROUP BY p.bank, p.account, p.mode ORDER BY p.bank",
        begins,
        ends,
    )
    return tuple(BankDay(**dict(row)) for row in rows)
