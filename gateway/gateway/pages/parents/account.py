"""P11 « Mon compte »: one's address, secret, open sessions, one-time codes, and all one's data."""

import segno
from aiohttp import web
from pydantic import SecretStr

from contracts.api.auth import (
    AccountView,
    CurrentSecret,
    Email,
    EmailChange,
    OneTimeCode,
    OneTimeCodeKey,
    RecoveryCodes,
    SecretChange,
    SignedIn,
)
from contracts.api.feeds import FeedView
from contracts.failures import Forbidden
from contracts.identity import Identity, Role
from contracts.user_agents import browser_and_system
from gateway.clients.services import SERVICES, UpstreamError, or_none
from gateway.forms.fields import EMAIL_MAX, SubmittedForm, hidden, id_field, line, secret
from gateway.languages import N_, _
from gateway.pages.shared.first_sign_in import sentence
from gateway.pages.shared.rendering import checked_form, redirect, render, set_session_cookie, signed_in

DONE = {
    "secret": N_("Votre code secret est changé. Toutes vos autres sessions sont fermées."),
    "email": N_(
        "Un message a été envoyé à votre nouvelle adresse. Ouvrez-le pour la confirmer ; d'ici là, l'ancienne sert."
    ),
    "session": N_("La session est fermée."),
    "sessions": N_("Toutes vos autres sessions sont fermées."),
    "calendrier": N_("L'adresse de votre calendrier est supprimée."),
    "codes": N_("Les codes à usage unique ne sont plus demandés."),
}
routes = web.RouteTableDef()


def device(user_agent: str) -> str:
    """« Firefox sur Android », as far as the browser says it."""
    browser, system = browser_and_system(user_agent)
    browser = browser or _("Navigateur inconnu")
    return _("{browser} sur {system}", browser=browser, system=system) if system else browser


async def _show(
    request: web.Request, session: str, person: Identity, *, part: str = "", wrong: str = "", email: str = ""
) -> web.Response:
    """The page; ``insert_statement`` names the form that was refused with ``wrong``."""
    view = await request.app[SERVICES].call(session, "auth", "/account", AccountView)
    done = "" if wrong else DONE.get(request.query.get("fait", ""), "")
    devices = {each.session_id: device(each.user_agent) for each in view.sessions}
    feed = None
    if person.household_id:
        feed = await or_none(request.app[SERVICES].call(session, "planning", "/feed", FeedView))
    values = {
        "feed": feed,
        "view": view,
        "devices": devices,
        "done": _(done) if done else "",
        "part": part,
        "wrong": wrong,
        "email": email,
    }
    return render(request, "parents/my_account.html", person, status=422 if wrong else 200, **values)


CURRENT = {"current": secret(N_("Votre code secret actuel"))}
NEW_SECRET = {**CURRENT, "secret": secret(N_("Nouveau code secret"))}
NEW_EMAIL = {**CURRENT, "email": line(N_("Adresse email"), length_max=EMAIL_MAX)}
A_SESSION = {"session_id": id_field(N_("Session"))}
FIRST_CODE = {
    "code": line(N_("Code"), length_max=40),
    "telephone_key": hidden("telephone_key", length_max=64),
    "telephone_uri": hidden("telephone_uri"),
}


def _typed(form: SubmittedForm, name: str) -> SecretStr:
    return SecretStr(form.get(name))


@routes.get("/compte")
async def account(request: web.Request) -> web.Response:
    session, person = await signed_in(request)
    return await _show(request, session, person)


@routes.post("/compte/code-secret")
async def change_secret(request: web.Request) -> web.Response:
    form = await checked_form(request, NEW_SECRET)
    session, person = await signed_in(request)
    body = SecretChange(current=_typed(form, "current"), secret=_typed(form, "secret"))
    try:
        services = request.app[SERVICES]
        opened = await services.call(session, "auth", "/account/secret", SignedIn, method="PUT", body=body)
    except UpstreamError as error:
        return await _show(request, session, person, part="secret", wrong=sentence(error))
    return set_session_cookie(request, redirect("/compte?fait=secret"), opened.session)


