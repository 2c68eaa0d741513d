"""A household's children: their months, their bookings, their history."""

from calendar import monthrange
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from aiohttp import web

from chassis import outbox
from chassis.clock import now, today
from chassis.database import DATABASE, Transaction
from chassis.http import idempotency_key, json_response, path_month, path_uuid, read_body
from chassis.idempotency import recall, remember
from chassis.identity import household_in_path, identity
from contracts.api.planning import BookingOutcome, BookingWish, ChangeHistory, ChildList, EnrolmentWish, MonthView
from contracts.events.planning import Channel
from contracts.failures import Forbidden
from contracts.identity import Identity, Permission, Role
from planning.domain.bookings import Situation, decide, told
from planning.domain.failures import NoSuchActivity, NoSuchChild
from planning.settings import SETTINGS
from planning.store import bookings, calendars

routes = web.RouteTableDef()


async def _situation(
    request: web.Request, tx: Transaction, household_id: UUID, child_id: UUID, days: tuple[date, date]
) -> Situation:
    zone = request.app[SETTINGS].school_zone
    found = await bookings.situation(tx, zone, household_id, child_id, *days)
    if found is None:
        raise NoSuchChild("the household has no such child")
    return found


def _channel(request: web.Request, person: Identity) -> Channel:
    """How the wish came in: a parent's by internet, staff's by the town hall, an administrator's import by name."""
    if not person.is_staff:
        return Channel.INTERNET
    if request.headers.get("X-Channel") != Channel.IMPORT:
        return Channel.TOWN_HALL
    if Role.ADMINISTRATOR not in person.roles:
        raise Forbidden("only an administrator may import")
    return Channel.IMPORT


@routes.get("/households/{household_id}/children")
async def get_children(request: web.Request) -> web.Response:
    household_id = household_in_path(request, Permission.READ_HOUSEHOLDS)
    async with request.app[DATABASE].transaction() as tx:
        return json_response(ChildList(children=tuple(await bookings.children(tx, household_id))))


@routes.get("/households/{household_id}/children/{child_id}/months/{month}")
async def get_month(request: web.Request) -> web.Response:
    """A month of a child's planning, with what can be changed and until when."""
    household_id = household_in_path(request, Permission.READ_HOUSEHOLDS)
    first = path_month(request)
    dates = [first + timedelta(days=number) for number in range(monthrange(first.year, first.month)[1])]
    async with request.app[DATABASE].transaction() as tx:
        child_id = path_uuid(request, "child_id")
        found = await _situation(request, tx, household_id, child_id, (dates[0], dates[-1]))
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
    )
    return json_response(answer)


@routes.post("/households/{household_id}/bookings")
async def post_bookings(request: web.Request) -> web.Response:
    """Change some days: each line saved or refused with its reason, all in one transaction, once for a key."""
    household_id = household_in_path(request, Permission.BOOK_FOR_HOUSEHOLDS)
    person, key = identity(request), idempotency_key(request)
    wish = await read_body(request, BookingWish)
    channel, at = _channel(request, person), now()
    dates = [line.day for line in wish.lines]
    async with request.app[DATABASE].transaction() as tx:
        if answer := await recall(tx, f"bookings/{household_id}", key, await request.read()):
            return _json(answer)
        await bookings.share_calendar(tx)
        await bookings.lock_child(tx, wish.child_id)
        await bookings.lock_occupation(tx, [(line.activity_id, line.day) for line in wish.lines])
        found = await _situation(request, tx, household_id, wish.child_id, (min(dates), max(dates)))
        decision = decide(found, wish, now=at, on_behalf=person.is_staff)
        if decision.changed:
            event = told(found, decision.changed, decision.version, channel=channel, by=person.subject_id, at=at)
            await bookings.save_changes(tx, event)
            await outbox.add(tx, event)
        outcome = BookingOutcome(child=found.child, version=decision.version, lines=decision.lines)
        answer = outcome.model_dump_json().encode()
        await remember(tx, f"bookings/{household_id}", key, answer)
    return _json(answer)


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json", charset="utf-8")


@routes.get("/households/{household_id}/children/{child_id}/changes")
async def get_changes(request: web.Request) -> web.Response:
    household_id, child_id = household_in_path(request, Permission.READ_HOUSEHOLDS), path_uuid(request, "child_id")
    async with request.app[DATABASE].transaction() as tx:
        found = await _situation(request, tx, household_id, child_id, (today(), today()))
        changes = await bookings.changes(tx, household_id, child_id)
    return json_response(ChangeHistory(child=found.child, activities=changes))


@routes.put("/households/{household_id}/children/{child_id}/enrolments/{activity_id}")
async def put_enrolment(request: web.Request) -> web.Response:
    """Let a child book an activity from a date to a date."""
    if not identity(request).may(Permission.WRITE_HOUSEHOLDS):
        raise Forbidden("your role does not allow this")
    ids: dict[str, Any] = {name: path_uuid(request, name) for name in ("household_id", "child_id", "activity_id")}
    wish = await read_body(request, EnrolmentWish)
    async with request.app[DATABASE].transaction() as tx:
        await _situation(request, tx, ids["household_id"], ids["child_id"], (today(), today()))
        if ids["activity_id"] not in {activity.activity_id for activity in await calendars.activities(tx)}:
            raise NoSuchActivity("no such activity")
        await calendars.save_enrolment(tx, **ids, wish=wish)
    return json_response(wish)
