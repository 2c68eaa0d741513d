"""The log of mails, for staff: what was sent, what never will be, what came back."""

import hmac

from aiohttp import web

from chassis.clock import now
from chassis.database import DATABASE
from chassis.http import json_response, path_uuid, public
from chassis.idempotency import idempotent
from chassis.identity import household_in_path, identity, require
from contracts.api.notifier import MailLog, MailStatus, PaymentMails
from contracts.failures import Invalid, NotFound, Unauthenticated
from contracts.identity import Permission
from notifier.domain.bounces import read_bounce
from notifier.domain.failures import NoSuchMail
from notifier.settings import SETTINGS
from notifier.store import bounces, mails

LOG_MAX = 200

routes = web.RouteTableDef()


@routes.get("/mails")
async def get_mails(request: web.Request) -> web.Response:
    """The latest mails, without their words."""
    require(request, Permission.READ_MAILS)
    try:
        status = MailStatus(request.query["status"]) if "status" in request.query else None
    except ValueError:
        raise Invalid("no such status", errors=[{"field": "status", "message": "no such status"}]) from None
    async with request.app[DATABASE].transaction() as tx:
        log = MailLog(mails=await mails.latest(tx, LOG_MAX, status), counts=await mails.counts(tx))
    return json_response(log)


@routes.get("/households/{household_id}/payments/{payment_id}/mails")
async def get_payment_mails(request: web.Request) -> web.Response:
    """What was mailed about a payment; to whom, and what the mail server answered, is for staff."""
    household_id = household_in_path(request, Permission.READ_MAILS)
    async with request.app[DATABASE].transaction() as tx:
        found = await mails.about_payment(tx, household_id, path_uuid(request, "payment_id"))
    if not identity(request).may(Permission.READ_MAILS):
        found = tuple(mail.model_copy(update={"recipient": None, "answer": None}) for mail in found)
    return json_response(PaymentMails(mails=found))


@routes.post("/mails/{mail_id}/again")
@idempotent
async def post_again(request: web.Request) -> web.Response:
    """Send a mail that failed or came back once more, to the address known now."""
    require(request, Permission.RESEND_MAILS)
    async with request.app[DATABASE].transaction() as tx:
        if not await mails.send_again(tx, path_uuid(request, "mail_id"), now()):
            raise NoSuchMail("no such mail to send again")
    return web.Response(status=204)


@routes.post("/bounces")
@public
async def post_bounce(request: web.Request) -> web.Response:
    """A delivery status notification (RFC 3464) as the town's mail server received it, raw, with the hook's secret."""
    secret = request.app[SETTINGS].bounce_secret
    if secret is None:
        raise NotFound("no such thing here")
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if not hmac.compare_digest(given.encode(), secret.get_secret_value().encode()):
        raise Unauthenticated("the hook's secret is wrong")
    raw = await request.read()
    found = read_bounce(raw)
    if found is None:
        raise Invalid("this is not a delivery status notification", errors=[])
    async with request.app[DATABASE].transaction() as tx:
        await bounces.add_bounce(tx, found, raw, now())
    return web.Response(status=204)
