"""Where banks call. A word is kept before anything is made of it; without a signature it is a hint to ask."""

import re
from datetime import datetime, timedelta

import structlog
from aiohttp import web

from chassis.clock import now
from chassis.database import DATABASE, Transaction
from chassis.http import public
from contracts.api.payment_gateway import Verification
from payment_gateway.banks import BANKS, Bank, Forged, Notice, Unreadable, is_elsewhere
from payment_gateway.banks.inquiry import hear
from payment_gateway.domain.failures import NoSuchBank, UnknownNotice, UnknownSignedNotice, UnreadableSignedNotice
from payment_gateway.domain.payments import Answer, Word
from payment_gateway.settings import SETTINGS, Settings
from payment_gateway.store import journal, payments

KEPT_HEADERS = ("Content-Type", "User-Agent", "Stripe-Signature")
SOURCE_HEADER = "X-Notice-Source"
DOOR = re.compile(r"(?<![^&])door=[^&]*")
"""The secret end of a bank's address, never kept."""

log = structlog.get_logger()
routes = web.RouteTableDef()


@routes.get("/webhooks/{bank}", allow_head=False)
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
    read = _read(bank, query, body, request)
    headers = {name: _printable(request.headers[name])[:200] for name in KEPT_HEADERS if name in request.headers}
    word = journal.Word(bank.name, "notice", _verdict(read), body, DOOR.sub("door", query), headers, _source(request))
    if is_elsewhere(word.source, bank.sources):
        word = word.from_elsewhere()
        log.warning("notification from elsewhere", bank=bank.name, verdict=word.verdict, source=word.source)
    async with request.app[DATABASE].transaction() as tx:
        known = await _act(request.app, tx, bank, read, word)
    if isinstance(read, Forged):
        raise web.HTTPBadRequest(reason="this notification is not the bank's")
    if isinstance(read, Unreadable):
        raise UnreadableSignedNotice("signed by the bank, but it cannot be read; a person looks at it")
    if not known:
        raise (UnknownSignedNotice if read.is_signed else UnknownNotice)("no such payment here")
    return web.Response()  # empty, as Paybox wants it; the others look at the status only


Read = Notice | Forged | Unreadable
"""What became of a notification's bytes."""


def _read(bank: Bank, query: str, body: bytes, request: web.Request) -> Read:
    try:
        return bank.read_notice(query, body, request.headers)
    except Forged as forged:
        log.warning("notification refused", bank=bank.name, reason=str(forged), source=_source(request))
        return forged
    except Unreadable as unreadable:
        log.warning("notification signed by the bank and unreadable", bank=bank.name, reason=str(unreadable))
        return unreadable


def _verdict(read: Read) -> Verification:
    if isinstance(read, Forged):
        return Verification.FORGED
    if isinstance(read, Unreadable):
        return Verification.UNREADABLE
    return Verification.VERIFIED if read.is_signed else Verification.HINT


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


async def _act(app: web.Application, tx: Transaction, bank: Bank, read: Read, word: journal.Word) -> bool:
    """Keep the word within the limits, and do what it asks; whether it speaks of a payment of ours."""
    settings, at = app[SETTINGS], now()
    named = None if isinstance(read, Forged) else read.reference
    attempt = await payments.named_for_update(tx, word.bank, named) if named else None
    if isinstance(read, Forged) or attempt is None:
        await _keep_of_nobody(tx, settings, read, word, at)
        return isinstance(read, Notice) and read.reference is None
    kept_max = settings.notices_kept_a_payment
    await journal.add_word(tx, word, payment_id=attempt.payment_id, at=at, notices_max=kept_max)
    answer = _unrecognised(bank, read) if isinstance(read, Unreadable) else read.answer
    if isinstance(read, Unreadable):
        await journal.count_signed(tx, word.bank, "unreadable", at)
    if answer:
        await hear(tx, settings, attempt, answer, asked_at=at, at=at)
    else:
        again, is_signed = timedelta(seconds=settings.parent_look_up_seconds), _verdict(read) is Verification.VERIFIED
        await payments.look_up_now(tx, attempt.payment_id, at, not_before=again, is_signed=is_signed)
    return True


def _unrecognised(bank: Bank, unreadable: Unreadable) -> Answer:
    """What is left of an unreadable word: enough for a person to look at the payment it names."""
    return Answer(
        Word.UNRECOGNISED,
        amount_cents=unreadable.amount_cents,
        account=bank.account,
        mode=bank.mode,
        reference=unreadable.reference,
        result=unreadable.result,
    )


async def _keep_of_nobody(tx: Transaction, settings: Settings, read: Read, word: journal.Word, at: datetime) -> None:
    """Keep what reaches no payment. What a bank signed has limits of its own: no stranger uses them up."""
    if isinstance(read, Forged) or (isinstance(read, Notice) and not read.is_signed):
        seen, most = await journal.count_unknown(tx, word.bank, at), settings.unknown_notices_kept_an_hour
    else:
        kind = "unreadable" if isinstance(read, Unreadable) else "unknown" if read.reference else "unrelated"
        seen, most = await journal.count_signed(tx, word.bank, kind, at), settings.signed_notices_kept_an_hour
    if seen <= most:
        kept = word.judged(Verification.UNKNOWN) if isinstance(read, Notice) else word
        await journal.add_word(tx, kept, payment_id=None, at=at)
