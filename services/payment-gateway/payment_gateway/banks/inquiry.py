"""Asking a bank and acting on its answer: the one way by which an attempt moves."""

from datetime import datetime, timedelta
from uuid import UUID

from aiohttp import web

from chassis import outbox
from chassis.clock import PARIS, now
from chassis.database import DATABASE, Transaction
from contracts.api.payment_gateway import PaymentStatus
from payment_gateway.banks import BANKS
from payment_gateway.domain.payments import (
    LOOKED_UP,
    Answer,
    Attempt,
    Move,
    decide,
    facts,
    next_look_up,
    ticket_of,
)
from payment_gateway.settings import SETTINGS, Settings
from payment_gateway.store import journal, payments


async def look_up(app: web.Application, payment_id: UUID) -> Attempt:
    """Ask the bank, with no transaction open meanwhile; then journal, move and event are one transaction."""
    async with app[DATABASE].transaction() as tx:
        asked = await payments.attempt_for_update(tx, payment_id)
    if asked.bank_reference is None:
        return asked
    heard = await app[BANKS][asked.bank].ask(asked)
    settings, at = app[SETTINGS], now()
    async with app[DATABASE].transaction() as tx:
        attempt = await payments.attempt_for_update(tx, payment_id)
        await journal.add_word(tx, asked.bank, "answer", payment_id=payment_id, query="", body=heard.body, at=at)
        await payments.note_word(tx, payment_id, heard.answer.word)
        open_for = timedelta(seconds=settings.open_seconds)
        if move := decide(attempt, heard.answer, now=at, open_for=open_for):
            await carry_out(tx, settings, attempt, move, said_by="bank", answer=heard.answer, at=at)
        attempt = await payments.attempt_for_update(tx, payment_id)
        again = next_look_up(attempt.created_at, now=at) if attempt.status in LOOKED_UP else None
        await payments.schedule_look_up(tx, payment_id, again)
    return attempt


async def carry_out(
    tx: Transaction,
    settings: Settings,
    attempt: Attempt,
    move: Move,
    *,
    said_by: str,
    at: datetime,
    answer: Answer | None = None,
) -> Attempt:
    """Store a move of a locked attempt with its ticket and its events; the attempt as it is then."""
    ticket = None
    if move.to is PaymentStatus.CONFIRMED:
        assert answer is not None, "only a bank's answer confirms"
        number = await payments.next_ticket_number(tx, at.astimezone(PARIS).year)
        ticket = ticket_of(attempt, answer, number=number, town=settings.town_name, now=at)
    await payments.move(tx, attempt, move, said_by=said_by, ticket=ticket, at=at)
    await outbox.add(tx, *facts(attempt, move.to, ticket, now=at))
    return await payments.attempt_for_update(tx, attempt.payment_id)
