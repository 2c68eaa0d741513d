"""/mairie/encaissements/{foyer}/avoir: an invoice credited with an amount, or with what is cheaper by now."""

from uuid import UUID

from aiohttp import web

from chassis.http import path_uuid
from contracts.api.billing import CreditNote, CreditNoteRequest, InvoiceList, RepricingRequest
from contracts.api.tariffs import HouseholdTerms
from contracts.failures import NotFound
from contracts.identity import Permission
from gateway.clients.services import SERVICES, UpstreamError
from gateway.forms.amounts import parse_cents
from gateway.forms.fields import SubmittedForm, checkbox, error_message, id_field, line
from gateway.languages import euros
from gateway.pages.shared import household_account, money_questions
from gateway.pages.shared.access import require_staff
from gateway.pages.shared.confirmation import Question, ask_first
from gateway.pages.shared.rendering import checked_form

CREDIT = {
    "invoice": id_field("Facture", always=True),
    "amount": line("Montant de l'avoir"),
    "reason": line("Motif"),
    "repricing": checkbox("Recalculer"),
    **household_account.SEEN_BALANCE,
}
WRONG = f"Donnez la facture, le montant et le motif de l'avoir. {household_account.WRONG_AMOUNT}"
NOTHING_LEFT = "Il n'y a plus rien à corriger sur cette facture."
REFUSALS = {
    "more_than_invoiced": "Cette facture ne peut plus être corrigée que de {}.",
    "nothing_to_credit": NOTHING_LEFT,
}

routes = web.RouteTableDef()


@routes.post("/mairie/encaissements/{household_id}/avoir")
async def credit(request: web.Request) -> web.Response:
    """Credit an invoice: with an amount for a reason, or with what a late quotient makes cheaper; asked first."""
    form = await checked_form(request, CREDIT)
    session, person = await require_staff(request, Permission.PUBLISH_INVOICES)
    household_id, key = path_uuid(request, "household_id"), form.get("key")
    text = {name: form.get(name) for name in ("invoice", "amount", "reason")}
    typed = {"kind": "credit", "invoice": text["invoice"], "credit": text["amount"], "reason": text["reason"]}
    household, invoices, _ = await household_account.load_account(request, session)
    try:
        read = _repricing if form.ticked("repricing") else _of_amount
        what, body, question = read(form, household, invoices)
    except ValueError as error:
        return await household_account.account_page(request, wrong=error_message(error, WRONG), typed=typed)
    if asked := ask_first(request, form, person, question):
        return asked
    path = f"/households/{household_id}/invoices/{what}"
    try:
        await request.app[SERVICES].call(session, "billing", path, CreditNote, method="POST", body=body, key=key)
    except UpstreamError as error:
        if error.upstream_code not in REFUSALS:
            return await household_account.account_changed(request, error, typed)
        creditable = euros(error.facts.get("creditable_cents", 0))
        return await household_account.account_page(
            request, wrong=REFUSALS[error.upstream_code].format(creditable), typed=typed
        )
    return household_account.redirect_to_account(household_id, "avoir")


def _of_amount(
    form: SubmittedForm, household: HouseholdTerms, invoices: InvoiceList
) -> tuple[str, CreditNoteRequest, Question]:
    """Where the credit goes, what it is, and the question; ``ValueError`` where the form cannot be read."""
    invoice_id, cents = UUID(form.get("invoice")), parse_cents(form.get("amount"))
    invoice = next((each for each in (*invoices.owed, *invoices.paid) if each.invoice_id == invoice_id), None)
    if invoice is None:
        raise NotFound("the household has no such invoice")
    body = CreditNoteRequest(
        amount_cents=cents, reason=form.get("reason"), seen_balance_cents=household_account.seen_balance(form)
    )
    return f"{invoice_id}/credit-notes", body, money_questions.credit_note(household, invoice, body, cents)


def _repricing(
    form: SubmittedForm, household: HouseholdTerms, _: InvoiceList
) -> tuple[str, RepricingRequest, Question]:
    """The same of a credit that the page proposes."""
    invoice_id = UUID(form.get("invoice"))
    proposed = next((each for each in household.repricings if each.invoice_id == invoice_id), None)
    if proposed is None:
        raise form.wrong("repricing", NOTHING_LEFT)
    body = RepricingRequest(credit_cents=proposed.credit_cents, seen_balance_cents=household_account.seen_balance(form))
    return f"{invoice_id}/repricing", body, money_questions.repricing(household, proposed)
