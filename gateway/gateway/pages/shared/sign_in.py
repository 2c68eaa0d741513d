"""P1 « Connexion » and « Déconnexion »."""

import contextlib

from aiohttp import web
from pydantic import SecretStr, ValidationError

from chassis.concurrency import queued
from contracts.api.auth import SignIn
from contracts.api.notifier import Announcement
from contracts.failures import Unavailable
from gateway.clients.services import SERVICES, SignedOut, UpstreamError
from gateway.forms.fields import NO_FIELDS, PATH_MAX, hidden, line, secret
from gateway.forms.month import query
from gateway.languages import N_, _, ngettext
from gateway.pages.shared.language import in_language_of
from gateway.pages.shared.rendering import (
    FormOfAnotherSession,
    checked_form,
    client_address,
    cookie_name,
    delete_cookie,
    device_id,
    redirect,
    render,
    session_cookie,
    set_device_cookie,
    set_session_cookie,
    signed_in,
)
from gateway.pages.shared.return_path import local_path
from gateway.settings import SETTINGS

WRONG = N_("Identifiant ou code secret incorrect. Vérifiez-les, puis recommencez.")
OLD_PAGE = N_("Cette page était ouverte depuis longtemps. Saisissez de nouveau votre code secret.")
CHANGED = N_("Votre nouveau code secret est enregistré. Connectez-vous.")
OVER = N_("Votre session est terminée. Reconnectez-vous pour continuer.")
KEPT = N_("Votre session est terminée. Reconnectez-vous : les jours cochés sont gardés, mais ne sont pas enregistrés.")

WRONG_CODES = {"wrong_codes", "invalid", "unreadable"}
"""What auth answers to codes that are not right, or that nobody can have; anything else says nothing of them."""
CODES = {
    "identifier": line(N_("Identifiant")),
    "secret": secret(N_("Code secret")),
    "vers": hidden("vers", length_max=PATH_MAX),
}

routes = web.RouteTableDef()


@routes.get("/connexion")
async def sign_in_page(request: web.Request) -> web.Response:
    back = local_path(request.query.get("vers", ""))
    if cookie_name(request.app[SETTINGS]) in request.cookies:
        with contextlib.suppress(SignedOut, Unavailable):  # nobody is, or it cannot be told: then one may sign in
            await signed_in(request)
            return redirect(back)
    over = KEPT if query(()) in back else OVER
    notice = over if "fin" in request.query else CHANGED if "nouveau" in request.query else ""
    return await _form(request, notice=notice, back=back)


async def _form(
    request: web.Request, *, back: str, status: int = 200, wrong: str = "", notice: str = "", identifier: str = ""
) -> web.Response:
    try:
        _headers, raw = await request.app[SERVICES].raw("notifier", "GET", "/announcement")
        announcement = Announcement.model_validate_json(raw).markdown
    except (Unavailable, UpstreamError):
        announcement = None  # the message is an extra: signing in works without notifier
    return render(
        request,
        "shared/sign_in.html",
        status=status,
        announcement=announcement,
        wrong=wrong,
        notice=_(notice) if notice else "",
        identifier=identifier,
        back=back,
    )


@routes.post("/connexion")
@queued
async def sign_in(request: web.Request) -> web.Response:
    """The two codes; one sentence for every way of being wrong."""
    try:
        form = await checked_form(request, CODES, needs_session=False)
    except (FormOfAnotherSession, SignedOut):
        return await _form(request, status=409, wrong=_(OLD_PAGE), back=local_path(request.query.get("vers", "")))
    identifier, device, back = form.get("identifier"), device_id(request), local_path(form.get("vers"))
    try:
        body = SignIn(
            identifier=identifier,
            secret=SecretStr(form.get("secret")),
            client_address=client_address(request)[:64],
            user_agent=request.headers.get("User-Agent", "")[:400],
            device=SecretStr(device),
        )
        opened = await request.app[SERVICES].sign_in(body)
    except ValidationError:
        return await _form(request, status=401, wrong=_(WRONG), back=back)
    except UpstreamError as error:
        if error.upstream_code == "sign_in_locked":
            return await _form(request, status=429, wrong=locked(error), identifier=identifier, back=back)
        if error.upstream_code not in WRONG_CODES:
            raise
        return await _form(request, status=401, wrong=_(WRONG), identifier=identifier, back=back)
    await _end_former(request)
    response = set_device_cookie(request, set_session_cookie(request, redirect(back), opened.session), device)
    return await in_language_of(request, response, opened)


async def _end_former(request: web.Request) -> None:
    """End the session that this browser had: nobody would see it any more, whoever copied it could use it."""
    former = request.cookies.get(cookie_name(request.app[SETTINGS]), "")
    try:
        await request.app[SERVICES].sign_out(former)
    except (ValidationError, Unavailable, UpstreamError):
        return  # it was none, or auth is gone since: then its own time ends it


def locked(error: UpstreamError) -> str:
    """How long to wait, and the way around."""
    minutes = -(-int(error.facts.get("retry_after_seconds", 60)) // 60)
    return ngettext(
        "Trop d'essais. Attendez {count} minute avant de recommencer, ou demandez un lien par « Codes oubliés ? ».",
        "Trop d'essais. Attendez {count} minutes avant de recommencer, ou demandez un lien par « Codes oubliés ? ».",
        minutes,
    )


@routes.post("/deconnexion")
async def sign_out(request: web.Request) -> web.Response:
    """End the session on the server, then in the browser."""
    await checked_form(request, NO_FIELDS, needs_session=False)
    with contextlib.suppress(SignedOut):
        await request.app[SERVICES].sign_out(session_cookie(request))
    response = redirect("/connexion")
    delete_cookie(request, response, cookie_name(request.app[SETTINGS]))
    response.headers["Clear-Site-Data"] = '"cache"'
    return response
