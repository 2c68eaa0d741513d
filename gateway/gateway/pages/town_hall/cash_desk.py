"""/mairie/encaissements: a household's account at the counter, and the journal of receipts."""

from datetime import timedelta
from urllib.parse import quote

from aiohttp import web

from chassis.clock import today
from chassis.http import path_uuid
from contracts.api.billing import CreditUse, CreditUsed
from contracts.api.cash_desk import AccountList, Journal, Receipt, ReceiptRequest, RefundRequest
from contracts.api.tariffs import HouseholdTerms, TermsRequest
from contracts.failures import Invalid
from contracts.identity import Permission
from contracts.model import parse_day
from gateway.clients.services import SERVICES, UpstreamError
from gateway.forms.amounts import parse_cents, parse_optional_day
from gateway.forms.edit_conflicts import VERSION, VERSION_FIELD, has_changed
from gateway.forms.fields import NO_FIELDS, SubmittedForm, checkbox, choice, error_message, line
from gateway.languages import euros
from gateway.pages.shared import money_questions
from gateway.pages.shared.access import require_staff
from gateway.pages.shared.confirmation import ask_first
from gateway.pages.shared.household_account import (
    SEEN_BALANCE,
    WRONG_AMOUNT,
    account_changed,
    account_page,
    load_account,
    redirect_to_account,
    seen_balance,
)
from gateway.pages.shared.money_questions import COUNTER, MEANS
from gateway.pages.shared.rendering import checked_form, render

DESPITE = "Attendez qu'il soit terminé, ou cochez « Encaisser quand même »."
RECEIPT = {
    "amount": line("Montant reçu", always=True),
    "means": choice("Moyen", *COUNTER, always=True),
    "received_on": line("Reçu le", always=True),
    "reference": line("Référence", always=True),
    "keep_surplus": checkbox("Garder le surplus"),
    "despite_payment": checkbox("Encaisser quand même"),
    **SEEN_BALANCE,
}
REFUND = {
    "amount": line("Montant rendu", always=True),
    "means": choice("Moyen", *COUNTER, always=True),
    "reference": line("Référence", always=True),
    **SEEN_BALANCE,
}
TERMS = {
    "quotient": line("QF", always=True),
    "valid_from": line("Depuis le", always=True),
    "resident": checkbox("Habite la commune"),
    **VERSION_FIELD,
}

routes = web.RouteTableDef()


@routes.get("/mairie/encaissements")
async def cash_desk(request: web.Request) -> web.Response:
    """Find a household, and what came in."""
    session, person = await require_staff(request, Permission.COLLECT_MONEY)
    services, wrong = request.app[SERVICES], ""
    search = request.query.get("foyer", "").strip()[:100]
    found = None
    if search:
        found = (await services.call(session, "billing", f"/accounts?search={quote(search)}", AccountList)).accounts
    first, last = today().replace(day=1), today()
    try:
        first = parse_optional_day(request.query.get("du")) or first
        last = parse_optional_day(request.query.get("au")) or last
        path = f"/journal?first={first}&last={last}"
        journal = await services.call(session, "billing", path, Journal)
    except (ValueError, UpstreamError) as error:
        if isinstance(error, UpstreamError) and error.upstream_code not in {"invalid", "wrong_period"}:
            raise
        wrong = "Période incorrecte : donnez deux dates, à un an d'écart au plus. Voici le mois en cours."
        first, last = today().replace(day=1), today()
        journal = await services.call(session, "billing", f"/journal?first={first}&last={last}", Journal)
    return render(
        request,
        "town_hall/cash_desk.html",
        person,
        status=422 if wrong else 200,
        search=search,
        accounts=found,
        journal=journal,
        means=MEANS,
        wrong=wrong,
        can_export=last - first < timedelta(days=93),
    )


@routes.get("/mairie/encaissements/ecritures.csv")
async def accounting(request: web.Request) -> web.Response:
    session, _person = await require_staff(request, Permission.READ_PAYMENTS)
    try:
        first, last = (parse_day(request.query.get(name, "")) for name in ("du", "au"))
    except ValueError:
        raise Invalid("the period cannot be read", errors=[]) from None
    path = f"/exports/accounting?first={first}&last={last}"
    disposition, raw = await request.app[SERVICES].file(session, "billing", path)
    headers = {"Content-Disposition": disposition, "Cache-Control": "no-store"}
    return web.Response(body=raw, content_type="text/csv", charset="utf-8", headers=headers)


@routes.get("/mairie/encaissements/{household_id}")
async def account(request: web.Request) -> web.Response:
    return await account_page(request)


@routes.post("/mairie/encaissements/{household_id}")
async def take(request: web.Request) -> web.Response:
    """Take money in, asked first; more than is due is refused unless the box says so."""
    form = await checked_form(request, RECEIPT)
    session, person = await require_staff(request, Permission.COLLECT_MONEY)
    household_id = path_uuid(request, "household_id")
    typed = {name: form.get(name) for name in ("amount", "means", "received_on", "reference")}
    try:
        body = _receipt(form)
    except ValueError as error:
        wrong = error_message(error, f"Donnez le montant, le moyen et le jour. {WRONG_AMOUNT}")
        return await account_page(request, wrong=wrong, typed=typed)
    household, _, due_cents = await load_account(request, session)
    if asked := ask_first(request, form, person, money_questions.receipt(household, body, due_cents)):
        return asked
    path, key = f"/households/{household_id}/receipts", form.get("key")
    try:
        await request.app[SERVICES].call(session, "billing", path, Receipt, method="POST", body=body, key=key)
    except UpstreamError as error:
        return await _not_taken(request, error, typed)
    return redirect_to_account(household_id, "recu")


