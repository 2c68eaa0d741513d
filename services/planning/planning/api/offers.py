"""What comes next for a household, and the places that wait for its answer."""

from aiohttp import web

from chassis.clock import now, today
from chassis.database import DATABASE
from chassis.http import json_response, read_body
from chassis.identity import household_in_path
from contracts.api.bookings import BookingLine, BookingRequest
from contracts.api.months import HouseholdAhead, OfferAnswer, OfferList
from contracts.identity import Permission
from planning.api.batches import book_once
from planning.settings import SETTINGS
from planning.store import ahead

routes = web.RouteTableDef()


async def _ahead(request: web.Request) -> HouseholdAhead:
    household_id = household_in_path(request, Permission.READ_HOUSEHOLDS)
    zone = request.app[SETTINGS].school_zone
    async with request.app[DATABASE].reading() as look:
        return await ahead.of_household(look, zone, household_id, today=today(), now=now())


@routes.get("/households/{household_id}/ahead")
async def get_ahead(request: web.Request) -> web.Response:
    return json_response(await _ahead(request))


@routes.get("/households/{household_id}/offers")
async def get_offers(request: web.Request) -> web.Response:
    return json_response(OfferList(offers=(await _ahead(request)).offers))


@routes.post("/households/{household_id}/offers/accept")
async def post_acceptance(request: web.Request) -> web.Response:
    """Book the day whose place is held; once for a key."""
    return await _answer(request, accepts=True)


@routes.post("/households/{household_id}/offers/decline")
async def post_refusal(request: web.Request) -> web.Response:
    """Leave the list, so that the place goes on; once for a key. A day that was booked meanwhile stays booked."""
    return await _answer(request, accepts=False)


async def _answer(request: web.Request, *, accepts: bool) -> web.Response:
    """An answer is a wish like any other, for one day and never for the waiting list."""
    household_id = household_in_path(request, Permission.BOOK_FOR_HOUSEHOLDS)
    answer = await read_body(request, OfferAnswer)
    line = BookingLine(activity_id=answer.activity_id, day=answer.day, booked=accepts)
    body = BookingRequest(child_id=answer.child_id, seen_version=answer.seen_version, lines=(line,))
    return await book_once(request, household_id, body, "accept" if accepts else "decline")
