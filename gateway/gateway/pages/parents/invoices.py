"""P6 invoices and P7 their recap before paying."""

import asyncio
from typing import Any

from aiohttp import web
from pydantic import ValidationError

from chassis.http import path_uuid, path_year
from contracts.api.billing import CreditUse, CreditUsed, InvoiceList
from contracts.api.notifier import Preferences, PreferencesView
from contracts.failures import Invalid
from contracts.model import Language
from gateway.clients.services import SERVICES, UpstreamError, or_none
from gateway.forms.edit_conflicts import VERSION, VERSION_FIELD, differences, has_changed, version
from gateway.forms.fields import checkbox, choice, id_field
from gateway.languages import N_, _
from gateway.pages.shared.access import require_household
from gateway.pages.shared.invoice_recap import recap_page
from gateway.pages.shared.rendering import checked_form, chosen_language, redirect, render, set_language_cookie

PREFERENCES = {
    **VERSION_FIELD,
    "invoice_published": checkbox(N_("Mise en ligne de mes factures")),
    "reminders": checkbox(N_("Rappels")),
    "booking_recap": checkbox(N_("Modifications du planning")),
    "announcements": checkbox(N_("Messages de la mairie")),
    "language": choice(N_("Langue"), "", *Language, always=True),
}
DIFFERENCES = {
    "invoice_published": N_("Être averti par mail de la mise en ligne de mes factures"),
    "reminders": N_("Recevoir un rappel quand une facture reste à régler après sa date"),
    "booking_recap": N_("Recevoir le récapitulatif de mes modifications"),
    "announcements": N_("Recevoir les messages de la mairie"),
    "language": N_("Langue des pages et des mails"),
}
"""What each preference is called beside its box."""
CREDIT_USE = {"facture": id_field(N_("Factures"), many=True)}

routes = web.RouteTableDef()


@routes.get("/factures")
async def invoices(request: web.Request) -> web.Response:
    """Each part stands by itself, as on the first page."""
    return await _show(request)


async def _show(request: web.Request, *, typed: Preferences | None = None) -> web.Response:
    """The page; with the preferences that were ``typed`` when others were saved meanwhile."""
    session, person, household = await require_household(request)
    services = request.app[SERVICES]
    found, preferences = await asyncio.gather(
        or_none(services.call(session, "billing", f"{household}/invoices", InvoiceList)),
        or_none(services.call(session, "notifier", "/preferences", PreferencesView)),
    )
    is_saved = "enregistre" in request.query
    used = _("Votre crédit est utilisé.") if "credit" in request.query else ""
    values: dict[str, Any] = {"invoices": found, "is_saved": is_saved, "credit_used": used, "moved": None}
    values["version"] = version(_chosen(preferences)) if preferences else ""
    if typed and preferences:
        labels = {name: _(label) for name, label in DIFFERENCES.items()}
        values["moved"] = differences(preferences.model_dump(), typed.model_dump(), labels)
        preferences = preferences.model_copy(update=dict(typed))
    status = 409 if values["moved"] is not None else 200
    return render(request, "parents/invoices.html", person, status=status, preferences=preferences, **values)


def _chosen(view: PreferencesView) -> Preferences:
    return Preferences(**view.model_dump(include=set(Preferences.model_fields)))


@routes.post("/factures/credit")
async def use_credit(request: web.Request) -> web.Response:
    """« Régler avec mon crédit »: the chosen invoices, or all that can be paid, oldest first."""
    form = await checked_form(request, CREDIT_USE)
    session, _person, household = await require_household(request)
    try:
        body = CreditUse(invoice_ids=form.getall("facture"))
    except ValidationError as error:
        raise Invalid("the form cannot be read", errors=[]) from error
    path = f"{household}/credit-uses"
    await request.app[SERVICES].call(session, "billing", path, CreditUsed, method="POST", body=body)
    return redirect("/factures?credit=1")


@routes.post("/factures/avertissement")
async def save_preferences(request: web.Request) -> web.Response:
    """« Être averti par mail de la mise en ligne de mes factures »."""
    form = await checked_form(request, PREFERENCES)
    session, _person, _household = await require_household(request)
    try:
        body = Preferences(
            invoice_published=form.ticked("invoice_published"),
            reminders=form.ticked("reminders"),
            booking_recap=form.ticked("booking_recap"),
            announcements=form.ticked("announcements"),
            language=form.get("language") or None,
        )
    except ValidationError as error:
        raise Invalid("no such language", errors=[]) from error
    seen, services = form.get(VERSION), request.app[SERVICES]
    try:
        path = "/preferences"
        await services.call(session, "notifier", path, PreferencesView, method="PUT", body=body, version=seen)
    except UpstreamError as error:
        if not has_changed(error):
            raise
        return await _show(request, typed=body)
    response = redirect("/factures?enregistre=1#avertissement")
    if body.language or chosen_language(request)[1]:  # what was chosen before signing in stays
        set_language_cookie(request, response, body.language, of_account=True)
    return response


@routes.get("/factures/recapitulatif")
async def recap(request: web.Request) -> web.Response:
    """Étape 2: the lines and the total of the chosen invoices."""
    return await recap_page(request, request.query.getall("facture", []))


async def _pdf(request: web.Request, document: str) -> web.Response:
    session, _person, household = await require_household(request)
    disposition, raw = await request.app[SERVICES].file(session, "billing", f"{household}/{document}/pdf")
    headers = {"Content-Disposition": disposition, "Cache-Control": "no-store"}
    return web.Response(body=raw, content_type="application/pdf", headers=headers)


@routes.get("/factures/{invoice_id}/pdf")
async def pdf(request: web.Request) -> web.Response:
    return await _pdf(request, f"invoices/{path_uuid(request, 'invoice_id')}")


@routes.get("/factures/avoirs/{credit_note_id}/pdf")
async def credit_note(request: web.Request) -> web.Response:
    return await _pdf(request, f"credit-notes/{path_uuid(request, 'credit_note_id')}")


@routes.get("/factures/attestations/{year:[0-9]{4}}/{child_id}/pdf")
async def certificate(request: web.Request) -> web.Response:
    """« Attestation fiscale »."""
    return await _pdf(request, f"certificates/{path_year(request)}/{path_uuid(request, 'child_id')}")
