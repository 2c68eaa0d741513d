"""A household's prices and invoices."""

from uuid import UUID

from aiohttp import web

from billing.domain.failures import NoSuchInvoice
from billing.domain.invoicing import FLAT, price
from billing.store import invoices, usages
from billing.store.pdfs import kept_pdf
from chassis.clock import today
from chassis.database import DATABASE, Database
from chassis.http import json_response, path_uuid
from chassis.identity import household_in_path
from contracts.api.billing import Invoice, InvoiceList, InvoiceStatus, Price, PriceList
from contracts.identity import Permission

routes = web.RouteTableDef()


@routes.get("/households/{household_id}/prices")
async def get_prices(request: web.Request) -> web.Response:
    household_in_path(request, Permission.READ_HOUSEHOLDS)
    async with request.app[DATABASE].transaction() as tx:
        tariffs = await usages.tariffs(tx)
    prices = {activity_id: price(found, today()) for activity_id, found in tariffs.items()}
    shown = [
        Price(activity_id=activity_id, unit_price_cents=cents, explanation=FLAT)
        for activity_id, cents in prices.items()
        if cents is not None
    ]
    return json_response(PriceList(prices=tuple(shown)))


@routes.get("/households/{household_id}/invoices")
async def get_invoices(request: web.Request) -> web.Response:
    household_id = household_in_path(request, Permission.READ_HOUSEHOLDS)
    async with request.app[DATABASE].transaction() as tx:
        found = await invoices.summaries(tx, household_id)
        credit = await invoices.credit_cents(tx, household_id)
    return json_response(
        InvoiceList(
            to_pay=tuple(reversed([each for each in found if each.status is not InvoiceStatus.PAID])),
            paid=tuple(each for each in found if each.status is InvoiceStatus.PAID),
            credit_cents=credit,
        )
    )


async def _invoice(database: Database, household_id: UUID, invoice_id: UUID) -> Invoice:
    async with database.transaction() as tx:
        found = await invoices.invoice(tx, household_id, invoice_id)
    if found is None:
        raise NoSuchInvoice("the household has no such invoice")
    return found


@routes.get("/households/{household_id}/invoices/{invoice_id}")
async def get_invoice(request: web.Request) -> web.Response:
    household_id = household_in_path(request, Permission.READ_HOUSEHOLDS)
    return json_response(await _invoice(request.app[DATABASE], household_id, path_uuid(request, "invoice_id")))


@routes.get("/households/{household_id}/invoices/{invoice_id}/pdf")
async def get_pdf(request: web.Request) -> web.Response:
    household_id, database = household_in_path(request, Permission.READ_HOUSEHOLDS), request.app[DATABASE]
    model = await _invoice(database, household_id, path_uuid(request, "invoice_id"))
    content = await kept_pdf(database, model)
    name = f"facture-{model.summary.number}.pdf"
    return web.Response(
        body=content, content_type="application/pdf", headers={"Content-Disposition": f'inline; filename="{name}"'}
    )
