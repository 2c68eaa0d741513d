"""P1 « Connexion » and « Déconnexion »."""

import contextlib

from aiohttp import web
from pydantic import SecretStr, ValidationError

from chassis.http import in_line
from contracts.api.auth import SignIn
from contracts.api.notifier import Announcement
from contracts.failures import Unavailable
from gateway.languages import N_, _, ngettext
from gateway.pages.coming_back import own_path
from gateway.pages.language import in_language_of
from gateway.pages.rendering import (
    checked_form,
    client_address,
    cookie_name,
    device_of,
    forget_cookie,
    keep_device,
    keep_session,
    page,
    see,
    session_of,
)
from gateway.pages.ticks import query
from gateway.services import SERVICES, SignedOut, Told
from gateway.settings import SETTINGS

WRONG = N_("Ces deux codes ne vont pas ensemble. Vérifiez-les, puis recommencez.")
CHANGED = N_("Votre nouveau code secret est enregistré. Connectez-vous.")
OVER = N_("Votre session est terminée. Reconnectez-vous pour continuer.")
KEPT = N_("Votre session est terminée. Reconnectez-vous : vos coches vous attendent, elles ne sont pas enregistrées.")

routes = web.RouteTableDef()


@routes.get("/connexion")
async def sign_in_page(request: web.Request) -> web.Response:
    back = own_path(request.query.get("vers", ""))
    over = KEPT if query(()) in back else OVER
    notice = over if "fin" in request.query else CHANGED if "nouveau" in request.query else ""
    return await _form(request, notice=notice, back=back)


async def _form(
    request: web.Request, *, back: str, status: int = 200, wrong: str = "", notice: str = "", identifier: str = ""
) -> web.Response:
    try:
        _headers, raw = await request.app[SERVICES].raw("notifier", "GET", "/announcement")
        announcement = Announcement.model_validate_json(raw).markdown
    except (Unavailable, Told):
        announcement = None  # the message is an extra: signing in works without notifier
    return page(
        request,
        "sign_in.html",
        status=status,
        announcement=announcement,
        wrong=wrong,
        notice=_(notice) if notice else "",
        identifier=identifier,
        back=back,
    )


@routes.post("/connexion")
@in_line
async def sign_in(request: web.Request) -> web.Response:
    """The two codes; one sentence for every way of being wrong."""
    form = await checked_form(request)
    identifier, secret = str(form.get("identifier", "")), str(form.get("secret", ""))
    device, back = device_of(request), own_path(str(form.get("vers", "")))
    try:
        wish = SignIn(
            identifier=identifier,
            secret=SecretStr(secret),
            client_address=client_address(request)[:64],
            user_agent=request.headers.get("User-Agent", "")[:400],
            device=SecretStr(device),
        )
        opened = await request.app[SERVICES].sign_in(wish)
    except ValidationError:
        return await _form(request, status=401, wrong=_(WRONG), back=back)
    except Told as told:
        if told.status == 429:
            return await _form(request, status=429, wrong=locked(told), identifier=identifier, back=back)
        return await _form(request, status=401, wrong=_(WRONG), identifier=identifier, back=back)
    response = keep_device(request, keep_session(request, see(back), opened.session), device)
    return await in_language_of(request, response, opened)


def locked(told: Told) -> str:
    """How long to wait, and the way around."""
    minutes = -(-int(told.facts.get("retry_after_seconds", 60)) // 60)
    return ngettext(
        "Trop d'essais. Attendez {count} minute avant de recommencer, ou demandez un lien par « Codes oubliés ? ».",
        "Trop d'essais. Attendez {count} minutes avant de recommencer, ou demandez un lien par « Codes oubliés ? ».",
        minutes,
    )


@routes.post("/deconnexion")
async def sign_out(request: web.Request) -> web.Response:
    """End the session on the server, then in the browser."""
    await checked_form(request)
    with contextlib.suppress(SignedOut):
        await request.app[SERVICES].sign_out(session_of(request))
    response = see("/connexion")
    forget_cookie(request, response, cookie_name(request.app[SETTINGS]))
    response.headers["Clear-Site-Data"] = '"cache"'
    return response
