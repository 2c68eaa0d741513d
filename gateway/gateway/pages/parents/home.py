"""The first page: what the town hall says, what waits for an answer or a payment, and what each child does next."""

import asyncio

from aiohttp import web

from contracts.api.billing import InvoiceList
from contracts.api.months import HouseholdAhead
from contracts.api.notifier import Announcements
from gateway.clients.services import SERVICES, or_none
from gateway.pages.shared.rendering import redirect, render, signed_in

routes = web.RouteTableDef()


@routes.get("/")
async def home(request: web.Request) -> web.Response:
    """Each part stands by itself: what does not answer is said, and the rest is shown."""
    session, person = await signed_in(request)
    if person.household_id is None:
        return redirect("/mairie")
    services, household = request.app[SERVICES], f"/households/{person.household_id}"
    invoices, announcements, ahead = await asyncio.gather(
        or_none(services.call(session, "billing", f"{household}/invoices", InvoiceList)),
        or_none(services.call(session, "notifier", f"{household}/announcements", Announcements)),
        or_none(services.call(session, "planning", f"{household}/ahead", HouseholdAhead)),
    )
    return render(request, "parents/home.html", person, invoices=invoices, announcements=announcements, ahead=ahead)
