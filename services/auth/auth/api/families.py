"""Files of families: import with a dry run, export; and what the RGPD wants of the registry."""

from urllib.parse import unquote
from uuid import UUID

from aiohttp import web

from auth.api.sessions import durations
from auth.domain import families_file
from auth.domain.failures import ImportNotReady
from auth.settings import SETTINGS
from auth.store import accounts, changes, imports, registry, rights
from chassis import outbox
from chassis.clock import now
from chassis.database import DATABASE, Transaction
from chassis.erasure import erase_mentions
from chassis.http import KEY_HEADER, json_response, path_uuid, read_body
from chassis.idempotency import claim_key, idempotent, store_answer
from chassis.identity import household_in_path, require
from chassis.request_bodies import body_limit
from contracts.api.auth import Erasure, ImportApply
from contracts.events.auth import GuardianChanged
from contracts.failures import Conflict, Invalid, NotFound
from contracts.identity import Permission

routes = web.RouteTableDef()


@routes.post("/imports")
@body_limit(lambda app: app[SETTINGS].import_bytes_max)
async def post_import(request: web.Request) -> web.Response:
    """Take a file of families and have it read: nothing changes before it is applied."""
    person = require(request, Permission.WRITE_HOUSEHOLDS)
    content = await request.clone(client_max_size=request.app[SETTINGS].import_bytes_max).read()
    if not content:
        raise Invalid("the file is empty", errors=[{"field": "file", "message": "empty"}])
    name = unquote(request.headers.get("X-File-Name", ""))[:200] or "familles.csv"
    async with request.app[DATABASE].transaction() as tx:
        import_id = await _take_in(request, tx, person.subject_id, name, content)
        view = await imports.view(tx, import_id)
    assert view is not None, "it was just added"
    return json_response(view, status=202)


async def _take_in(request: web.Request, tx: Transaction, by: UUID, name: str, content: bytes) -> UUID:
    """The file, kept once for the key that the request may carry."""
    key, scope = request.headers.get(KEY_HEADER), f"imports/{by}"
    if key and (kept := await claim_key(tx, scope, key, content)):
        return UUID(kept.decode())
    import_id = await imports.add(tx, by, name, content, now())
    if key:
        await store_answer(tx, scope, key, str(import_id).encode())
    return import_id


@routes.get("/imports/{import_id}")
async def get_import(request: web.Request) -> web.Response:
    require(request, Permission.WRITE_HOUSEHOLDS)
    async with request.app[DATABASE].transaction() as tx:
        view = await imports.view(tx, path_uuid(request, "import_id"))
    if view is None:
        raise NotFound("no such import")
    return json_response(view)


@routes.post("/imports/{import_id}/apply")
@idempotent
async def apply_import(request: web.Request) -> web.Response:
    """Have what was read applied; asked for twice, it is applied once."""
    person, import_id = require(request, Permission.WRITE_HOUSEHOLDS), path_uuid(request, "import_id")
    body = await read_body(request, ImportApply)
    async with request.app[DATABASE].transaction() as tx:
        begun = await imports.begin_apply(tx, import_id, close_missing=body.close_missing)
        view = await imports.view(tx, import_id)
        if view is None:
            raise NotFound("no such import")
        if not begun and view.status not in {"applying", "applied"}:
            raise ImportNotReady("the file is being read, or was refused", status=view.status)
        if begun:
            await accounts.add_fact(tx, f"import {import_id} applied", None, "", person.subject_id)
    return json_response(view, status=202)


@routes.get("/households.csv")
async def get_file(request: web.Request) -> web.Response:
    """The file of families as the registry is now; importing it changes nothing."""
    require(request, Permission.READ_HOUSEHOLDS)
    async with request.app[DATABASE].transaction() as tx:
        known = await registry.load(tx)
    content = families_file.write(each for each in known.values() if each.active)
    headers = {"Content-Disposition": f'attachment; filename="familles-{now():%Y-%m-%d}.csv"'}
    return web.Response(body=content, content_type="text/csv", charset="utf-8", headers=headers)


@routes.get("/households/{household_id}/export")
async def get_export(request: web.Request) -> web.Response:
    """All that is kept here on a household, for whoever it is about."""
    household_id = household_in_path(request, Permission.ERASE_HOUSEHOLDS)
    idle, longest = durations(request.app[SETTINGS])
    async with request.app[DATABASE].transaction() as tx:
        export = await rights.export(tx, household_id, now(), idle=idle, longest=longest)
    if export is None:
        raise NotFound("no such household")
    return json_response(export)


@routes.post("/households/{household_id}/erase")
@idempotent
async def erase(request: web.Request) -> web.Response:
    """Forget who they are. The reference stays, and with it what accounting law keeps: billing's own documents."""
    person, household_id = require(request, Permission.ERASE_HOUSEHOLDS), path_uuid(request, "household_id")
    body = await read_body(request, Erasure)
    async with request.app[DATABASE].transaction() as tx:
        await imports.hold(tx)
        await registry.lock(tx)
        loaded = await registry.load(tx, [household_id])
        if not loaded:
            raise NotFound("no such household")
        if list(loaded) != [body.reference]:
            raise Conflict("this is not the household's reference")
        facts = await changes.make(tx, [], list(loaded.values()), now())
        await rights.erase(tx, household_id, now())
        told = await changes.told(tx, [household_id])
        people = [each.guardian_id for each in told if isinstance(each, GuardianChanged)]
        await erase_mentions(tx, [household_id, *people])
        await outbox.delete_events_of(tx, *(each.subject for each in told), *(f"account/{each}" for each in people))
        await outbox.add(tx, *(fact for fact in facts if fact.type == "auth.session.ended"), *told)
        await accounts.add_fact(tx, f"household {body.reference} erased", None, "", person.subject_id)
    return web.Response(status=204)
