"""What billing asks again and again, after ten years: ``python -m tests.load.ten_years [INVOICES]``, or 600,000.

A private PostgreSQL with so many invoices over 120 months, all but the last month's and one in a hundred paid. Each
figure stands beside what the version before did for it, in the same run, on the same tables. Printed, never asserted.
"""

import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

from billing.settings import MIGRATIONS
from billing.store import balances, reminders
from billing.store.health_metrics import FIGURES, HEALTH_METRICS
from billing.store.pdfs import invoices_without_pdf
from chassis.clock import today
from chassis.database import Database, Transaction
from chassis.health_metrics import measure
from chassis.migrations import migrate
from contracts.api.reminders import ReminderRule
from local_stack.postgres import PostgresServer
from tests.load.harness.figures import note, say

TIMES = 3
ASKED_WITHIN = "SET LOCAL statement_timeout = 0"
FILL = (
    "SET LOCAL session_replication_role = replica",  # years are written at once: no guard, no chain
    "INSERT INTO household SELECT gen_random_uuid(), 1, 'F-' || n, 'Famille', ARRAY['1 rue'] "
    "FROM generate_series(1, $1::int / 100) n",
    "INSERT INTO invoice_run (run_id, month, due_on, straight, status, requested_by, created_at, after_household, "
    "households) SELECT gen_random_uuid(), '2016-01-01', '2016-02-01', true, 'done', gen_random_uuid(), now(), "
    "gen_random_uuid(), 0 WHERE $1::int > 0",
    "WITH h AS (SELECT household_id, row_number() OVER () AS n FROM household) INSERT INTO invoice (run_id, number, "
    "household_id, month, published_at, published_on, due_on, total_cents, issuer, household_name, "
    "household_reference, household_address) SELECT (SELECT run_id FROM invoice_run), "
    "(2016 + m / 12) || '-' || lpad((n::bigint * 120 + m)::text, 6, '0'), household_id, "
    "date '2016-12-01' + m * interval '1 month', now(), now(), date '2016-12-31' + m * interval '1 month', 4250, "
    "'{}', 'Famille', 'F', '{}' FROM h, generate_series(0, $1::int / (SELECT count(*)::int FROM household) - 1) m",
    "INSERT INTO document_pdf (number, pdf) SELECT number, '' FROM invoice WHERE $1::int > 0",
    "INSERT INTO ledger_transaction (key, at, day) SELECT 'invoice/' || invoice_id, now(), month FROM invoice "
    "WHERE $1::int > 0",
    "INSERT INTO ledger_transaction (key, at, day) SELECT 'payment/' || invoice_id, now(), month FROM invoice "
    "WHERE due_on < current_date AND left(invoice_id::text, 2) > '02' AND $1::int > 0",
    "INSERT INTO ledger_entry (transaction_id, account, household_id, invoice_id, product, means, till, amount_cents) "
    "SELECT transaction_id, account, household_id, CASE account WHEN 'receivable' THEN invoice_id END, "
    "CASE account WHEN 'revenue' THEN 'Cantine' END, CASE account WHEN 'bank' THEN 'card' END, "
    "CASE account WHEN 'bank' THEN 'R' END, cents FROM ledger_transaction t "
    "JOIN invoice i ON i.invoice_id = substr(t.key, 9)::uuid CROSS JOIN LATERAL (VALUES ('receivable', "
    "CASE left(t.key, 1) WHEN 'i' THEN 4250 ELSE -4250 END), (CASE left(t.key, 1) WHEN 'i' THEN 'revenue' "
    "ELSE 'bank' END, CASE left(t.key, 1) WHEN 'i' THEN -4250 ELSE 4250 END)) AS e (account, cents) WHERE $1::int > 0",
)
BEFORE = {
    "scrape": (
        "SELECT coalesce(sum(abs(off)), 0) FROM (SELECT sum(amount_cents) AS off FROM ledger_entry "
        "GROUP BY transaction_id HAVING sum(amount_cents) <> 0) it",
        "SELECT coalesce(sum(amount_cents), 0) FROM ledger_entry WHERE account = 'receivable'",
    ),
    "reminders": (
        "SELECT count(*) FROM invoice i JOIN (SELECT invoice_id, sum(amount_cents)::bigint AS left_cents "
        "FROM ledger_entry WHERE invoice_id IS NOT NULL GROUP BY invoice_id HAVING sum(amount_cents) > 0) e "
        "USING (invoice_id) WHERE i.due_on < current_date",
    ),
    "PDFs to be made": (
        "SELECT household_id, invoice_id FROM invoice i WHERE NOT EXISTS "
        "(SELECT FROM document_pdf p WHERE p.number = i.number) ORDER BY published_at, number LIMIT 20",
    ),
}
"""What the version before asked every 15 s, every 10 minutes and every minute."""


async def fill(database: Database, invoices: int) -> None:
    """Ten years at once, then what the set-up fills in of them, as for a town that gets this version."""
    async with database.transaction() as tx:
        await tx.execute(ASKED_WITHIN)
        for statement in FILL:
            await tx.execute(statement, *([invoices] if "$1" in statement else ()), timeout=3_600)
    async with database.transaction() as tx:
        await tx.execute(ASKED_WITHIN)
        await tx.execute("ANALYZE", timeout=3_600)
    began = time.perf_counter()
    await balances.fill(database)
    say("filled in by `migrate`, once", time.perf_counter() - began, "s")
    async with database.transaction() as tx:
        await tx.execute("ANALYZE")


async def took(database: Database, ask: Callable[[Transaction], Awaitable[Any]]) -> float:
    """Milliseconds, the least of some times."""
    least = float("inf")
    for _ in range(TIMES):
        async with database.transaction() as tx:
            await tx.execute(ASKED_WITHIN)
            began = time.perf_counter()
            await ask(tx)
            least = min(least, 1_000 * (time.perf_counter() - began))
    return least


async def compare(database: Database) -> None:
    """Each question as it was asked, and as it is."""
    rule = ReminderRule(days=(10, 30))

    async def scrape(tx: Transaction) -> None:
        await measure(tx, (*HEALTH_METRICS, *FIGURES))

    async def remind(tx: Transaction) -> None:
        await reminders.overdue(tx, rule, today())

    async def pdfs(tx: Transaction) -> None:
        await invoices_without_pdf(tx, 20)

    for (name, statements), now_asked in zip(BEFORE.items(), (scrape, remind, pdfs), strict=True):

        async def former(tx: Transaction, statements: tuple[str, ...] = statements) -> None:
            for statement in statements:
                await tx.fetch(statement, timeout=3_600)

        say(f"{name}, as it was asked", await took(database, former), "ms")
        say(f"{name}, as it is", await took(database, now_asked), "ms")
    began = time.perf_counter()
    await balances.check(database)
    say("the whole ledger checked, once an hour", time.perf_counter() - began, "s")


async def main(folder: Path, invoices: int) -> None:
    server = PostgresServer(folder / "postgresql", password=uuid4().hex)
    try:
        await server.start()
        await migrate(server.dsn(), MIGRATIONS)
        database = Database(server.dsn(), connections_max=4, answer_seconds=3_600)
        await database.start()
        note(f"billing after ten years, {invoices:,} invoices")
        await fill(database, invoices)
        await compare(database)
        await database.stop()
    finally:
        await server.stop()


if __name__ == "__main__":
    folder = Path(tempfile.mkdtemp(prefix="preau-load-"))
    folder.chmod(0o711)
    try:
        asyncio.run(main(folder, int(sys.argv[1]) if len(sys.argv) > 1 else 600_000))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