@routes.post("/compte/email")
async def change_email(request: web.Request) -> web.Response:
    form = await checked_form(request, NEW_EMAIL)
    session, person = await signed_in(request)
    email = form.get("email")
    body = EmailChange(current=_typed(form, "current"), email=email)
    try:
        await request.app[SERVICES].call(session, "auth", "/account/email", Email, method="PUT", body=body)
    except UpstreamError as error:
        return await _show(request, session, person, part="email", wrong=sentence(error), email=email)
    return redirect("/compte?fait=email")


@routes.post("/compte/sessions")
async def close_sessions(request: web.Request) -> web.Response:
    """Close the session that the form names, or all the others."""
    form = await checked_form(request, A_SESSION)
    session, _person = await signed_in(request)
    named = form.get("session_id")
    path = f"/account/sessions/{named}" if named else "/account/sessions"
    await request.app[SERVICES].call_no_content(session, "auth", path, method="DELETE")
    return redirect(f"/compte?fait={'session' if named else 'sessions'}")


@routes.post("/compte/codes-uniques")
async def begin_codes(request: web.Request) -> web.Response:
    """The key for the telephone, as a picture and as text."""
    form = await checked_form(request, CURRENT)
    session, person = await signed_in(request)
    body = CurrentSecret(current=_typed(form, "current"))
    try:
        services = request.app[SERVICES]
        key = await services.call(session, "auth", "/account/one-time-codes", OneTimeCodeKey, method="POST", body=body)
    except UpstreamError as error:
        return await _show(request, session, person, part="codes", wrong=sentence(error))
    return _telephone(request, person, key)


def _telephone(request: web.Request, person: Identity, key: OneTimeCodeKey, wrong: str = "") -> web.Response:
    picture = segno.make(key.uri, error="m").svg_data_uri(scale=5, border=2)
    status = 422 if wrong else 200
    return render(
        request, "parents/telephone.html", person, status=status, key=key, picture=picture, wrong=wrong, codes=()
    )


@routes.post("/compte/codes-uniques/premier")
async def confirm_codes(request: web.Request) -> web.Response:
    """The telephone's first code; the recovery codes are shown once."""
    form = await checked_form(request, FIRST_CODE)
    session, person = await signed_in(request)
    body = OneTimeCode(code=_typed(form, "code"))
    try:
        services = request.app[SERVICES]
        made = await services.call(session, "auth", "/account/one-time-codes", RecoveryCodes, method="PUT", body=body)
    except UpstreamError as error:
        key = OneTimeCodeKey(key=form.get("telephone_key"), uri=form.get("telephone_uri"))
        return _telephone(request, person, key, wrong=sentence(error))
    return render(request, "parents/telephone.html", person, key=None, picture="", wrong="", codes=made.codes)


@routes.post("/compte/codes-uniques/fin")
async def end_codes(request: web.Request) -> web.Response:
    form = await checked_form(request, CURRENT)
    session, person = await signed_in(request)
    try:
        body = CurrentSecret(current=_typed(form, "current"))
        await request.app[SERVICES].call_no_content(session, "auth", "/account/one-time-codes/end", body=body)
    except UpstreamError as error:
        return await _show(request, session, person, part="codes", wrong=sentence(error))
    return redirect("/compte?fait=codes")


@routes.get("/compte/donnees")
async def data(request: web.Request) -> web.Response:
    """All that auth keeps on the household, as a file."""
    session, person = await signed_in(request)
    if person.household_id is None:
        raise Forbidden("only families have data of their own", roles=[Role.PARENT])
    path = f"/households/{person.household_id}/export"
    _disposition, raw = await request.app[SERVICES].file(session, "auth", path)
    headers = {"Content-Disposition": 'attachment; filename="mes-donnees.json"', "Cache-Control": "no-store"}
    return web.Response(body=raw, content_type="application/json", headers=headers)
