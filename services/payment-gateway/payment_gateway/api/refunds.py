"""Refunds at a bank that makes them: decided and kept, made there, then true here. Any step may be repeated."""

from uuid import UUID, uuid5

from aiohttp import web

from chassis.clock import now
from chassis.database import DATABASE, Transaction
from chassis.idempotency import claim_key, store_answer
from contracts.api.payment_gateway import Actor, DecisionKind, PaymentDecision, PaymentStatus, Verification
from contracts.identity import Identity
from payment_gateway.api.payments import shown
from payment_gateway.banks import BANKS, Heard, bank_of
from payment_gateway.banks.inquiry import carry_out
from payment_gateway.domain.failures import PaymentChanged
from payment_gateway.domain.payments import Attempt, Move, given_back
from payment_gateway.domain.till import decide_till, version_of
from payment_gateway.settings import SETTINGS
from payment_gateway.store import journal, payments, till

COUNTED = (PaymentStatus.CONFIRMED, PaymentStatus.PARTIALLY_REFUNDED, PaymentStatus.REFUNDED)


def are_made_by(app: web.Application, attempt: Attempt, decision: PaymentDecision) -> bool:
    """Whether the attempt's bank makes this refund itself; elsewhere the till keeper says that it was made."""
    bank = app[BANKS].get(attempt.bank)
    is_refund = decision.command is DecisionKind.REFUND and attempt.status in COUNTED
    return is_refund and bank is not None and bank.can_refund


def refuse_if_changed(attempt: Attempt, decision: PaymentDecision) -> None:
    """A decision is about what was shown; ``PaymentChanged`` when a colleague or the bank was faster."""
    if decision.seen_version != version_of(attempt):
        raise PaymentChanged("this payment has changed since it was shown", status=attempt.status)


async def make(
    request: web.Request, known: Attempt, decision: PaymentDecision, person: Identity, key: str
) -> web.Response:
    """Refund at the bank; the same key does it once, and so does another for the same amount until it is known here."""
    app, scope, body = request.app, f"decisions/{known.payment_id}", await request.read()
    decision_id = uuid5(known.payment_id, key)
    async with app[DATABASE].transaction() as tx:
        answer = await claim_key(tx, scope, key, body)
        if answer is None:
            attempt, cents, bank_key = await _decided(tx, known.payment_id, decision_id, decision, person)
    if answer is None:
        heard = await bank_of(app, attempt).refund(attempt, cents, bank_key)
        async with app[DATABASE].transaction() as tx:
            attempt = await _made(app, tx, attempt, heard, decision_id, cents, decision.reason)
            answer = shown(attempt).model_dump_json().encode()
            await store_answer(tx, scope, key, answer)
    return web.Response(body=answer, status=201, content_type="application/json", charset="utf-8")


async def _decided(
    tx: Transaction, payment_id: UUID, decision_id: UUID, decision: PaymentDecision, person: Identity
) -> tuple[Attempt, int, str]:
    """The attempt, the amount and the bank's key, of a decision that is kept now or was before."""
    attempt = await payments.attempt_for_update(tx, payment_id)
    if asked := await till.refund_asked(tx, decision_id):
        return attempt, *asked
    refuse_if_changed(attempt, decision)
    move = decide_till(attempt, decision.command, decision.amount_cents, decision.reason, now=now())
    assert move is not None, "a refund moves"
    assert move.amount_cents is not None, "a refund has its amount"
    cents, bank_key = move.amount_cents, f"{payment_id}-{attempt.refunded_cents}-{move.amount_cents}"
    if attempt.failed_refunds:  # the same money again is another refund
        bank_key += f"-{attempt.failed_refunds}"
    whole = decision.model_copy(update={"amount_cents": cents})
    await till.add_decision(tx, decision_id, payment_id, whole, person, now(), bank_key=bank_key)
    return attempt, cents, bank_key


async def _made(
    app: web.Application, tx: Transaction, asked: Attempt, heard: Heard, decision_id: UUID, cents: int, reason: str
) -> Attempt:
    """Believe the bank's answer, unless its notification was faster."""
    attempt, at = await payments.attempt_for_update(tx, asked.payment_id), now()
    word = journal.Word(attempt.bank, "answer", Verification.ANSWER, body=heard.body)
    await journal.add_word(tx, word, payment_id=attempt.payment_id, at=at)
    if attempt.contradicted_cents:
        await till.close_contradiction(tx, attempt.payment_id)
    back = given_back(attempt, heard.answer.amount_cents or 0)
    if attempt.failed_refunds and not await till.is_made(tx, decision_id):
        back = decide_till(attempt, DecisionKind.REFUND, cents, reason, now=at)
    if back is None:
        return attempt
    move, keeper = Move(back.to, reason, back.amount_cents), Actor.CASHIER
    return await carry_out(tx, app[SETTINGS], attempt, move, said_by=keeper, at=at, decision_id=decision_id)
