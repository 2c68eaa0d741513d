"""Schools and classes: listed for every form, registered, renamed and closed by staff."""

from aiohttp import web

from auth.domain.failures import SchoolMoved, SchoolNameTaken
from auth.store import accounts, registry, schools
from chassis.database import DATABASE
from chassis.http import json_response, path_uuid, read_body
from chassis.idempotency import idempotent
from chassis.identity import identity, require
from contracts.api.schools import SchoolList, SchoolRequest, SchoolUpdate
from contracts.failures import Forbidden, NotFound
from contracts.identity import Permission

routes = web.RouteTableDef()


@routes.get("/schools")
async def get_schools(request: web.Request) -> web.Response:
    if not identity(request).is_staff:
        raise Forbidden("the list is for the town hall")
    async with request.app[DATABASE].transaction() as tx:
        return json_response(SchoolList(schools=await schools.views(tx)))


@routes.post("/schools")
@idempotent
async def post_school(request: web.Request) -> web.Response:
    """Register a school and classes of it; the same names again change nothing."""
    person, body = require(request, Permission.WRITE_HOUSEHOLDS), await read_body(request, SchoolRequest)
    async with request.app[DATABASE].transaction() as tx:
        await registry.lock(tx)
        await schools.register(tx, body.name, *body.classes)
        await accounts.add_fact(tx, f"school {body.name} registered"[:200], None, "", person.subject_id)
        return json_response(SchoolList(schools=await schools.views(tx)), status=201)


@routes.put("/schools/{school_id}")
@idempotent
async def put_school(request: web.Request) -> web.Response:
    """Rename or close a school as it was seen; its children's households hear of the new name."""
    person, school_id = require(request, Permission.WRITE_HOUSEHOLDS), path_uuid(request, "school_id")
    body = await read_body(request, SchoolUpdate)
    async with request.app[DATABASE].transaction() as tx:
        await registry.lock(tx)
        found = await schools.version_for_update(tx, school_id)
        if found is None:
            raise NotFound("no such school")
        if found[1] != body.seen_version:
            raise SchoolMoved("the school was changed meanwhile", version=found[1])
        if not await schools.save(tx, school_id, body.name, closed=body.closed):
            raise SchoolNameTaken("another school has this name", name=body.name)
        await schools.register(tx, body.name, *body.classes)
        await tx.execute("SELECT pg_notify('household_to_tell', '')")
        await accounts.add_fact(tx, f"school {found[0]} changed"[:200], None, "", person.subject_id)
        return json_response(SchoolList(schools=await schools.views(tx)))
