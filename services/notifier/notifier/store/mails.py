"""Mails to be sent, claimed under a lease, and their log."""

from datetime import datetime, timedelta
from uuid import UUID

from chassis import tracing
from chassis.database import Transaction
from contracts.api.notifier import MailStatus, MailView, PaymentMail
from contracts.events import Event
from contracts.model import Language
from notifier.domain.mails import PRIORITY, Contact, Kind, Mail, domain_of

MINUTE = timedelta(minutes=1)
ERASED = "(effacé)"


async def add_mail(tx: Transaction, intent: str, kind: Kind, contact: Contact, event: Event, at: datetime) -> None:
    """Intend a mail, once, and wake the sender at commit."""
    await tx.execute(
        "INSERT INTO mail (intent, kind, recipient, first_name, domain, person_id, event, priority, created_at, "
        "try_at, traceparent) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10) ON CONFLICT (intent) DO NOTHING",
        intent,
        kind,
        contact.email,
        contact.first_name,
        domain_of(contact.email),
        contact.person_id,
        event.model_dump(mode="json"),
        PRIORITY[kind],
        at,
        tracing.traceparent(),
    )
    await tx.execute("SELECT pg_notify('mail_waiting', '')")


async def claim_mails(
    tx: Transaction, *, now: datetime, leased_until: datetime, limit: int, a_minute_a_domain: int
) -> list[Mail]:
    """Mails whose turn it is; the lease gives them to this replica, and back to any when it dies.

    Replicas claim one after the other, so that a domain's rate holds for all of them together.
    """
    await tx.execute("SELECT pg_advisory_xact_lock(hashtext('notifier.claim'))")
    rows = await tx.fetch(
        "WITH first AS (SELECT mail_id, domain, priority, try_at FROM mail m WHERE status = 'waiting' AND try_at <= $1 "
        "AND NOT EXISTS (SELECT FROM domain_pause d WHERE d.domain = m.domain AND d.not_before > $1) "
        "ORDER BY priority, try_at LIMIT $3 * 4), "
        "due AS (SELECT *, row_number() OVER (PARTITION BY domain ORDER BY priority, try_at) AS place FROM first), "
        "allowed AS (SELECT mail_id FROM due WHERE place <= $4 - (SELECT count(*) FROM mail s "
        "WHERE s.domain = due.domain AND s.claimed_at > $5) ORDER BY priority, try_at LIMIT $3) "
        "UPDATE mail m SET try_at = $2, claimed_at = $1, attempts = attempts + 1 FROM allowed "
        "WHERE m.mail_id = allowed.mail_id RETURNING m.mail_id, m.kind, m.recipient, m.first_name, m.event, "
        "m.attempts, m.traceparent, "
        "coalesce((SELECT language FROM preference p WHERE p.guardian_id = m.person_id), (SELECT h.locale "
        "FROM household h JOIN guardian g USING (household_id) WHERE g.guardian_id = m.person_id)) AS language, "
        "(SELECT unsubscribe_key FROM guardian g WHERE g.guardian_id = m.person_id) AS unsubscribe_key",
        now,
        leased_until,
        limit,
        a_minute_a_domain,
        now - MINUTE,
    )
    return [
        Mail(**{**row, "kind": Kind(row["kind"]), "language": Language(row["language"] or Language.FR)}) for row in rows
    ]


async def sent(tx: Transaction, mail: Mail, answer: str, at: datetime) -> None:
    """The other side has taken it: its domain is in good health, and the secret of a link is forgotten here."""
    await tx.execute(
        "UPDATE mail SET status = 'sent', sent_at = $2, last_answer = $3, event = event - 'sealed_token' "
        "WHERE mail_id = $1",
        mail.mail_id,
        at,
        answer,
    )
    await tx.execute("DELETE FROM domain_pause WHERE domain = $1", mail.domain)


async def not_sent(tx: Transaction, mail_id: UUID, answer: str, try_at: datetime | None) -> None:
    """Try again at ``try_at``, or never when it is None; what was given up meanwhile stays so."""
    await tx.execute(
        "UPDATE mail SET status = CASE WHEN $3::timestamptz IS NULL THEN 'failed' ELSE 'waiting' END, "
        "try_at = coalesce($3, try_at), last_answer = $2 WHERE mail_id = $1 AND status = 'waiting'",
        mail_id,
        answer,
        try_at,
    )


