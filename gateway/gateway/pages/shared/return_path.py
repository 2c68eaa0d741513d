"""Where somebody goes on after signing in (again)."""

from urllib.parse import quote

from aiohttp import web

from chassis.http import read_form
from gateway.forms.month import changed, query
from gateway.pages.shared.rendering import return_address

FILES = ("/pdf", "/ticket", "/donnees", "/flux", ".csv")
"""Ends of paths that lead to no page to go on from."""


def local_path(text: str) -> str:
    """A path of this portal; the first page for anything else."""
    is_ours = text.startswith("/") and not text.startswith(("//", "/\\")) and text.isprintable()
    return text if is_ours else "/"


async def requested_path(request: web.Request) -> str:
    """The page that was asked for; that of the form that was sent, and the days ticked on it are still ticked."""
    if request.method in {"GET", "HEAD"}:
        return "/" if request.path.endswith(FILES) else request.path_qs
    form = await read_form(request)
    return request.path + query(changed(form)) if "shown" in form else return_address(request)


async def with_return_path(page: str, request: web.Request) -> str:
    """The address of a page that leads on to what was asked for."""
    path = await requested_path(request)
    return page if path == "/" else f"{page}{'&' if '?' in page else '?'}vers={quote(path, safe='/')}"
