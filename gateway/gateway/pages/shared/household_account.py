"""The page of a household's account at the cash desk, which every act on it shows again."""

import re
from uuid import UUID

from aiohttp import web

from chassis.clock import today
from chassis.http import path_uuid
from contracts.api.billing import InvoiceList
from contracts.api.tariffs import HouseholdTerms, TermsKnown
from contracts.identity import Permission
from gateway.clients.services import SERVICES, UpstreamError
from gateway.forms.edit_conflicts import version
from gateway.forms.fields import SubmittedForm, hidden
from gateway.languages import decimal_amount
from gateway.pages.shared.access import require_staff
from gateway.pages.shared.money_questions import COUNTER, MEANS
from gateway.pages.shared.rendering import redirect, render

OTHER_FORMS_FIELDS = (
    *("kind", "refund", "refund_reference", "quotient", "valid_from", "resident", "invoice", "credit", "reason"),
)
"""What is typed in the other forms of an account's page."""
WRONG_AMOUNT = "Le montant s'écrit comme 42,50."
CHANGED = "Ce compte a changé entre-temps : le voici tel qu'il est maintenant."
BALANCE = re.compile(r"-?[0-9]{1,12}", re.ASCII)
SEEN_BALANCE = {"seen_balance_cents": hidden("Solde affiché")}


async def load_account(request: web.Request, session: str) -> tuple[HouseholdTerms, InvoiceList, int]:
    """A household's account as it is now, and what it owes."""
    path, services = f"/households/{path_uuid(request, 'household_id')}", request.app[SERVICES]
    terms = await services.call(session, "billing", f"{path}/terms", HouseholdTerms)
    invoices = await services.call(session, "billing", f"{path}/invoices", InvoiceList)
    return terms, invoices, sum(each.left_cents for each in invoices.owed)


async def account_page(request: web.Request, *, wrong: str = "", typed: dict[str, str] | None = None) -> web.Response:
    session, person = await require_staff(request, Permission.COLLECT_MONEY)
    terms, invoices, due = await load_account(request, session)
    usual = {"amount": decimal_amount(due), "means": "cash", "received_on": str(today()), "reference": ""}
    return render(
        request,
        "town_hall/household_account.html",
        person,
        status=409 if wrong else 200,
        terms=terms,
        version=version(TermsKnown(terms=terms.terms)),
        invoices=invoices,
        due_cents=due,
        means=MEANS,
        counter=COUNTER,
        typed={**dict.fromkeys(OTHER_FORMS_FIELDS, ""), **usual, **(typed or {})},
        wrong=wrong,
        done=DONE.get(request.query.get("fait", ""), ""),
        today=today(),
    )


DONE = {
    "recu": "L'encaissement est enregistré.",
    "credit": "Le crédit a été utilisé pour régler les factures.",
    "rendu": "Le remboursement est enregistré.",
    "qf": "Le quotient familial est enregistré.",
    "avoir": "L'avoir est publié.",
}


async def account_changed(request: web.Request, error: UpstreamError, typed: dict[str, str]) -> web.Response:
    """What was decided is about an account that is another by now: it is shown again, with what was typed."""
    if error.upstream_code != "account_changed":
        raise error
    return await account_page(request, wrong=CHANGED, typed=typed)


def seen_balance(form: SubmittedForm) -> int:
    """What the page said that the household owes, less its credit; ``FieldError`` where a form does not say."""
    text = form.get("seen_balance_cents")
    if not BALANCE.fullmatch(text):
        raise form.wrong("seen_balance_cents", CHANGED)
    return int(text)


def redirect_to_account(household_id: UUID, done: str) -> web.Response:
    return redirect(f"/mairie/encaissements/{household_id}?fait={done}")
