"""What a guardian wants to be told."""

from aiohttp import web

from chassis.clock import now
from chassis.database import DATABASE
from chassis.http import check_version, json_response, public, read_body
from chassis.idempotency import idempotent
from chassis.identity import identity
from contracts.api.notifier import Preferences, Unsubscription
from contracts.failures import Forbidden
from notifier.domain.failures import NoSuchSubscription
from notifier.domain.mails import OPTIONAL, Kind
from notifier.store import contacts

routes = web.RouteTableDef()


@routes.get("/preferences")
async def get_preferences(request: web.Request) -> web.Response:
    async with request.app[DATABASE].transaction() as tx:
        return json_response(await contacts.preferences(tx, identity(request).subject_id))


@routes.put("/preferences")
@idempotent
async def put_preferences(request: web.Request) -> web.Response:
    """Save what the signed-in guardian wants; the answer is what is saved."""
    person = identity(request)
    if person.household_id is None:
        raise Forbidden("only guardians have preferences")
    body = await read_body(request, Preferences)
    async with request.app[DATABASE].transaction() as tx:
        await contacts.hold_preferences(tx, person.subject_id)
        known = await contacts.preferences(tx, person.subject_id)
        check_version(request, Preferences(**known.model_dump(include=set(Preferences.model_fields))))
        await contacts.save_preferences(tx, person.subject_id, body, now())
        return json_response(await contacts.preferences(tx, person.subject_id))


@routes.post("/unsubscriptions")
@public
async def post_unsubscription(request: web.Request) -> web.Response:
    """Stop a kind of optional mail for who has the link, signed in or not."""
    body = await read_body(request, Unsubscription)
    if body.kind not in OPTIONAL:
        raise NoSuchSubscription("no such subscription")
    async with request.app[DATABASE].transaction() as tx:
        if not await contacts.unsubscribe(tx, body.unsubscribe_key, Kind(body.kind), now()):
            raise NoSuchSubscription("no such subscription")
    return web.Response(status=204)
