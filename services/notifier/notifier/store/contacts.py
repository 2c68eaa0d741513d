"""Guardians, what they want to be told, and the town hall's message."""

from datetime import datetime
from uuid import UUID

from chassis.database import Transaction
from contracts.api.notifier import AnnouncementWish, Preferences, PreferencesView
from contracts.events.auth import GuardianChanged
from notifier.domain.mails import Contact


async def save_guardian(tx: Transaction, event: GuardianChanged) -> None:
    """Keep a guardian as told, unless a newer version was heard before."""
    await tx.execute(
        "INSERT INTO guardian (guardian_id, household_id, version, first_name, email, active) "
        "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (guardian_id) DO UPDATE SET household_id = $2, version = $3, "
        "first_name = $4, email = $5, active = $6 WHERE guardian.version < $3",
        event.guardian_id,
        event.household_id,
        event.version,
        event.first_name,
        event.email,
        event.active,
    )


async def contact(tx: Transaction, guardian_id: UUID) -> Contact | None:
    """The guardian, when an address is known."""
    row = await tx.fetchrow(
        "SELECT guardian_id, first_name, email FROM guardian WHERE guardian_id = $1 AND email IS NOT NULL", guardian_id
    )
    return Contact(**row) if row else None


async def guardians(tx: Transaction, household_id: UUID) -> list[Contact]:
    """Every adult of the household whose address is known: for what cannot wait to be asked for."""
    rows = await tx.fetch(
        "SELECT guardian_id, first_name, email FROM guardian WHERE household_id = $1 AND active AND email IS NOT NULL",
        household_id,
    )
    return [Contact(**row) for row in rows]


async def who_want_invoices(tx: Transaction, household_id: UUID) -> list[Contact]:
    rows = await tx.fetch(
        "SELECT guardian_id, first_name, email FROM guardian JOIN preference USING (guardian_id) "
        "WHERE household_id = $1 AND active AND email IS NOT NULL AND invoice_published",
        household_id,
    )
    return [Contact(**row) for row in rows]


async def who_want_recaps(tx: Transaction, household_id: UUID) -> list[Contact]:
    rows = await tx.fetch(
        "SELECT guardian_id, first_name, email FROM guardian JOIN preference USING (guardian_id) "
        "WHERE household_id = $1 AND active AND email IS NOT NULL AND booking_recap",
        household_id,
    )
    return [Contact(**row) for row in rows]


async def save_preferences(tx: Transaction, guardian_id: UUID, wish: Preferences, at: datetime) -> None:
    await tx.execute(
        "INSERT INTO preference (guardian_id, invoice_published, booking_recap, saved_at) VALUES ($1, $2, $3, $4) "
        "ON CONFLICT (guardian_id) DO UPDATE SET invoice_published = $2, booking_recap = $3, saved_at = $4",
        guardian_id,
        wish.invoice_published,
        wish.booking_recap,
        at,
    )


async def preferences(tx: Transaction, guardian_id: UUID) -> PreferencesView:
    """What is saved; nothing is sent unasked."""
    email = await tx.fetchval("SELECT email FROM guardian WHERE guardian_id = $1", guardian_id)
    row = await tx.fetchrow(
        "SELECT invoice_published, booking_recap, saved_at FROM preference WHERE guardian_id = $1", guardian_id
    )
    return PreferencesView(email=email, **row) if row else PreferencesView(email=email, saved_at=None)


async def save_announcement(tx: Transaction, wish: AnnouncementWish, by: UUID, at: datetime) -> None:
    await tx.execute(
        "INSERT INTO announcement (markdown, starts_at, ends_at, saved_by, saved_at) VALUES ($1, $2, $3, $4, $5)",
        wish.markdown,
        wish.starts_at,
        wish.ends_at,
        by,
        at,
    )


async def announcement(tx: Transaction, at: datetime) -> str:
    """The message shown at that instant; the one saved last hides those before."""
    found = await tx.fetchval(
        "SELECT markdown FROM announcement WHERE starts_at <= $1 AND (ends_at IS NULL OR ends_at > $1) "
        "ORDER BY announcement_id DESC LIMIT 1",
        at,
    )
    return found or ""
