"""Every mail as it looks, for who works on it; closed unless the settings name the examples."""

import asyncio
from pathlib import Path

from aiohttp import web

from chassis.http import public
from contracts.failures import NotFound
from contracts.model import Language
from notifier.channels import letters
from notifier.channels.examples import event_of, mail_of
from notifier.domain.mails import Kind
from notifier.settings import SETTINGS

LINE = (
    '<li>{kind}: <a href="/previews/{kind}/{language}">{language}</a>, '
    '<a href="/previews/{kind}/{language}.txt">text</a></li>'
)
PAGE = '<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width"><ul>{}</ul>'

routes = web.RouteTableDef()


def _examples(request: web.Request) -> Path:
    folder = request.app[SETTINGS].mail_examples
    if folder is None:
        raise NotFound("no such thing here")
    return folder


@routes.get("/previews")
@public
async def get_previews(request: web.Request) -> web.Response:
    """The list of them."""
    _examples(request)
    lines = "".join(LINE.format(kind=kind, language=language) for kind in Kind for language in Language)
    return web.Response(text=PAGE.format(lines), content_type="text/html")


@routes.get(r"/previews/{kind}/{language:\w\w}{text:(\.txt)?}")
@public
async def get_preview(request: web.Request) -> web.Response:
    """One of them, as HTML or as its plain text."""
    folder = _examples(request)
    try:
        kind, language = Kind(request.match_info["kind"]), Language(request.match_info["language"])
    except ValueError:
        raise NotFound("no such mail") from None
    settings = request.app[SETTINGS]
    event = await asyncio.to_thread(event_of, kind, folder, settings)
    message = await asyncio.to_thread(letters.write, mail_of(kind, language, event), settings)
    form = "plain" if request.match_info["text"] else "html"
    body = message.get_body((form,))
    assert body is not None, "a mail has both forms"
    return web.Response(text=body.get_content(), content_type=f"text/{form}")
