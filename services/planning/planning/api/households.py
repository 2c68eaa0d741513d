"""A household's children: their months, their bookings, their history."""

from calendar import monthrange
from datetime import timedelta

from aiohttp import web

from chassis.clock import now, today
from chassis.database import DATABASE
from chassis.http import json_response, path_month, path_uuid, read_body
from chassis.identity import household_in_path, identity
from contracts.api.bookings import BookingRequest, ChangeHistory
from contracts.api.enrolments import ChildList
from contracts.api.months import MonthView
from contracts.identity import Permission
from planning.api.batches import book_once
from planning.api.book_days import situation_of
from planning.domain.failures import NoSuchChild
from planning.store import history, households

routes = web.RouteTableDef()


@routes.get("/households/{household_id}/children")
async def get_children(request: web.Request) -> web.Response:
    household_id = household_in_path(request, Permission.READ_HOUSEHOLDS)
    async with request.app[DATABASE].transaction() as tx:
        return json_response(ChildList(children=tuple(await households.children(tx, household_id))))


@routes.get("/households/{household_id}/children/{child_id}/months/{month}")
async def get_month(request: web.Request) -> web.Response:
    """A month of a child's planning, with what can be changed and until when."""
    household_id = household_in_path(request, Permission.READ_HOUSEHOLDS)
    first = path_month(request)
    dates = [first + timedelta(days=number) for number in range(monthrange(first.year, first.month)[1])]
    async with request.app[DATABASE].reading() as look:
        child_id = path_uuid(request, "child_id")
        found = await situation_of(request, look, household_id, child_id, (dates[0], dates[-1]))
    on_behalf = identity(request).may(Permission.BOOK_FOR_HOUSEHOLDS)
    spans = list(found.enrolments.values())
    answer = MonthView(
        child=found.child,
        month=first,
        first_month=min((span.first_day for span in spans), default=today()).replace(day=1),
        last_month=max((span.last_day for span in spans), default=today()).replace(day=1),
        version=found.version,
        activities=tuple(found.columns()),
        days=found.days(dates, now=now(), on_behalf=on_behalf),
        offers=found.open_offers(now=now()),
    )
    return json_response(answer)


@routes.post("/households/{household_id}/bookings")
async def post_bookings(request: web.Request) -> web.Response:
    """Change some days: each line saved or refused with its reason."""
    household_id = household_in_path(request, Permission.BOOK_FOR_HOUSEHOLDS)
    return await book_once(request, household_id, await read_body(request, BookingRequest), "bookings")


@routes.get("/households/{household_id}/children/{child_id}/changes")
async def get_changes(request: web.Request) -> web.Response:
    household_id, child_id = household_in_path(request, Permission.READ_HOUSEHOLDS), path_uuid(request, "child_id")
    async with request.app[DATABASE].transaction() as tx:
        child = await households.child(tx, household_id, child_id)
        if child is None:
            raise NoSuchChild("the household has no such child")
        changes = await history.changes(tx, household_id, child_id)
    return json_response(ChangeHistory(child=child, activities=changes))
