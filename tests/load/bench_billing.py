"""How fast billing is on this machine: ``python -m tests.load.bench_billing [HOUSEHOLDS]``, 10,000 unless told.

A private PostgreSQL that keeps its data safe (fsync on), forty booked days a household. It measures a whole monthly run
while parents read their invoices, settlements beside the same statements without the service around them, and PDFs.
Figures are printed, never asserted.
"""

import asyncio
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import documents
from billing.api.runs import begin_run
from billing.consumers import settle_invoices
from billing.jobs import work_off_runs
from billing.settings import MIGRATIONS, Settings
from billing.store import checkouts, invoices, runs, tariffs
from chassis.clock import now
from chassis.database import Database
from chassis.migrations import migrate
from contracts.api.billing import InvoiceRunRequest
from contracts.api.tariffs import AttendanceRules, Bracket, BracketPrices, TariffRequest
from contracts.events.billing import CheckoutInvoice, RunStatus
from contracts.events.payment import Means, Mode, PaymentConfirmed, Ticket
from local_stack.postgres import PostgresServer
from tests.load.harness.figures import note, say, say_spans

DAYS, PAYMENTS, AT_ONCE = 40, 2_000, 4
ACTIVITY, OPERATOR = UUID(int=1), UUID(int=0)


async def seed(database: Database, households: int) -> None:
    """Families with a quotient each, and their days: one in ten is an absence, of which one a month is free."""
    async with database.transaction() as tx:
        await tx.execute(
            "INSERT INTO household SELECT gen_random_uuid(), 1, 'F-' || n, 'Famille ' || n, ARRAY['1 rue'] "
            "FROM generate_series(1, $1) AS n",
            households,
        )
        await tx.execute(
            "INSERT INTO household_terms (household_id, valid_from, quotient_cents, resident, recorded_by, "
            "recorded_at) SELECT household_id, '2026-01-01', (random() * 150000)::bigint, true, $1, now() "
            "FROM household",
            OPERATOR,
        )
        brackets = tuple(Bracket(up_to_cents=each * 10_000, unit_price_cents=each * 40) for each in range(1, 10))
        formula = BracketPrices(
            brackets=(*brackets, Bracket(up_to_cents=None, unit_price_cents=420)), without_quotient_cents=420
        )
        payload = TariffRequest(
            label="Repas",
            activity_id=ACTIVITY,
            activity_label="Cantine",
            valid_from=date(2026, 1, 1),
            formula=formula,
            attendance=AttendanceRules(unjustified_percent=50, free_absences=1),
        )
        await tariffs.save_tariff(tx, ACTIVITY, payload)
    first = date(2026, 10, 1)
    for number in range(DAYS):
        async with database.transaction() as tx:
            await tx.execute("SET LOCAL statement_timeout = 0")
            await tx.execute(
                "INSERT INTO usage (household_id, child_id, activity_id, day, booked, version, child_first_name, "
                "activity_label, presence, attendance_version) "
                "SELECT household_id, household_id, $1, $2, true, 1, 'Léa', "
                "'Cantine', CASE WHEN random() < 0.1 THEN 'absent' ELSE 'present' END, 1 "
                "FROM household ORDER BY household_id",
                ACTIVITY,
                first + timedelta(days=number),
                timeout=600,
            )


async def parents(database: Database, stop: asyncio.Event, waits: list[float]) -> None:
    """A parent after another reads the list of invoices; how long each waited, in seconds."""
    async with database.transaction() as tx:
        ids = [row["household_id"] for row in await tx.fetch("SELECT household_id FROM household LIMIT 500")]
    while not stop.is_set():
        for household_id in ids:
            start = time.perf_counter()
            async with database.transaction() as tx:
                await invoices.summaries(tx, household_id)
            waits.append(time.perf_counter() - start)
            await asyncio.sleep(0.02)
            if stop.is_set():
                return


async def measure_run(database: Database, settings: Settings, households: int) -> None:
    waits: list[float] = []
    stop = asyncio.Event()
    reading = asyncio.create_task(parents(database, stop, waits))
    start = time.perf_counter()
    payload = InvoiceRunRequest(month=date(2026, 11, 1), due_on=date(2026, 12, 31))
    async with database.transaction() as tx:
        run_id = await begin_run(tx, payload, by=OPERATOR)
    await work_off_runs(database, settings)
    drafted = time.perf_counter()
    async with database.transaction() as tx:
        await runs.start_publishing(tx, run_id, OPERATOR)
    await work_off_runs(database, settings)
    done = time.perf_counter()
    stop.set()
    await reading
    async with database.transaction() as tx:
        run = await runs.run(tx, run_id)
    assert run is not None
    assert run.status is RunStatus.DONE
    say(f"preview, {households * DAYS:,} days", drafted - start, "s")
    say(f"publish, {run.invoices:,} invoices", done - drafted, "s")
    say_spans("a parent reads invoices meanwhile", waits)
    say("memory of the process, highest", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, "MiB")


