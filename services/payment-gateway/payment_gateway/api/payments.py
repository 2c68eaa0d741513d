"""Attempts: begun, followed, given up; tickets."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

from aiohttp import web

from chassis import tracing
from chassis.clock import now
from chassis.database import DATABASE, Transaction
from chassis.http import json_response, path_uuid, read_body
from chassis.identity import identity, require
from contracts.api.payment_gateway import Actor, Payment, PaymentList, PaymentRequest, PaymentStatus
from contracts.failures import Forbidden
from contracts.identity import Identity, Permission
from documents import ticket
from payment_gateway.banks import bank_for_till, bank_of
from payment_gateway.banks.inquiry import carry_out, look_up
from payment_gateway.domain.failures import (
    BankCannot,
    BankRefused,
    BankUnreachable,
    CheckoutNotReady,
    CheckoutOver,
    NoForm,
    NoSuchPayment,
    NoTicket,
    PayerEmailMissing,
    PayerEmailUnusable,
    PaymentUnresolved,
)
from payment_gateway.domain.payments import (
    LOOKED_UP,
    OPEN,
    OPENING_TAKES_AT_MOST,
    Attempt,
    Move,
    left_cents,
    next_look_up,
    page_can_open,
)
from payment_gateway.settings import SETTINGS
from payment_gateway.store import payments

LIST_MAX = 200

routes = web.RouteTableDef()


@routes.post("/payments")
async def post_payment(request: web.Request) -> web.Response:
    """Begin an attempt, written before the bank is asked; an attempt still open is answered again."""
    person = identity(request)
    if person.household_id is None:
        raise Forbidden("only a household pays online")
    body = await read_body(request, PaymentRequest)
    async with request.app[DATABASE].transaction() as tx:
        attempt, is_new = await _attempt_for(request.app, tx, person, person.household_id, body.checkout_id)
        if is_new and attempt.checkout.expires_at <= now():
            late = Move(PaymentStatus.FAILED, "the checkout was over")  # told, so that billing lets go of its invoices
            attempt = await carry_out(tx, request.app[SETTINGS], attempt, late, said_by=Actor.CLOCK, at=now())
            await payments.schedule_look_up(tx, attempt.payment_id, None)
    if is_new and attempt.status is PaymentStatus.CREATED:
        attempt = await _open_at_bank(request.app, attempt)
    return json_response(shown(attempt), status=201 if is_new else 200)


async def _attempt_for(
    app: web.Application, tx: Transaction, person: Identity, household_id: UUID, checkout_id: UUID
) -> tuple[Attempt, bool]:
    at = now()
    checkout = await payments.checkout_for_update(tx, household_id, checkout_id)
    if checkout is None:
        raise CheckoutNotReady("this checkout is not known here yet", retry_after_seconds=1)
    for known in await payments.attempts_of(tx, checkout_id):
        if known.status is PaymentStatus.CREATED or page_can_open(known, now=at):
            return known, False
        if known.status in OPEN:
            raise PaymentUnresolved("the bank has not said yet how this ended", payment_id=str(known.payment_id))
        raise CheckoutOver("this checkout was tried already", payment_id=str(known.payment_id), status=known.status)
    if not person.email:
        raise PayerEmailMissing("the bank wants an address for its receipt")
    payment_id, bank = uuid4(), bank_for_till(app, checkout.till)
    if not bank.can_tell(person.email):
        raise PayerEmailUnusable("the bank cannot be given this address for its receipt")
    await payments.add_attempt(
        tx,
        checkout,
        payment_id=payment_id,
        payer_id=person.subject_id,
        payer_email=person.email,
        payer_name=person.name,
        bank=bank.name,
        account=bank.account,
        mode=bank.mode,
        reference=bank.reference(checkout, payment_id),
        at=at,
        look_up_at=at + OPENING_TAKES_AT_MOST,
        traceparent=tracing.traceparent(),
    )
    return await payments.attempt_for_update(tx, payment_id), True


async def _open_at_bank(app: web.Application, attempt: Attempt) -> Attempt:
    try:
        with tracing.span(f"open at {attempt.bank}", tracing.Kind.CLIENT):
            opened = await bank_of(app, attempt).open(attempt)
    except (BankRefused, BankUnreachable) as refusal:
        await _end(app, attempt.payment_id, Move(PaymentStatus.FAILED, refusal.detail), said_by=Actor.BANK)
        raise
    async with app[DATABASE].transaction() as tx:
        current, at = await payments.attempt_for_update(tx, attempt.payment_id), now()
        if current.status is not PaymentStatus.CREATED:
            raise BankUnreachable("the bank took too long to answer")
        again = next_look_up(current.created_at, now=at)
        await payments.opened_at_bank(tx, current.payment_id, opened.bank_reference, opened.payer_url, again)
        pending = Move(PaymentStatus.PENDING, "the bank gave a reference")
        return await carry_out(tx, app[SETTINGS], current, pending, said_by=Actor.BANK, at=at)


async def _end(app: web.Application, payment_id: UUID, move: Move, *, said_by: Actor) -> Attempt:
    """End an attempt that is still open; one that has ended meanwhile stays as it is."""
    async with app[DATABASE].transaction() as tx:
        attempt, at = await payments.attempt_for_update(tx, payment_id), now()
        if attempt.status not in OPEN:
            return attempt
        attempt = await carry_out(tx, app[SETTINGS], attempt, move, said_by=said_by, at=at)
        again = next_look_up(attempt.created_at, now=at) if attempt.status in LOOKED_UP else None
        await payments.schedule_look_up(tx, payment_id, again)
        return attempt


@routes.get("/payments")
async def get_payments(request: web.Request) -> web.Response:
    """The latest attempts of the town, for its staff."""
    require(request, Permission.READ_PAYMENTS)
    async with request.app[DATABASE].transaction() as tx:
        return json_response(_list(await payments.latest(tx, LIST_MAX)))


@routes.get("/checkouts/{checkout_id}/payments")
async def get_checkout_payments(request: web.Request) -> web.Response:
    """The attempts of a checkout, for its household."""
    async with request.app[DATABASE].transaction() as tx:
        found = await payments.attempts_of(tx, path_uuid(request, "checkout_id"))
    return json_response(_list([each for each in found if _may_see(identity(request), each)]))


@routes.get("/payments/{payment_id}")
async def get_payment(request: web.Request) -> web.Response:
    return json_response(shown(await own(request)))


@routes.get("/payments/{payment_id}/form")
async def get_form(request: web.Request) -> web.Response:
    """The signed form that leads to the bank's page, while that page can still be opened."""
    attempt = await own(request)
    form = bank_of(request.app, attempt).form(attempt) if page_can_open(attempt, now=now()) else None
    if form is None:
        raise NoForm("there is no form to post for this payment, or no longer")
    return json_response(form)


