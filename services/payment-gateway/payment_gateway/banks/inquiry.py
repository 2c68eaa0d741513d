"""Asking a bank, hearing what it says, and the one function by which an attempt moves, whoever says so."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID, uuid5

from aiohttp import web

from chassis import outbox, tracing
from chassis.clock import now
from chassis.database import DATABASE, Transaction
from contracts.api.payment_gateway import Actor, PaymentStatus, Verification
from payment_gateway.banks import bank_of
from payment_gateway.domain.failures import BankUnreachable, NoAccount
from payment_gateway.domain.payments import (
    LOOKED_UP,
    OPEN,
    Answer,
    Attempt,
    Heard,
    Move,
    Word,
    contradicted_cents,
    decide,
    facts,
    next_look_up,
    receipt_of,
    unasked,
)
from payment_gateway.domain.transitions import may_move
from payment_gateway.settings import SETTINGS, Settings
from payment_gateway.store import journal, payments, till


async def look_up(app: web.Application, payment_id: UUID) -> Attempt:
    """Ask the bank, with no transaction open meanwhile; then journal, move and event are one transaction.

    Where the bank cannot be asked, only the clock has its word.
    """
    async with app[DATABASE].transaction() as tx:
        asked, trace = await payments.attempt_for_update(tx, payment_id), await _trace_of(tx, payment_id)
    if asked.bank_reference is None:
        return asked
    with tracing.continue_trace(trace, f"look up at {asked.bank}", tracing.Kind.INTERNAL):
        return await _look_up(app, asked)


async def _look_up(app: web.Application, asked: Attempt) -> Attempt:
    payment_id = asked.payment_id
    asked_at = now()
    try:
        bank = bank_of(app, asked)
        if not bank.can_be_asked:
            return await _wait(app, payment_id)
        with tracing.span(f"ask {asked.bank}", tracing.Kind.CLIENT):
            heard = await bank.ask(asked)
    except (BankUnreachable, NoAccount):
        async with app[DATABASE].transaction() as tx:
            await payments.note_unanswered(tx, payment_id)
        raise
    async with app[DATABASE].transaction() as tx:
        attempt = await payments.attempt_for_update(tx, payment_id)
        at, word = now(), journal.Word(asked.bank, "answer", Verification.ANSWER, body=heard.body)
        await journal.add_word(tx, word, payment_id=payment_id, at=at)
        return await hear(tx, app[SETTINGS], attempt, heard.answer, asked_at=asked_at, at=at)


async def _trace_of(tx: Transaction, payment_id: UUID) -> str | None:
    """Where the payment began, for whoever wants traces: what comes of it belongs there, whoever brings it."""
    return await payments.traceparent_of(tx, payment_id) if tracing.is_on() else None


async def _wait(app: web.Application, payment_id: UUID) -> Attempt:
    """Give an attempt up when its bank was silent for too long, else come back to it."""
    async with app[DATABASE].transaction() as tx:
        attempt, at = await payments.attempt_for_update(tx, payment_id), now()
        if move := unasked(attempt, now=at):
            attempt = await carry_out(tx, app[SETTINGS], attempt, move, said_by=Actor.CLOCK, at=at)
        again = next_look_up(attempt.created_at, now=at) if attempt.status in OPEN else None
        await payments.schedule_look_up(tx, payment_id, again)
        return attempt


async def hear(
    tx: Transaction, settings: Settings, attempt: Attempt, answer: Answer, *, asked_at: datetime, at: datetime
) -> Attempt:
    """Act on an authoritative answer about a locked attempt: to our question, or in a notification the bank signed.

    What it says is back of the money is acted on after what it says of the payment.
    """
    if answer.word is Word.REFUND_FAILED and answer.refund and answer.amount_cents:
        await till.note_failed_refund(tx, attempt.payment_id, answer.refund, answer.amount_cents, at)
        return await payments.attempt_for_update(tx, attempt.payment_id)
    if answer.word is Word.GIVEN_BACK and answer.refund:
        all_cents = await till.note_bank_refund(tx, attempt.payment_id, answer.refund, answer.amount_cents or 0, at)
        answer = replace(answer, amount_cents=all_cents, refund=None)
    if (name := answer.bank_payment) and name != attempt.bank_payment and await payments.is_anothers(tx, attempt, name):
        answer = replace(answer, reference=name, bank_payment=None)  # a person has to see which reference it has
    attempt = await _act_on(tx, settings, attempt, answer, asked_at=asked_at, at=at)
    if answer.given_back_cents:
        given_back = Answer(Word.GIVEN_BACK, answer.given_back_cents)
        attempt = await _act_on(tx, settings, attempt, given_back, asked_at=asked_at, at=at)
    return attempt


async def _act_on(
    tx: Transaction, settings: Settings, attempt: Attempt, answer: Answer, *, asked_at: datetime, at: datetime
) -> Attempt:
    """Move the attempt, or keep what was said; what contradicts the town's books goes to the till keeper."""
    move = decide(attempt, answer, now=at, open_for=timedelta(seconds=settings.open_seconds))
    is_asked_again = (move.to if move else attempt.status) in LOOKED_UP
    again = next_look_up(attempt.created_at, now=at) if is_asked_again else None
    heard = Heard(answer, asked_at, again)
    if move:
        return await carry_out(tx, settings, attempt, move, said_by=Actor.BANK, heard=heard, at=at)
    failed = await till.failed_refunds_cents(tx, attempt.payment_id) if attempt.failed_refunds else 0
    if cents := contradicted_cents(attempt, answer, failed_cents=failed):
        await till.note_contradiction(tx, attempt.payment_id, cents, at)
    return await payments.note(tx, attempt, heard, at)


async def carry_out(
    tx: Transaction,
    settings: Settings,
    attempt: Attempt,
    move: Move,
    *,
    said_by: Actor,
    at: datetime,
    heard: Heard | None = None,
    confirmed: Answer | None = None,
    decision_id: UUID | None = None,
) -> Attempt:
    """Store a move of a locked attempt with its ticket and its events; the attempt as it is then.

    ``confirmed`` is what a person's confirmation rests on, where no bank says it at this moment.
    """
    assert may_move(attempt.status, move.to, said_by), f"{said_by} moves no {attempt.status} to {move.to}"
    receipt = None
    if move.to is PaymentStatus.CONFIRMED and attempt.ticket is None:
        answer = heard.answer if heard else confirmed
        assert answer is not None, "only a bank's answer confirms"
        receipt = receipt_of(attempt, answer, town=settings.town_name, now=at)
    moved = await payments.move(
        tx, attempt, move, said_by=said_by, heard=heard, receipt=receipt, decision_id=decision_id, at=at
    )
    back_cents = attempt.refunded_cents + (move.amount_cents or 0)
    refund_id = decision_id or uuid5(attempt.payment_id, f"{back_cents} cents are back")
    trace = await _trace_of(tx, attempt.payment_id)
    with tracing.continue_trace(trace, f"payment {move.to}", tracing.Kind.INTERNAL):
        ticket = moved.ticket if receipt else None
        await outbox.add(tx, *facts(attempt, move, ticket, now=at, decision_id=refund_id))
    return moved
