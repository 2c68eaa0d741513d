"""Tariffs and the monthly run."""

from calendar import monthrange
from datetime import date
from uuid import UUID

from aiohttp import web

from billing.domain import ledger
from billing.domain.invoicing import draft
from billing.settings import SETTINGS, Settings
from billing.store import invoices, usages
from chassis import outbox
from chassis.clock import now, today
from chassis.database import DATABASE, Transaction
from chassis.http import idempotency_key, json_response, path_month, path_uuid, read_body
from chassis.idempotency import recall, remember
from chassis.identity import require
from contracts.api.billing import InvoicePreview, InvoiceRun, InvoiceRunWish, TariffWish
from contracts.events.billing import InvoicePublished
from contracts.identity import Permission

routes = web.RouteTableDef()


@routes.put("/tariffs/{activity_id}")
async def put_tariff(request: web.Request) -> web.Response:
    require(request, Permission.WRITE_TARIFFS)
    activity_id, wish = path_uuid(request, "activity_id"), await read_body(request, TariffWish)
    async with request.app[DATABASE].transaction() as tx:
        await usages.save_tariff(tx, activity_id, wish)
    return json_response(wish)


@routes.post("/invoice-runs")
async def post_run(request: web.Request) -> web.Response:
    """Publish a month's invoices, all of them or none, once for a key."""
    person, key = require(request, Permission.PUBLISH_INVOICES), idempotency_key(request)
    wish = await read_body(request, InvoiceRunWish)
    async with request.app[DATABASE].transaction() as tx:
        if (answer := await recall(tx, "invoice-runs", key, await request.read())) is None:
            run = await publish_month(tx, request.app[SETTINGS], wish, by=person.subject_id)
            answer = run.model_dump_json().encode()
            await remember(tx, "invoice-runs", key, answer)
    return web.Response(body=answer, status=201, content_type="application/json", charset="utf-8")


@routes.get("/invoice-runs/preview/{month}")
async def get_preview(request: web.Request) -> web.Response:
    """What a run would publish now."""
    require(request, Permission.PUBLISH_INVOICES)
    month = path_month(request)
    async with request.app[DATABASE].transaction() as tx:
        drafts = draft(await usages.usages_to_invoice(tx, last_day(month)), await usages.tariffs(tx), month)
    total = sum(each.total_cents for each in drafts)
    return json_response(InvoicePreview(month=month, invoices=len(drafts), total_cents=total))


def last_day(month: date) -> date:
    """The last day of a month given by its first."""
    return month.replace(day=monthrange(month.year, month.month)[1])


async def publish_month(tx: Transaction, settings: Settings, wish: InvoiceRunWish, *, by: UUID) -> InvoiceRun:
    """Publish what is booked up to the month's end and not invoiced yet, one invoice a household."""
    await invoices.hold_runs(tx)
    at, booked = now(), await usages.usages_to_invoice_for_update(tx, last_day(wish.month))
    drafts = draft(booked, await usages.tariffs(tx), wish.month)
    total = sum(each.total_cents for each in drafts)
    run_id = await invoices.add_run(tx, wish.month, wish.due_on, by, at, len(drafts), total)
    numbers = await invoices.next_numbers(tx, today().year, len(drafts)) if drafts else []
    for each, number in zip(drafts, numbers, strict=True):
        invoice_id = await invoices.add_invoice(
            tx,
            each,
            run_id=run_id,
            number=number,
            month=wish.month,
            due_on=wish.due_on,
            town=settings.town_name,
            at=at,
            on=today(),
        )
        await usages.mark_invoiced(tx, each.days)
        await _book(tx, each.household_id, invoice_id, each.total_cents)
        event = _told(invoice_id, each.household_id, number, wish.month, wish.due_on, each.total_cents)
        await outbox.add(tx, event)
    await tx.execute("SELECT pg_notify('invoice_published', '')")
    return InvoiceRun(run_id=run_id, month=wish.month, invoices=len(drafts), total_cents=total)


async def _book(tx: Transaction, household_id: UUID, invoice_id: UUID, total_cents: int) -> None:
    """Write the debt in the ledger, and let the household's credit pay what it can of it."""
    at = now()
    entries = ledger.published(invoice_id, total_cents)
    await invoices.add_ledger_transaction(tx, f"invoice/{invoice_id}", household_id, entries, at)
    await invoices.lock_household(tx, household_id)
    used = ledger.credit_used(invoice_id, total_cents, await invoices.credit_cents(tx, household_id))
    if used:
        await invoices.add_ledger_transaction(tx, f"credit-used/{invoice_id}", household_id, used, at)


def _told(
    invoice_id: UUID, household_id: UUID, number: str, month: date, due_on: date, total_cents: int
) -> InvoicePublished:
    return InvoicePublished(
        invoice_id=invoice_id,
        household_id=household_id,
        number=number,
        month=month,
        total_cents=total_cents,
        due_on=due_on,
        published_at=now(),
    )
