"""What a guardian wants to be told, and the log of what was sent."""

from aiohttp import web

from chassis.clock import now
from chassis.database import DATABASE
from chassis.http import json_response, read_body
from chassis.identity import identity, require
from contracts.api.notifier import MailLog, Preferences
from contracts.failures import Forbidden
from contracts.identity import Permission
from notifier.store import contacts, mails

LOG_MAX = 200

routes = web.RouteTableDef()


@routes.get("/preferences")
async def get_preferences(request: web.Request) -> web.Response:
    async with request.app[DATABASE].transaction() as tx:
        return json_response(await contacts.preferences(tx, identity(request).subject_id))


@routes.put("/preferences")
async def put_preferences(request: web.Request) -> web.Response:
    """Save what the signed-in guardian wants; the answer is what is saved."""
    person = identity(request)
    if person.household_id is None:
        raise Forbidden("only guardians have preferences")
    wish = await read_body(request, Preferences)
    async with request.app[DATABASE].transaction() as tx:
        await contacts.save_preferences(tx, person.subject_id, wish, now())
        return json_response(await contacts.preferences(tx, person.subject_id))


@routes.get("/mails")
async def get_mails(request: web.Request) -> web.Response:
    """The latest mails, without their words."""
    require(request, Permission.READ_MAILS)
    async with request.app[DATABASE].transaction() as tx:
        return json_response(MailLog(mails=await mails.latest(tx, LOG_MAX)))
