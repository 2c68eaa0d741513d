"""Mails and reports go when they are old, by an index; what is young, waiting or still of use stays."""

from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from pydantic import ValidationError

from chassis.clock import now
from chassis.retention import Retention
from local_stack.testing import owner_url
from notifier.jobs import OLD_MAILS, OLD_REPORTS, delete_old_mails

OLD, YOUNG = 12_000, 300
FILL = """
INSERT INTO announcement (markdown, starts_at, by_mail, mailed_at, saved_by, saved_at)
    VALUES ('Menus', now() - interval '500 days', true, now(), gen_random_uuid(), now() - interval '500 days');
INSERT INTO mail (intent, kind, recipient, first_name, domain, person_id, event, priority, announcement_id, status,
        created_at, try_at, sent_at)
    SELECT n::text, 'announcement', n || '@example.org', 'Ana', 'example.org', gen_random_uuid(), '{}', 2,
        CASE WHEN n % 4 = 0 THEN (SELECT max(announcement_id) FROM announcement) END,
        CASE WHEN n % 8 = 0 THEN 'failed' ELSE 'sent' END, at, at, CASE WHEN n % 8 = 0 THEN NULL ELSE at END
    FROM generate_series(1, 12300) n,
        LATERAL (SELECT now() - interval '1 day' * CASE WHEN n > 12000 THEN 10 ELSE 500 END AS at) d;
INSERT INTO mail (intent, kind, recipient, first_name, domain, person_id, event, priority, status, created_at, try_at)
    VALUES ('waits', 'ticket', 'a@example.org', 'Ana', 'example.org', gen_random_uuid(), '{}', 0, 'waiting',
        now() - interval '500 days', now() + interval '1 day');
INSERT INTO bounce (mail_id, status, diagnostic, raw, fingerprint, received_at)
    SELECT mail_id, '5.1.1', '', ''::bytea, sha256(intent::bytea), now() - interval '500 days'
    FROM mail WHERE intent = '1'
    UNION ALL SELECT mail_id, '5.1.1', '', ''::bytea, sha256(intent::bytea), now() FROM mail WHERE intent = '2'
    UNION ALL SELECT NULL, '5.1.1', '', ''::bytea, sha256(n::text::bytea || 'x'), now() - interval '500 days'
    FROM generate_series(1, 12000) n;
INSERT INTO returned_address (address, mail_id, returned_at)
    SELECT recipient, mail_id, now() FROM mail WHERE intent = '3';
ANALYZE
"""


@pytest.fixture
async def years(post: Any) -> Any:
    connection = await asyncpg.connect(owner_url(post.settings.database_url))
    try:
        await connection.execute(FILL)
    finally:
        await connection.close()
    return post


async def test_old_mails_and_reports_are_deleted_and_messages_still_say_how_many_there_were(years: Any) -> None:
    before = await (await years.client.get("/announcements", headers=years.staff())).json()
    await delete_old_mails(years.client.app)
    kept = "SELECT array_agg(intent ORDER BY intent) FROM mail WHERE created_at < now() - interval '400 days'"
    assert await years.sql(kept) == ["2", "3", "waits"], "of a young report, of a dead address, not sent yet"
    assert await years.sql("SELECT count(*) FROM mail") == YOUNG + 3
    assert await years.sql("SELECT count(*) FROM bounce") == 1
    after = await (await years.client.get("/announcements", headers=years.staff())).json()
    assert after["announcements"] == before["announcements"]
    assert (after["announcements"][0]["mails"], after["announcements"][0]["mails_sent"]) == (3_075, 1_538)


@pytest.mark.parametrize(
    ("retention", "index"), [(OLD_MAILS, "mail_created_at_mail_id_idx"), (OLD_REPORTS, "bounce_received")]
)
async def test_a_batch_is_found_by_an_index(years: Any, retention: Retention, index: str) -> None:
    connection = await asyncpg.connect(years.settings.database_url)
    try:
        lines = await connection.fetch(f"EXPLAIN {retention.delete}", now() - timedelta(days=400), 2_000)
    finally:
        await connection.close()
    plan = "\n".join(row[0] for row in lines)
    assert index in plan, plan
    assert f"Seq Scan on {retention.table} " not in plan, plan


async def test_a_mail_is_kept_longer_than_the_event_that_made_it(post: Any) -> None:
    with pytest.raises(ValidationError, match="MAILS_KEPT_DAYS is more than EVENTS_KEPT_DAYS"):
        type(post.settings)(**{**post.settings.model_dump(), "mails_kept_days": 30, "events_kept_days": 30})
