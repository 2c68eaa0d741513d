"""The mails that went to families: what staff see of them, and how a family stops one kind."""

from aiohttp import web
from pydantic import ValidationError

from chassis.http import path_uuid
from contracts.api.notifier import MailLog, MailStatus, Unsubscription
from contracts.failures import NotFound
from contracts.identity import Permission
from gateway.clients.services import SERVICES
from gateway.forms.fields import NO_FIELDS
from gateway.languages import N_
from gateway.pages.shared.access import require_staff
from gateway.pages.shared.rendering import checked_form, redirect, render

KINDS = {
    "ticket": N_("ticket de paiement"),
    "refused": N_("paiement refusé"),
    "held": N_("paiement vérifié par la mairie"),
    "refund": N_("remboursement"),
    "refund_undone": N_("remboursement qui n'a pas abouti"),
    "returned": N_("paiement repris par la banque"),
    "invoice": N_("facture en ligne"),
    "reminder": N_("rappel de facture"),
    "credit": N_("avoir"),
    "credit_refund": N_("crédit rendu"),
    "surplus": N_("déjà réglée"),
    "recap": N_("modifications du planning"),
    "place": N_("place en liste d'attente"),
    "offer": N_("place proposée"),
    "lapsed": N_("place proposée, restée sans réponse"),
    "closed": N_("jour fermé"),
    "ended": N_("jours hors de l'inscription"),
    "reset": N_("codes oubliés"),
    "confirm_email": N_("adresse à confirmer"),
    "email_replaced": N_("adresse remplacée"),
    "new_device": N_("nouvel appareil"),
    "announcement": N_("messages de la mairie"),
}
STATUSES = {
    MailStatus.WAITING: "en attente",
    MailStatus.SENT: "envoyé",
    MailStatus.FAILED: "refusé",
    MailStatus.BOUNCED: "revenu",
}

ANSWERS = {
    "the invoice is paid": "facture réglée entre-temps",
    "the address returns mails": "les mails à cette adresse reviennent : corrigez-la, puis renvoyez",
}
"""Notifier's own words, for people; those of mail servers are shown as they came."""

routes = web.RouteTableDef()


@routes.get("/mairie/courrier")
async def log(request: web.Request) -> web.Response:
    """The latest mails, of one status when it is chosen."""
    session, person = await require_staff(request, Permission.READ_MAILS)
    chosen = request.query.get("etat", "")
    path = f"/mails?status={chosen}" if chosen in set(MailStatus) else "/mails"
    found = await request.app[SERVICES].call(session, "notifier", path, MailLog)
    return render(
        request,
        "town_hall/mails.html",
        person,
        log=found,
        chosen=chosen,
        kinds=KINDS,
        statuses=STATUSES,
        answers=ANSWERS,
        may_resend=person.may(Permission.RESEND_MAILS),
        is_done="fait" in request.query,
    )


@routes.post("/mairie/courrier/{mail_id}")
async def send_again(request: web.Request) -> web.Response:
    """« Renvoyer »: to the address known now."""
    await checked_form(request, NO_FIELDS)
    session, _person = await require_staff(request, Permission.READ_MAILS)
    await request.app[SERVICES].call_no_content(session, "notifier", f"/mails/{path_uuid(request, 'mail_id')}/again")
    return redirect("/mairie/courrier?fait=1")


@routes.get("/desabonnement/{unsubscribe_key}/{kind}")
async def ask_to_stop(request: web.Request) -> web.Response:
    """Where the link of a mail leads: a button, since mail programs open links by themselves."""
    _wish(request)
    return render(request, "parents/unsubscribe.html", kind=KINDS.get(request.match_info["kind"], ""), is_done=False)


@routes.post("/desabonnement/{unsubscribe_key}/{kind}")
async def stop(request: web.Request) -> web.Response:
    """The button, or a mail program's one click (RFC 8058). The link itself is the right to do it."""
    body = _wish(request)
    await request.app[SERVICES].raw("notifier", "POST", "/unsubscriptions", json=body.model_dump(mode="json"))
    return render(request, "parents/unsubscribe.html", kind=KINDS.get(body.kind, ""), is_done=True)


def _wish(request: web.Request) -> Unsubscription:
    try:
        return Unsubscription(unsubscribe_key=path_uuid(request, "unsubscribe_key"), kind=request.match_info["kind"])
    except ValidationError as error:
        raise NotFound("no such subscription") from error
