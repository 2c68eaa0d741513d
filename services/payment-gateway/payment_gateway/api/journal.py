"""The journal, searched by staff: every word of a bank, as long as its bytes are kept."""

from datetime import date, datetime, time, timedelta

from aiohttp import web

from chassis.clock import PARIS
from chassis.database import DATABASE
from chassis.http import json_response
from chassis.identity import require
from contracts.api.payment_gateway import Journal, Verification
from contracts.failures import Invalid
from contracts.identity import Permission
from contracts.model import parse_day
from payment_gateway.store import journal

PAGE_MAX = 50
REFERENCE_MAX = 120
KEY_MAX = 2**63 - 1

routes = web.RouteTableDef()


@routes.get("/journal")
async def get_journal(request: web.Request) -> web.Response:
    """The words that fit every filter, newest first, a page at a time."""
    require(request, Permission.READ_PAYMENTS)
    query = request.query
    try:
        verdict = Verification(query["verdict"]) if query.get("verdict") else None
        begins, ends = paris_day(parse_day(query["day"])) if query.get("day") else (None, None)
        before = min(int(query.get("before", KEY_MAX)), KEY_MAX)
    except ValueError:
        wrong = [{"field": "query", "message": "day is YYYY-MM-DD, verdict one of the verdicts, before a number"}]
        raise Invalid("the search cannot be read", errors=wrong) from None
    reference = query.get("reference", "").replace("\0", "").strip()[:REFERENCE_MAX]
    body = journal.Search(reference, begins, ends, verdict, before)
    async with request.app[DATABASE].transaction() as tx:
        words = await journal.search(tx, body, PAGE_MAX + 1)
    more = len(words) > PAGE_MAX
    return json_response(Journal(words=words[:PAGE_MAX], before=words[PAGE_MAX - 1].word_id if more else None))


def paris_day(day: date) -> tuple[datetime, datetime]:
    """When a day begins and ends here."""
    return datetime.combine(day, time(), PARIS), datetime.combine(day + timedelta(days=1), time(), PARIS)
