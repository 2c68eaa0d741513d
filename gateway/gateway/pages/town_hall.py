"""/mairie: the month's invoices, the latest payments, and the way to the rest."""

from datetime import date, timedelta

from aiohttp import web

from chassis.clock import today
from contracts.api.billing import InvoicePreview, InvoiceRun, InvoiceRunWish
from contracts.api.payment_gateway import PaymentList
from contracts.failures import Forbidden, Invalid, Unavailable
from contracts.identity import Identity, Permission
from gateway.pages.rendering import checked_form, page, signed_in
from gateway.services import SERVICES, Told

DUE_DAYS = 30

routes = web.RouteTableDef()


async def staff(request: web.Request) -> tuple[str, Identity]:
    session, person = await signed_in(request)
    if not person.is_staff:
        raise Forbidden("this page is the town hall's")
    return session, person


async def _show(request: web.Request, session: str, person: Identity, *, done: str = "") -> web.Response:
    services, payments, missing = request.app[SERVICES], None, []
    try:
        if person.may(Permission.READ_PAYMENTS):
            payments = (await services.call(session, "payment-gateway", "/payments", PaymentList)).payments
    except Unavailable:
        missing.append("les derniers paiements")
    month, preview = (today().replace(day=1) - timedelta(days=1)).replace(day=1), None
    try:
        if person.may(Permission.PUBLISH_INVOICES):
            path = f"/invoice-runs/preview/{month:%Y-%m}"
            preview = await services.call(session, "billing", path, InvoicePreview)
    except (Unavailable, Told):
        missing.append("l'aperçu des factures")
    return page(
        request,
        "town_hall.html",
        person,
        payments=payments,
        missing=missing,
        may_write=person.may(Permission.WRITE_ANNOUNCEMENTS),
        may_read_mails=person.may(Permission.READ_MAILS),
        may_plan=person.may(Permission.WRITE_CALENDAR),
        may_publish=person.may(Permission.PUBLISH_INVOICES),
        last_month=month,
        preview=preview,
        due_on=today() + timedelta(days=DUE_DAYS),
        done=done,
    )


@routes.get("/mairie")
async def town_hall(request: web.Request) -> web.Response:
    session, person = await staff(request)
    return await _show(request, session, person)


@routes.post("/mairie/factures")
async def publish_month(request: web.Request) -> web.Response:
    """Publish a month; a second press publishes nothing twice."""
    form = await checked_form(request)
    session, person = await staff(request)
    try:
        wish = InvoiceRunWish(month=form.get("month", ""), due_on=date.fromisoformat(str(form.get("due_on", ""))))
    except ValueError as error:
        raise Invalid("the month or the date cannot be read", errors=[]) from error
    key = str(form.get("key", ""))
    services = request.app[SERVICES]
    run = await services.call(session, "billing", "/invoice-runs", InvoiceRun, method="POST", body=wish, key=key)
    done = f"{run.invoices} factures publiées." if run.invoices != 1 else "1 facture publiée."
    return await _show(request, session, person, done=done)
