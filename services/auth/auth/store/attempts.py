"""Attempts, counted in one statement each: replicas that ask at once get the places that are left, and no more."""

import hashlib
from datetime import datetime

from auth.domain.attempts import Backoff, Limit, Rate
from chassis.database import Transaction


def key_of(kind: str, whom: str) -> bytes:
    """The key of a limit: a digest, since it may hold what somebody typed into the wrong field."""
    return hashlib.sha256(f"{kind} {whom}".encode()).digest()


async def count(tx: Transaction, key: bytes, limit: Limit, at: datetime) -> float:
    """Count an attempt; 0, or how many seconds to wait when it may not be made, which then is not counted."""
    match limit:
        case Backoff():
            return await _count_backoff(tx, key, limit, at)
        case Rate():
            return await _count_rate(tx, key, limit, at)


async def _count_backoff(tx: Transaction, key: bytes, limit: Backoff, at: datetime) -> float:
    """An array's element before its first or NULL makes no pause: that is how the first attempts have none."""
    counted = await tx.fetchval(
        "INSERT INTO attempt_limit AS kept (key, attempts, counted_at) VALUES ($1, 1, $2) "
        "ON CONFLICT (key) DO UPDATE SET counted_at = greatest(kept.counted_at, $2), "
        "attempts = CASE WHEN kept.counted_at < $2 - $3::interval THEN 1 ELSE kept.attempts + 1 END, "
        "locked_until = CASE WHEN kept.counted_at >= $2 - $3::interval THEN "
        "$2 + ($5::interval[])[least(kept.attempts::integer + 2 - $4, cardinality($5::interval[]))] END "
        "WHERE kept.locked_until IS NULL OR kept.locked_until <= $2 RETURNING true",
        key,
        at,
        limit.forgotten_after,
        limit.attempts,
        list(limit.pauses),
    )
    if counted:
        return 0
    until: datetime | None = await tx.fetchval("SELECT locked_until FROM attempt_limit WHERE key = $1", key)
    return max(1.0, (until - at).total_seconds()) if until else 1.0


async def _count_rate(tx: Transaction, key: bytes, limit: Rate, at: datetime) -> float:
    seconds = limit.interval.total_seconds()
    left = "greatest(0, kept.attempts - greatest(0, extract(epoch FROM $2 - kept.counted_at)) / $3::double precision)"
    counted = await tx.fetchval(
        "INSERT INTO attempt_limit AS kept (key, attempts, counted_at) VALUES ($1, 1, $2) "  # noqa: S608 - no value in it
        f"ON CONFLICT (key) DO UPDATE SET counted_at = greatest(kept.counted_at, $2), attempts = {left} + 1 "
        f"WHERE {left} + 1 <= $4 RETURNING true",
        key,
        at,
        seconds,
        limit.attempts,
    )
    if counted:
        return 0
    counted_now: float | None = await tx.fetchval(
        f"SELECT {left} FROM attempt_limit AS kept WHERE key = $1",  # noqa: S608 - no value in it
        key,
        at,
        seconds,
    )
    return max(1.0, ((counted_now or 0) + 1 - limit.attempts) * seconds)


async def forget(tx: Transaction, key: bytes) -> float:
    """Forget what was counted under a key; how many attempts that were."""
    gone: float | None = await tx.fetchval("DELETE FROM attempt_limit WHERE key = $1 RETURNING attempts", key)
    return gone or 0


async def give_back(tx: Transaction, key: bytes, attempts: float) -> None:
    """Take back so many attempts."""
    await tx.execute("UPDATE attempt_limit SET attempts = greatest(0, attempts - $2) WHERE key = $1", key, attempts)
