"""The town hall's message, above the sign-in form."""

from aiohttp import web

from chassis.clock import now
from chassis.database import DATABASE
from chassis.http import json_response, public, read_body
from chassis.identity import require
from contracts.api.notifier import Announcement, AnnouncementWish
from contracts.identity import Permission
from notifier.store import contacts

routes = web.RouteTableDef()


@routes.get("/announcement")
@public
async def get_announcement(request: web.Request) -> web.Response:
    """The message shown now, for everyone."""
    async with request.app[DATABASE].transaction() as tx:
        return json_response(Announcement(markdown=await contacts.announcement(tx, now())))


@routes.put("/announcement")
async def put_announcement(request: web.Request) -> web.Response:
    """Save a message; those before it stay in the table, with who wrote them."""
    person = require(request, Permission.WRITE_ANNOUNCEMENTS)
    wish = await read_body(request, AnnouncementWish)
    async with request.app[DATABASE].transaction() as tx:
        await contacts.save_announcement(tx, wish, person.subject_id, now())
        return json_response(Announcement(markdown=await contacts.announcement(tx, now())))
