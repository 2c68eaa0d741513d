"""« Aide »: the parents' guide, with pictures of the running product; and the statement of accessibility."""

from pathlib import Path

from aiohttp import web
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from markupsafe import Markup, escape

import gateway
from contracts.failures import Unavailable
from contracts.identity import Identity
from contracts.model import Language
from gateway.assets import asset_url
from gateway.clients.services import SignedOut, SignInUnfinished
from gateway.languages import N_, _, language
from gateway.pages.shared.rendering import render, signed_in
from gateway.settings import SETTINGS

GUIDE = Path(gateway.__file__).parent / "guide"

routes = web.RouteTableDef()


def _picture(self: RendererHTML, tokens: list[Token], index: int, options: OptionsDict, env: EnvType) -> str:
    """A picture of ``static/guide``, at the address that names its content."""
    name = f"guide/{env['folder']}{tokens[index].attrs['src']}"
    tokens[index].attrs.update(src=asset_url(name), loading="lazy")
    return self.image(tokens, index, options, env)


def _read(name: str, language: Language) -> str:
    """Our own text as HTML, its pictures those of its language."""
    is_french = language is Language.FR
    markdown = MarkdownIt("commonmark", {"html": False})
    markdown.add_render_rule("image", _picture)
    written = (GUIDE / f"{name}.{'md' if is_french else f'{language}.md'}").read_text(encoding="utf-8")
    text: str = markdown.render(written, {"folder": "" if is_french else f"{language}/"})
    return text


GUIDES = {each: _read("parents", each) for each in Language}
STATEMENTS = {each: _read("accessibility", each) for each in Language}


async def _somebody(request: web.Request) -> Identity | None:
    """Who is signed in, if anybody: help is for those too who cannot sign in."""
    try:
        return (await signed_in(request))[1]
    except (SignedOut, SignInUnfinished, Unavailable):
        return None


async def _show(request: web.Request, title: str, texts: dict[Language, str], **values: object) -> web.Response:
    person = await _somebody(request)  # from here on it is known which language is read
    text = Markup(texts[language()].format(**values) if values else texts[language()])  # noqa: S704 - ours
    return render(request, "shared/guide.html", person, title=_(title), text=text)


@routes.get("/aide")
async def guide(request: web.Request) -> web.Response:
    """The guide, by the portal's own chapters."""
    return await _show(request, N_("Aide"), GUIDES)


@routes.get("/accessibilite")
async def accessibility(request: web.Request) -> web.Response:
    """The statement that French law asks of a public site (decree 2019-768)."""
    settings = request.app[SETTINGS]
    about = {"town": escape(settings.town_name), "url": escape(settings.public_url)}
    return await _show(request, N_("Accessibilité"), STATEMENTS, **about)
