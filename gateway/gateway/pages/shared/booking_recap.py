"""P3, the recap of a change, whichever page it was made on; and what such pages ask for."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from uuid import UUID

from aiohttp import web

from contracts.api.bookings import BookingOutcome, LineOutcome, LineRefusal
from contracts.api.tariffs import Price, PriceList
from contracts.failures import Unavailable
from contracts.identity import Identity
from gateway.clients.services import SERVICES, UpstreamError
from gateway.pages.shared.planning_messages import refusal_message
from gateway.pages.shared.rendering import render

Lines = dict[str, list[LineOutcome]]
"""By the activity's label, in order of days."""


async def price_list(request: web.Request, session: str, household: str, query: str = "") -> dict[UUID, Price] | None:
    """What a day of each activity costs the household, and why; None without billing: booking works without it."""
    try:
        prices = await request.app[SERVICES].call(session, "billing", f"{household}/prices{query}", PriceList)
    except (Unavailable, UpstreamError):
        return None
    return {price.activity_id: price for price in prices.prices}


def by_activity(lines: Sequence[LineOutcome]) -> Lines:
    """Lines under their activities."""
    found: Lines = defaultdict(list)
    for line in sorted(lines, key=lambda each: each.day):
        found[line.activity_label].append(line)
    return dict(found)


def recap(
    request: web.Request,
    person: Identity,
    child_id: UUID,
    month: date,
    outcomes: Sequence[BookingOutcome],
    *,
    sent_ticks: bool = True,
) -> web.Response:
    """What was saved and what was not, a section a child; nothing is left out.

    ``sent_ticks``: the ticks of the month were sent, so that the device need not keep them any more.
    """
    parts = [
        {
            "outcome": outcome,
            "saved": by_activity([line for line in outcome.lines if line.refusal is None]),
            "refused": by_activity([line for line in outcome.lines if line.refusal is not None]),
            "full": [line for line in outcome.lines if line.refusal is LineRefusal.FULL],
        }
        for outcome in outcomes
        if outcome.lines
    ]
    return render(
        request,
        "parents/recap.html",
        person,
        child_id=child_id,
        month=month,
        parts=parts,
        why=refusal_message,
        sent_ticks=sent_ticks,
    )
