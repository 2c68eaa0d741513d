"""« Le style du portail »: every piece that pages are made of, alive, so that a new page is made of the same."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

from aiohttp import web

from chassis.clock import now, today
from contracts.api.months import ActivityColumn, Cell, CellState, Day
from contracts.failures import Forbidden
from contracts.identity import STAFF
from gateway.assets import ICONS
from gateway.pages.shared.planning_messages import cell_messages, day_off_name
from gateway.pages.shared.rendering import render, signed_in

COLOURS = (
    *("paper", "sheet", "ink", "soft", "line", "field"),
    *("green", "green-soft", "sun", "sun-soft", "red", "red-soft"),
)
WIDE = 3

routes = web.RouteTableDef()


def _cell(state: CellState, *, changeable: bool = True, **more: Any) -> Cell:
    until = now() + timedelta(days=2 if changeable else -1)
    return Cell(activity_id=uuid4(), state=state, changeable=changeable, until=until, **more)


def _cells() -> list[Cell]:
    """A cell of every state, open and shut."""
    soon, shut = now() + timedelta(days=2), (CellState.FREE, CellState.BOOKED, CellState.FULL)
    return [
        *(_cell(state) for state in shut),
        _cell(CellState.WAITING, rank=2),
        _cell(CellState.WAITING, rank=1, offered_until=soon),
        _cell(CellState.FREE, changeable=False, opens_at=soon),
        *(_cell(state, changeable=False) for state in shut),
        _cell(CellState.CLOSED, changeable=False, reason="Grève"),
        _cell(CellState.OTHER_HOUSEHOLD, changeable=False),
    ]


@routes.get("/mairie/style")
async def design(request: web.Request) -> web.Response:
    """Colours, signs, words and states."""
    _session, person = await signed_in(request)
    if not person.is_staff:
        raise Forbidden("this page is the town hall's", roles=STAFF)
    cells = _cells()
    rows = [cells[number : number + WIDE] for number in range(0, len(cells), WIDE)]
    days = [Day(day=today() + timedelta(days=number), note=None, cells=tuple(row)) for number, row in enumerate(rows)]
    column = ActivityColumn(activity_id=uuid4(), label="Cantine")
    month = {"month": today().replace(day=1)}
    return render(
        request,
        "town_hall/design.html",
        person,
        ticked={},
        colours=COLOURS,
        icons=ICONS,
        days=days,
        column=column,
        words=cell_messages(),
        known=day_off_name,
        cents={},
        view=month,
    )
