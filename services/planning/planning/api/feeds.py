"""The calendar address of a guardian: made, revoked, and read by whoever has it."""

import secrets

from aiohttp import web

from chassis.clock import now, today
from chassis.database import DATABASE
from chassis.http import json_response, public, read_body
from chassis.identity import identity
from contracts.api.feeds import FeedKey, FeedRead, FeedView
from contracts.failures import Forbidden, NotFound, TooMany
from contracts.identity import Identity
from planning.domain.feeds import DAYS_BACK, calendar_file
from planning.store import feeds, households

READS_AN_HOUR_MAX = 60

routes = web.RouteTableDef()


def _guardian(request: web.Request) -> Identity:
    person = identity(request)
    if person.household_id is None:
        raise Forbidden("only guardians have a calendar")
    return person


@routes.get("/feed")
async def get_feed(request: web.Request) -> web.Response:
    person = _guardian(request)
    async with request.app[DATABASE].transaction() as tx:
        times = await feeds.times(tx, person.subject_id)
    made_at, read_at = times or (None, None)
    return json_response(FeedView(made_at=made_at, read_at=read_at))


@routes.put("/feed")
async def put_feed(request: web.Request) -> web.Response:
    """A new secret for one's calendar, told once; the one before is worth nothing from now on."""
    person, key = _guardian(request), secrets.token_urlsafe(32)
    assert person.household_id is not None, "a guardian has a household"
    async with request.app[DATABASE].transaction() as tx:
        await feeds.save(tx, person.subject_id, person.household_id, key, now())
        children = tuple(await households.children(tx, person.household_id))
    return json_response(FeedKey(key=key, children=children))


@routes.delete("/feed")
async def delete_feed(request: web.Request) -> web.Response:
    person = _guardian(request)
    async with request.app[DATABASE].transaction() as tx:
        await feeds.delete(tx, person.subject_id)
    return web.Response(status=204)


@routes.post("/feeds/read")
@public
async def read_feed(request: web.Request) -> web.Response:
    """The booked days as an iCalendar file, for a calendar that knows the secret and nobody's codes; not too often."""
    body = await read_body(request, FeedRead)
    async with request.app[DATABASE].transaction() as tx:
        found = await feeds.count_read(tx, body.key.get_secret_value(), now())
        if found is None:
            raise NotFound("no such calendar")
        household_id, reads = found
        if reads > READS_AN_HOUR_MAX:
            raise TooMany("this calendar is read too often", retry_after_seconds=600)
        days = await feeds.days(tx, household_id, body.child_id, today() - DAYS_BACK)
        children = await households.children(tx, household_id)
    if body.child_id is None:
        name = "Planning des enfants"
    else:
        name = next((f"Planning de {each.first_name}" for each in children if each.child_id == body.child_id), "")
        if not name:
            raise NotFound("no such calendar")
    return web.Response(body=calendar_file(name, days), content_type="text/calendar", charset="utf-8")
