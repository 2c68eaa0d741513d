"""The first page: what the town hall says, what is to be paid, and what each child does next."""

import asyncio
from dataclasses import dataclass
from datetime import date, timedelta

from aiohttp import web

from chassis.clock import today
from contracts.api.billing import InvoiceList
from contracts.api.notifier import Announcements
from contracts.api.planning import CellState, ChildList, ChildView, MonthView
from gateway.pages.rendering import page, see, signed_in
from gateway.services import SERVICES, Services, or_none

DAYS_SHOWN = 3

routes = web.RouteTableDef()


@dataclass(frozen=True)
class NextDay:
    """A day to come on which a child is booked, and for what."""

    day: date
    activities: list[str]


@dataclass(frozen=True)
class ChildCard:
    """A child, and its next days; None when planning does not say."""

    child: ChildView
    next_days: list[NextDay] | None


@routes.get("/")
async def home(request: web.Request) -> web.Response:
    """Each part stands by itself: what does not answer is said, and the rest is shown."""
    session, person = await signed_in(request)
    if person.household_id is None:
        return see("/mairie")
    services, household = request.app[SERVICES], f"/households/{person.household_id}"
    invoices, announcements, children = await asyncio.gather(
        or_none(services.call(session, "billing", f"{household}/invoices", InvoiceList)),
        or_none(services.call(session, "notifier", f"{household}/announcements", Announcements)),
        or_none(services.call(session, "planning", f"{household}/children", ChildList)),
    )
    cards = await asyncio.gather(
        *(_card(services, session, household, child) for child in (children.children if children else ()))
    )
    return page(
        request, "home.html", person, invoices=invoices, announcements=announcements, children=children, cards=cards
    )


async def _card(services: Services, session: str, household: str, child: ChildView) -> ChildCard:
    """The next days of a child, in this month and the next."""
    first, days = today().replace(day=1), []
    for month in (first, (first + timedelta(days=31)).replace(day=1)):
        path = f"{household}/children/{child.child_id}/months/{month:%Y-%m}"
        view = await or_none(services.call(session, "planning", path, MonthView))
        if view is None:
            return ChildCard(child, None)
        days += _booked(view)
        if len(days) >= DAYS_SHOWN:
            break
    return ChildCard(child, days[:DAYS_SHOWN])


def _booked(view: MonthView) -> list[NextDay]:
    labels = {column.activity_id: column.label for column in view.activities}
    found = []
    for day in view.days:
        booked = [labels[cell.activity_id] for cell in day.cells if cell.state is CellState.BOOKED]
        if booked and day.day >= today():
            found.append(NextDay(day.day, booked))
    return found
