"""Pages from templates, the session cookie, and the token that proves a form is ours."""

import hashlib
import hmac
import re
import secrets
from typing import Any
from uuid import uuid4

import jinja2
from aiohttp import web
from markdown_it import MarkdownIt
from markupsafe import Markup

from chassis.client_networks import client_network
from chassis.http import read_form
from contracts.failures import Conflict, Forbidden
from contracts.identity import Identity
from contracts.model import Language
from gateway import languages
from gateway.assets import asset_url
from gateway.clients.services import SERVICES, SignedOut
from gateway.forms.fields import Fields, SubmittedForm, read
from gateway.settings import SETTINGS, Settings
from gateway.town import BRANDING

NONCE_BYTES = 12
OF_ACCOUNT = "compte"
DEVICE = re.compile(r"[A-Za-z0-9_-]{32}")
DEVICE_SECONDS = 400 * 86_400
_MARKDOWN = MarkdownIt("commonmark", {"html": False, "linkify": False}).disable("image")


def markdown(text: str) -> Markup:
    """Markdown as HTML, with raw HTML and images left out."""
    return Markup(_MARKDOWN.render(text))  # noqa: S704 - the renderer escapes, html is off


def icon(name: str) -> Markup:
    """A sign of the sprite, beside the word that says the same."""
    address = f"{asset_url('icons.svg')}#{name}"
    return Markup('<svg class="icon icon-{}" aria-hidden="true"><use href="{}"/></svg>').format(name, address)


