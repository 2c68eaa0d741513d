"""The town hall's messages to families: written, looked at, planned, ended."""

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from aiohttp import web
from pydantic import ValidationError

from chassis.clock import PARIS
from contracts.api.notifier import AnnouncementArchive, AnnouncementState, AnnouncementWish, Audience, AudienceWish
from contracts.identity import Permission
from gateway.pages.rendering import checked_form, page, see
from gateway.pages.staff import staff
from gateway.services import SERVICES, Told

STATES = {
    AnnouncementState.PLANNED: "prévu",
    AnnouncementState.SHOWN: "affiché",
    AnnouncementState.ENDED: "terminé",
}
BLANK = {"markdown": "", "starts_at": "", "ends_at": "", "audience": "", "by_mail": ""}
WRONG = "Vérifiez le texte et les dates : la fin vient après le début. Rien n'a été enregistré."

routes = web.RouteTableDef()


@routes.get("/mairie/messages")
async def messages(request: web.Request) -> web.Response:
    return await _show(request, BLANK, done="fait" in request.query)


async def _show(
    request: web.Request, typed: dict[str, str], *, status: int = 200, wrong: str = "", done: bool = False
) -> web.Response:
    """The form with what was typed, its preview, and every message there was."""
    session, person = await staff(request, Permission.WRITE_ANNOUNCEMENTS)
    services = request.app[SERVICES]
    archive = await services.call(session, "notifier", "/announcements", AnnouncementArchive)
    counted = None
    if typed["markdown"] and not wrong:
        query = urlencode(_audience(typed["audience"]))
        counted = await services.call(session, "notifier", f"/announcements/audience?{query}", Audience)
    return page(
        request,
        "messages.html",
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
    form = await checked_form(request)
    session, _person = await staff(request, Permission.WRITE_ANNOUNCEMENTS)
    typed = {name: str(form.get(name, "")) for name in BLANK}
    if "preview" in form:
        return await _show(request, typed)
    try:
        wish = _wish(typed)
    except (ValueError, ValidationError):
        return await _show(request, typed, status=422, wrong=WRONG)
    services = request.app[SERVICES]
    try:
        await services.call(session, "notifier", "/announcements", AnnouncementArchive, method="POST", body=wish)
    except Told as told:
        if told.told_code != "invalid":
            raise
        return await _show(request, typed, status=422, wrong=WRONG)
    return see("/mairie/messages?fait=1")


def _wish(typed: dict[str, str]) -> AnnouncementWish:
    return AnnouncementWish(
        markdown=typed["markdown"],
        starts_at=_instant(typed["starts_at"]),
        ends_at=_instant(typed["ends_at"]),
        by_mail=bool(typed["by_mail"]),
        **_audience(typed["audience"]),
    )


def _audience(chosen: str) -> dict[str, Any]:
    """``school:…``, ``activity_id:…`` or nothing for all, as the list has them."""
    name, _, value = chosen.partition(":")
    return {name: value} if name in AudienceWish.model_fields and value else {}


def _instant(text: str) -> datetime | None:
    """A local time of a form, « 2026-12-01T18:00 », as an instant."""
    return datetime.fromisoformat(text).replace(tzinfo=PARIS) if text else None


@routes.post("/mairie/messages/{announcement_id:[0-9]+}/fin")
async def end(request: web.Request) -> web.Response:
    """« Ne plus afficher »."""
    await checked_form(request)
    session, _person = await staff(request, Permission.WRITE_ANNOUNCEMENTS)
    path = f"/announcements/{request.match_info['announcement_id']}/end"
    await request.app[SERVICES].tell(session, "notifier", path)
    return see("/mairie/messages")
