"""Reminders of invoices past their day: the town's rule, what it does today, and invoices left in peace."""

from aiohttp import web
from pydantic import ValidationError

from billing.domain.failures import NoSuchInvoice
from billing.domain.reminders import is_due
from billing.store import reminders
from chassis.clock import now, today
from chassis.database import DATABASE, Transaction
from chassis.http import check_version, json_response, path_uuid, read_body
from chassis.idempotency import idempotent
from chassis.identity import require
from contracts.api.reminders import ReminderList, ReminderPause, ReminderRule
from contracts.failures import Invalid
from contracts.identity import Identity, Permission

LIST_MAX = 500

routes = web.RouteTableDef()


@routes.get("/reminders")
async def get_reminders(request: web.Request) -> web.Response:
    """Every overdue invoice, by the town's rule or by the one that is tried."""
    require(request, Permission.COLLECT_MONEY)
    days = [each for each in request.query.getall("days", []) if each]
    try:
        tried = ReminderRule.model_validate({"days": days}) if "days" in request.query else None
    except ValidationError:
        message = "days grow, from 1 to 180, three at most"
        raise Invalid(message, errors=[{"field": "days", "message": message}]) from None
    async with request.app[DATABASE].transaction() as tx:
        return json_response(await _list(tx, tried))


async def _list(tx: Transaction, tried: ReminderRule | None = None) -> ReminderList:
    saved, saved_at = await reminders.rule(tx)
    chosen = tried or saved
    found = await reminders.overdue(tx, chosen, today())
    due = [each for each in found if is_due(each, today())]
    return ReminderList(
        rule=chosen,
        saved_at=saved_at,
        overdue=tuple(found[:LIST_MAX]),
        overdue_count=len(found),
        overdue_cents=sum(each.left_cents for each in found),
        today_count=len(due),
        today_cents=sum(each.left_cents for each in due),
    )


@routes.put("/reminders/rule")
@idempotent
async def put_rule(request: web.Request) -> web.Response:
    person = require(request, Permission.COLLECT_MONEY)
    body = await read_body(request, ReminderRule)
    async with request.app[DATABASE].transaction() as tx:
        await reminders.hold_rule(tx)
        check_version(request, (await reminders.rule(tx))[0])
        await reminders.save_rule(tx, body, person.subject_id, now())
        return json_response(await _list(tx))


@routes.post("/reminders/{invoice_id}/pause")
@idempotent
async def post_pause(request: web.Request) -> web.Response:
    """Remind nobody of an invoice."""
    person = require(request, Permission.COLLECT_MONEY)
    body = await read_body(request, ReminderPause)
    return await _pause(request, person, body.reason)


@routes.post("/reminders/{invoice_id}/resume")
@idempotent
async def post_resume(request: web.Request) -> web.Response:
    return await _pause(request, require(request, Permission.COLLECT_MONEY), None)


async def _pause(request: web.Request, person: Identity, reason: str | None) -> web.Response:
    invoice_id = path_uuid(request, "invoice_id")
    async with request.app[DATABASE].transaction() as tx:
        if not await reminders.pause(tx, [invoice_id], reason, person.subject_id, now()):
            raise NoSuchInvoice("there is no such invoice")
    return web.Response(status=204)
