"""What came back, and how far the mailbox of reports is read."""

from datetime import datetime

from chassis.database import Transaction
from notifier.domain.bounces import Bounce

RETURNED = "the address returns mails"


async def add_bounce(tx: Transaction, bounce: Bounce, raw: bytes, at: datetime) -> bool:
    """Keep a report, once; False when it was kept before.

    A mail that will never arrive is shown as such. Where nobody reads the address, what waits for it is stopped too.
    """
    known = await tx.fetchval("SELECT mail_id FROM mail WHERE mail_id = $1", bounce.mail_id)
    is_new = await tx.fetchval(
        "INSERT INTO bounce (mail_id, status, diagnostic, raw, received_at, fingerprint) "
        "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (fingerprint) DO NOTHING RETURNING true",
        known,
        bounce.status,
        bounce.diagnostic,
        raw,
        at,
        bounce.fingerprint,
    )
    if not is_new:
        return False
    if bounce.is_final:
        await tx.execute(
            "UPDATE mail SET status = 'bounced', last_answer = $2 WHERE mail_id = $1 AND status = 'sent'",
            known,
            bounce.diagnostic,
        )
    if known and bounce.is_of_the_address:
        await tx.execute(
            "INSERT INTO returned_address (address, mail_id, returned_at) "
            "SELECT lower(recipient), mail_id, $2 FROM mail WHERE mail_id = $1 ON CONFLICT DO NOTHING",
            known,
            at,
        )
        await tx.execute(
            "UPDATE mail SET status = 'failed', last_answer = $2 WHERE status = 'waiting' "
            "AND kind NOT IN ('reset', 'confirm_email') "
            "AND lower(recipient) = (SELECT lower(recipient) FROM mail WHERE mail_id = $1)",
            known,
            RETURNED,
        )
    return True


async def last_read(tx: Transaction, mailbox: str) -> tuple[int, int]:
    """The mailbox's UIDVALIDITY and last UID as read before; zeros when it never was."""
    row = await tx.fetchrow("SELECT uid_validity, last_uid FROM bounce_mailbox WHERE mailbox = $1", mailbox)
    return (row["uid_validity"], row["last_uid"]) if row else (0, 0)


async def was_read(tx: Transaction, mailbox: str, uid_validity: int, last_uid: int) -> None:
    """Note how far a mailbox is read; never backwards, for replicas read it too."""
    await tx.execute(
        "INSERT INTO bounce_mailbox AS b (mailbox, uid_validity, last_uid) VALUES ($1, $2, $3) ON CONFLICT (mailbox) "
        "DO UPDATE SET uid_validity = $2, "
        "last_uid = CASE WHEN b.uid_validity = $2 THEN greatest(b.last_uid, $3) ELSE $3 END",
        mailbox,
        uid_validity,
        last_uid,
    )
