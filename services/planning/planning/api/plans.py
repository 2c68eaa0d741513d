"""Commands for many days at once: a plan and its preview, and the undo of a change."""

from uuid import UUID

from aiohttp import web

from chassis.clock import now, today
from chassis.database import DATABASE, Transaction
from chassis.http import idempotency_key, json_response, read_body
from chassis.idempotency import claim_key, store_answer
from chassis.identity import household_in_path, identity
from contracts.api.bookings import BookingOutcome, BookingRequest, PlanChild, PlanOutcome, PlanRequest, UndoRequest
from contracts.identity import Permission
from planning.api.batches import as_json
from planning.api.book_days import BookingCommand, book_days, lock_bookings, situation_of
from planning.domain import plans
from planning.domain.booking_context import BookingContext
from planning.domain.bookings import undo
from planning.domain.failures import NothingToUndo
from planning.domain.together import Candidate, decide_in_order, decide_together
from planning.store import history

routes = web.RouteTableDef()


@routes.post("/households/{household_id}/plans")
async def post_plan(request: web.Request) -> web.Response:
    """Fill days by a rule: previewed, or done in one transaction, once for a key."""
    household_id = household_in_path(request, Permission.BOOK_FOR_HOUSEHOLDS)
    plan = await read_body(request, PlanRequest)
    scope = f"plans/{household_id}"
    async with request.app[DATABASE].transaction() as tx:
        if plan.preview:
            return json_response(await _preview(request, tx, household_id, plan))
        key = idempotency_key(request)
        if answer := await claim_key(tx, scope, key, await request.read()):
            return as_json(answer)
        planned = [await _planned(request, tx, household_id, plan, child) for child in plan.children]
        requests = [BookingCommand.of(request, household_id, body) for _, body in planned if body]
        changed = await book_days(request.app, tx, await lock_bookings(request.app, tx, requests), as_one=plan.together)
        done = {outcome.child.child_id: outcome for outcome, _ in changed}
        every = tuple(done.get(found.child.child_id, _nothing(found)) for found, _ in planned)
        answer = PlanOutcome(outcomes=every).model_dump_json().encode()
        await store_answer(tx, scope, key, answer)
    return as_json(answer)


async def _planned(
    request: web.Request, tx: Transaction, household_id: UUID, plan: PlanRequest, child: PlanChild
) -> tuple[BookingContext, BookingRequest | None]:
    """A child's situation and the wish that the plan comes to."""
    days = plans.span(plan)
    found = await situation_of(request, tx, household_id, child.child_id, days)
    model = None
    if plan.like_child_id:
        model = await situation_of(request, tx, household_id, plan.like_child_id, days)
    seen = found.version if child.seen_version is None else child.seen_version
    return found, plans.booking_request(plan, found, model, seen=seen, today=today())


async def _preview(request: web.Request, tx: Transaction, household_id: UUID, plan: PlanRequest) -> PlanOutcome:
    at, on_behalf = now(), identity(request).is_staff
    planned = [await _planned(request, tx, household_id, plan, child) for child in plan.children]
    requests = [Candidate(found, body, on_behalf) for found, body in planned if body]
    decisions = (decide_together if plan.together else decide_in_order)(requests, now=at)
    lines = {found.child.child_id: each.lines for (found, _, _), each in zip(requests, decisions, strict=True)}
    outcomes = [
        BookingOutcome(child=found.child, version=found.version, lines=lines.get(found.child.child_id, ()))
        for found, _ in planned
    ]
    return PlanOutcome(outcomes=tuple(outcomes))


def _nothing(found: BookingContext) -> BookingOutcome:
    return BookingOutcome(child=found.child, version=found.version, lines=())


@routes.post("/households/{household_id}/undo")
async def post_undo(request: web.Request) -> web.Response:
    """Take a change back, as far as the rules of each of its days still allow; once for a key."""
    household_id, key = household_in_path(request, Permission.BOOK_FOR_HOUSEHOLDS), idempotency_key(request)
    body, scope = await read_body(request, UndoRequest), f"undo/{household_id}"
    async with request.app[DATABASE].transaction() as tx:
        if answer := await claim_key(tx, scope, key, await request.read()):
            return as_json(answer)
        changes = await history.change(tx, household_id, body.child_id, body.version)
        taken_back = undo(body.child_id, changes, body.version)
        if taken_back is None:
            raise NothingToUndo("there is no such change to take back")
        held = await lock_bookings(request.app, tx, [BookingCommand.of(request, household_id, taken_back)])
        ((outcome, _),) = await book_days(request.app, tx, held)
        answer = outcome.model_dump_json().encode()
        await store_answer(tx, scope, key, answer)
    return as_json(answer)
