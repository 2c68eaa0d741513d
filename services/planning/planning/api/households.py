"""A household's children: their months, their bookings, their history."""

from calendar import monthrange
from datetime import timedelta

from aiohttp import web

from chassis.clock import now, today
from chassis.database import DATABASE
from chassis.http import idempotency_key, json_response, path_month, path_uuid, read_body
from chassis.idempotency import recall, recalled, remember
from chassis.identity import household_in_path, identity
from contracts.api.planning import BookingWish, ChangeHistory, ChildList, MonthView
from contracts.identity import Permission
from planning.api.changing import change, situation_of, unchanged
from planning.api.turns import TURNS
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
    """Change some days: each line saved or refused with its reason, all in one transaction, once for a key.

    What changes nothing is told from a look, and its key stays free: the same wish sent again is weighed again.
    """
    household_id, key = household_in_path(request, Permission.BOOK_FOR_HOUSEHOLDS), idempotency_key(request)
    wish, scope, body = await read_body(request, BookingWish), f"bookings/{household_id}", await request.read()
    async with request.app[TURNS].of([(line.activity_id, line.day) for line in wish.lines]):
        async with request.app[DATABASE].reading() as look:
            told = await unchanged(request, look, household_id, wish)
            # Asked after the look: a change that the look has seen was committed together with its answer.
            if answer := await recalled(look, scope, key, body):
                return _json(answer)
            if told:
                return json_response(told)
        async with request.app[DATABASE].transaction() as tx:
            if answer := await recall(tx, scope, key, body):
                return _json(answer)
            (outcome,) = await change(request, tx, household_id, [wish])
            answer = outcome.model_dump_json().encode()
            await remember(tx, scope, key, answer)
    return _json(answer)


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json", charset="utf-8")


@routes.get("/households/{household_id}/children/{child_id}/changes")
async def get_changes(request: web.Request) -> web.Response:
    household_id, child_id = household_in_path(request, Permission.READ_HOUSEHOLDS), path_uuid(request, "child_id")
    async with request.app[DATABASE].transaction() as tx:
        child = await households.child(tx, household_id, child_id)
        if child is None:
            raise NoSuchChild("the household has no such child")
        changes = await history.changes(tx, household_id, child_id)
    return json_response(ChangeHistory(child=child, activities=changes))