def _receipt(form: SubmittedForm) -> ReceiptRequest:
    return ReceiptRequest(
        means=form.get("means"),
        amount_cents=parse_cents(form.get("amount")),
        received_on=form.day("received_on"),
        reference=form.get("reference") or None,
        keep_surplus=form.ticked("keep_surplus"),
        despite_payment=form.ticked("despite_payment"),
        seen_balance_cents=seen_balance(form),
    )


async def _not_taken(request: web.Request, error: UpstreamError, typed: dict[str, str]) -> web.Response:
    if error.upstream_code == "more_than_due":
        due = euros(error.facts["due_cents"])
        wrong = f"Ce montant dépasse les {due} dus. Corrigez le montant, ou cochez « Garder le surplus »."
    elif error.upstream_code == "payment_under_way":
        wrong = f"Un paiement en ligne est en cours : {', '.join(error.facts['numbers'])}. {DESPITE}"
        typed = {**typed, "kind": "despite"}
    elif error.upstream_code == "invalid":
        wrong = "La date de l'encaissement doit être aujourd'hui, ou dans les deux derniers mois."
    else:
        return await account_changed(request, error, typed)
    return await account_page(request, wrong=wrong, typed=typed)


@routes.post("/mairie/encaissements/{household_id}/credit")
async def use_credit(request: web.Request) -> web.Response:
    """Have a household's credit pay what it owes, oldest first."""
    await checked_form(request, NO_FIELDS)
    session, _person = await require_staff(request, Permission.COLLECT_MONEY)
    household_id = path_uuid(request, "household_id")
    path = f"/households/{household_id}/credit-uses"
    await request.app[SERVICES].call(session, "billing", path, CreditUsed, method="POST", body=CreditUse())
    return redirect_to_account(household_id, "credit")


@routes.post("/mairie/encaissements/{household_id}/remboursement")
async def refund(request: web.Request) -> web.Response:
    """Give a credit back; asked first."""
    form = await checked_form(request, REFUND)
    session, person = await require_staff(request, Permission.COLLECT_MONEY)
    household_id = path_uuid(request, "household_id")
    text = {"refund": form.get("amount"), "refund_reference": form.get("reference")}
    typed = {"kind": "refund", **text}
    try:
        body = RefundRequest(
            means=form.get("means"),
            amount_cents=parse_cents(text["refund"]),
            reference=text["refund_reference"],
            seen_balance_cents=seen_balance(form),
        )
    except ValueError as error:
        wrong = error_message(error, f"Donnez le montant et la référence du remboursement. {WRONG_AMOUNT}")
        return await account_page(request, wrong=wrong, typed=typed)
    household, invoices, _ = await load_account(request, session)
    if asked := ask_first(request, form, person, money_questions.refund(household, body, invoices.credit_cents)):
        return asked
    path, key = f"/households/{household_id}/refunds", form.get("key")
    try:
        await request.app[SERVICES].call(session, "billing", path, RefundRequest, method="POST", body=body, key=key)
    except UpstreamError as error:
        if error.upstream_code != "more_than_credit":
            return await account_changed(request, error, typed)
        wrong = f"La mairie ne doit que {euros(error.facts['credit_cents'])} à ce foyer."
        return await account_page(request, wrong=wrong, typed=typed)
    return redirect_to_account(household_id, "rendu")


@routes.post("/mairie/encaissements/{household_id}/quotient")
async def keep_terms(request: web.Request) -> web.Response:
    """Keep a quotient and a residence from a day on."""
    form = await checked_form(request, TERMS)
    session, _person = await require_staff(request, Permission.WRITE_TARIFFS)
    household_id, text = path_uuid(request, "household_id"), form.get("quotient")
    typed = {
        "quotient": text,
        "valid_from": form.get("valid_from"),
        "resident": "yes" if form.ticked("resident") else "no",
    }
    wrong = "Le QF s'écrit comme 845 ou 845,50, avec le jour où il commence."
    try:
        body = TermsRequest(quotient_cents=parse_cents(text) if text else None, resident=form.ticked("resident"))
        day = form.day("valid_from")
    except ValueError as error:
        day, wrong = None, error_message(error, wrong)
    if day is None:
        return await account_page(request, wrong=wrong, typed=typed)
    path, seen = f"/households/{household_id}/terms/{day}", form.get(VERSION)
    try:
        services = request.app[SERVICES]
        await services.call(session, "billing", path, HouseholdTerms, method="PUT", body=body, version=seen)
    except UpstreamError as error:
        if not has_changed(error):
            raise
        wrong = "Un QF a été enregistré entre-temps : il est dans la liste. Vérifiez, puis enregistrez de nouveau."
        return await account_page(request, wrong=wrong, typed=typed)
    return redirect_to_account(household_id, "qf")
