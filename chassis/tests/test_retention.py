"""What is older than it is kept goes in batches, by an index, at a size where anything else would show."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from chassis.clock import now
from chassis.database import Database, opened
from chassis.inbox import CONSUMED_EVENTS
from chassis.migrations import migrate
from chassis.outbox import ANSWERED_KEYS, PUBLISHED_EVENTS
from chassis.retention import Retention, delete_expired
from contracts.failures import Unavailable

ROWS, OLD = 40_000, 30_000
FILL = (
    "INSERT INTO outbox (type, subject, data, correlation_id, published_at) SELECT 'a.b', 's', '{}', 'c', "
    "CASE WHEN n % 4 < 3 THEN now() - interval '40 days' - n * interval '1 second' ELSE now() END "
    "FROM generate_series(1, $1::int) n",
    "INSERT INTO inbox (listener, event_id, received_at) SELECT 'l', gen_random_uuid(), "
    "CASE WHEN n % 4 < 3 THEN now() - interval '40 days' - n * interval '1 second' ELSE now() END "
    "FROM generate_series(1, $1::int) n",
    "INSERT INTO idempotency_key (scope, key, request, answered_at) SELECT 's', n::text, '', "
    "CASE WHEN n % 4 < 3 THEN now() - interval '40 days' - n * interval '1 second' ELSE now() END "
    "FROM generate_series(1, $1::int) n",
)
ALL = (PUBLISHED_EVENTS, CONSUMED_EVENTS, ANSWERED_KEYS)


@pytest.fixture
async def database(empty_database_url: str, tmp_path: Path) -> AsyncIterator[Database]:
    await migrate(empty_database_url, tmp_path)
    async with opened(empty_database_url) as made:
        async with made.transaction() as tx:
            for statement in FILL:
                await tx.execute(statement, ROWS)
            for each in ALL:
                await tx.execute(f"ANALYZE {each.table}")
        yield made


async def count(database: Database, table: str) -> int:
    async with database.transaction() as tx:
        return int(await tx.fetchval(f"SELECT count(*) FROM {table}"))


async def test_what_is_old_goes_and_what_is_young_stays(database: Database) -> None:
    before = now() - timedelta(days=30)
    for each in ALL:
        assert await delete_expired(database, each, before) == OLD
        assert await count(database, each.table) == ROWS - OLD
        assert await delete_expired(database, each, before) == 0


@pytest.mark.parametrize("retention", ALL, ids=lambda each: each.table)
async def test_a_batch_is_found_by_an_index_whatever_has_piled_up(database: Database, retention: Retention) -> None:
    async with database.transaction() as tx:
        lines = await tx.fetch(f"EXPLAIN {retention.delete}", now() - timedelta(days=30), 2_000)
    plan = "\n".join(row[0] for row in lines)
    assert "Seq Scan" not in plan, plan
    assert "Sort" not in plan, plan


async def test_what_went_stays_gone_when_the_rest_cannot_go(database: Database) -> None:
    """One row in the middle is in use: the batches before it have gone all the same, and no lock is left behind."""
    middle = "SELECT ctid FROM outbox WHERE published_at < now() - interval '30 days' ORDER BY published_at OFFSET 9500"
    async with database.transaction() as user:
        await user.execute(f"UPDATE outbox SET traceparent = 'x' WHERE ctid = ({middle} LIMIT 1)")
        with pytest.raises(Unavailable):
            await delete_expired(database, PUBLISHED_EVENTS, now() - timedelta(days=30), batch=3_000)
        assert await count(database, "outbox") == ROWS - 9_000
    assert await delete_expired(database, PUBLISHED_EVENTS, now() - timedelta(days=30)) == OLD - 9_000


async def test_two_replicas_forget_the_same_without_a_word(database: Database) -> None:
    before = now() - timedelta(days=30)
    gone = await asyncio.gather(*(delete_expired(database, CONSUMED_EVENTS, before, batch=500) for _ in range(2)))
    assert await count(database, "inbox") == ROWS - OLD
    assert sum(gone) == OLD