@routes.post("/payments/{payment_id}/look-up")
async def post_look_up(request: web.Request) -> web.Response:
    """Ask the bank now; asked again at once, the answer is what is known. 503 when the bank does not answer.

    Staff may ask whatever the state: what ended unpaid may have been paid since.
    """
    attempt, at, is_staff = await own(request), now(), identity(request).may(Permission.READ_PAYMENTS)
    if is_staff and not bank_of(request.app, attempt).can_be_asked:
        raise BankCannot("this bank cannot be asked; its back office knows")
    is_worth_it = attempt.status in LOOKED_UP or is_staff
    seconds = timedelta(seconds=request.app[SETTINGS].parent_look_up_seconds)
    async with request.app[DATABASE].transaction() as tx:
        my_turn = await payments.may_ask(tx, attempt.payment_id, now=at, not_since=at - seconds)
    if my_turn and is_worth_it:
        attempt = await look_up(request.app, attempt.payment_id)
    return json_response(shown(attempt))


@routes.post("/payments/{payment_id}/abandon")
async def post_abandon(request: web.Request) -> web.Response:
    """Give up an open attempt once the bank was asked; refused while somebody is on the bank's page."""
    attempt = await own(request)
    if identity(request).household_id != attempt.checkout.household_id:
        raise Forbidden("only the household gives up its payment")
    bank = bank_of(request.app, attempt)
    if attempt.status in OPEN:
        await bank.close(attempt)
        attempt = await look_up(request.app, attempt.payment_id)
    if attempt.may_be_given_up and bank.can_be_asked:
        given_up = Move(PaymentStatus.CANCELLED, "given up by the household")
        attempt = await _end(request.app, attempt.payment_id, given_up, said_by=Actor.PARENT)
    elif attempt.status in OPEN:
        raise PaymentUnresolved("somebody is on the bank's page", payment_id=str(attempt.payment_id))
    return json_response(shown(attempt))


@routes.get("/payments/{payment_id}/ticket")
async def get_ticket(request: web.Request) -> web.Response:
    """The ticket as PDF."""
    attempt = await own(request)
    if attempt.ticket is None:
        raise NoTicket("only a confirmed payment has a ticket")
    disposition = f'attachment; filename="justificatif-{attempt.ticket.number}.pdf"'
    return web.Response(
        body=await asyncio.to_thread(ticket, attempt.ticket, credited_cents=attempt.credited_cents),
        content_type="application/pdf",
        headers={"Content-Disposition": disposition},
    )


async def own(request: web.Request) -> Attempt:
    """The attempt of the path, for its household and for staff; else not found."""
    async with request.app[DATABASE].transaction() as tx:
        attempt = await payments.attempt(tx, path_uuid(request, "payment_id"))
    if attempt is None or not _may_see(identity(request), attempt):
        raise NoSuchPayment("no such payment")
    return attempt


def _may_see(person: Identity, attempt: Attempt) -> bool:
    return person.household_id == attempt.checkout.household_id or person.may(Permission.READ_PAYMENTS)


def _list(attempts: list[Attempt]) -> PaymentList:
    return PaymentList(payments=tuple(shown(attempt) for attempt in attempts))


def shown(attempt: Attempt) -> Payment:
    """An attempt as anybody who may see it sees it."""
    return Payment(
        payment_id=attempt.payment_id,
        checkout_id=attempt.checkout.checkout_id,
        status=attempt.status,
        amount_cents=attempt.amount_cents,
        bank=attempt.bank,
        payer_url=attempt.payer_url if page_can_open(attempt, now=now()) else None,
        ticket_number=attempt.ticket.number if attempt.ticket else None,
        created_at=attempt.created_at,
        changed_at=attempt.changed_at,
        taken_cents=attempt.taken_cents,
        refunded_cents=attempt.refunded_cents,
        left_cents=left_cents(attempt),
        credited_cents=attempt.credited_cents,
    )
