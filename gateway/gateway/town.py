"""The town's own face on every page: its crest and its colour, from the settings, kept by browsers as any asset."""

import hashlib
from dataclasses import dataclass

from aiohttp import web

from chassis.concurrency import separate_limit
from gateway.assets import IMMUTABLE
from gateway.settings import CREST_KINDS, Settings


@dataclass(frozen=True)
class Branding:
    """What is served of the town: a style with its colour, and its crest if it gave one; each named by its content."""

    style: bytes
    crest: bytes | None
    crest_kind: str

    @property
    def style_url(self) -> str:
        return f"/town.css?v={_version(self.style)}"

    @property
    def crest_url(self) -> str | None:
        return f"/crest?v={_version(self.crest)}" if self.crest else None


def _version(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]


def load_branding(settings: Settings) -> Branding:
    """Read at start."""
    style, path = f":root {{ --town: {settings.town_colour}; }}\n".encode(), settings.town_crest
    return Branding(style, path.read_bytes(), CREST_KINDS[path.suffix.lower()]) if path else Branding(style, None, "")


BRANDING = web.AppKey("face", Branding)

routes = web.RouteTableDef()


def _kept(request: web.Request, content: bytes, kind: str) -> web.Response:
    is_named = request.query.get("v") == _version(content)
    headers = {"Cache-Control": IMMUTABLE if is_named else "no-cache", "ETag": f'"{_version(content)}"'}
    if request.headers.get("If-None-Match") == headers["ETag"]:
        return web.Response(status=304, headers=headers)
    return web.Response(body=content, content_type=kind, headers=headers)


@routes.get("/town.css")
@separate_limit("static")
async def style(request: web.Request) -> web.Response:
    """The town's colour, as a style."""
    return _kept(request, request.app[BRANDING].style, "text/css")


@routes.get("/crest")
@separate_limit("static")
async def crest(request: web.Request) -> web.Response:
    """The town's crest; an SVG's scripts, if it had any, are nothing under our content security policy."""
    face = request.app[BRANDING]
    if face.crest is None:
        raise web.HTTPNotFound
    return _kept(request, face.crest, face.crest_kind)