templates = jinja2.Environment(
    loader=jinja2.PackageLoader("gateway"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
templates.globals.update(asset=asset_url, icon=icon, _=languages.marked, ngettext=languages.marked_count)
templates.globals.update(language=languages.language, weekday=languages.weekday)
templates.filters.update(
    euros=languages.euros,
    quotient=languages.quotient,
    month=languages.month,
    long_day=languages.long_day,
    brief_day=languages.brief_day,
    short_day=languages.short_day,
    instant=languages.instant,
    deadline=languages.deadline,
    markdown=markdown,
)


def cookie_name(settings: Settings) -> str:
    """``__Host-`` binds the cookie to this host by HTTPS; a machine of one's own has no HTTPS."""
    return "__Host-preau" if settings.is_secure else "preau"


def session_cookie(request: web.Request) -> str:
    """The opaque session of the cookie; ``SignedOut`` without one."""
    session = request.cookies.get(cookie_name(request.app[SETTINGS]), "")
    if not session:
        raise SignedOut
    return session


async def signed_in(request: web.Request) -> tuple[str, Identity]:
    """The session and who it is; ``SignedOut`` when it is over. From here on the household's language is spoken,
    unless the person chose one.
    """
    session = session_cookie(request)
    token = await request.app[SERVICES].token(session, "planning")
    choose_language(request, token.locale)
    return session, token.identity


def language_cookie_name(settings: Settings) -> str:
    return f"{cookie_name(settings)}-langue"


def chosen_language(request: web.Request) -> tuple[Language | None, bool]:
    """What this browser keeps of a choice of language, and whether it is that of the account that signed in last."""
    said, _, whose = request.cookies.get(language_cookie_name(request.app[SETTINGS]), "").partition(".")
    return (Language(said) if said in set(Language) else None), whose == OF_ACCOUNT


def choose_language(request: web.Request, unchosen: Language) -> None:
    """Write in the reader's own choice, else as ``unchosen`` says; the town hall's pages are in French."""
    is_of_town_hall = request.path.startswith("/mairie")
    languages.use_language(Language.FR if is_of_town_hall else chosen_language(request)[0] or unchosen)


def client_address(request: web.Request) -> str:
    """Where the browser is: what the outermost of our own proxies saw."""
    proxies = request.app[SETTINGS].proxies_in_front
    seen = [each.strip() for each in ",".join(request.headers.getall("X-Forwarded-For", [])).split(",")]
    return seen[-proxies] if 0 < proxies <= len(seen) else request.remote or ""


def network_key(request: web.Request) -> str:
    """Whose a request is, where requests are counted by address."""
    return client_network(client_address(request))


class FormToken:
    """What every form carries: bound to the session, known to nobody else, and another each time it is written.

    So the size of a compressed page tells nothing of it (BREACH), and it is the form's key as well: however often one
    form is sent, what it makes is made once.
    """

    def __init__(self, request: web.Request) -> None:
        self._request = request

    def __html__(self) -> str:
        return _signed(self._request, secrets.token_hex(NONCE_BYTES))


def _signed(request: web.Request, nonce: str) -> str:
    session = request.cookies.get(cookie_name(request.app[SETTINGS]), "")
    secret = request.app[SETTINGS].csrf_secret.get_secret_value().encode()
    return nonce + hmac.new(secret, f"{nonce}{session}".encode(), hashlib.sha256).hexdigest()


class ForeignForm(Forbidden):
    """The form comes from a page of somebody else, or from none."""

    code = "foreign_form"


class FormOfAnotherSession(Conflict):
    """The page is of a session that another has taken the place of meanwhile, in another tab."""

    code = "form_of_another_session"


async def checked_form(request: web.Request, fields: Fields, *, needs_session: bool = True) -> SubmittedForm:
    """The form, if it comes from one of our pages, else ``ForeignForm``; read by its fields, else ``FormRefused``.

    Where the session has changed since the page was shown, nothing is done in the name of the one that is there now:
    ``SignedOut`` without any, else ``FormOfAnotherSession``. A form that ``needs_session`` no more than the sign-in's
    is good all the same when the browser says that it comes from a page of ours (``Origin``, which no page can set).
    """
    origin, ours = request.headers.get("Origin"), request.app[SETTINGS].public_url
    form = await read_form(request)
    given = str(form.get("form_token", ""))
    nonce = given[: 2 * NONCE_BYTES]
    if origin not in {None, ours}:
        raise ForeignForm("this form does not come from the portal")
    is_of_session = hmac.compare_digest(given.encode(), _signed(request, nonce).encode())
    if not is_of_session and (needs_session or origin != ours):
        if not _was_signed(given):
            raise ForeignForm("this form does not come from the portal")
        session_cookie(request)
        raise FormOfAnotherSession("the session has changed since the page was shown")
    request.app[SERVICES].use_form_key(nonce)
    return read(fields, form)


def _was_signed(given: str) -> bool:
    """Whether this looks like what our pages carry; of which session it was cannot be told any more."""
    return re.fullmatch(rf"[0-9a-f]{{{2 * NONCE_BYTES + 64}}}", given) is not None


def render(
    request: web.Request, template: str, person: Identity | None = None, *, status: int = 200, **values: Any
) -> web.Response:
    """A page; ``person`` is who is signed in."""
    common = {
        "town": request.app[SETTINGS].town_name,
        "face": request.app[BRANDING],
        "person": person,
        "form_token": FormToken(request),
        "new_key": lambda: uuid4().hex,
        "path": request.path,
        "here": return_address(request),
    }
    text = templates.get_template(template).render({**common, **values})
    headers = {"Cache-Control": "no-store", "Content-Language": languages.language()}
    response = web.Response(text=text, status=status, content_type="text/html", headers=headers)
    response.enable_compression()
    return response


def return_address(request: web.Request) -> str:
    """Where to come back to in another language: this page, or the one whose form it answers."""
    if request.method in {"GET", "HEAD"}:
        return request.path_qs
    sent_from = request.headers.get("Referer", "").removeprefix(request.app[SETTINGS].public_url)
    return sent_from if sent_from.startswith("/") else "/"


def set_session_cookie(request: web.Request, response: web.Response, session: str) -> web.Response:
    """Give the browser its session, in place of any other."""
    settings = request.app[SETTINGS]
    response.set_cookie(
        cookie_name(settings), session, httponly=True, secure=settings.is_secure, samesite="Lax", path="/"
    )
    return response


def delete_cookie(request: web.Request, response: web.Response, name: str) -> None:
    """Have the browser drop a cookie: it heeds that of a ``__Host-`` one only with the marks that it was given with."""
    is_secure = request.app[SETTINGS].is_secure
    response.del_cookie(name, path="/", secure=is_secure, httponly=True, samesite="Lax")


def device_id(request: web.Request) -> str:
    """What this browser is known by from one sign-in to the next; drawn when it has nothing yet."""
    kept = request.cookies.get(f"{cookie_name(request.app[SETTINGS])}-appareil", "")
    return kept if DEVICE.fullmatch(kept) else secrets.token_urlsafe(24)


def set_device_cookie(request: web.Request, response: web.Response, device: str) -> web.Response:
    """Let the browser be known again. It opens nothing: it only tells a new device from one seen before."""
    settings = request.app[SETTINGS]
    response.set_cookie(
        f"{cookie_name(settings)}-appareil",
        device,
        max_age=DEVICE_SECONDS,
        httponly=True,
        secure=settings.is_secure,
        samesite="Lax",
        path="/",
    )
    return response


def set_language_cookie(
    request: web.Request, response: web.Response, chosen: Language | None, *, of_account: bool
) -> None:
    """Let the browser remember what was chosen, by who is signed in or by whoever reads; or forget it."""
    settings = request.app[SETTINGS]
    name, is_secure = language_cookie_name(settings), settings.is_secure
    if chosen is None:
        delete_cookie(request, response, name)
        return
    value = f"{chosen}.{OF_ACCOUNT}" if of_account else chosen.value
    response.set_cookie(name, value, max_age=DEVICE_SECONDS, httponly=True, secure=is_secure, samesite="Lax", path="/")


def redirect(path: str) -> web.Response:
    """Send the browser to a page after a form."""
    return web.Response(status=303, headers={"Location": path, "Cache-Control": "no-store"})
