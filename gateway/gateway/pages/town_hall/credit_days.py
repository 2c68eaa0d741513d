"""/mairie/encaissements/{foyer}/jours: days of an invoice that the town gives back."""

from itertools import groupby
from uuid import UUID

from aiohttp import web

from chassis.http import path_uuid
from contracts.api.billing import CreditNote, CreditNoteRequest, DayKey, Invoice, InvoicedDay, InvoicedDays
from contracts.failures import Invalid
from contracts.identity import Identity, Permission
from gateway.clients.services import SERVICES, UpstreamError
from gateway.forms.fields import error_message, hidden, id_field, line
from gateway.pages.shared import household_account, money_questions
from gateway.pages.shared.access import require_staff
from gateway.pages.shared.confirmation import Question, ask_first
from gateway.pages.shared.rendering import checked_form, render

WRONG = {
    "nothing_to_credit": "Un de ces jours vient d'être rendu ou corrigé : voici ceux qui restent.",
    "account_changed": household_account.CHANGED,
    "more_than_invoiced": "Cette facture a déjà été corrigée : ces jours dépassent ce qu'il en reste.",
}

DAYS = {
    "facture": id_field("Facture", always=True),
    "jour": hidden("Jours", many=True),
    "reason": line("Motif", always=True),
    **household_account.SEEN_BALANCE,
}

routes = web.RouteTableDef()


def _invoice_id(text: object) -> UUID:
    try:
        return UUID(str(text))
    except ValueError:
        raise Invalid("the invoice cannot be read", errors=[]) from None


@routes.get("/mairie/encaissements/{household_id}/jours")
async def days(request: web.Request) -> web.Response:
    """The days that an invoice charges, to choose from."""
    who = await require_staff(request, Permission.PUBLISH_INVOICES)
    return await _days(request, who, _invoice_id(request.query.get("facture")))


async def _days(
    request: web.Request,
    who: tuple[str, Identity],
    invoice_id: UUID,
    *,
    wrong: str = "",
    chosen: tuple[str, ...] = (),
    reason: str = "",
) -> web.Response:
    session, person = who
    household_id, services = path_uuid(request, "household_id"), request.app[SERVICES]
    path = f"/households/{household_id}/invoices/{invoice_id}"
    invoice = await services.call(session, "billing", path, Invoice)
    found = (await services.call(session, "billing", f"{path}/days", InvoicedDays)).days
    _, invoices, due_cents = await household_account.load_account(request, session)

    def kind(each: InvoicedDay) -> tuple[str, str]:
        return each.child_first_name, each.activity_label

    ordered = sorted(found, key=lambda each: (*kind(each), each.day))
    return render(
        request,
        "town_hall/credit_days.html",
        person,
        status=409 if wrong else 200,
        household_id=household_id,
        invoice_id=invoice_id,
        number=invoice.summary.number,
        name=invoice.household_name,
        groups=[(of, list(each)) for of, each in groupby(ordered, key=kind)],
        wrong=wrong,
        chosen=chosen,
        reason=reason,
        balance_cents=due_cents - invoices.credit_cents,
    )


@routes.post("/mairie/encaissements/{household_id}/jours")
async def give_back(request: web.Request) -> web.Response:
    """Publish a credit note of the chosen days, once for a form; asked first."""
    form = await checked_form(request, DAYS)
    session, person = who = await require_staff(request, Permission.PUBLISH_INVOICES)
    household_id, invoice_id = path_uuid(request, "household_id"), _invoice_id(form.get("facture"))
    typed, reason = tuple(form.getall("jour")), form.get("reason")
    try:
        parts = [each.split("|") for each in typed]
        keys = tuple(DayKey(child_id=child, activity_id=activity, day=day) for child, activity, day in parts)
        body = CreditNoteRequest(days=keys, reason=reason, seen_balance_cents=household_account.seen_balance(form))
    except ValueError as error:
        wrong = error_message(error, "Choisissez au moins un jour, et donnez le motif.")
        return await _days(request, who, invoice_id, wrong=wrong, chosen=typed, reason=reason)
    if asked := ask_first(request, form, person, await _question(request, session, invoice_id, body)):
        return asked
    path, key = f"/households/{household_id}/invoices/{invoice_id}/credit-notes", form.get("key")
    try:
        await request.app[SERVICES].call(session, "billing", path, CreditNote, method="POST", body=body, key=key)
    except UpstreamError as error:
        if error.upstream_code not in WRONG:
            raise
        return await _days(request, who, invoice_id, wrong=WRONG[error.upstream_code], chosen=typed, reason=reason)
    return household_account.redirect_to_account(household_id, "avoir")


async def _question(request: web.Request, session: str, invoice_id: UUID, body: CreditNoteRequest) -> Question:
    path = f"/households/{path_uuid(request, 'household_id')}/invoices/{invoice_id}"
    services = request.app[SERVICES]
    invoice = await services.call(session, "billing", path, Invoice)
    left = (await services.call(session, "billing", f"{path}/days", InvoicedDays)).days
    worth = {(each.child_id, each.activity_id, each.day): each.amount_cents for each in left}
    cents = sum(worth.get((each.child_id, each.activity_id, each.day), 0) for each in body.days)
    household, _, _ = await household_account.load_account(request, session)
    return money_questions.credit_note(household, invoice.summary, body, cents)
