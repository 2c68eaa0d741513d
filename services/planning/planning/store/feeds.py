"""Addresses of calendars, kept as digests, and what they show."""

import hashlib
from datetime import date, datetime, timedelta
from uuid import UUID

from chassis.database import Transaction
from contracts.events.auth import GuardianChanged
from planning.domain.feeds import FeedDay

DAYS_MAX = 5_000
WINDOW = timedelta(hours=1)


def key_hash(key: str) -> bytes:
    """What is stored of a key: it is random, so a plain digest keeps it."""
    return hashlib.sha256(key.encode()).digest()


async def save_guardian(tx: Transaction, event: GuardianChanged) -> None:
    """Know whether a guardian is active, unless a newer version was heard before; a closed one has no calendar."""
    await tx.execute(
        "INSERT INTO guardian (guardian_id, version, active) VALUES ($1, $2, $3) "
        "ON CONFLICT (guardian_id) DO UPDATE SET version = $2, active = $3 WHERE guardian.version < $2",
        event.guardian_id,
        event.version,
        event.active,
    )
    await tx.execute(
        "DELETE FROM feed f USING guardian g WHERE f.guardian_id = $1 AND g.guardian_id = $1 AND NOT g.active",
        event.guardian_id,
    )


async def save(tx: Transaction, guardian_id: UUID, household_id: UUID, key: str, at: datetime) -> None:
    """A new address in place of any before."""
    await tx.execute(
        "INSERT INTO feed (guardian_id, household_id, key_hash, made_at, counted_from) VALUES ($1, $2, $3, $4, $4) "
        "ON CONFLICT (guardian_id) DO UPDATE SET household_id = $2, key_hash = $3, made_at = $4, counted_from = $4, "
        "read_at = NULL, reads = 0",
        guardian_id,
        household_id,
        key_hash(key),
        at,
    )


async def delete(tx: Transaction, guardian_id: UUID) -> None:
    await tx.execute("DELETE FROM feed WHERE guardian_id = $1", guardian_id)


async def times(tx: Transaction, guardian_id: UUID) -> tuple[datetime, datetime | None] | None:
    """When the guardian's address was made and last read; None without one."""
    row = await tx.fetchrow("SELECT made_at, read_at FROM feed WHERE guardian_id = $1", guardian_id)
    return (row["made_at"], row["read_at"]) if row else None


async def count_read(tx: Transaction, key: str, at: datetime) -> tuple[UUID, int] | None:
    """The household that an address shows, and how often it was read within the hour, this time included.

    None when there is no such address, or its guardian's account is closed.
    """
    row = await tx.fetchrow(
        "UPDATE feed f SET read_at = $2, counted_from = CASE WHEN counted_from > $3 THEN counted_from ELSE $2 END, "
        "reads = CASE WHEN counted_from > $3 THEN reads + 1 ELSE 1 END WHERE key_hash = $1 AND NOT EXISTS "
        "(SELECT FROM guardian g WHERE g.guardian_id = f.guardian_id AND NOT g.active) RETURNING household_id, reads",
        key_hash(key),
        at,
        at - WINDOW,
    )
    return (row["household_id"], row["reads"]) if row else None


async def days(tx: Transaction, household_id: UUID, child_id: UUID | None, first: date) -> list[FeedDay]:
    """The booked days of a household's children, or of one of them, in order."""
    rows = await tx.fetch(
        "SELECT b.child_id, c.first_name, b.activity_id, a.label AS activity_label, b.day, h.changed_at AS booked_at "
        "FROM household_child c JOIN booking b USING (household_id, child_id) JOIN activity a USING (activity_id) "
        "JOIN booking_change h ON h.household_id = b.household_id AND h.child_id = b.child_id "
        "AND h.version = b.version AND h.activity_id = b.activity_id AND h.day = b.day AND h.booked AND NOT h.waiting "
        "WHERE c.household_id = $1 AND c.present AND ($2::uuid IS NULL OR c.child_id = $2) AND b.booked "
        "AND b.day >= $3 ORDER BY b.day, c.position, a.position, a.label LIMIT $4",
        household_id,
        child_id,
        first,
        DAYS_MAX,
    )
    return [FeedDay(**row) for row in rows]
