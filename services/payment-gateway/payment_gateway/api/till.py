"""The till keeper's doors: what wants a decision, the evidence, the decision; and a payment's story."""

from datetime import timedelta
from uuid import uuid4

from aiohttp import web

from chassis.clock import now, today
from chassis.database import DATABASE, Transaction
from chassis.http import idempotency_key, json_response, query_day, read_body
from chassis.idempotency import claim_key, store_answer
from chassis.identity import identity, require
from contracts.api.payment_gateway import (
    Actor,
    CashDeskReport,
    DecisionKind,
    Difference,
    PaymentDecision,
    PaymentFile,
    PaymentTimeline,
)
from contracts.identity import Permission
from payment_gateway.api import refunds
from payment_gateway.api.journal import paris_day
from payment_gateway.api.payments import own, shown
from payment_gateway.banks import BANKS
from payment_gateway.banks.inquiry import carry_out
from payment_gateway.domain.payments import Attempt, differences
from payment_gateway.domain.till import commands, confirmed_answer, decide_till, version_of, wants_means
from payment_gateway.settings import SETTINGS
from payment_gateway.store import journal, payments, remittances, till

LIST_MAX = 200
UNKNOWN_DAYS = 7

routes = web.RouteTableDef()


@routes.get("/till")
async def get_till(request: web.Request) -> web.Response:
    """What wants a person, and the receipts of a day, account by account."""
    require(request, Permission.READ_PAYMENTS)
    begins, ends = paris_day(query_day(request, "day", today()))
    async with request.app[DATABASE].transaction() as tx:
        report = CashDeskReport(
            exceptions=await till.exceptions(tx, LIST_MAX),
            days=await till.days(tx, begins, ends),
            unknown_notices=await journal.unknown_notices(tx, now() - timedelta(days=UNKNOWN_DAYS)),
            signed_notices=await journal.signed_notices(tx, now() - timedelta(days=UNKNOWN_DAYS)),
        )
    return json_response(report)


@routes.get("/payments/{payment_id}/timeline")
async def get_timeline(request: web.Request) -> web.Response:
    """A payment's story; who decided and on what evidence is for staff."""
    attempt = await own(request)
    async with request.app[DATABASE].transaction() as tx:
        timeline = await _timeline(tx, attempt)
    if not identity(request).may(Permission.READ_PAYMENTS):
        hidden = {"reason": None, "decided_by": None, "evidence": None}
        moves = tuple(move.model_copy(update=hidden) for move in timeline.moves)
        timeline = timeline.model_copy(update={"moves": moves, "remitted": ()})
    return json_response(timeline)


async def _timeline(tx: Transaction, attempt: Attempt) -> PaymentTimeline:
    return PaymentTimeline(
        payment=shown(attempt),
        first_notice_at=await journal.first_notice_at(tx, attempt.payment_id),
        moves=await till.moves_of(tx, attempt.payment_id),
        settled=await till.settled_with(tx, attempt.payment_id),
        remitted=await remittances.lines_of(tx, attempt.payment_id),
    )


@routes.get("/payments/{payment_id}/file")
async def get_file(request: web.Request) -> web.Response:
    """All that staff need to decide."""
    person = require(request, Permission.READ_PAYMENTS)
    attempt = await own(request)
    checkout, said = attempt.checkout, attempt.said
    found, bank = differences(attempt, said) if said else [], request.app[BANKS].get(attempt.bank)
    async with request.app[DATABASE].transaction() as tx:
        file = PaymentFile(
            version=version_of(attempt),
            timeline=await _timeline(tx, attempt),
            household_id=checkout.household_id,
            household_name=checkout.household_name,
            household_reference=checkout.household_reference,
            till=checkout.till,
            account=attempt.account,
            mode=attempt.mode,
            reference=attempt.reference,
            bank_reference=attempt.bank_reference,
            taken_cents=attempt.taken_cents or (said.amount_cents if said else None),
            surplus_cents=attempt.surplus_cents,
            failed_refund_cents=attempt.failed_refund_cents,
            contradicted_cents=attempt.contradicted_cents,
            wants_means=wants_means(attempt),
            differences=tuple(Difference(name=name, frozen=str(mine), said=str(said)) for name, mine, said in found),
            words=await journal.words_of(tx, attempt.payment_id),
            bank_can_be_asked=bank is not None and bank.can_be_asked,
            bank_refunds=bank is not None and bank.can_refund,
            commands=commands(attempt, now=now()) if person.may(Permission.DECIDE_PAYMENTS) else (),
        )
    return json_response(file)


@routes.post("/payments/{payment_id}/decisions")
async def post_decision(request: web.Request) -> web.Response:
    """Decide, with a reason and the place of the proof; the same key decides once."""
    person, key = require(request, Permission.DECIDE_PAYMENTS), idempotency_key(request)
    known, decision, at = await own(request), await read_body(request, PaymentDecision), now()
    payment_id = known.payment_id
    if refunds.are_made_by(request.app, known, decision):
        return await refunds.make(request, known, decision, person, key)
    async with request.app[DATABASE].transaction() as tx:
        answer = await claim_key(tx, f"decisions/{payment_id}", key, await request.read())
        if answer is None:
            attempt, decision_id = await payments.attempt_for_update(tx, payment_id), uuid4()
            refunds.refuse_if_changed(attempt, decision)
            move = decide_till(attempt, decision.command, decision.amount_cents, decision.reason, now=at)
            await till.add_decision(tx, decision_id, payment_id, decision, person, at)
            if move:
                keeper, rests_on = Actor.CASHIER, confirmed_answer(attempt, decision.means)
                await carry_out(
                    tx,
                    request.app[SETTINGS],
                    attempt,
                    move,
                    said_by=keeper,
                    at=at,
                    confirmed=rests_on,
                    decision_id=decision_id,
                )
            await _take_off_the_list(tx, attempt, decision.command)
            answer = shown(await payments.attempt_for_update(tx, payment_id)).model_dump_json().encode()
            await store_answer(tx, f"decisions/{payment_id}", key, answer)
    return web.Response(body=answer, status=201, content_type="application/json", charset="utf-8")


async def _take_off_the_list(tx: Transaction, attempt: Attempt, command: DecisionKind) -> None:
    """What a decision settles beside its move; whatever was decided of the money answers what the bank contradicts."""
    if command in (DecisionKind.UNDO_REFUND, DecisionKind.REMADE):
        await till.close_failed_refunds(tx, attempt.payment_id)
    elif command is DecisionKind.ACKNOWLEDGE:
        await till.acknowledge(tx, attempt.payment_id)
    if attempt.contradicted_cents and command is not DecisionKind.ACKNOWLEDGE:
        await till.close_contradiction(tx, attempt.payment_id)
