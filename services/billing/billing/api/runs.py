"""The monthly run: begun, looked at, published or given up. A job does its work (``billing.jobs``)."""

from uuid import UUID

from aiohttp import web

from billing.domain.failures import NoSuchRun, RunMoved, RunOpen, TariffMissing
from billing.store import runs, usages
from chassis import outbox
from chassis.clock import now
from chassis.database import DATABASE, Transaction
from chassis.http import idempotency_key, json_response, path_month, path_uuid, read_body
from chassis.idempotency import claim_key, store_answer
from chassis.identity import require
from contracts.api.billing import InvoicePreview, InvoiceRun, InvoiceRunRequest, RunList
from contracts.events.billing import RunStatus
from contracts.identity import Permission

routes = web.RouteTableDef()


@routes.get("/invoice-runs/preview/{month}")
async def get_preview(request: web.Request) -> web.Response:
    """What waits to be invoiced now."""
    require(request, Permission.PUBLISH_INVOICES)
    month = path_month(request)
    async with request.app[DATABASE].transaction() as tx:
        households, days = await usages.waiting(tx, runs.last_day(month))
    return json_response(InvoicePreview(month=month, households=households, days=days))


@routes.post("/invoice-runs")
async def post_run(request: web.Request) -> web.Response:
    """Begin to prepare a month's invoices, once for a key; nothing is published before somebody says so."""
    person, key = require(request, Permission.PUBLISH_INVOICES), idempotency_key(request)
    body = await read_body(request, InvoiceRunRequest)
    async with request.app[DATABASE].transaction() as tx:
        if (answer := await claim_key(tx, "invoice-runs", key, await request.read())) is None:
            run_id = await begin_run(tx, body, by=person.subject_id)
            answer = (await _run(tx, run_id)).model_dump_json().encode()
            await store_answer(tx, "invoice-runs", key, answer)
    return web.Response(body=answer, status=201, content_type="application/json", charset="utf-8")


async def begin_run(tx: Transaction, body: InvoiceRunRequest, *, by: UUID) -> UUID:
    """Begin a run and wake the job that does its work; ``RunOpen`` while another is not done."""
    households, _ = await usages.waiting(tx, runs.last_day(body.month))
    run_id = await runs.add_run(tx, body, households, by, now())
    if run_id is None:
        raise RunOpen("a month is being invoiced already", run_id=str(await runs.open_run(tx)))
    await runs.wake(tx)
    return run_id


@routes.get("/invoice-runs")
async def get_runs(request: web.Request) -> web.Response:
    require(request, Permission.PUBLISH_INVOICES)
    async with request.app[DATABASE].transaction() as tx:
        return json_response(RunList(runs=tuple(await runs.runs(tx))))


@routes.get("/invoice-runs/{run_id}")
async def get_run(request: web.Request) -> web.Response:
    require(request, Permission.PUBLISH_INVOICES)
    async with request.app[DATABASE].transaction() as tx:
        return json_response(await _run(tx, path_uuid(request, "run_id")))


async def _run(tx: Transaction, run_id: UUID) -> InvoiceRun:
    found = await runs.run(tx, run_id)
    if found is None:
        raise NoSuchRun("there is no such run")
    return found


@routes.post("/invoice-runs/{run_id}/publish")
async def post_publish(request: web.Request) -> web.Response:
    """Publish what was prepared. Said twice, it is done once."""
    person, run_id = require(request, Permission.PUBLISH_INVOICES), path_uuid(request, "run_id")
    async with request.app[DATABASE].transaction() as tx:
        row = await runs.run_for_update(tx, run_id)
        if row is None:
            raise NoSuchRun("there is no such run")
        if row["status"] in {RunStatus.DRAFTING, RunStatus.CANCELLED}:
            raise RunMoved("only a prepared run can be published", status=row["status"])
        if missing := await runs.missing_tariffs(tx, run_id):
            raise TariffMissing("some days have no price", activities=missing)
        if row["status"] == RunStatus.READY:
            moved = await runs.start_publishing(tx, run_id, person.subject_id)
            await outbox.add(tx, runs.progressed(moved, now()))
            await runs.wake(tx)
        return json_response(await _run(tx, run_id))


@routes.post("/invoice-runs/{run_id}/cancel")
async def post_cancel(request: web.Request) -> web.Response:
    """Give a run up before it publishes anything."""
    require(request, Permission.PUBLISH_INVOICES)
    run_id = path_uuid(request, "run_id")
    async with request.app[DATABASE].transaction() as tx:
        row = await runs.run_for_update(tx, run_id)
        if row is None:
            raise NoSuchRun("there is no such run")
        if row["status"] in {RunStatus.PUBLISHING, RunStatus.DONE}:
            raise RunMoved("invoices are being published already", status=row["status"])
        if row["status"] != RunStatus.CANCELLED:
            await outbox.add(tx, runs.progressed(await runs.move(tx, run_id, RunStatus.CANCELLED), now()))
        return json_response(await _run(tx, run_id))
