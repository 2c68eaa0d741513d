"""Where banks call. A word is kept before anything is made of it, and PayFiP's is only a hint to ask."""

from aiohttp import web

from chassis.clock import now
from chassis.database import DATABASE
from chassis.http import public
from payment_gateway.banks import BANKS
from payment_gateway.domain.failures import NoSuchBank, UnknownNotice
from payment_gateway.settings import SETTINGS
from payment_gateway.store import journal, payments

routes = web.RouteTableDef()


@routes.get("/webhooks/{bank}")
@routes.post("/webhooks/{bank}")
@public
async def take_notice(request: web.Request) -> web.Response:
    """Journal the bytes and put the look-up first in line, in one transaction; the bank is asked afterwards."""
    bank = request.app[BANKS].get(request.match_info["bank"])
    if bank is None:
        raise NoSuchBank("no such bank here")
    bytes_max = request.app[SETTINGS].notice_bytes_max
    if (request.content_length or 0) > bytes_max:
        raise web.HTTPRequestEntityTooLarge(bytes_max, request.content_length or 0)
    body = await request.read()
    if len(body) > bytes_max:
        raise web.HTTPRequestEntityTooLarge(bytes_max, len(body))
    query = request.rel_url.raw_query_string
    reference = bank.notice_reference(query, body)
    if reference is None:
        raise web.HTTPBadRequest(reason="this notification cannot be read")
    at = now()
    async with request.app[DATABASE].transaction() as tx:
        payment_id = await payments.payment_id_of(tx, bank.name, reference)
        await journal.add_word(tx, bank.name, "notice", payment_id=payment_id, query=query, body=body, at=at)
        if payment_id:
            await payments.look_up_now(tx, payment_id, at)
    if payment_id is None:
        raise UnknownNotice("no such payment here")
    return web.Response(text="OK")
