"""The town hall's messages: above the sign-in form, on a family's pages, and by mail."""

from aiohttp import web
from pydantic import ValidationError

from chassis.clock import now
from chassis.database import DATABASE, Transaction
from chassis.http import json_response, public, read_body
from chassis.idempotency import idempotent
from chassis.identity import household_in_path, require
from contracts.api.notifier import (
    Announcement,
    AnnouncementArchive,
    AnnouncementRequest,
    Announcements,
    AudienceRequest,
)
from contracts.failures import Invalid
from contracts.identity import Permission
from notifier.domain.failures import NoSuchAnnouncement
from notifier.store import announcements

routes = web.RouteTableDef()


@routes.get("/announcement")
@public
async def get_announcement(request: web.Request) -> web.Response:
    """The message shown now, for everyone."""
    async with request.app[DATABASE].transaction() as tx:
        return json_response(Announcement(markdown=await announcements.shown_to_all(tx, now())))


@routes.get("/households/{household_id}/announcements")
async def get_household_announcements(request: web.Request) -> web.Response:
    household_id = household_in_path(request, Permission.WRITE_ANNOUNCEMENTS)
    async with request.app[DATABASE].transaction() as tx:
        shown = await announcements.shown_to_household(tx, household_id, now())
    return json_response(Announcements(announcements=shown))


@routes.get("/announcements")
async def get_archive(request: web.Request) -> web.Response:
    require(request, Permission.WRITE_ANNOUNCEMENTS)
    async with request.app[DATABASE].transaction() as tx:
        return json_response(await _archive(tx))


@routes.get("/announcements/audience")
async def get_audience(request: web.Request) -> web.Response:
    """How many a message would be for, counted before it is saved."""
    require(request, Permission.WRITE_ANNOUNCEMENTS)
    try:
        body = AudienceRequest.model_validate(dict(request.query))
    except ValidationError:
        raise Invalid("no such audience", errors=[{"field": "activity_id", "message": "no such audience"}]) from None
    async with request.app[DATABASE].transaction() as tx:
        return json_response(await announcements.audience(tx, body, now()))


@routes.post("/announcements")
@idempotent
async def post_announcement(request: web.Request) -> web.Response:
    """Save a message; the answer is the archive with it."""
    person = require(request, Permission.WRITE_ANNOUNCEMENTS)
    body, at = await read_body(request, AnnouncementRequest), now()
    if body.starts_at is None and body.ends_at is not None and body.ends_at <= at:
        raise Invalid("a message ends after its start", errors=[{"field": "ends_at", "message": "has passed"}])
    async with request.app[DATABASE].transaction() as tx:
        if not await announcements.add(tx, body, person.subject_id, at):
            raise Invalid(
                "nobody goes there",
                errors=[{"field": "activity_id" if body.activity_id else "school", "message": "nobody"}],
            )
        return json_response(await _archive(tx), status=201)


@routes.post("/announcements/{announcement_id:[0-9]{1,18}}/end")
async def post_end(request: web.Request) -> web.Response:
    """Stop showing a message now, and stop mailing it."""
    require(request, Permission.WRITE_ANNOUNCEMENTS)
    async with request.app[DATABASE].transaction() as tx:
        if not await announcements.end(tx, int(request.match_info["announcement_id"]), now()):
            raise NoSuchAnnouncement("no such message to end")
        return json_response(await _archive(tx))


async def _archive(tx: Transaction) -> AnnouncementArchive:
    return AnnouncementArchive(
        announcements=await announcements.archive(tx, now()),
        schools=await announcements.schools(tx),
        activities=await announcements.activities(tx, now()),
    )
