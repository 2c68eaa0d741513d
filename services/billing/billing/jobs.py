"""What the clock starts."""

import asyncio
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any
from uuid import UUID, uuid4

from aiohttp import web

from billing.domain import ledger
from billing.domain.invoicing import Draft, draft, unusual
from billing.domain.reminders import is_due
from billing.domain.tariffs import PriceBook
from billing.settings import SETTINGS, Settings
from billing.store import balances, checkouts, invoices, reminders, runs, tariffs, usages
from billing.store.chain import add_to_chain
from billing.store.credit_uses import use_credit
from billing.store.pdfs import invoices_without_pdf, kept_pdf
from chassis import outbox
from chassis.clock import PARIS, day_of, now
from chassis.database import DATABASE, Database, Transaction, opened
from chassis.jobs import Jobs
from contracts.api.billing import CheckoutStatus, Invoice, InvoiceLine, InvoiceStatus, InvoiceSummary
from contracts.api.reminders import OverdueInvoice
from contracts.events.billing import InvoicePublished, InvoiceReminded, RunStatus

PDF_BATCH = 20
REMINDERS_FROM_HOUR = 9
REMINDERS_A_STEP = 100
HOUSEHOLDS_A_STEP = 40
PAUSE_SECONDS = 0.002  # between two steps, so that whoever reads their invoices meanwhile is served first

jobs = Jobs()


@jobs.every(seconds=60, wake_on="invoice_published")
async def make_pdfs(app: web.Application) -> None:
    """Make the PDF of each new invoice before a parent asks for it."""
    while True:
        async with app[DATABASE].transaction() as tx:
            waiting = await invoices_without_pdf(tx, PDF_BATCH)
            models = [await invoices.invoice(tx, *each) for each in waiting]
        for model in filter(None, models):
            await kept_pdf(app[DATABASE], model)
        if len(waiting) < PDF_BATCH:
            return


@jobs.every(seconds=30, wake_on="invoice_run")
async def advance_runs(app: web.Application) -> None:
    """Carry on the monthly run, step by step; a step that was cut short is done again from its beginning."""
    await work_off_runs(app[DATABASE], app[SETTINGS])


async def work_off_runs(database: Database, settings: Settings) -> None:
    """Until no run has work to do."""
    while True:
        async with database.transaction() as tx:
            run = await runs.claim_run(tx)
            if run is None:
                return
            await _step(tx, settings, run)
        await asyncio.sleep(PAUSE_SECONDS)


async def _step(tx: Transaction, settings: Settings, run: Any) -> None:
    """Take the run's next households on: draft or publish them, and note how far it is, together."""
    until, is_publishing = runs.last_day(run["month"]), run["status"] == RunStatus.PUBLISHING
    ids = await usages.households_waiting(tx, until, run["after_household"], HOUSEHOLDS_A_STEP)
    if not ids:
        await outbox.add(tx, runs.progressed(await _turn(tx, run), now()))
        return
    if is_publishing:
        await invoices.lock_households(tx, ids)
    find = usages.to_invoice_for_update if is_publishing else usages.to_invoice
    found = await find(tx, ids, until)
    known, book = await tariffs.households(tx, ids), PriceBook(await tariffs.tariffs(tx))
    drafts = [
        draft(list(days), known[household_id], book, run["month"])
        for household_id, days in groupby(found, key=lambda each: each.household_id)
    ]
    await usages.mark(tx, [day for each in drafts for day in each.seen if day[0].is_waiting])
    due = [each for each in drafts if each.is_due]
    if is_publishing:
        await _publish(tx, settings, run, due)
    else:
        await _note_anomalies(tx, run, drafts)
    moved = await runs.advance(
        tx,
        run["run_id"],
        after=ids[-1],
        households=len(ids),
        invoices=len(due),
        total_cents=sum(each.total_cents for each in due),
    )
    await outbox.add(tx, runs.progressed(moved, now()))


async def _turn(tx: Transaction, run: Any) -> Any:
    """Every household was seen: the run waits for a person, goes on by itself if told to, or is done."""
    if run["status"] == RunStatus.PUBLISHING:
        await tx.execute("SELECT pg_notify('invoice_published', '')")
        return await runs.move(tx, run["run_id"], RunStatus.DONE)
    if run["straight"] and not await runs.missing_tariffs(tx, run["run_id"]):
        return await runs.start_publishing(tx, run["run_id"], run["requested_by"])
    return await runs.move(tx, run["run_id"], RunStatus.READY)


async def _note_anomalies(tx: Transaction, run: Any, drafts: Sequence[Draft]) -> None:
    usual = await invoices.usual_cents(tx, [each.household_id for each in drafts])
    found = [
        (each.household_id, finding, each.total_cents)
        for each in drafts
        for finding in (*each.findings, unusual(each.total_cents, usual.get(each.household_id, ())))
        if finding
    ]
    await runs.add_anomalies(tx, run["run_id"], found)


async def _publish(tx: Transaction, settings: Settings, run: Any, due: Sequence[Draft]) -> None:
    """Number, keep, link, book and tell these invoices: all of it together, or none."""
    if not due:
        return
    at = now()
    on = day_of(at)
    names = await tariffs.names(tx, [each.household_id for each in due])
    numbers = await invoices.next_numbers(tx, "", on.year, len(due))
    published = [
        (each, _invoice(each, run, settings, names[each.household_id], number, on))
        for each, number in zip(due, numbers, strict=True)
    ]
    await invoices.add_invoices(tx, run["run_id"], [(each.household_id, model) for each, model in published], at)
    await add_to_chain(tx, [model.summary.number for _, model in published])
    days = [
        (usage, worth.on(model.summary.invoice_id) if worth else None)
        for each, model in published
        for usage, worth in each.days
    ]
    await usages.mark(tx, days)
    await tariffs.mark_used(tx, list(frozenset().union(*(each.tariffs for each in due))))
    await _book(tx, published, at)
    await outbox.add(tx, *(_told(each.household_id, model, at) for each, model in published))


