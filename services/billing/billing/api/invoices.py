"""A household's invoices and tax certificates."""

import asyncio
from uuid import UUID

from aiohttp import web

import documents
from billing.domain.certificates import opens_tax_credit
from billing.domain.failures import NoSuchCertificate, NoSuchInvoice
from billing.settings import SETTINGS
from billing.store import invoices, tariffs
from billing.store.certificates import certificate_keys, childcare_paid, children
from billing.store.credit_notes import credit_notes
from billing.store.pdfs import kept_pdf
from chassis.clock import today
from chassis.database import DATABASE, Database
from chassis.http import json_response, path_uuid
from chassis.identity import household_in_path
from contracts.api.billing import Certificate, CertificateLine, Invoice, InvoiceList, InvoiceStatus
from contracts.identity import Permission

routes = web.RouteTableDef()


@routes.get("/households/{household_id}/invoices")
async def get_invoices(request: web.Request) -> web.Response:
    household_id = household_in_path(request, Permission.READ_HOUSEHOLDS)
    async with request.app[DATABASE].transaction() as tx:
        found = await invoices.summaries(tx, household_id)
        credit = await invoices.credit_cents(tx, household_id)
        notes = await credit_notes(tx, household_id)
        certificates = await certificate_keys(tx, household_id)
    owed = [each for each in reversed(found) if each.status is not InvoiceStatus.PAID]
    return json_response(
        InvoiceList(
            to_pay=tuple(each for each in owed if not each.under_way),
            under_way=tuple(each for each in owed if each.under_way),
            paid=tuple(each for each in found if each.status is InvoiceStatus.PAID),
            credit_cents=max(0, credit),
            credit_notes=tuple(notes),
            certificates=tuple(certificates),
            part_cents_min=request.app[SETTINGS].part_cents_min,
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


@routes.get("/households/{household_id}/certificates/{year}/{child_id}/pdf")
async def get_certificate(request: web.Request) -> web.Response:
    """« Attestation fiscale »: what was paid in a year for the care of a child."""
    household_id, child_id = household_in_path(request, Permission.READ_HOUSEHOLDS), path_uuid(request, "child_id")
    text = request.match_info["year"]
    year = int(text) if text.isascii() and text.isdigit() and len(text) == 4 and text > "1" else 0
    async with request.app[DATABASE].transaction() as tx:
        household = await tariffs.household(tx, household_id)
        child = next((each for each in await children(tx, household_id) if each["child_id"] == child_id), None)
        is_young = child is not None and year > 0 and opens_tax_credit(child["birth_date"], year)
        paid = await childcare_paid(tx, household_id, year) if is_young else {}
    lines = tuple(
        CertificateLine(activity_label=label, amount_cents=cents)
        for (of_child, label), cents in sorted(paid.items(), key=lambda each: each[0][1])
        if of_child == child_id
    )
    if not lines or child is None or household is None:
        raise NoSuchCertificate("nothing was paid for the care of this child in that year")
    model = Certificate(
        issuer=request.app[SETTINGS].issuer,
        household_name=household["name"],
        household_reference=household["reference"],
        household_address=tuple(household["address"]),
        child_name=f"{child['first_name']} {child['last_name']}",
        birth_date=child["birth_date"],
        year=year,
        issued_on=today(),
        lines=lines,
        alternating=child["alternating"],
    )
    content = await asyncio.to_thread(documents.certificate, model)
    name = f"attestation-{year}-{household['reference']}.pdf"
    headers = {"Content-Disposition": f'inline; filename="{name}"'}
    return web.Response(body=content, content_type="application/pdf", headers=headers)
