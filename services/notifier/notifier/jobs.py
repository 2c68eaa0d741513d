"""What the clock starts."""

import asyncio
from datetime import timedelta

import structlog
from aiohttp import web

from chassis.clock import now
from chassis.database import DATABASE
from chassis.jobs import Jobs
from notifier.channels import letters, smtp
from notifier.domain.mails import Mail, next_try
from notifier.settings import SETTINGS
from notifier.store import mails

AT_ONCE = 10
LEASE = timedelta(seconds=60)

log = structlog.get_logger()
jobs = Jobs()


@jobs.every(seconds=5, wake_on="mail_waiting")
async def send_mails(app: web.Application) -> None:
    """Send what waits; what the mail server does not take yet is tried again later."""
    while True:
        at = now()
        async with app[DATABASE].transaction() as tx:
            claimed = await mails.claim_mails(tx, now=at, leased_until=at + LEASE, limit=AT_ONCE)
        await asyncio.gather(*(_send(app, mail) for mail in claimed))
        if len(claimed) < AT_ONCE:
            return


async def _send(app: web.Application, mail: Mail) -> None:
    settings, try_at = app[SETTINGS], None
    try:
        answer = await smtp.send(await asyncio.to_thread(letters.write, mail, settings), settings)
    except smtp.NeverDeliverable as refusal:
        answer = str(refusal)
    except smtp.NotDeliveredYet as failure:
        answer = str(failure)
        if mail.attempts < settings.mail_attempts_max:
            try_at = next_try(mail.attempts, settings.mail_retry_seconds, now=now())
    else:
        async with app[DATABASE].transaction() as tx:
            await mails.sent(tx, mail.mail_id, answer[:500], now())
        return
    log.warning("mail not sent", mail_id=str(mail.mail_id), answer=answer[:200], again=try_at and try_at.isoformat())
    async with app[DATABASE].transaction() as tx:
        await mails.not_sent(tx, mail.mail_id, answer[:500], try_at)