async def _book(tx: Transaction, published: Sequence[tuple[Draft, Invoice]], at: datetime) -> None:
    """Write the debts in the ledger, and let each household's credit pay what it can of its own."""
    of = [(each, model.summary.invoice_id) for each, model in published]
    debts = [
        (f"invoice/{invoice_id}", each.household_id, ledger.published(invoice_id, each.products))
        for each, invoice_id in of
    ]
    await invoices.add_ledger_transactions(tx, debts, at)
    owed = await invoices.credits_cents(tx, [each.household_id for each, _ in published])
    paid = [
        (
            f"credit-used/{invoice_id}",
            each.household_id,
            ledger.credit_used(invoice_id, each.total_cents, owed[each.household_id]),
        )
        for each, invoice_id in of
        if each.household_id in owed
    ]
    await invoices.add_ledger_transactions(tx, paid, at)


def _invoice(each: Draft, run: Any, settings: Settings, household: Any, number: str, on: date) -> Invoice:
    summary = InvoiceSummary(
        invoice_id=uuid4(),
        number=number,
        month=run["month"],
        published_on=on,
        due_on=run["due_on"],
        total_cents=each.total_cents,
        left_cents=each.total_cents,
        status=InvoiceStatus.TO_PAY,
    )
    return Invoice(
        summary=summary,
        town=settings.town_name,
        issuer=settings.issuer,
        household_name=household["name"],
        household_reference=household["reference"],
        household_address=tuple(household["address"]),
        lines=tuple(
            InvoiceLine(
                child_first_name=line.child_first_name,
                activity_label=line.activity_label,
                count=line.count,
                unit_price_cents=line.unit_price_cents,
                amount_cents=line.amount_cents,
                explanation=line.explanation,
                child_id=line.child_id,
                childcare=line.childcare,
                childcare_cents=line.childcare_cents,
            )
            for line in each.lines
        ),
    )


def _told(household_id: UUID, model: Invoice, at: datetime) -> InvoicePublished:
    return InvoicePublished(
        invoice_id=model.summary.invoice_id,
        household_id=household_id,
        number=model.summary.number,
        month=model.summary.month,
        total_cents=model.summary.total_cents,
        due_on=model.summary.due_on,
        published_at=at,
    )


@jobs.every(seconds=60)
async def release_overdue_checkouts(app: web.Application) -> None:
    """Let go of checkouts that nobody went to pay: every attempt begun in time has ended by now."""
    before = now() - timedelta(seconds=app[SETTINGS].checkout_grace_seconds)
    async with app[DATABASE].transaction() as tx:
        for checkout_id in await checkouts.overdue(tx, before):
            await invoices.lock_invoices(tx, await checkouts.invoice_ids(tx, checkout_id))
            await checkouts.close(tx, checkout_id, CheckoutStatus.RELEASED)


@jobs.every(seconds=60)
async def check_ledger(app: web.Application) -> None:
    """Go through the whole ledger once an hour, at one replica, and keep what was found for the vitals."""
    if await balances.claim_check(app[DATABASE]):
        await balances.keep(app[DATABASE], await balances.check(app[DATABASE]))


async def prepare(settings: Settings) -> None:
    """Fill in what the database keeps of the ledger by itself, for what was written before it did."""
    async with opened(settings.database_url) as database:
        await balances.fill(database)


@jobs.every(seconds=600)
async def remind(app: web.Application) -> None:
    """Remind households of invoices past their day, by the town's rule, in the morning of each day."""
    await send_reminders(app[DATABASE], now())


async def send_reminders(database: Database, at: datetime) -> None:
    """Every reminder of that day that was not sent yet: each step of an invoice once, and only while it is due."""
    local = at.astimezone(PARIS)
    if local.hour < REMINDERS_FROM_HOUR:
        return
    async with database.transaction() as tx:
        rule, _ = await reminders.rule(tx)
        found = await reminders.overdue(tx, rule, local.date()) if rule.days else []
    due = [each for each in found if is_due(each, local.date())]
    await _set_off(database, list({each.household_id for each in due}))
    ids = [each.invoice_id for each in due]
    for start in range(0, len(ids), REMINDERS_A_STEP):
        async with database.transaction() as tx:
            # Under the lock that payments take: what was paid meanwhile is seen.
            await invoices.lock_invoices(tx, ids[start : start + REMINDERS_A_STEP])
            again = await reminders.overdue(tx, rule, local.date(), ids[start : start + REMINDERS_A_STEP])
            due = [each for each in again if is_due(each, local.date())]
            await reminders.add(tx, due, local.date(), at)
            await outbox.add(tx, *(_reminded(each, at) for each in due))


async def _set_off(database: Database, households: Sequence[UUID]) -> None:
    """Let the credits of these households pay first: nobody is reminded of what the town's own debt to them can pay."""
    async with database.transaction() as tx:
        owed = await invoices.credits_cents(tx, households)
    for household_id in owed:
        async with database.transaction() as tx:
            await use_credit(tx, household_id, None, None, now())


def _reminded(each: OverdueInvoice, at: datetime) -> InvoiceReminded:
    return InvoiceReminded(
        invoice_id=each.invoice_id,
        household_id=each.household_id,
        number=each.number,
        month=each.month,
        left_cents=each.left_cents,
        due_on=each.due_on,
        step=len(each.reminded_on) + 1,
        reminded_at=at,
    )
