"""What is older than it is kept goes, by an index, at the size of years."""

from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from auth.jobs import RETENTIONS, forget
from chassis.clock import now
from chassis.outbox import DELETE_EVENTS_OF
from chassis.retention import Retention
from local_stack.testing import owner_url

OLD = 12_000
FILL = """
INSERT INTO session (token_hash, account_id, user_agent, created_at, last_used_at)
    SELECT sha256(n::text::bytea), account_id, 'x', now() - interval '500 days', now() - interval '500 days'
    FROM account, generate_series(1, 12000) n;
INSERT INTO device (account_id, device_hash, first_used_at, last_used_at)
    SELECT account_id, sha256(n::text::bytea), now() - interval '500 days', now() - interval '500 days'
    FROM account, generate_series(1, 12000) n;
INSERT INTO link (token_hash, purpose, account_id, state, email, made_at, expires_at)
    SELECT sha256(n::text::bytea), 'reset', account_id, 1, 'a@b.fr', now() - interval '500 days',
        now() - interval '499 days' FROM account, generate_series(1, 12000) n;
INSERT INTO sign_in_guard (guard, failures, last_at)
    SELECT sha256(n::text::bytea), 1, now() - interval '500 days' FROM generate_series(1, 12000) n;
INSERT INTO attempt_limit (key, attempts, counted_at)
    SELECT sha256(n::text::bytea), 1, now() - interval '500 days' FROM generate_series(1, 12000) n;
INSERT INTO security_fact (at, fact, address)
    SELECT now() - interval '500 days', 'x', '' FROM generate_series(1, 12000);
INSERT INTO family_import (made_by, made_at, file_name, status)
    SELECT gen_random_uuid(), now() - interval '500 days', 'x', 'refused' FROM generate_series(1, 12000);
INSERT INTO outbox (type, subject, data, correlation_id, published_at)
    SELECT 'a.b', 'household/' || gen_random_uuid(), '{}', 'c', now() FROM generate_series(1, 12000);
ANALYZE
"""


@pytest.fixture
async def years(town: Any) -> Any:
    connection = await asyncpg.connect(owner_url(town.settings.database_url))
    try:
        await connection.execute(FILL)
    finally:
        await connection.close()
    return town


async def test_what_is_old_goes_in_batches_and_what_is_young_stays(years: Any) -> None:
    session = await years.session("admin", "admin-secret")
    assert (await years.token_of(session)).status == 200
    for each in RETENTIONS:
        assert await years.sql(f"SELECT count(*) FROM {each.table}") >= OLD
    await forget(years.client.app)
    for each in RETENTIONS:
        assert await years.sql(f"SELECT count(*) FROM {each.table}") < 100
    assert (await years.token_of(session)).status == 200


@pytest.mark.parametrize("retention", RETENTIONS, ids=lambda each: each.table)
async def test_a_batch_is_found_by_an_index(years: Any, retention: Retention) -> None:
    connection = await asyncpg.connect(years.settings.database_url)
    try:
        lines = await connection.fetch(f"EXPLAIN {retention.delete}", now() - timedelta(days=600), 2_000)
    finally:
        await connection.close()
    plan = "\n".join(row[0] for row in lines)
    assert "Seq Scan" not in plan, plan
    assert "Sort" not in plan, plan


async def test_the_events_of_who_is_erased_are_found_by_an_index(years: Any) -> None:
    connection = await asyncpg.connect(years.settings.database_url)
    try:
        lines = await connection.fetch(f"EXPLAIN {DELETE_EVENTS_OF}", ["household/1", "account/2"])
    finally:
        await connection.close()
    assert "outbox_subject" in "\n".join(row[0] for row in lines)
