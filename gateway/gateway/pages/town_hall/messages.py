"""The town hall's messages to families: written, looked at, planned, ended."""

from urllib.parse import urlencode

from aiohttp import web

from contracts.api.notifier import (
    AnnouncementArchive,
    AnnouncementRequest,
    AnnouncementState,
    AnnouncementView,
    Audience,
    AudienceRequest,
)
from contracts.identity import Permission
from gateway.clients.services import SERVICES, UpstreamError
from gateway.forms.fields import NO_FIELDS, SubmittedForm, checkbox, error_message, line, lines
from gateway.pages.shared.access import require_staff
from gateway.pages.shared.confirmation import Question, ask_first
from gateway.pages.shared.rendering import checked_form, redirect, render

STATES = {
    AnnouncementState.PLANNED: "prévu",
    AnnouncementState.SHOWN: "affiché",
    AnnouncementState.ENDED: "terminé",
}
BLANK = {"markdown": "", "starts_at": "", "ends_at": "", "audience": "", "by_mail": ""}
_BACK = "/mairie/messages"
WRONG = "Vérifiez le texte et les dates : la fin vient après le début. Rien n'a été enregistré."

MESSAGE = {
    "markdown": lines("Message", length_max=10_000, always=True),
    "starts_at": line("Du", always=True),
    "ends_at": line("Au", always=True),
    "audience": line("Pour qui", always=True),
    "by_mail": checkbox("Aussi par mail"),
    "preview": checkbox("Aperçu"),
}

routes = web.RouteTableDef()


@routes.get("/mairie/messages")
async def messages(request: web.Request) -> web.Response:
    return await _show(request, BLANK, done="fait" in request.query)


async def _show(
    request: web.Request,
    typed: dict[str, str],
    *,
    status: int = 200,
    wrong: str = "",
    done: bool = False,
    audience: dict[str, str] | None = None,
) -> web.Response:
    """The form with what was typed, its preview, and every message there was."""
    session, person = await require_staff(request, Permission.WRITE_ANNOUNCEMENTS)
    services = request.app[SERVICES]
    archive = await services.call(session, "notifier", "/announcements", AnnouncementArchive)
    counted = None
    if typed["markdown"] and audience is not None:
        query = urlencode(audience)
        counted = await services.call(session, "notifier", f"/announcements/audience?{query}", Audience)
    return render(
        request,
        "town_hall/messages.html",
        person,
        status=status,
        typed=typed,
        wrong=wrong,
        is_done=done,
        archive=archive,
        counted=counted,
        states=STATES,
    )


@routes.post("/mairie/messages")
async def save(request: web.Request) -> web.Response:
    """« Aperçu » shows the message and keeps what was typed; « Enregistrer » saves it."""
    form = await checked_form(request, MESSAGE)
    session, person = await require_staff(request, Permission.WRITE_ANNOUNCEMENTS)
    typed = {name: form.get(name) for name in BLANK}
    try:
        audience = _audience(form)
        if form.ticked("preview"):
            return await _show(request, typed, audience=audience)
        body = _wish(form, audience)
    except ValueError as error:
        return await _show(request, typed, status=422, wrong=error_message(error, WRONG))
    services = request.app[SERVICES]
    query = urlencode(audience)
    counted = await services.call(session, "notifier", f"/announcements/audience?{query}", Audience)
    if asked := ask_first(request, form, person, _sending(body, counted)):
        return asked
    try:
        await services.call(session, "notifier", "/announcements", AnnouncementArchive, method="POST", body=body)
    except UpstreamError as error:
        if error.upstream_code != "invalid":
            raise
        return await _show(request, typed, status=422, wrong=WRONG)
    return redirect("/mairie/messages?fait=1")


def _sending(body: AnnouncementRequest, counted: Audience) -> Question:
    families, mails = counted.households, counted.mails if body.by_mail else 0
    says = [f"{families} famille{'s' if families > 1 else ''} {'verront' if families > 1 else 'verra'} ce message."]
    if body.by_mail:
        says.append(f"{mails} mail{'s' if mails > 1 else ''} {'seront envoyés' if mails > 1 else 'sera envoyé'}.")
    says.append(_excerpt(body.markdown))
    numbers = {"families": families, "mails": mails}
    button = f"Envoyer à {families} famille{'s' if families > 1 else ''}" if body.by_mail else "Afficher ce message"
    return Question("Envoyer ce message ?" if body.by_mail else "Afficher ce message ?", says, button, _BACK, numbers)


def _wish(form: SubmittedForm, audience: dict[str, str]) -> AnnouncementRequest:
    return AnnouncementRequest(
        markdown=form.get("markdown"),
        starts_at=form.instant("starts_at"),
        ends_at=form.instant("ends_at"),
        by_mail=form.ticked("by_mail"),
        **audience,
    )


def _audience(form: SubmittedForm) -> dict[str, str]:
    """``school:…``, ``activity_id:…`` or nothing for all, as the list has them; what is not understood is not all."""
    chosen = form.get("audience")
    name, _, value = chosen.partition(":")
    if chosen and not (name in AudienceRequest.model_fields and value):
        raise form.wrong("audience", "« {field} » : choisissez dans la liste.")
    return {name: value} if chosen else {}


@routes.post("/mairie/messages/{announcement_id:[0-9]+}/fin")
async def end(request: web.Request) -> web.Response:
    """« Ne plus afficher »; asked first."""
    form = await checked_form(request, NO_FIELDS)
    session, person = await require_staff(request, Permission.WRITE_ANNOUNCEMENTS)
    announcement_id, services = int(request.match_info["announcement_id"]), request.app[SERVICES]
    archive = await services.call(session, "notifier", "/announcements", AnnouncementArchive)
    shown = next((each for each in archive.announcements if each.announcement_id == announcement_id), None)
    if shown and (asked := ask_first(request, form, person, _ending(shown))):
        return asked
    await services.call_no_content(session, "notifier", f"/announcements/{announcement_id}/end")
    return redirect("/mairie/messages")


def _ending(shown: AnnouncementView) -> Question:
    says = (_excerpt(shown.markdown), "Aucune famille ne le voit plus. Pour le montrer de nouveau, il faut le récrire.")
    return Question("Ne plus afficher ce message ?", says, "Ne plus afficher", _BACK)


def _excerpt(markdown: str) -> str:
    return f"« {markdown[:200]}{'…' if len(markdown) > 200 else ''} »"
