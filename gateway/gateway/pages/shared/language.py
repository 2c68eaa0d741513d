"""In which language a page is: the reader's choice, else the household's, else the browser's, else French."""

from aiohttp import web
from aiohttp.typedefs import Handler

from contracts.api.auth import SessionStage, SignedIn
from contracts.api.notifier import Preferences, PreferencesView
from contracts.failures import Unavailable
from contracts.model import Language
from gateway.clients.services import SERVICES, SignedOut, SignInUnfinished, UpstreamError, or_none
from gateway.forms.fields import PATH_MAX, choice, hidden
from gateway.languages import N_
from gateway.pages.shared.rendering import (
    checked_form,
    choose_language,
    chosen_language,
    cookie_name,
    redirect,
    session_cookie,
    set_language_cookie,
)
from gateway.pages.shared.return_path import local_path
from gateway.settings import SETTINGS

CHOICE = {
    "langue": choice(N_("Langue"), *Language, always=True),
    "retour": hidden("retour", length_max=PATH_MAX),
}

routes = web.RouteTableDef()


def preferred(accepted: str) -> Language:
    """The first of our languages that an ``Accept-Language`` (RFC 9110, 12.5.4) names, by its weights; else French."""
    found: list[tuple[float, Language]] = []
    for each in accepted.lower().split(","):
        tag, _, weight = each.partition(";q=")
        language = tag.strip().partition("-")[0]
        try:
            share = float(weight or 1)
        except ValueError:
            continue
        if language in set(Language) and share > 0:
            found.append((share, Language(language)))
    return max(found, key=lambda each: each[0])[1] if found else Language.FR


@web.middleware
async def in_language(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Speak to whoever asks; once it is known who that is, ``signed_in`` knows better.

    Whose token is still at hand is known already: so is the language of a page that is not found.
    """
    session = request.cookies.get(cookie_name(request.app[SETTINGS]), "")
    known = request.app[SERVICES].kept(session, "planning")
    choose_language(request, known.locale if known else preferred(request.headers.get("Accept-Language", "")))
    return await handler(request)


@routes.post("/langue")
async def choose(request: web.Request) -> web.Response:
    """« English », « Français » in the foot of every page: remembered here, and for the account of who is signed in."""
    form = await checked_form(request, CHOICE, needs_session=False)
    chosen = Language(form["langue"])
    response = redirect(local_path(form.get("retour")))
    set_language_cookie(request, response, chosen, of_account=await _saved(request, chosen))
    return response


async def _saved(request: web.Request, chosen: Language) -> bool:
    """Save the choice with the account's preferences; False for a visitor, for staff, or while the notifier is away."""
    services = request.app[SERVICES]
    try:
        session = session_cookie(request)
        if (await services.token(session, "notifier")).identity.household_id is None:
            return False
        now_wanted = await _preferences(request, session)
        kept = now_wanted.model_dump(include=set(Preferences.model_fields))
        body = Preferences(**{**kept, "language": chosen})
        await services.call(session, "notifier", "/preferences", PreferencesView, method="PUT", body=body)
    except (SignedOut, SignInUnfinished, Unavailable, UpstreamError):
        return False
    return True


async def _preferences(request: web.Request, session: str) -> PreferencesView:
    return await request.app[SERVICES].call(session, "notifier", "/preferences", PreferencesView)


async def in_language_of(request: web.Request, response: web.Response, opened: SignedIn) -> web.Response:
    """Bring the account's choice to the browser that it signs in from; that of another account does not stay."""
    if opened.stage is not SessionStage.OPEN:
        return response
    if opened.identity.household_id is None:
        wanted = None
    elif (preferences := await or_none(_preferences(request, opened.session))) is None:
        return response  # the notifier is away: the browser's memory is the best there is
    else:
        wanted = preferences.language
    if wanted:
        set_language_cookie(request, response, wanted, of_account=True)
    elif chosen_language(request)[1]:
        set_language_cookie(request, response, None, of_account=False)
    return response
