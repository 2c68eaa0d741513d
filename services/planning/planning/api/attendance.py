"""Who really came: the sheet of a day."""

from datetime import date
from uuid import UUID

from aiohttp import web

from chassis import outbox
from chassis.clock import now, today
from chassis.database import DATABASE, Transaction
from chassis.http import json_response, path_day, path_uuid, read_body
from chassis.identity import require
from contracts.api.attendance import AttendanceMarks, AttendanceSheet
from contracts.events.planning import AttendanceRecorded
from contracts.identity import Permission
from planning.domain.attendance import check
from planning.domain.failures import NoSuchActivity, NoSuchChild
from planning.settings import SETTINGS
from planning.store import attendance, calendars

routes = web.RouteTableDef()


@routes.get("/activities/{activity_id}/attendance/{day}")
async def get_sheet(request: web.Request) -> web.Response:
    require(request, Permission.BOOK_FOR_HOUSEHOLDS)
    school = request.query.get("school") or None
    async with request.app[DATABASE].transaction() as tx:
        answer = await _sheet(request, tx, path_uuid(request, "activity_id"), path_day(request), school)
    return json_response(answer)


@routes.put("/activities/{activity_id}/attendance/{day}")
async def put_marks(request: web.Request) -> web.Response:
    """Mark children; the same marks again change nothing and tell nobody."""
    person = require(request, Permission.BOOK_FOR_HOUSEHOLDS)
    activity_id, day = path_uuid(request, "activity_id"), path_day(request)
    body, at = await read_body(request, AttendanceMarks), now()
    async with request.app[DATABASE].transaction() as tx:
        await attendance.lock_sheet(tx, activity_id, day)
        sheet = await _sheet(request, tx, activity_id, day, None)
        rows = {(row.household_id, row.child_id): row for row in (*sheet.rows, *sheet.others)}
        for mark in body.marks:
            if (mark.household_id, mark.child_id) not in rows:
                raise NoSuchChild("this child is not enrolled that day", child_id=str(mark.child_id))
            check(mark, rows[mark.household_id, mark.child_id], day, today=today())
        for version, mark in await attendance.mark(tx, activity_id, day, body.marks, person.subject_id, at):
            row = rows[mark.household_id, mark.child_id]
            event = AttendanceRecorded(
                household_id=mark.household_id,
                child_id=mark.child_id,
                child_first_name=row.first_name,
                activity_id=activity_id,
                activity_label=sheet.activity_label,
                day=day,
                presence=mark.presence,
                late_pickup=mark.late_pickup,
                booked=row.booked,
                version=version,
                recorded_by=person.subject_id,
                recorded_at=at,
            )
            await outbox.add(tx, event)
        answer = await _sheet(request, tx, activity_id, day, None)
    return json_response(answer)


async def _sheet(
    request: web.Request, tx: Transaction, activity_id: UUID, day: date, school: str | None
) -> AttendanceSheet:
    activities = {activity.activity_id: activity for activity in await calendars.activities(tx)}
    if activity_id not in activities:
        raise NoSuchActivity("no such activity")
    calendar = await calendars.calendar(tx, request.app[SETTINGS].school_zone)
    rows = await attendance.sheet(tx, activity_id, day, school)
    return AttendanceSheet(
        activity_id=activity_id,
        activity_label=activities[activity_id].label,
        day=day,
        closed=calendar.closed_because(activity_id, day, school),
        schools=await attendance.schools(tx),
        rows=tuple(row for row in rows if row.booked or row.presence),
        others=tuple(row for row in rows if not row.booked and not row.presence),
    )
