"""Mails to be sent, claimed under a lease, and their log."""

from datetime import datetime
from uuid import UUID

from chassis.database import Transaction
from contracts.api.notifier import MailView
from contracts.events import Event
from notifier.domain.mails import Contact, Kind, Mail


async def add_mail(tx: Transaction, intent: str, kind: Kind, contact: Contact, event: Event, at: datetime) -> None:
    """Intend a mail, once, and wake the sender at commit."""
    await tx.execute(
        "INSERT INTO mail (intent, kind, recipient, first_name, event, created_at, try_at) "
        "VALUES ($1, $2, $3, $4, $5, $6, $6) ON CONFLICT (intent) DO NOTHING",
        intent,
        kind,
        contact.email,
        contact.first_name,
        event.model_dump(mode="json"),
        at,
    )
    await tx.execute("SELECT pg_notify('mail_waiting', '')")


async def claim_mails(tx: Transaction, *, now: datetime, leased_until: datetime, limit: int) -> list[Mail]:
    """Mails whose turn it is; the lease gives them to this replica, and back to any when it dies."""
    rows = await tx.fetch(
        "UPDATE mail SET try_at = $2, attempts = attempts + 1 WHERE mail_id IN (SELECT mail_id FROM mail "
        "WHERE status = 'waiting' AND try_at <= $1 ORDER BY try_at LIMIT $3 FOR UPDATE SKIP LOCKED) "
        "RETURNING mail_id, kind, recipient, first_name, event, attempts",
        now,
        leased_until,
        limit,
    )
    return [Mail(**{**row, "kind": Kind(row["kind"])}) for row in rows]


async def sent(tx: Transaction, mail_id: UUID, answer: str, at: datetime) -> None:
    """Note it, and forget the secret of a link: its mail has it now."""
    await tx.execute(
        "UPDATE mail SET status = 'sent', sent_at = $2, last_answer = $3, event = event - 'token' WHERE mail_id = $1",
        mail_id,
        at,
        answer,
    )


async def not_sent(tx: Transaction, mail_id: UUID, answer: str, try_at: datetime | None) -> None:
    """Try again at ``try_at``, or never when it is None."""
    await tx.execute(
        "UPDATE mail SET status = CASE WHEN $3::timestamptz IS NULL THEN 'failed' ELSE 'waiting' END, "
        "try_at = coalesce($3, try_at), last_answer = $2 WHERE mail_id = $1",
        mail_id,
        answer,
        try_at,
    )


async def latest(tx: Transaction, limit: int) -> tuple[MailView, ...]:
    rows = await tx.fetch(
        "SELECT mail_id, kind, recipient, status, attempts, created_at, sent_at, last_answer FROM mail "
        "ORDER BY created_at DESC, mail_id LIMIT $1",
        limit,
    )
    return tuple(MailView(**row) for row in rows)
