"""The town's activities and the days they are closed."""

from uuid import UUID

from aiohttp import web

from chassis.clock import now, today
from chassis.database import DATABASE, Transaction
from chassis.http import check_version, json_response, path_day, path_uuid, read_body
from chassis.idempotency import idempotent
from chassis.identity import require
from contracts.api.calendar import (
    ActivityCalendar,
    ActivityList,
    ActivityRequest,
    ActivityView,
    Closure,
    ClosureList,
    ClosureRequest,
    SchoolDayRequest,
)
from contracts.events.planning import Channel
from contracts.identity import Permission
from planning.domain.failures import DayHasBookings, NoSuchActivity
from planning.settings import SETTINGS
from planning.store import bookings, calendars, freed_places

NOWHERE = UUID(int=0)
"""The id of an activity that is not saved yet."""

routes = web.RouteTableDef()


@routes.get("/activities")
async def get_activities(request: web.Request) -> web.Response:
    async with request.app[DATABASE].transaction() as tx:
        return json_response(ActivityList(activities=tuple(await calendars.activities(tx))))


@routes.post("/activities/preview")
async def preview_activity(request: web.Request) -> web.Response:
    """The days an activity would have: staff see its calendar before it is saved."""
    require(request, Permission.WRITE_CALENDAR)
    body = await read_body(request, ActivityRequest)
    async with request.app[DATABASE].transaction() as tx:
        calendar = await calendars.calendar(tx, request.app[SETTINGS].school_zone)
    days = calendar.preview(ActivityView(activity_id=NOWHERE, **body.model_dump()))
    return json_response(ActivityCalendar(days=days, known_until=calendar.known_until))


@routes.put("/activities/{activity_id}")
@idempotent
async def put_activity(request: web.Request) -> web.Response:
    """Save an activity while nobody books; places that this frees go to who waits."""
    require(request, Permission.WRITE_CALENDAR)
    activity_id, body = path_uuid(request, "activity_id"), await read_body(request, ActivityRequest)
    saved = ActivityView(activity_id=activity_id, **body.model_dump())
    async with request.app[DATABASE].transaction() as tx:
        await bookings.hold_calendar(tx)
        check_version(request, await calendars.activity(tx, activity_id))
        await calendars.save_activity(tx, activity_id, body)
        await _leave_none_behind(request, tx, [saved])
        await freed_places.grant_waited(tx, request.app[SETTINGS].school_zone, activity_id, today(), at=now())
    return json_response(saved)


@routes.put("/school-days/{day}")
async def put_school_day(request: web.Request) -> web.Response:
    """Keep what a decree changed in the school calendar."""
    require(request, Permission.WRITE_CALENDAR)
    day, body = path_day(request, "day"), await read_body(request, SchoolDayRequest)
    async with request.app[DATABASE].transaction() as tx:
        await bookings.hold_calendar(tx)
        await calendars.save_school_day(tx, day, body)
        await _leave_none_behind(request, tx, await calendars.activities(tx))
    return json_response(body)


async def _leave_none_behind(request: web.Request, tx: Transaction, changed: list[ActivityView]) -> None:
    """Undo a change of the calendar that would leave bookings on days that are no longer offered.

    Raises ``DayHasBookings`` with the first such day: closing it cancels them and tells the families.
    """
    zone = request.app[SETTINGS].school_zone
    for activity in changed:
        booked = await bookings.booked_days(tx, activity.activity_id, today())
        if not booked:
            continue
        calendar = await calendars.calendar(tx, zone)
        left = [day for day in booked if not calendar.is_offered(activity, day)]
        if left:
            count = sum(booked[day] for day in left)
            raise DayHasBookings("bookings would be left behind", bookings=count, day=str(left[0]))


@routes.get("/closures")
async def get_closures(request: web.Request) -> web.Response:
    require(request, Permission.WRITE_CALENDAR)
    async with request.app[DATABASE].transaction() as tx:
        return json_response(ClosureList(closures=tuple(await calendars.closures(tx, today()))))


@routes.post("/closures")
@idempotent
async def post_closure(request: web.Request) -> web.Response:
    """Close a day. If children are booked it first says how many; told to, it cancels them in the same step."""
    person = require(request, Permission.WRITE_CALENDAR)
    body = await read_body(request, ClosureRequest)
    async with request.app[DATABASE].transaction() as tx:
        await bookings.hold_calendar(tx)
        known = {activity.activity_id for activity in await calendars.activities(tx)}
        if body.activity_id and body.activity_id not in known:
            raise NoSuchActivity("no such activity")
        schools = await bookings.spellings(tx, body.school) if body.school else None
        gone = await bookings.attending(tx, body.day, body.activity_id, schools)
        booked = sum(not each.waits for each in gone)
        if booked and (not body.cancel_bookings or body.cancel_seen not in {None, booked}):
            raise DayHasBookings("the day is booked", bookings=booked)
        is_new = await calendars.add_closure(tx, body)
        zone, by = request.app[SETTINGS].school_zone, person.subject_id
        await freed_places.release_places(
            tx, zone, gone, channel=Channel.AUTOMATIC, by=by, at=now(), reason=body.reason
        )
    answer = Closure(**body.model_dump(), cancelled=booked, nobody_attends=schools == [])
    return json_response(answer, status=201 if is_new else 200)
