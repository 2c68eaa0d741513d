"""From the letter's codes to a secret of one's own, and back in when the codes are forgotten."""

from http import HTTPStatus

from aiohttp import web
from pydantic import SecretStr, ValidationError

from contracts.api.auth import (
    Email,
    EmailConfirmation,
    FirstEmailRequest,
    FirstSecretRequest,
    OneTimeCodeRequest,
    ResetRequest,
    ResetUse,
    SessionKey,
    SessionStage,
    SessionState,
    SignedIn,
)
from gateway.clients.services import SERVICES, SignedOut, UpstreamError
from gateway.forms.fields import EMAIL_MAX, PATH_MAX, hidden, line, secret
from gateway.languages import N_, _
from gateway.pages.shared.language import in_language_of
from gateway.pages.shared.rendering import (
    checked_form,
    choose_language,
    client_address,
    device_id,
    redirect,
    render,
    session_cookie,
    set_session_cookie,
)
from gateway.pages.shared.return_path import local_path
from gateway.pages.shared.sign_in import locked

REFUSED = {
    "too_short": N_("Ce code secret est trop court : il en faut 10 caractères au moins."),
    "common": N_("Ce code secret est trop facile à deviner. Choisissez-en un autre, par exemple trois mots."),
    "personal": N_(
        "Ce code secret reprend votre nom, votre adresse, votre identifiant ou le nom de la ville. "
        "Choisissez-en un autre."
    ),
}
EMAIL_WRONG = N_("Cette adresse email n'est pas complète. Elle ressemble à prenom.nom@exemple.fr.")
CODE_WRONG = N_("Code incorrect ou déjà utilisé. Attendez le code suivant sur votre téléphone.")
SENT_OFTEN = N_("Plusieurs messages ont déjà été envoyés. Regardez aussi dans vos courriers indésirables.")
ASKED_OFTEN = N_(
    "Trop de demandes ont été envoyées depuis votre connexion. Attendez quelques minutes, puis recommencez."
)
LINK_OVER = N_("Ce lien a déjà été utilisé ou a expiré. Demandez-en un autre.")

EMAIL = {"email": line(N_("Adresse email"), length_max=EMAIL_MAX)}
CHOICE = {**EMAIL, "secret": secret(N_("Nouveau code secret")), "username": hidden("username")}
CODE = {"code": line(N_("Code"), length_max=40), "vers": hidden("vers", length_max=PATH_MAX)}
TOKEN = {"token": hidden("token")}
NEW_SECRET = {**TOKEN, "secret": secret(N_("Nouveau code secret"))}

routes = web.RouteTableDef()


def sentence(error: UpstreamError) -> str:
    """What was refused, in words; what nobody could type is shown as a problem."""
    if error.upstream_code == "secret_refused":
        reason = REFUSED[error.facts["reason"]]
        return _(reason)
    if error.upstream_code == "sign_in_locked":
        return locked(error)
    known = {
        "email_wrong": EMAIL_WRONG,
        "wrong_one_time_code": CODE_WRONG,
        "too_many": SENT_OFTEN,
        "wrong_secret": N_("Ce n'est pas votre code secret actuel."),
        "invalid": N_("Le formulaire est incomplet."),
    }
    if error.upstream_code not in known:
        raise error
    return _(known[error.upstream_code])


async def _state(request: web.Request) -> tuple[str, SessionState]:
    session = session_cookie(request)
    try:
        body = SessionKey(session=session)
        state = await request.app[SERVICES].open("/sessions/state", body, SessionState)
    except ValidationError as error:
        raise SignedOut from error
    except UpstreamError as error:
        if error.status != HTTPStatus.UNAUTHORIZED:
            raise
        raise SignedOut from error
    choose_language(request, state.locale)
    return session, state


async def _show(
    request: web.Request, state: SessionState, *, wrong: str = "", email: str = "", sent: bool = False, back: str = ""
) -> web.Response:
    template = {
        SessionStage.CHOOSE_SECRET: "shared/first_secret.html",
        SessionStage.CONFIRM_EMAIL: "shared/confirm_email.html",
        SessionStage.ONE_TIME_CODE: "shared/one_time_code.html",
    }[state.stage]
    return render(
        request,
        template,
        status=422 if wrong else 200,
        state=state,
        wrong=wrong,
        email=email or state.email or "",
        sent=sent,
        correcting="corriger" in request.query or bool(wrong),
        may_leave=True,
        back=local_path(back),
    )


@routes.get("/premiere-connexion")
async def first_sign_in(request: web.Request) -> web.Response:
    """Whatever the session still wants; the portal when it wants nothing."""
    _session, state = await _state(request)
    if state.stage is SessionStage.OPEN:
        return redirect("/")
    return await _show(request, state, sent="envoye" in request.query, back=request.query.get("vers", ""))


