"""What is asked every minute reads a part of the tables, whatever has piled up over the years."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from billing.store.health_metrics import GAUGES, HEALTH_METRICS
from billing.store.pdfs import invoices_without_pdf
from billing.store.reminders import overdue
from billing.store.till import accounts
from chassis.clock import today
from chassis.database import Database, opened
from contracts.api.reminders import ReminderRule
from local_stack.postgres import PostgresServer

INVOICES = 30_000
FILL = """
SET session_replication_role = replica;
INSERT INTO household SELECT gen_random_uuid(), 1, 'F-' || n, 'Famille', '{1 rue}' FROM generate_series(1, 300) n;
INSERT INTO invoice_run (month, due_on, straight, status, requested_by, created_at, after_household, households)
    VALUES ('2016-01-01', '2016-02-01', true, 'done', gen_random_uuid(), now(), gen_random_uuid(), 0);
INSERT INTO invoice (run_id, number, household_id, month, published_at, published_on, due_on, total_cents, issuer,
        household_name, household_reference, household_address)
    SELECT (SELECT run_id FROM invoice_run), '2016-' || lpad(row_number() OVER () || '', 6, '0'), household_id,
        '2016-01-01', now(), now(), '2016-02-01', 100, '{}', 'F', 'F', '{}' FROM household, generate_series(1, 100);
INSERT INTO document_pdf SELECT number, '' FROM invoice WHERE number > '2016-000007';
INSERT INTO invoice_pdf_due SELECT number, invoice_id, published_at FROM invoice WHERE number <= '2016-000007';
INSERT INTO ledger_transaction (key, at, day) SELECT 'invoice/' || invoice_id, now(), '2016-01-01' FROM invoice;
INSERT INTO ledger_entry (transaction_id, account, household_id, invoice_id, product, amount_cents)
    SELECT transaction_id, account, household_id, of_invoice, product, cents FROM ledger_transaction
    JOIN invoice i ON key = 'invoice/' || i.invoice_id CROSS JOIN LATERAL (VALUES
        ('receivable', i.invoice_id, NULL, 100), ('revenue', NULL, 'Cantine', -100))
        e (account, of_invoice, product, cents);
INSERT INTO invoice_balance SELECT invoice_id, CASE WHEN number <= '2016-000011' THEN 100 ELSE 0 END FROM invoice;
ANALYZE;
"""
LARGE = ("invoice", "ledger_entry", "ledger_transaction", "document_pdf", "invoice_balance")


@pytest.fixture
async def years(database_url: str, postgres: PostgresServer) -> AsyncIterator[Database]:
    """A town's years; written at once, which only a superuser can."""
    connection = await asyncpg.connect(postgres.dsn(urlsplit(database_url).path[1:]))
    try:
        await connection.execute(FILL)
    finally:
        await connection.close()
    async with opened(database_url) as database:
        yield database


class Explained:
    """A connection that says how PostgreSQL would answer, and answers."""

    def __init__(self, tx: Any) -> None:
        self._tx, self.plans = tx, list[str]()

    async def fetch(self, query: str, *arguments: Any) -> Any:
        lines = await self._tx.fetch(f"EXPLAIN {query}", *arguments)
        self.plans += [row[0] for row in lines]
        return await self._tx.fetch(query, *arguments)

    @property
    def scans(self) -> list[str]:
        """The large tables that are read whole."""
        return [line for line in self.plans if any(line.strip(" ->").startswith(f"Seq Scan on {t} ") for t in LARGE)]


async def test_reminders_read_what_is_open(years: Database) -> None:
    async with years.transaction() as tx:
        explained: Any = Explained(tx)
        found = await overdue(explained, ReminderRule(days=(10,)), today())
    assert (len(found), {each.left_cents for each in found}) == (11, {100})
    assert explained.scans == []


async def test_the_cashiers_list_reads_what_is_open(years: Database) -> None:
    async with years.transaction() as tx:
        explained: Any = Explained(tx)
        found = await accounts(explained, "")
    owing = [each for each in found if each.due_cents]
    assert sum(each.due_cents for each in found) == sum(each.due_cents for each in owing) == 1_100
    assert found[: len(owing)] == owing
    assert explained.scans == []


async def test_pdfs_to_be_made_are_found_without_the_others(years: Database) -> None:
    async with years.transaction() as tx:
        explained: Any = Explained(tx)
        assert len(await invoices_without_pdf(explained, 20)) == 7
    assert explained.scans == []


@pytest.mark.parametrize("figure", [*HEALTH_METRICS, *GAUGES], ids=lambda each: each.name)
async def test_a_scrape_reads_no_large_table_whole(years: Database, figure: Any) -> None:
    async with years.transaction() as tx:
        explained: Any = Explained(tx)
        ((value,),) = await explained.fetch(figure.query)
    assert explained.scans == []
    if figure.name == "owed_cents":
        assert value == 1_100
    assert value >= 0
