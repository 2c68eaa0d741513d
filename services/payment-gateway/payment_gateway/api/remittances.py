"""The bank's remittance, sent by the till keeper, beside what is confirmed here."""

from dataclasses import asdict
from datetime import timedelta
from urllib.parse import unquote

from aiohttp import web

from chassis.clock import now
from chassis.database import DATABASE, Transaction
from chassis.http import json_response, read_body
from chassis.idempotency import idempotent
from chassis.identity import require
from contracts.api.payment_gateway import StatementSource
from contracts.api.remittances import RemittanceDifference, RemittanceNote, RemittanceReport
from contracts.failures import Invalid
from contracts.identity import Permission
from payment_gateway.banks import BANKS
from payment_gateway.domain.failures import NoSuchBank, NoSuchDifference
from payment_gateway.domain.remittances import read
from payment_gateway.settings import SETTINGS, Settings
from payment_gateway.store import remittances

FILES_MAX = 30
DIFFERENCES_MAX = 200

routes = web.RouteTableDef()


@routes.get("/remittances")
async def get_remittances(request: web.Request) -> web.Response:
    """What bank and town disagree about, and the latest files."""
    require(request, Permission.READ_PAYMENTS)
    async with request.app[DATABASE].transaction() as tx:
        report = RemittanceReport(
            differences=await _differences(tx, request.app[SETTINGS]),
            files=await remittances.latest(tx, FILES_MAX),
            banks=tuple(bank.name for bank in request.app[BANKS].values()),
        )
    return json_response(report)


async def _differences(tx: Transaction, settings: Settings) -> tuple[RemittanceDifference, ...]:
    late = now() - timedelta(days=settings.remittance_days)
    return await remittances.differences(tx, late_before=late, limit=DIFFERENCES_MAX)


@routes.post("/remittances/{bank}")
async def post_remittance(request: web.Request) -> web.Response:
    """Take a file in, whole or not at all; the same file, or lines of it in another, are taken once."""
    person = require(request, Permission.DECIDE_PAYMENTS)
    bank, content = request.match_info["bank"], await request.read()
    if bank not in request.app[BANKS]:
        raise NoSuchBank("no such bank here")
    try:
        source = StatementSource(request.query.get("source", StatementSource.BANK))
    except ValueError:
        raise Invalid("no such source", errors=[{"field": "source", "message": "bank or treasury"}]) from None
    lines, errors = read(content, source)
    if errors:
        raise Invalid("the file cannot be read", errors=[asdict(each) for each in errors])
    name = unquote(request.headers.get("X-File-Name", "")).replace("\0", "").strip()[:200] or "releve.csv"
    async with request.app[DATABASE].transaction() as tx:
        remittance_id = await remittances.add(tx, bank, source, name, content, lines, person, now())
        answer = await remittances.remittance(tx, remittance_id)
    return json_response(answer, status=201)


@routes.post("/remittances/notes")
@idempotent
async def post_note(request: web.Request) -> web.Response:
    """Say what a difference was: it leaves the list."""
    person, body = require(request, Permission.DECIDE_PAYMENTS), await read_body(request, RemittanceNote)
    async with request.app[DATABASE].transaction() as tx:
        if body.difference not in {each.difference for each in await _differences(tx, request.app[SETTINGS])}:
            raise NoSuchDifference("this difference is explained already, or its facts changed")
        await remittances.note(tx, body, person, now())
    return web.Response(status=204)
