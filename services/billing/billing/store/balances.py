"""What the database keeps of the ledger by itself: filled in once for what was there before, and checked each hour.

The ledger is gone through in steps, each a transaction of its own over a range of an index.
"""

from datetime import timedelta
from typing import Any
from uuid import UUID

from chassis.database import Database

STEP = 5_000
TRANSACTIONS_A_STEP = 20_000
CHECK_EVERY = timedelta(hours=1)
CLAIMED_FOR = timedelta(minutes=10)

_IMBALANCE = """
WITH part AS (
    SELECT transaction_id FROM ledger_transaction WHERE transaction_id > $1 ORDER BY transaction_id LIMIT $2
)
SELECT max(p.transaction_id) AS last, coalesce(sum(abs(p.off)), 0)::bigint AS found FROM (
    SELECT transaction_id, coalesce((SELECT sum(amount_cents) FROM ledger_entry e
        WHERE e.transaction_id = part.transaction_id), 0) AS off FROM part
) p
"""
_WRONG = """
WITH part AS (
    SELECT invoice_id FROM invoice WHERE $1::uuid IS NULL OR invoice_id > $1 ORDER BY invoice_id LIMIT $2
)
SELECT (SELECT invoice_id FROM part ORDER BY invoice_id DESC LIMIT 1) AS last, count(*) FILTER (
    WHERE b.left_cents IS DISTINCT FROM
        (SELECT sum(amount_cents)::bigint FROM ledger_entry e WHERE e.invoice_id = part.invoice_id)
) AS found FROM part LEFT JOIN invoice_balance b USING (invoice_id)
"""


async def fill(database: Database) -> None:
    """Link the ledger transactions and fill in the balances that were there before the tables for them."""
    transaction_id: int | None = 0
    while transaction_id is not None:
        async with database.transaction() as tx:
            transaction_id = await tx.fetchval("SELECT link_older($1, $2)", transaction_id, STEP)
    invoice_id: UUID | None = None
    while True:
        async with database.transaction() as tx:
            invoice_id = await tx.fetchval("SELECT fill_balances($1, $2)", invoice_id, STEP)
        if invoice_id is None:
            return


async def claim_check(database: Database) -> bool:
    """Whether this replica is to check the ledger now: an hour after the last time, at once if that found something.

    Who claims it has ten minutes before another one does it instead.
    """
    async with database.transaction() as tx:
        claimed = await tx.fetch(
            "UPDATE ledger_check SET claimed_at = now() WHERE (SELECT min(checked_at) <= now() - $1::interval "
            "OR bool_or(found > 0) FROM ledger_check) AND (claimed_at IS NULL OR claimed_at < now() - $2::interval) "
            "RETURNING name",
            CHECK_EVERY,
            CLAIMED_FOR,
        )
    return bool(claimed)


async def check(database: Database) -> dict[str, int]:
    """Go through the whole ledger: cents by which it does not balance, and balances that are not its sums."""
    return {
        "imbalance_cents": await _sum(database, _IMBALANCE, 0, TRANSACTIONS_A_STEP),
        "wrong_balances": await _sum(database, _WRONG, None, STEP),
    }


async def _sum(database: Database, query: str, after: Any, at_most: int) -> int:
    found = 0
    while True:
        async with database.transaction() as tx:
            row = await tx.fetchrow(query, after, at_most)
        assert row is not None, "an aggregate without groups has one row"
        if row["last"] is None:
            return found
        after, found = row["last"], found + row["found"]


async def keep(database: Database, found: dict[str, int]) -> None:
    """Keep what a check found, for whoever asks."""
    async with database.transaction() as tx:
        await tx.executemany(
            "UPDATE ledger_check SET found = $2, checked_at = now(), claimed_at = NULL WHERE name = $1",
            list(found.items()),
        )