async def drop_reminders(tx: Transaction, invoice_id: UUID) -> None:
    """Give up reminders of an invoice that did not leave yet; one that is leaving right now is noted as sent later."""
    await tx.execute(
        "UPDATE mail SET status = 'failed', last_answer = 'the invoice is paid' "
        "WHERE status = 'waiting' AND kind = $1 AND event ->> 'invoice_id' = $2",
        Kind.REMINDER,
        str(invoice_id),
    )


async def erase(tx: Transaction, person_id: UUID) -> None:
    """Forget a person's addresses and what they were told; that a mail of a kind went, and when, stays.

    What was not sent yet never will be.
    """
    for table in ("bounce", "returned_address"):
        query = f"DELETE FROM {table} WHERE mail_id IN (SELECT mail_id FROM mail WHERE person_id = $1)"  # noqa: S608 - ours
        await tx.execute(query, person_id)
    await tx.execute(
        "UPDATE mail SET recipient = $2, first_name = $2, domain = '', event = '{}', last_answer = NULL, "
        "status = CASE status WHEN 'waiting' THEN 'failed' ELSE status END WHERE person_id = $1",
        person_id,
        ERASED,
    )


async def count_throttling(tx: Transaction, domain: str) -> int:
    """How often in a row a domain asked for patience, this time included; its row stays locked."""
    times: int = await tx.fetchval(
        "INSERT INTO domain_pause (domain, times, not_before) VALUES ($1, 1, 'epoch') "
        "ON CONFLICT (domain) DO UPDATE SET times = domain_pause.times + 1 RETURNING times",
        domain,
    )
    return times


async def pause_domain(tx: Transaction, domain: str, not_before: datetime) -> None:
    await tx.execute("UPDATE domain_pause SET not_before = $2 WHERE domain = $1", domain, not_before)


async def send_again(tx: Transaction, mail_id: UUID, at: datetime) -> bool:
    """Put a mail that failed or came back in line once more, to the address known now; False when there is none.

    That address is believed again, whatever came back from it.
    """
    again = await tx.fetchval(
        "UPDATE mail m SET status = 'waiting', attempts = 0, sent_at = NULL, try_at = $2, "
        "recipient = g.email, domain = lower(substring(g.email FROM '[^@]*$')) FROM guardian g "
        "WHERE m.mail_id = $1 AND m.status IN ('failed', 'bounced') AND g.guardian_id = m.person_id "
        "AND g.email IS NOT NULL RETURNING g.email",
        mail_id,
        at,
    )
    await tx.execute("DELETE FROM returned_address WHERE address = lower($1)", again)
    await tx.execute("SELECT pg_notify('mail_waiting', '')")
    return bool(again)


async def latest(tx: Transaction, limit: int, status: MailStatus | None) -> tuple[MailView, ...]:
    """The newest mails, of one status when it is given."""
    rows = await tx.fetch(
        "SELECT mail_id, kind, recipient, status, attempts, created_at, sent_at, last_answer FROM mail "
        "WHERE $2::text IS NULL OR status = $2 ORDER BY created_at DESC, mail_id LIMIT $1",
        limit,
        status,
    )
    return tuple(MailView(**row) for row in rows)


async def about_payment(tx: Transaction, household_id: UUID, payment_id: UUID) -> tuple[PaymentMail, ...]:
    """The mails about a household's payment, oldest first."""
    rows = await tx.fetch(
        "SELECT kind, status, created_at, sent_at, recipient, last_answer AS answer FROM mail "
        "WHERE event ? 'payment_id' AND event ->> 'payment_id' = $2 AND event ->> 'household_id' = $1 "
        "ORDER BY created_at LIMIT 20",
        str(household_id),
        str(payment_id),
    )
    return tuple(PaymentMail(**row) for row in rows)


async def counts(tx: Transaction) -> dict[MailStatus, int]:
    """How many mails there are of each status."""
    rows = await tx.fetch("SELECT status, count(*) AS many FROM mail GROUP BY status")
    return {MailStatus(row["status"]): row["many"] for row in rows}