@routes.post("/premiere-connexion")
async def choose_secret(request: web.Request) -> web.Response:
    form = await checked_form(request, CHOICE)
    session, state = await _state(request)
    if state.stage is not SessionStage.CHOOSE_SECRET:
        return redirect("/premiere-connexion")
    email = form.get("email")
    secret = SecretStr(form.get("secret"))
    try:
        body = FirstSecretRequest(session=session, secret=secret, email=email)
        opened = await request.app[SERVICES].open("/sessions/first-secret", body, SignedIn)
    except UpstreamError as error:
        return await _show(request, state, wrong=sentence(error), email=email)
    return set_session_cookie(request, redirect("/premiere-connexion"), opened.session)


@routes.post("/premiere-connexion/email")
async def send_again(request: web.Request) -> web.Response:
    form = await checked_form(request, EMAIL)
    session, state = await _state(request)
    if state.stage is not SessionStage.CONFIRM_EMAIL:
        return redirect("/premiere-connexion")
    email = form.get("email")
    try:
        await request.app[SERVICES].open("/sessions/email", FirstEmailRequest(session=session, email=email), Email)
    except UpstreamError as error:
        return await _show(request, state, wrong=sentence(error), email=email)
    return redirect("/premiere-connexion?envoye=1")


@routes.post("/premiere-connexion/code")
async def give_code(request: web.Request) -> web.Response:
    form = await checked_form(request, CODE)
    session, state = await _state(request)
    if state.stage is not SessionStage.ONE_TIME_CODE:
        return redirect("/premiere-connexion")
    code, back = SecretStr(form.get("code")), form.get("vers")
    body = OneTimeCodeRequest(session=session, code=code, client_address=client_address(request)[:64])
    try:
        opened = await request.app[SERVICES].open("/sessions/one-time-code", body, SignedIn)
    except UpstreamError as error:
        return await _show(request, state, wrong=sentence(error), back=back)
    return await in_language_of(
        request, set_session_cookie(request, redirect(local_path(back)), opened.session), opened
    )


@routes.get("/email/confirmation")
async def confirmation(request: web.Request) -> web.Response:
    """A button: a mail server that opens every link must not use this one up."""
    return render(request, "shared/email_link.html", token=request.query.get("jeton", ""), email="", wrong="")


@routes.post("/email/confirmation")
async def confirm(request: web.Request) -> web.Response:
    form = await checked_form(request, TOKEN, needs_session=False)
    try:
        body = EmailConfirmation(token=form.get("token"))
        done = await request.app[SERVICES].open("/emails/confirmed", body, Email)
    except (ValidationError, UpstreamError) as refusal:
        if isinstance(refusal, UpstreamError) and refusal.upstream_code != "link_over":
            raise
        return render(request, "shared/email_link.html", status=409, token="", email="", wrong=_(LINK_OVER))
    return render(request, "shared/email_link.html", token="", email=done.email, wrong="")


@routes.get("/codes-oublies")
async def forgotten(request: web.Request) -> web.Response:
    return render(request, "shared/forgotten.html", sent=False, wrong="", email="")


@routes.post("/codes-oublies")
async def ask_link(request: web.Request) -> web.Response:
    """Always the same answer, whoever has the address."""
    form = await checked_form(request, EMAIL, needs_session=False)
    email = form.get("email")
    if "@" not in email:
        return render(request, "shared/forgotten.html", status=422, sent=False, wrong=_(EMAIL_WRONG), email=email)
    body = ResetRequest(email=email, client_address=client_address(request)[:64])
    try:
        headers = {"X-Device": device_id(request)}
        await request.app[SERVICES].raw("auth", "POST", "/resets", headers=headers, json=body.model_dump())
    except UpstreamError as error:
        if error.upstream_code != "too_many":
            raise
        wrong = _(ASKED_OFTEN)
        return render(request, "shared/forgotten.html", status=error.status, sent=False, wrong=wrong, email=email)
    return render(request, "shared/forgotten.html", sent=True, wrong="", email=email)


@routes.get("/codes-oublies/nouveau")
async def new_secret(request: web.Request) -> web.Response:
    return render(request, "shared/new_secret.html", token=request.query.get("jeton", ""), wrong="", over=False)


@routes.post("/codes-oublies/nouveau")
async def save_new_secret(request: web.Request) -> web.Response:
    form = await checked_form(request, NEW_SECRET, needs_session=False)
    token = form.get("token")
    body = {"token": token, "secret": form.get("secret")}
    try:
        ResetUse.model_validate(body)
        await request.app[SERVICES].raw("auth", "POST", "/resets/used", json=body)
    except ValidationError:
        return render(request, "shared/new_secret.html", status=409, token="", wrong=_(LINK_OVER), over=True)
    except UpstreamError as error:
        over = error.upstream_code == "link_over"
        wrong = _(LINK_OVER) if over else sentence(error)
        return render(request, "shared/new_secret.html", status=error.status, token=token, wrong=wrong, over=over)
    return redirect("/connexion?nouveau=1")