def confirmed(household_id: UUID, checkout_id: UUID, cents: int) -> PaymentConfirmed:
    ticket = Ticket(
        number="T-1",
        town="Ville",
        till="Régie",
        household_name="Famille",
        household_reference="F-1",
        invoices=(CheckoutInvoice(invoice_id=uuid4(), number="1", month=date(2026, 11, 1), amount_cents=cents),),
        amount_cents=cents,
        means=Means.CARD,
        mode=Mode.TEST,
        bank_reference="x",
        authorisation=None,
        paid_at=now(),
    )
    return PaymentConfirmed(
        payment_id=uuid4(),
        checkout_id=checkout_id,
        household_id=household_id,
        payer_id=uuid4(),
        bank="payfip",
        amount_cents=cents,
        confirmed_at=now(),
        ticket=ticket,
    )


async def opened(database: Database, *, offset: int, count: int) -> list[tuple[UUID, UUID, UUID, int]]:
    """So many checkouts: household, checkout, invoice and amount of each."""
    made = []
    async with database.transaction() as tx:
        rows = await tx.fetch(
            "SELECT household_id, invoice_id, number, month, total_cents FROM invoice ORDER BY number "
            "LIMIT $1 OFFSET $2",
            count,
            offset,
        )
    for row in rows:
        async with database.transaction() as tx:
            held = CheckoutInvoice(
                invoice_id=row["invoice_id"],
                number=row["number"],
                month=row["month"],
                amount_cents=row["total_cents"],
            )
            at = now()
            checkout_id = await checkouts.add_checkout(
                tx, row["household_id"], [held], opened_at=at, expires_at=at + timedelta(days=1)
            )
        made.append((row["household_id"], checkout_id, row["invoice_id"], row["total_cents"]))
    return made


async def each_second(todo: list[Any], do: Callable[[Any], Awaitable[None]]) -> float:
    """How many of these are done in a second, a few at once."""
    waiting = iter(todo)

    async def work() -> None:
        for each in waiting:
            await do(each)

    start = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return len(todo) / (time.perf_counter() - start)


async def measure_settling(database: Database, count: int) -> None:
    async def settle(each: tuple[UUID, UUID, UUID, int]) -> None:
        async with database.transaction() as tx:
            await settle_invoices(confirmed(each[0], each[1], each[3]), tx)

    async def bare(each: tuple[UUID, UUID, UUID, int]) -> None:
        household_id, checkout_id, invoice_id, cents = each
        async with database.transaction() as tx:
            await tx.execute("SELECT FROM invoice WHERE invoice_id = $1 FOR UPDATE", invoice_id)
            transaction_id = await tx.fetchval(
                "INSERT INTO ledger_transaction (key, at, day) VALUES ($1, now(), now()) RETURNING transaction_id",
                f"payment/{uuid4()}",
            )
            await tx.execute(
                "INSERT INTO ledger_entry "
                "(transaction_id, account, household_id, invoice_id, means, till, amount_cents) "
                "VALUES ($1, 'bank', $2, NULL, 'card', 'REGIE', $4), ($1, 'receivable', $2, $3, NULL, NULL, -$4)",
                transaction_id,
                household_id,
                invoice_id,
                cents,
            )
            await tx.execute("UPDATE checkout SET status = 'settled' WHERE checkout_id = $1", checkout_id)
            await tx.execute("UPDATE checkout_invoice SET open = false WHERE checkout_id = $1", checkout_id)
            await tx.execute(
                "INSERT INTO outbox (type, subject, data, correlation_id) "
                "VALUES ('billing.invoice.settled', 'x', '{}', 'x')"
            )

    floor = await each_second(await opened(database, offset=count, count=count), bare)
    ours = await each_second(await opened(database, offset=0, count=count), settle)
    say(f"settlements, {AT_ONCE} at once (floor: the same statements alone)", ours, "/s", floor=floor)


async def measure_pdfs(database: Database) -> None:
    async with database.transaction() as tx:
        row: Any = await tx.fetchrow("SELECT household_id, invoice_id FROM invoice LIMIT 1")
        model = await invoices.invoice(tx, row["household_id"], row["invoice_id"])
    assert model is not None
    documents.invoice(model)
    start = time.perf_counter()
    for _ in range(100):
        documents.invoice(model)
    say("invoices as PDF on one core", 100 / (time.perf_counter() - start), "/s")


async def main(folder: Path, households: int) -> None:
    server = PostgresServer(folder / "postgresql", password=uuid4().hex)
    settings = Settings(
        database_url="postgres://unused",
        amqp_url="amqp://unused",
        auth_url="http://unused",
        http_port=0,
        town_name="Ville de Saint-Aubin",
        town_siret="00000000000000",
        town_address="1 place de la Mairie",
        town_contact="mairie@saint-aubin.example",
        till_reference="REGIE",
        till_address="Régie enfance",
    )
    try:
        await server.start()
        await migrate(server.dsn(), MIGRATIONS)
        database = Database(server.dsn(), connections_max=10)
        await database.start()
        await seed(database, households)
        note(f"billing, {households:,} households")
        await measure_run(database, settings, households)
        await measure_settling(database, min(PAYMENTS, households // 2))
        await measure_pdfs(database)
        await database.stop()
    finally:
        await server.stop()


if __name__ == "__main__":
    folder = Path(tempfile.mkdtemp(prefix="preau-load-"))
    folder.chmod(0o711)
    try:
        asyncio.run(main(folder, int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
