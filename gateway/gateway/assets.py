"""The files of ``static``: read once, named by their content, compressed once, kept by browsers for a year."""

import gzip
import hashlib
import mimetypes
import re
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from chassis.concurrency import separate_limit

STATIC = Path(__file__).parent / "static"
COMPRESSED = {".css", ".js", ".svg", ".txt"}
IMMUTABLE = "public, max-age=31536000, immutable"
"""For an address that names its content; any other is asked about each time."""


LINK = re.compile(r'url\("([^"]+)"\)')


@dataclass(frozen=True)
class Asset:
    """A file as it is sent."""

    body: bytes
    compressed: bytes | None
    content_type: str
    version: str


def _read(path: Path, known: dict[str, Asset]) -> Asset:
    body = path.read_bytes()
    if path.suffix == ".css":
        body = LINK.sub(lambda link: f'url("{link[1]}?v={known[link[1]].version}")', body.decode()).encode()
    compressed = gzip.compress(body, mtime=0) if path.suffix in COMPRESSED else None
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return Asset(body, compressed, kind, hashlib.sha256(body).hexdigest()[:12])


def _read_all() -> dict[str, Asset]:
    """Every file by its name; styles last, since they name other files."""
    found: dict[str, Asset] = {}
    for path in sorted(STATIC.rglob("*"), key=lambda path: (path.suffix == ".css", path)):
        if path.is_file():
            found[str(path.relative_to(STATIC))] = _read(path, found)
    return found


ASSETS = _read_all()
ICONS = re.findall(r'symbol id="([a-z-]+)"', ASSETS["icons.svg"].body.decode())
"""The names of the signs, as the sprite has them."""

routes = web.RouteTableDef()


def asset_url(name: str) -> str:
    """Where a file is, for as long as it is what it is now."""
    return f"/static/{name}?v={ASSETS[name].version}"


@routes.get("/static/{name:.+}")
@separate_limit("static")
async def serve(request: web.Request) -> web.Response:
    """A file, compressed for who can read that, or 304 for who has it."""
    asset = ASSETS.get(request.match_info["name"])
    if asset is None:
        raise web.HTTPNotFound
    is_named = request.query.get("v") == asset.version
    headers = {
        "ETag": f'"{asset.version}"',
        "Cache-Control": IMMUTABLE if is_named else "no-cache",
        "Content-Type": asset.content_type,
        "Vary": "Accept-Encoding",
    }
    if request.headers.get("If-None-Match") == headers["ETag"]:
        return web.Response(status=304, headers=headers)
    if asset.compressed and "gzip" in request.headers.get("Accept-Encoding", ""):
        return web.Response(body=asset.compressed, headers={**headers, "Content-Encoding": "gzip"})
    return web.Response(body=asset.body, headers=headers)
