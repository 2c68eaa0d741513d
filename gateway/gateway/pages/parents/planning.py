"""P2 planning, P3 recap, P4 last modifications, P5 another child."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby
from uuid import UUID

from aiohttp import web
from pydantic import ValidationError

from chassis.clock import today
from chassis.http import path_month, path_uuid, read_form
from contracts.api.bookings import BookingOutcome, BookingRequest, ChangeHistory
from contracts.api.enrolments import ChildList
from contracts.api.months import CellState, Day, MonthView, Offer, PlaceOnOffer
from contracts.failures import Forbidden, Invalid
from gateway.clients.services import SERVICES
from gateway.forms.month import MONTH, cell_key, changed, parse_ticks
from gateway.pages.shared.access import require_household
from gateway.pages.shared.booking_recap import price_list, recap
from gateway.pages.shared.planning_messages import CHANNELS, cell_messages, day_off_name
from gateway.pages.shared.price_messages import attendance_explanation, price_explanation
from gateway.pages.shared.rendering import checked_form, redirect, render
from gateway.pages.shared.return_path import requested_path

routes = web.RouteTableDef()


@dataclass(frozen=True)
class Week:
    """The rows of a week under its Monday; ``note`` is what most of its days say, so that it is said once."""

    monday: date
    note: str | None
    days: list[Day]


def _weeks(days: tuple[Day, ...]) -> list[Week]:
    weeks = []
    for monday, group in groupby(days, key=lambda each: each.day - timedelta(days=each.day.weekday())):
        found = list(group)
        note, count = Counter(each.note for each in found).most_common(1)[0]
        weeks.append(Week(monday, note if count * 2 > len(found) else None, found))
    return weeks


def _weekdays(view: MonthView) -> dict[UUID, list[int]]:
    """On which ISO weekdays each activity takes place in the month."""
    found: dict[UUID, set[int]] = defaultdict(set)
    for day in view.days:
        for cell in day.cells:
            found[cell.activity_id].add(day.day.isoweekday())
    return {activity_id: sorted(days) for activity_id, days in found.items()}


def _ticked(view: MonthView, ticks: str) -> dict[str, bool]:
    """The days that were ticked or not before the sign-in, of those that can still be changed, by the form's value."""
    found = parse_ticks(ticks)
    cells = [(cell, day.day) for day in view.days for cell in day.cells if cell.changeable and not cell.offered_until]
    return {
        f"{cell.activity_id}|{day}": found[cell_key(cell.activity_id, day)]
        for cell, day in cells
        if cell_key(cell.activity_id, day) in found
    }


def _offer(view: MonthView, place: PlaceOnOffer) -> Offer:
    """A place on offer with whom it is for, as the first page shows it."""
    child = {"child_id": view.child.child_id, "child_first_name": view.child.first_name}
    return Offer(**place.model_dump(), **child, version=view.version)


@routes.get("/planning")
async def first_child(request: web.Request) -> web.Response:
    """The only child's planning, or the list to choose from."""
    session, _person, household = await require_household(request)
    children = await request.app[SERVICES].call(session, "planning", f"{household}/children", ChildList)
    enrolled = [child for child in children.children if child.enrolled]
    return redirect(f"/planning/{enrolled[0].child_id}" if len(enrolled) == 1 else "/enfants")


@routes.get("/enfants")
async def choose_child(request: web.Request) -> web.Response:
    session, person, household = await require_household(request)
    children = await request.app[SERVICES].call(session, "planning", f"{household}/children", ChildList)
    return render(request, "parents/children.html", person, children=children.children)


@routes.get("/planning/{child_id}")
async def this_month(request: web.Request) -> web.Response:
    child_id = path_uuid(request, "child_id")
    return redirect(f"/planning/{child_id}/{today():%Y-%m}")


@routes.get("/planning/{child_id}/modifications")
async def modifications(request: web.Request) -> web.Response:
    session, person, household = await require_household(request)
    path = f"{household}/children/{path_uuid(request, 'child_id')}/changes"
    history = await request.app[SERVICES].call(session, "planning", path, ChangeHistory)
    return render(request, "parents/changes.html", person, history=history, channels=CHANNELS)


@routes.get("/planning/{child_id}/{month}")
async def planning(request: web.Request) -> web.Response:
    """A month as a form; what is ticked is sent whole, only what changed goes on."""
    session, person, household = await require_household(request)
    child_id, first = path_uuid(request, "child_id"), path_month(request)
    services = request.app[SERVICES]
    children = await services.call(session, "planning", f"{household}/children", ChildList)
    path = f"{household}/children/{child_id}/months/{first:%Y-%m}"
    view = await services.call(session, "planning", path, MonthView)
    prices = await price_list(request, session, household, f"?child_id={child_id}&day={max(first, today())}")
    cents = {activity_id: price.unit_price_cents for activity_id, price in (prices or {}).items()}
    cells = [cell for day in view.days for cell in day.cells]
    booked = [cell.activity_id for cell in cells if cell.state is CellState.BOOKED]
    about = {cell.activity_id for cell in cells}
    last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    return render(
        request,
        "parents/planning.html",
        person,
        view=view,
        places=[_offer(view, each) for each in view.offers],
        words=cell_messages(),
        known=day_off_name,
        made_by=price_explanation,
        by_attendance=attendance_explanation,
        columns=[column for column in view.activities if column.activity_id in about],
        weekdays=_weekdays(view),
        children=children.children,
        siblings=[child for child in children.children if child.enrolled and child.child_id != child_id],
        weeks=_weeks(view.days),
        first_day=max(first, today()),
        last_day=last,
        is_open=any(cell.changeable for cell in cells),
        ticked=_ticked(view, request.query.get("coches", "")),
        cents=cents,
        prices=prices,
        booked_cents=sum(cents.get(activity_id, 0) for activity_id in booked) if cents else None,
        previous=(first - timedelta(days=1)).replace(day=1),
        following=(first + timedelta(days=31)).replace(day=1),
    )


@routes.post("/planning/{child_id}/{month}")
async def save(request: web.Request) -> web.Response:
    """Send what changed and show the recap; sent again with the same key, it is the same recap.

    From a page of another session nothing is saved: the month is shown, with the same days ticked.
    """
    try:
        form = await checked_form(request, MONTH)
    except Forbidden:  # it was shown before this session began, or that one ended
        if not changed(await read_form(request)):
            raise
        return redirect(await requested_path(request))
    session, person, household = await require_household(request)
    child_id, first = path_uuid(request, "child_id"), path_month(request)
    lines = changed(form)
    if not lines:
        return recap(request, person, child_id, first, ())
    try:
        body = BookingRequest(child_id=child_id, seen_version=form.get("version"), lines=lines)
    except ValidationError as error:
        raise Invalid("the form cannot be read", errors=[]) from error
    outcome = await request.app[SERVICES].call(
        session,
        "planning",
        f"{household}/bookings",
        BookingOutcome,
        method="POST",
        body=body,
        key=form.get("key"),
    )
    return recap(request, person, child_id, first, (outcome,))
