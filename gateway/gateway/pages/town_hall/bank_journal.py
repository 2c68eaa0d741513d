"""/mairie/paiements/journal and /rapprochement: every word of the banks, and their remittances beside ours."""

import re
from urllib.parse import urlencode

from aiohttp import web
from pydantic import ValidationError

from chassis.request_bodies import body_limit
from contracts.api.payment_gateway import Journal, StatementSource, Verification
from contracts.api.remittances import Remittance, RemittanceNote, RemittanceReport
from contracts.identity import Permission
from contracts.model import parse_day
from gateway.clients.services import SERVICES, UpstreamError
from gateway.forms.fields import file, hidden, line
from gateway.pages.shared import payment_messages as words
from gateway.pages.shared.access import require_staff
from gateway.pages.shared.rendering import checked_form, redirect, render

FILE_BYTES_MAX = 1_100_000
ACCOUNT = re.compile(r"[a-z0-9-]{1,40}")
SOURCES = frozenset(StatementSource)
NO_FILE = "Choisissez un compte et un fichier."
REFUSALS = {
    "invalid": "Ce fichier ne peut pas être lu en entier.",
    "no_such_bank": "Ce compte bancaire n'est pas configuré ici.",
    "body_too_large": "Ce fichier est trop gros : un mégaoctet au plus. Envoyez-le en plusieurs fois.",
    "no_such_difference": "Cet écart a déjà une explication, ou il a changé : voici la liste d'aujourd'hui.",
}
NO_REASON = "Expliquez en quelques mots d'où vient cet écart. Rien n'a été enregistré."

STATEMENT = {"file": file("Fichier"), "bank": line("Compte"), "source": line("Relevé")}
GAP = {"difference": hidden("Écart"), "reason": line("Motif", length_max=500, always=True)}

routes = web.RouteTableDef()


@routes.get("/mairie/paiements/journal")
async def journal(request: web.Request) -> web.Response:
    """The journal, by reference, day and verdict; what cannot be read as a filter is left out and said."""
    session, person = await require_staff(request, Permission.READ_PAYMENTS)
    typed = {name: request.query.get(name, "").strip() for name in ("reference", "jour", "verdict", "avant")}
    day, wrong = _day(typed["jour"])
    verdict = typed["verdict"] if typed["verdict"] in set(Verification) else ""
    body = {"reference": typed["reference"][:120], "day": day, "verdict": verdict, "before": typed["avant"]}
    if not typed["avant"].isdecimal() or len(typed["avant"]) > 18:
        del body["before"]
    path = f"/journal?{urlencode({name: value for name, value in body.items() if value})}"
    found = await request.app[SERVICES].call(session, "payment-gateway", path, Journal)
    chosen = {"reference": body["reference"], "jour": day, "verdict": verdict}
    more = urlencode({**{name: value for name, value in chosen.items() if value}, "avant": found.before or ""})
    return render(
        request,
        "town_hall/bank_journal.html",
        person,
        found=found,
        typed={**typed, "verdict": verdict},
        wrong=wrong,
        more=more,
        verdicts=words.VERDICTS,
    )


def _day(typed: str) -> tuple[str, str]:
    try:
        return (parse_day(typed).isoformat() if typed else ""), ""
    except ValueError:
        return "", "Ce jour ne peut pas être lu : la recherche se fait sur tous les jours."


@routes.get("/mairie/paiements/rapprochement")
async def remittances(request: web.Request) -> web.Response:
    return await _remittances(request, done=request.query.get("recu", ""), noted="note" in request.query)


async def _remittances(
    request: web.Request,
    *,
    done: str = "",
    noted: bool = False,
    refused: str = "",
    errors: tuple[dict[str, object], ...] = (),
    sent_to: tuple[str, str] = ("", ""),
) -> web.Response:
    session, person = await require_staff(request, Permission.READ_PAYMENTS)
    report = await request.app[SERVICES].call(session, "payment-gateway", "/remittances", RemittanceReport)
    return render(
        request,
        "town_hall/remittances.html",
        person,
        status=422 if refused else 200,
        report=report,
        gaps={"bank": words.GAPS, "treasury": words.GAPS_AT_TREASURY},
        sources=words.SOURCES,
        done=next((each for each in report.files if str(each.remittance_id) == done), None),
        noted=noted,
        refused=refused,
        errors=errors,
        sent_to=sent_to,
        may_decide=person.may(Permission.DECIDE_PAYMENTS),
    )


@routes.post("/mairie/paiements/rapprochement")
@body_limit(4 * FILE_BYTES_MAX)  # of what is longer than that the page says so itself
async def send(request: web.Request) -> web.Response:
    """« Envoyer le relevé »: taken in whole, or refused with what is wrong, line by line."""
    session, _person = await require_staff(request, Permission.READ_PAYMENTS)
    try:
        form = await checked_form(request.clone(client_max_size=FILE_BYTES_MAX), STATEMENT)
    except web.HTTPRequestEntityTooLarge:
        return await _remittances(request, refused=REFUSALS["body_too_large"])
    sent, bank, source = form.file("file"), form.get("bank"), form.get("source")
    content = sent.file.read() if sent else b""
    if sent is None or not content or not (ACCOUNT.fullmatch(bank) and source in SOURCES):
        return await _remittances(request, refused=NO_FILE)
    path, services = f"/remittances/{bank}?source={source}", request.app[SERVICES]
    try:
        taken = await services.send(session, "payment-gateway", path, Remittance, content, sent.filename)
    except UpstreamError as error:
        if error.upstream_code not in REFUSALS:
            raise
        errors = tuple(error.facts.get("errors", ()))
        return await _remittances(request, refused=REFUSALS[error.upstream_code], errors=errors, sent_to=(bank, source))
    return redirect(f"/mairie/paiements/rapprochement?recu={taken.remittance_id}")


@routes.post("/mairie/paiements/rapprochement/ecart")
async def explain(request: web.Request) -> web.Response:
    """« Classer »: say what a difference was."""
    form = await checked_form(request, GAP)
    session, _person = await require_staff(request, Permission.READ_PAYMENTS)
    try:
        body = RemittanceNote(difference=form.get("difference"), reason=form.get("reason"))
    except ValidationError:
        return await _remittances(request, refused=NO_REASON)
    try:
        await request.app[SERVICES].call_no_content(session, "payment-gateway", "/remittances/notes", body=body)
    except UpstreamError as error:
        if error.upstream_code not in REFUSALS:
            raise
        return await _remittances(request, refused=REFUSALS[error.upstream_code])
    return redirect("/mairie/paiements/rapprochement?note=1")
