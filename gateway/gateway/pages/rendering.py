"""Pages from templates, the session cookie, and the token that proves a form is ours."""

import hashlib
import hmac
import re
import secrets
from datetime import date, datetime
from typing import Any
from uuid import uuid4

import jinja2
from aiohttp import web
from babel.dates import format_date
from babel.numbers import format_currency
from markdown_it import MarkdownIt
from markupsafe import Markup

from chassis.clock import PARIS
from contracts.failures import Forbidden
from contracts.identity import Identity
from gateway.assets import asset_url
from gateway.services import SERVICES, SignedOut
from gateway.settings import SETTINGS, Settings

NONCE_BYTES = 8
DEVICE = re.compile(r"[A-Za-z0-9_-]{32}")
DEVICE_SECONDS = 400 * 86_400
WEEKDAYS = ("Lu", "Ma", "Me", "Je", "Ve", "Sa", "Di")
_MARKDOWN = MarkdownIt("commonmark", {"html": False, "linkify": False}).disable("image")


def euros(cents: int) -> str:
    """Cents as people write euros."""
    whole, rest = divmod(abs(cents), 100)
    text: str = format_currency(whole, "EUR", "#,##0", locale="fr_FR", currency_digits=False)
    return f"{'−' if cents < 0 else ''}{text},{rest:02d}\u00a0€"


def quotient(cents: int) -> str:
    """A family quotient as people write it: « 845 », « 845,50 »."""
    return euros(cents).removesuffix("\u00a0€").removesuffix(",00")


def month(value: date) -> str:
    return format_date(value, "LLLL y", locale="fr_FR")


def long_day(value: date) -> str:
    return format_date(value, "EEEE d MMMM", locale="fr_FR")


def brief_day(value: date) -> str:
    """A day among those of its month: « lun. 7 »."""
    return format_date(value, "EEE d", locale="fr_FR").replace(" ", "\u00a0")


def short_day(value: date) -> str:
    """A day as in « mes dernières modifications »: « Je 24-12-2015 »."""
    return f"{WEEKDAYS[value.weekday()]} {value:%d-%m-%Y}"


def instant(value: datetime) -> str:
    at = value.astimezone(PARIS)
    return f"{short_day(at.date())} à {at:%H:%M}"


def deadline(value: datetime, month: date | None = None) -> str:
    """A deadline, as short as it can be said: « jeu. 3 à 12 h » on the page of its month, else « jeu. 3/12 à 12 h »."""
    at = value.astimezone(PARIS)
    is_of_month = month is not None and (at.year, at.month) == (month.year, month.month)
    minutes = f"\u00a0{at:%M}" if at.minute else ""
    day = format_date(at, "EEE d" if is_of_month else "EEE d/MM", locale="fr_FR").replace(" ", "\u00a0")
    return f"{day} à\u00a0{at.hour}\u00a0h{minutes}"


def markdown(text: str) -> Markup:
    """Markdown as HTML, with raw HTML and images left out."""
    return Markup(_MARKDOWN.render(text))  # noqa: S704 - the renderer escapes, html is off


templates = jinja2.Environment(
    loader=jinja2.PackageLoader("gateway"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
templates.globals["asset"] = asset_url
templates.filters.update(
    euros=euros,
    quotient=quotient,
    month=month,
    long_day=long_day,
    brief_day=brief_day,
    short_day=short_day,
    instant=instant,
    deadline=deadline,
    markdown=markdown,
)


def cookie_name(settings: Settings) -> str:
    """``__Host-`` binds the cookie to this host by HTTPS; a machine of one's own has no HTTPS."""
    return "__Host-preau" if settings.is_secure else "preau"


def session_of(request: web.Request) -> str:
    """The opaque session of the cookie; ``SignedOut`` without one."""
    session = request.cookies.get(cookie_name(request.app[SETTINGS]), "")
    if not session:
        raise SignedOut
    return session


async def signed_in(request: web.Request) -> tuple[str, Identity]:
    """The session and who it is; ``SignedOut`` when it is over."""
    session = session_of(request)
    return session, await request.app[SERVICES].who(session)


def client_address(request: web.Request) -> str:
    """Where the browser is: what the outermost of our own proxies saw."""
    proxies = request.app[SETTINGS].proxies_in_front
    seen = [each.strip() for each in ",".join(request.headers.getall("X-Forwarded-For", [])).split(",")]
    return seen[-proxies] if 0 < proxies <= len(seen) else request.remote or ""


def form_token(request: web.Request) -> str:
    """What every form carries: bound to the session, known to nobody else.

    It is another on every page, so that the size of a compressed page tells nothing of it (BREACH).
    """
    return _signed(request, secrets.token_hex(NONCE_BYTES))


def _signed(request: web.Request, nonce: str) -> str:
    session = request.cookies.get(cookie_name(request.app[SETTINGS]), "")
    secret = request.app[SETTINGS].csrf_secret.get_secret_value().encode()
    return nonce + hmac.new(secret, f"{nonce}{session}".encode(), hashlib.sha256).hexdigest()


async def checked_form(request: web.Request) -> Any:
    """The form, if it comes from one of our pages; else ``Forbidden``."""
    origin = request.headers.get("Origin")
    form = await request.post()
    given = form.get("form_token", "")
    nonce = given[: 2 * NONCE_BYTES] if isinstance(given, str) else ""
    is_ours = isinstance(given, str) and hmac.compare_digest(given.encode(), _signed(request, nonce).encode())
    if not is_ours or (origin not in {None, request.app[SETTINGS].public_url}):
        raise Forbidden("this form does not come from the portal")
    return form


def page(
    request: web.Request, template: str, person: Identity | None = None, *, status: int = 200, **values: Any
) -> web.Response:
    """A page; ``person`` is who is signed in."""
    common = {
        "town": request.app[SETTINGS].town_name,
        "person": person,
        "form_token": form_token(request),
        "new_key": lambda: uuid4().hex,
        "path": request.path,
    }
    text = templates.get_template(template).render({**common, **values})
    response = web.Response(text=text, status=status, content_type="text/html", headers={"Cache-Control": "no-store"})
    response.enable_compression()
    return response


def keep_session(request: web.Request, response: web.Response, session: str) -> web.Response:
    """Give the browser its session, in place of any other."""
    settings = request.app[SETTINGS]
    response.set_cookie(
        cookie_name(settings), session, httponly=True, secure=settings.is_secure, samesite="Lax", path="/"
    )
    return response


def device_of(request: web.Request) -> str:
    """What this browser is known by from one sign-in to the next; drawn when it has nothing yet."""
    kept = request.cookies.get(f"{cookie_name(request.app[SETTINGS])}-appareil", "")
    return kept if DEVICE.fullmatch(kept) else secrets.token_urlsafe(24)


def keep_device(request: web.Request, response: web.Response, device: str) -> web.Response:
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


def see(path: str) -> web.Response:
    """Send the browser to a page after a form."""
    return web.Response(status=303, headers={"Location": path, "Cache-Control": "no-store"})
