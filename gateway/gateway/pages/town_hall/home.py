"""/mairie: the latest payments, and the way to every other page of the town hall."""

from aiohttp import web

from contracts.api.payment_gateway import PaymentList
from contracts.failures import Forbidden, Unavailable
from contracts.identity import STAFF, Permission
from gateway.clients.services import SERVICES
from gateway.pages.shared.payment_messages import STATES
from gateway.pages.shared.rendering import render, signed_in

routes = web.RouteTableDef()


@routes.get("/mairie")
async def town_hall(request: web.Request) -> web.Response:
    session, person = await signed_in(request)
    if not person.is_staff:
        raise Forbidden("this page is the town hall's", roles=STAFF)
    payments, missing = None, []
    try:
        if person.may(Permission.READ_PAYMENTS):
            payments = (await request.app[SERVICES].call(session, "payment-gateway", "/payments", PaymentList)).payments
    except Unavailable:
        missing.append("les derniers paiements")
    return render(request, "town_hall/home.html", person, payments=payments, payment_states=STATES, missing=missing)
