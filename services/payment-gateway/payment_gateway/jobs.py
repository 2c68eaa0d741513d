"""What the clock starts."""

import asyncio
from datetime import timedelta
from uuid import UUID

import structlog
from aiohttp import web

from chassis.clock import now
from chassis.database import DATABASE
from chassis.jobs import Jobs
from contracts.api.payment_gateway import Actor, PaymentStatus
from payment_gateway.banks.inquiry import carry_out, look_up
from payment_gateway.domain.failures import BankUnreachable, NoAccount
from payment_gateway.domain.payments import PAGE_OPENS_FOR, Move
from payment_gateway.settings import SETTINGS
from payment_gateway.store import journal, payments

AT_ONCE = 10
LEASE = timedelta(seconds=30)
TRIMMED_AT_ONCE = 500

log = structlog.get_logger()
jobs = Jobs()


@jobs.every(seconds=5, wake_on="look_up_due")
async def ask_banks(app: web.Application) -> None:
    """Ask about every attempt whose turn it is; one that the bank does not answer about has its turn again soon."""
    while True:
        at = now()
        async with app[DATABASE].transaction() as tx:
            due = await payments.claim_due_look_ups(tx, now=at, leased_until=at + LEASE, limit=AT_ONCE)
        await asyncio.gather(*(_ask(app, payment_id) for payment_id in due))
        if len(due) < AT_ONCE:
            return


@jobs.every(seconds=3600)
async def trim(app: web.Application) -> None:
    """Forget what is older than the retention time: the bytes of words, who paid. A household's home goes much sooner:
    as soon as no bank's page can be opened for its checkout.
    """
    before, words, payers, homes = now() - timedelta(days=app[SETTINGS].journal_days), 0, 0, 0
    while True:
        async with app[DATABASE].transaction() as tx:
            found = await journal.trim(tx, before, now(), TRIMMED_AT_ONCE)
            cleared = await payments.trim_payers(tx, before, TRIMMED_AT_ONCE)
            left = await payments.trim_homes(tx, now() - PAGE_OPENS_FOR, TRIMMED_AT_ONCE)
        words, payers, homes = words + found, payers + cleared, homes + left
        if max(found, cleared, left) < TRIMMED_AT_ONCE:
            break
    if words or payers or homes:
        log.info("journal trimmed", words=words, payers=payers, homes=homes, before=before.isoformat())


async def _ask(app: web.Application, payment_id: UUID) -> None:
    try:
        attempt = await look_up(app, payment_id)
    except BankUnreachable as unreachable:
        log.warning("bank unreachable", payment_id=str(payment_id), reason=unreachable.detail, **unreachable.facts)
        return
    except NoAccount as gone:
        log.warning("payment without an account", payment_id=str(payment_id), reason=gone.detail, **gone.facts)
        return
    if attempt.status is PaymentStatus.CREATED:
        await _give_up(app, payment_id)


async def _give_up(app: web.Application, payment_id: UUID) -> None:
    """An attempt that stopped before the bank was reached: nobody was sent to pay it."""
    async with app[DATABASE].transaction() as tx:
        attempt = await payments.attempt_for_update(tx, payment_id)
        if attempt.status is PaymentStatus.CREATED:
            never = Move(PaymentStatus.FAILED, "the bank was never reached")
            await carry_out(tx, app[SETTINGS], attempt, never, said_by=Actor.CLOCK, at=now())
            await payments.schedule_look_up(tx, payment_id, None)
