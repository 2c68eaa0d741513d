"""Where banks call. A word is kept before anything is made of it; without a signature it is a hint to ask."""

import re
from datetime import timedelta

import structlog
from aiohttp import web

from chassis.clock import now
from chassis.database import DATABASE, Transaction
from chassis.http import public
from contracts.api.payment_gateway import Verdict
from payment_gateway.banks import BANKS, Forged, Notice, is_elsewhere
from payment_gateway.banks.inquiry import hear
from payment_gateway.domain.failures import NoSuchBank, UnknownNotice, UnknownSignedNotice
from payment_gateway.settings import SETTINGS
from payment_gateway.store import journal, payments

KEPT_HEADERS = ("Content-Type", "User-Agent", "Stripe-Signature")
SOURCE_HEADER = "X-Notice-Source"
DOOR = re.compile(r"(?<![^&])door=[^&]*")
"""The secret end of a bank's address, never kept."""

log = structlog.get_logger()
routes = web.RouteTableDef()


@routes.get("/webhooks/{bank}")
@routes.post("/webhooks/{bank}")
@public
async def take_notice(request: web.Request) -> web.Response:
    """Journal the bytes and act on them in one transaction: a proven result moves the attempt, a hint asks."""
    bank = request.app[BANKS].get(request.match_info["bank"])
    if bank is None:
        raise NoSuchBank("no such bank here")
    body, query = await _body(request), _printable(request.rel_url.raw_query_string)
    if not body and not query:
        raise web.HTTPBadRequest(reason="this notification is empty")
    try:
        notice = bank.read_notice(query, body, request.headers)
        verdict = Verdict.VERIFIED if notice.answer else Verdict.HINT
    except Forged as forged:
        notice, verdict = None, Verdict.FORGED
        log.warning("notification refused", bank=bank.name, reason=str(forged), source=_source(request))
    headers = {name: _printable(request.headers[name])[:200] for name in KEPT_HEADERS if name in request.headers}
    word = journal.Word(bank.name, "notice", verdict, body, DOOR.sub("door", query), headers, _source(request))
    if is_elsewhere(word.source, bank.sources):
        word = word.from_elsewhere()
        log.warning("notification from elsewhere", bank=bank.name, verdict=verdict, source=word.source)
    async with request.app[DATABASE].transaction() as tx:
        known = await _act(request.app, tx, notice, word)
    if notice is None:
        raise web.HTTPBadRequest(reason="this notification is not the bank's, or cannot be read")
    if not known:
        raise (UnknownSignedNotice if notice.is_signed else UnknownNotice)("no such payment here")
    return web.Response()  # empty, as Paybox wants it; the others look at the status only


async def _body(request: web.Request) -> bytes:
    bytes_max = request.app[SETTINGS].notice_bytes_max
    if (request.content_length or 0) > bytes_max:
        raise web.HTTPRequestEntityTooLarge(bytes_max, request.content_length or 0)
    body = await request.read()
    if len(body) > bytes_max:
        raise web.HTTPRequestEntityTooLarge(bytes_max, len(body))
    return body


def _source(request: web.Request) -> str:
    """The caller as the gateway saw it; journalled, never trusted."""
    return _printable(request.headers.get(SOURCE_HEADER, request.remote or ""))[:64]


def _printable(text: str) -> str:
    """Text that can be stored, whatever bytes a caller put in it."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "")


async def _act(app: web.Application, tx: Transaction, notice: Notice | None, word: journal.Word) -> bool:
    """Keep the word within the limits, and do what it asks; whether it speaks of a payment of ours."""
    settings, at = app[SETTINGS], now()
    named = notice.reference if notice else None
    attempt = await payments.named_for_update(tx, word.bank, named) if named else None
    if notice is None or attempt is None:
        if await journal.count_unknown(tx, word.bank, at) <= settings.unknown_notices_kept_an_hour:
            unknown = word if notice is None else word.as_unknown()
            await journal.add_word(tx, unknown, payment_id=None, at=at)
        return notice is not None and notice.reference is None
    kept_max = settings.notices_kept_a_payment
    await journal.add_word(tx, word, payment_id=attempt.payment_id, at=at, notices_max=kept_max)
    if notice.answer:
        await hear(tx, settings, attempt, notice.answer, asked_at=at, at=at)
    else:
        again = timedelta(seconds=settings.parent_look_up_seconds)
        await payments.look_up_now(tx, attempt.payment_id, at, not_before=again)
    return True
