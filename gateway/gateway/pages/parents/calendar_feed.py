"""The children's booked days in the calendar of a telephone: an address of one's own, and what it answers."""

import hashlib
from uuid import UUID

from aiohttp import web

from contracts.api.feeds import FeedKey
from contracts.failures import NotFound
from gateway.clients.services import SERVICES
from gateway.forms.fields import NO_FIELDS
from gateway.pages.shared.rendering import checked_form, redirect, render, signed_in
from gateway.settings import SETTINGS

KEPT_SECONDS = 900

routes = web.RouteTableDef()


@routes.post("/compte/calendrier")
async def make(request: web.Request) -> web.Response:
    """A new address, shown once."""
    await checked_form(request, NO_FIELDS)
    session, person = await signed_in(request)
    made = await request.app[SERVICES].call(session, "planning", "/feed", FeedKey, method="PUT")
    address = f"{request.app[SETTINGS].public_url}/calendrier/{made.key}"
    return render(request, "parents/calendar_feed.html", person, address=address, children=made.children)


@routes.post("/compte/calendrier/fin")
async def revoke(request: web.Request) -> web.Response:
    await checked_form(request, NO_FIELDS)
    session, _ = await signed_in(request)
    await request.app[SERVICES].call_no_content(session, "planning", "/feed", method="DELETE")
    return redirect("/compte?fait=calendrier")


@routes.get("/calendrier/{key}.ics")
@routes.get("/calendrier/{key}/{child_id}.ics")
async def read(request: web.Request) -> web.Response:
    """The calendar, for any program that has its address; nothing when it has not changed."""
    key, child = request.match_info["key"], request.match_info.get("child_id")
    try:
        body = {"key": key, "child_id": str(UUID(child)) if child else None}
    except ValueError as error:
        raise NotFound("no such calendar") from error
    _, content = await request.app[SERVICES].raw("planning", "POST", "/feeds/read", json=body)
    tag = hashlib.sha256(content).hexdigest()[:32]
    known = {each.value for each in request.if_none_match or ()}
    response = web.Response(status=304) if tag in known else web.Response(body=content)
    if response.status == 200:
        response.content_type, response.charset = "text/calendar", "utf-8"
        response.headers["Content-Disposition"] = 'inline; filename="planning.ics"'
    response.etag = tag
    response.headers["Cache-Control"] = f"private, max-age={KEPT_SECONDS}"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
