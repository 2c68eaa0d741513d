"""Who may book what: enrolments as staff make, change and end them."""

from typing import Any

from aiohttp import web

from chassis import outbox
from chassis.clock import now, today
from chassis.database import DATABASE
from chassis.http import json_response, path_uuid, read_body
from chassis.idempotency import idempotent
from chassis.identity import household_in_path, require
from contracts.api.enrolments import ChildEnrolments, Enrolment, EnrolmentBook, EnrolmentRequest
from contracts.events.auth import Span
from contracts.events.planning import EnrolmentChanged
from contracts.identity import Permission
from planning.api.book_days import channel_of
from planning.domain.enrolments import check, choices
from planning.domain.failures import EnrolmentHasBookings, NoSuchActivity, NoSuchChild
from planning.settings import SETTINGS
from planning.store import bookings, calendars, enrolments, freed_places, households

routes = web.RouteTableDef()


@routes.get("/households/{household_id}/enrolments")
async def get_enrolments(request: web.Request) -> web.Response:
    """What each child of the household is enrolled in, and what it could be."""
    household_id = household_in_path(request, Permission.READ_HOUSEHOLDS)
    async with request.app[DATABASE].transaction() as tx:
        children = await households.children(tx, household_id)
        there = await enrolments.of_household(tx, household_id)
        activities = await calendars.activities(tx)
    answer = [
        ChildEnrolments(
            child=child,
            enrolments=tuple(there[child.child_id].values()),
            choices=choices(child, activities, there[child.child_id], today=today()),
        )
        for child in children
    ]
    return json_response(EnrolmentBook(children=tuple(answer)))


@routes.put("/households/{household_id}/children/{child_id}/enrolments/{activity_id}")
@idempotent
async def put_enrolment(request: web.Request) -> web.Response:
    """Let a child book an activity from a date to a date, while nobody books.

    If days to come are booked outside these dates, it first says how many; told to, it cancels them in the same step,
    and their places go to who waits.
    """
    person = require(request, Permission.WRITE_HOUSEHOLDS)
    ids: dict[str, Any] = {name: path_uuid(request, name) for name in ("household_id", "child_id", "activity_id")}
    body, channel = await read_body(request, EnrolmentRequest), channel_of(request, person)
    async with request.app[DATABASE].transaction() as tx:
        await bookings.hold_calendar(tx)
        child = await households.child(tx, ids["household_id"], ids["child_id"])
        if child is None:
            raise NoSuchChild("the household has no such child")
        activities = {activity.activity_id: activity for activity in await calendars.activities(tx)}
        if ids["activity_id"] not in activities:
            raise NoSuchActivity("no such activity")
        check(child, activities[ids["activity_id"]], await enrolments.enrolment(tx, **ids), body)
        left = await enrolments.days_outside(tx, **ids, body=body, today=today())
        booked, at, by = [each for each in left if not each.waits], now(), person.subject_id
        if booked and (not body.cancel_bookings or body.cancel_seen not in {None, len(booked)}):
            raise EnrolmentHasBookings("days are booked", bookings=len(booked), day=str(booked[0].day))
        version = await enrolments.save(tx, **ids, body=body)
        await enrolments.add_change(tx, **ids, channel=channel, by=by, at=at)
        span, zone = Span(first_day=body.first_day, last_day=body.last_day), request.app[SETTINGS].school_zone
        await freed_places.release_places(tx, zone, left, channel=channel, by=by, at=at, enrolled=span)
        label, days = activities[ids["activity_id"]].label, span.model_dump()
        await outbox.add(tx, EnrolmentChanged(**ids, activity_label=label, version=version, **days))
        saved = await enrolments.enrolment(tx, **ids)
    assert saved is not None, "it has just been saved"
    return json_response(Enrolment(**{**saved.model_dump(), "cancelled": len(booked)}))
