"""« Aide »: the parents' guide, with pictures of the running product; and the statement of accessibility."""

from pathlib import Path

from aiohttp import web
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from markupsafe import Markup, escape

from contracts.failures import Unavailable
from contracts.identity import Identity
from gateway.assets import asset_url
from gateway.languages import N_, _
from gateway.pages.rendering import page, signed_in
from gateway.services import SignedOut, SignInUnfinished
from gateway.settings import SETTINGS

GUIDE = Path(__file__).parent.parent / "guide"

routes = web.RouteTableDef()


def _picture(self: RendererHTML, tokens: list[Token], index: int, options: OptionsDict, env: EnvType) -> str:
    """A picture of ``static/guide``, at the address that names its content."""
    name = f"guide/{tokens[index].attrs['src']}"
    tokens[index].attrs.update(src=asset_url(name), loading="lazy")
    return self.image(tokens, index, options, env)


def _read(name: str) -> str:
    """Our own text as HTML."""
    markdown = MarkdownIt("commonmark", {"html": False})
    markdown.add_render_rule("image", _picture)
    text: str = markdown.render((GUIDE / name).read_text(encoding="utf-8"))
    return text


GUIDE_HTML, STATEMENT_HTML = _read("parents.md"), _read("accessibility.md")


async def _somebody(request: web.Request) -> Identity | None:
    """Who is signed in, if anybody: help is for those too who cannot sign in."""
    try:
        return (await signed_in(request))[1]
    except (SignedOut, SignInUnfinished, Unavailable):
        return None


async def _show(request: web.Request, title: str, text: str) -> web.Response:
    return page(request, "guide.html", await _somebody(request), title=_(title), text=Markup(text))  # noqa: S704 - ours


@routes.get("/aide")
async def guide(request: web.Request) -> web.Response:
    """The guide, by the portal's own chapters."""
    return await _show(request, N_("Aide"), GUIDE_HTML)


@routes.get("/accessibilite")
async def accessibility(request: web.Request) -> web.Response:
    """The statement that French law asks of a public site (decree 2019-768)."""
    settings = request.app[SETTINGS]
    text = STATEMENT_HTML.format(town=escape(settings.town_name), url=escape(settings.public_url))
    return await _show(request, N_("Accessibilité"), text)
