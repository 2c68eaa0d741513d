"""Overdue invoices, and their reminders."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from billing.domain.reminders import next_on
from chassis.database import Transaction
from contracts.api.reminders import OverdueInvoice, ReminderHold, ReminderRule


async def rule(tx: Transaction) -> tuple[ReminderRule, datetime | None]:
    """The town's rule and when it was saved; as long as none is, nobody is reminded."""
    row = await tx.fetchrow("SELECT days, saved_at FROM reminder_rule ORDER BY rule_id DESC LIMIT 1")
    return (ReminderRule(days=tuple(row["days"])), row["saved_at"]) if row else (ReminderRule(), None)


async def hold_rule(tx: Transaction) -> None:
    """Let one change of the rule happen at a time."""
    await tx.execute("SELECT pg_advisory_xact_lock(hashtext('billing.reminder_rule'))")


async def save_rule(tx: Transaction, request: ReminderRule, by: UUID, at: datetime) -> None:
    await tx.execute(
        "INSERT INTO reminder_rule (days, saved_by, saved_at) VALUES ($1, $2, $3)", list(request.days), by, at
    )


async def overdue(
    tx: Transaction, chosen: ReminderRule, today: date, invoice_ids: Sequence[UUID] | None = None
) -> list[OverdueInvoice]:
    """The invoices past their day that still ask for money, oldest first; all of the town's, or those named."""
    rows = await tx.fetch(
        "SELECT i.invoice_id, i.household_id, i.household_name, i.number, i.month, i.due_on, b.left_cents, "
        "ARRAY(SELECT r.reminded_on FROM reminder r WHERE r.invoice_id = i.invoice_id ORDER BY r.step) AS reminded_on, "
        "EXISTS (SELECT FROM checkout_invoice ci JOIN payment_hold h USING (checkout_id) "
        "WHERE ci.invoice_id = i.invoice_id AND NOT h.ended) AS is_held, "
        "EXISTS (SELECT FROM checkout_invoice ci WHERE ci.invoice_id = i.invoice_id AND ci.open) AS is_being_paid, "
        "(SELECT p.reason FROM reminder_pause p WHERE p.invoice_id = i.invoice_id "
        "ORDER BY p.pause_id DESC LIMIT 1) AS pause_reason "
        "FROM invoice_balance b JOIN invoice i USING (invoice_id) WHERE b.left_cents > 0 "
        "AND ($2::uuid[] IS NULL OR b.invoice_id = ANY($2)) AND i.due_on < $1 ORDER BY i.due_on, i.number",
        today,
        list(invoice_ids) if invoice_ids is not None else None,
    )
    return [_overdue(row, chosen, today) for row in rows]


def _overdue(row: Any, chosen: ReminderRule, today: date) -> OverdueInvoice:
    waits = {ReminderHold.UNDER_REVIEW: row["is_held"], ReminderHold.BEING_PAID: row["is_being_paid"]}
    return OverdueInvoice(
        invoice_id=row["invoice_id"],
        household_id=row["household_id"],
        household_name=row["household_name"],
        number=row["number"],
        month=row["month"],
        due_on=row["due_on"],
        left_cents=row["left_cents"],
        reminded_on=tuple(row["reminded_on"]),
        next_on=next_on(chosen.days, row["due_on"], row["reminded_on"], today),
        waits=ReminderHold.PAUSED
        if row["pause_reason"]
        else next((why for why, holds in waits.items() if holds), None),
        pause_reason=row["pause_reason"],
    )


async def add(tx: Transaction, invoices: Sequence[OverdueInvoice], today: date, at: datetime) -> None:
    """Note the next reminder of each of these invoices."""
    await tx.executemany(
        "INSERT INTO reminder (invoice_id, step, left_cents, reminded_on, reminded_at) VALUES ($1, $2, $3, $4, $5)",
        [(each.invoice_id, len(each.reminded_on) + 1, each.left_cents, today, at) for each in invoices],
    )


async def pause(tx: Transaction, invoice_ids: Sequence[UUID], reason: str | None, by: UUID | None, at: datetime) -> int:
    """Remind nobody of these invoices for that reason, or remind again without one; how many there are."""
    rows = await tx.fetch(
        "INSERT INTO reminder_pause (invoice_id, reason, paused_by, paused_at) "
        "SELECT invoice_id, $2, $3, $4 FROM invoice WHERE invoice_id = ANY($1::uuid[]) RETURNING invoice_id",
        list(invoice_ids),
        reason,
        by,
        at,
    )
    return len(rows)
