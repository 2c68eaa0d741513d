"""/mairie: the message, the month's invoices, the latest payments."""

from datetime import date, timedelta

from aiohttp import web
from pydantic import ValidationError

from chassis.clock import now, today
from contracts.api.billing import InvoicePreview, InvoiceRun, InvoiceRunWish
from contracts.api.notifier import Announcement, AnnouncementWish
from contracts.api.payment_gateway import PaymentList
from contracts.failures import Forbidden, Invalid, Unavailable
from contracts.identity import Identity, Permission
from gateway.pages.payment_words import STATES
from gateway.pages.rendering import checked_form, page, signed_in
from gateway.services import SERVICES, Told

DUE_DAYS = 30

routes = web.RouteTableDef()


async def _staff(request: web.Request) -> tuple[str, Identity]:
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
    try:
        _, raw = await services.raw("notifier", "GET", "/announcement")
        announcement = Announcement.model_validate_json(raw).markdown
    except Unavailable:
        announcement = None
        missing.append("le message aux familles")
    return page(
        request,
        "town_hall.html",
        person,
        payments=payments,
        payment_states=STATES,
        announcement=announcement,
        missing=missing,
        may_write=announcement is not None and person.may(Permission.WRITE_ANNOUNCEMENTS),
        may_publish=person.may(Permission.PUBLISH_INVOICES),
        last_month=month,
        preview=preview,
        due_on=today() + timedelta(days=DUE_DAYS),
        done=done,
    )


@routes.get("/mairie")
async def town_hall(request: web.Request) -> web.Response:
    session, person = await _staff(request)
    return await _show(request, session, person)


@routes.post("/mairie/message")
async def save_message(request: web.Request) -> web.Response:
    form = await checked_form(request)
    session, person = await _staff(request)
    try:
        wish = AnnouncementWish(markdown=str(form.get("markdown", "")), starts_at=now())
    except ValidationError as error:
        raise Invalid("the message is too long", errors=[]) from error
    await request.app[SERVICES].call(session, "notifier", "/announcement", Announcement, method="PUT", body=wish)
    return await _show(request, session, person, done="Le message est enregistré.")


@routes.post("/mairie/factures")
async def publish_month(request: web.Request) -> web.Response:
    """Publish a month; a second press publishes nothing twice."""
    form = await checked_form(request)
    session, person = await _staff(request)
    try:
        wish = InvoiceRunWish(month=form.get("month", ""), due_on=date.fromisoformat(str(form.get("due_on", ""))))
    except ValueError as error:
        raise Invalid("the month or the date cannot be read", errors=[]) from error
    key = str(form.get("key", ""))
    services = request.app[SERVICES]
    run = await services.call(session, "billing", "/invoice-runs", InvoiceRun, method="POST", body=wish, key=key)
    done = f"{run.invoices} factures publiées." if run.invoices != 1 else "1 facture publiée."
    return await _show(request, session, person, done=done)
