"""P2 planning, P3 recap, P4 last modifications, P5 another child."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby
from typing import Any
from uuid import UUID

from aiohttp import web
from pydantic import ValidationError

from chassis.clock import today
from chassis.http import path_month, path_uuid
from contracts.api.billing import PriceList
from contracts.api.planning import (
    BookingLine,
    BookingOutcome,
    BookingWish,
    CellState,
    ChangeHistory,
    ChildList,
    Day,
    LineOutcome,
    LineRefusal,
    MonthView,
)
from contracts.events.planning import Channel
from contracts.failures import Forbidden, Invalid, Unavailable
from gateway.pages.rendering import checked_form, page, see, signed_in
from gateway.services import SERVICES, Told

REFUSALS = {
    LineRefusal.CLOSED: "jour fermé",
    LineRefusal.PAST_DEADLINE: "délai dépassé",
    LineRefusal.FULL: "complet",
    LineRefusal.NOT_ENROLLED: "votre enfant n'est pas inscrit à cette activité",
    LineRefusal.NOT_OFFERED: "l'activité n'a pas lieu ce jour-là",
    LineRefusal.CHANGED_ELSEWHERE: "ce jour a été changé entre-temps, depuis un autre écran",
    LineRefusal.OTHER_HOUSEHOLD: "jour de l'autre foyer",
}
CHANNELS = {
    Channel.INTERNET: "par internet",
    Channel.TOWN_HALL: "par la mairie",
    Channel.IMPORT: "import",
    Channel.AUTOMATIC: "automatique",
}

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


async def _household(request: web.Request) -> tuple[str, Any, str]:
    session, person = await signed_in(request)
    if person.household_id is None:
        raise Forbidden("this page is a household's")
    return session, person, f"/households/{person.household_id}"


@routes.get("/planning")
async def first_child(request: web.Request) -> web.Response:
    """The only child's planning, or the list to choose from."""
    session, _person, household = await _household(request)
    children = await request.app[SERVICES].call(session, "planning", f"{household}/children", ChildList)
    enrolled = [child for child in children.children if child.enrolled]
    return see(f"/planning/{enrolled[0].child_id}" if len(enrolled) == 1 else "/enfants")


@routes.get("/enfants")
async def choose_child(request: web.Request) -> web.Response:
    session, person, household = await _household(request)
    children = await request.app[SERVICES].call(session, "planning", f"{household}/children", ChildList)
    return page(request, "children.html", person, children=children.children)


@routes.get("/planning/{child_id}")
async def this_month(request: web.Request) -> web.Response:
    child_id = path_uuid(request, "child_id")
    return see(f"/planning/{child_id}/{today():%Y-%m}")


@routes.get("/planning/{child_id}/modifications")
async def modifications(request: web.Request) -> web.Response:
    session, person, household = await _household(request)
    path = f"{household}/children/{path_uuid(request, 'child_id')}/changes"
    history = await request.app[SERVICES].call(session, "planning", path, ChangeHistory)
    return page(request, "changes.html", person, history=history, channels=CHANNELS)


@routes.get("/planning/{child_id}/{month}")
async def planning(request: web.Request) -> web.Response:
    """A month as a form; what is ticked is sent whole, only what changed goes on."""
    session, person, household = await _household(request)
    child_id, first = path_uuid(request, "child_id"), path_month(request)
    services = request.app[SERVICES]
    children = await services.call(session, "planning", f"{household}/children", ChildList)
    path = f"{household}/children/{child_id}/months/{first:%Y-%m}"
    view = await services.call(session, "planning", path, MonthView)
    try:
        path = f"{household}/prices?child_id={child_id}&day={max(first, today())}"
        prices = (await services.call(session, "billing", path, PriceList)).prices
    except (Unavailable, Told):
        prices = ()  # the estimate is an extra: booking works without billing
    cents = {price.activity_id: price.unit_price_cents for price in prices}
    booked = [cell.activity_id for day in view.days for cell in day.cells if cell.state is CellState.BOOKED]
    return page(
        request,
        "planning.html",
        person,
        view=view,
        children=children.children,
        weeks=_weeks(view.days),
        cents=cents,
        prices={price.activity_id: price for price in prices},
        booked_cents=sum(cents.get(activity_id, 0) for activity_id in booked) if cents else None,
        previous=(first - timedelta(days=1)).replace(day=1),
        following=(first + timedelta(days=31)).replace(day=1),
    )


@routes.post("/planning/{child_id}/{month}")
async def save(request: web.Request) -> web.Response:
    """Send what changed and show the recap; sent again with the same key, it is the same recap."""
    form = await checked_form(request)
    session, person, household = await _household(request)
    child_id, first = path_uuid(request, "child_id"), path_month(request)
    lines = _changed(form)
    if not lines:
        return page(request, "recap.html", person, child_id=child_id, month=first, outcome=None, saved={}, refused={})
    try:
        wish = BookingWish(child_id=child_id, seen_version=str(form.get("version", "")), lines=lines)
    except ValidationError as error:
        raise Invalid("the form cannot be read", errors=[]) from error
    outcome = await request.app[SERVICES].call(
        session,
        "planning",
        f"{household}/bookings",
        BookingOutcome,
        method="POST",
        body=wish,
        key=str(form.get("key", "")),
    )
    saved, refused = _by_activity(outcome, is_saved=True), _by_activity(outcome, is_saved=False)
    return page(
        request,
        "recap.html",
        person,
        child_id=child_id,
        month=first,
        outcome=outcome,
        saved=saved,
        refused=refused,
        refusals=REFUSALS,
    )


def _changed(form: Any) -> tuple[BookingLine, ...]:
    """The cells whose tick differs from what the page showed."""
    ticked = set(form.getall("booked", []))
    lines = []
    try:
        for shown in form.getall("shown", []):
            cell, _, was = str(shown).rpartition("|")
            activity_id, _, day = cell.partition("|")
            if (cell in ticked) != (was == "1"):
                line = BookingLine(activity_id=UUID(activity_id), day=date.fromisoformat(day), booked=cell in ticked)
                lines.append(line)
    except ValueError as error:
        raise Invalid("the form cannot be read", errors=[]) from error
    return tuple(lines)


def _by_activity(outcome: BookingOutcome, *, is_saved: bool) -> dict[str, list[LineOutcome]]:
    found: dict[str, list[LineOutcome]] = defaultdict(list)
    for line in sorted(outcome.lines, key=lambda each: each.day):
        if (line.refusal is None) == is_saved:
            found[line.activity_label].append(line)
    return dict(found)
