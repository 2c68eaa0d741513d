"""The town's activities and the days they are closed."""

from datetime import datetime
from itertools import groupby
from uuid import UUID

from aiohttp import web

from chassis import outbox
from chassis.clock import now, today
from chassis.database import DATABASE, Transaction
from chassis.http import json_response, path_uuid, read_body
from chassis.identity import require
from contracts.api.planning import ActivityList, ActivityView, ActivityWish, Closure, ClosureList, ClosureWish
from contracts.events.planning import BookedDay, Channel
from contracts.identity import Permission
from planning.domain.bookings import told
from planning.domain.failures import DayHasBookings, NoSuchActivity
from planning.settings import SETTINGS
from planning.store import bookings, calendars

routes = web.RouteTableDef()


@routes.get("/activities")
async def get_activities(request: web.Request) -> web.Response:
    async with request.app[DATABASE].transaction() as tx:
        return json_response(ActivityList(activities=tuple(await calendars.activities(tx))))


@routes.put("/activities/{activity_id}")
async def put_activity(request: web.Request) -> web.Response:
    require(request, Permission.WRITE_CALENDAR)
    activity_id, wish = path_uuid(request, "activity_id"), await read_body(request, ActivityWish)
    async with request.app[DATABASE].transaction() as tx:
        await calendars.save_activity(tx, activity_id, wish)
    return json_response(ActivityView(activity_id=activity_id, **wish.model_dump()))


@routes.get("/closures")
async def get_closures(request: web.Request) -> web.Response:
    require(request, Permission.WRITE_CALENDAR)
    async with request.app[DATABASE].transaction() as tx:
        return json_response(ClosureList(closures=tuple(await calendars.closures(tx, today()))))


@routes.post("/closures")
async def post_closure(request: web.Request) -> web.Response:
    """Close a day. If children are booked it first says how many; told to, it cancels them in the same step."""
    person = require(request, Permission.WRITE_CALENDAR)
    wish = await read_body(request, ClosureWish)
    async with request.app[DATABASE].transaction() as tx:
        await bookings.hold_calendar(tx)
        known = {activity.activity_id for activity in await calendars.activities(tx)}
        if wish.activity_id and wish.activity_id not in known:
            raise NoSuchActivity("no such activity")
        booked = await bookings.booked_on(tx, wish.day, wish.activity_id)
        if booked and not wish.cancel_bookings:
            raise DayHasBookings("the day is booked", bookings=len(booked))
        is_new = await calendars.add_closure(tx, wish)
        for (household_id, child_id), group in groupby(booked, key=lambda each: each[:2]):
            activity_ids = [each[2] for each in group]
            await _cancel(request, tx, wish, household_id, child_id, activity_ids, by=person.subject_id, at=now())
    answer = Closure(**wish.model_dump(), cancelled=len(booked))
    return json_response(answer, status=201 if is_new else 200)


async def _cancel(
    request: web.Request,
    tx: Transaction,
    wish: ClosureWish,
    household_id: UUID,
    child_id: UUID,
    activity_ids: list[UUID],
    *,
    by: UUID,
    at: datetime,
) -> None:
    await bookings.lock_child(tx, child_id)
    await bookings.lock_occupation(tx, [(activity_id, wish.day) for activity_id in activity_ids])
    zone = request.app[SETTINGS].school_zone
    found = await bookings.situation(tx, zone, household_id, child_id, wish.day, wish.day)
    if found is None:
        return
    days = tuple(
        BookedDay(
            activity_id=activity_id,
            activity_label=found.activities[activity_id].label,
            day=wish.day,
            booked=False,
        )
        for activity_id in activity_ids
        if found.is_booked((activity_id, wish.day))
    )
    if days:
        event = told(found, days, found.version + 1, channel=Channel.AUTOMATIC, by=by, at=at)
        await bookings.save_changes(tx, event)
        await outbox.add(tx, event)
