"""What the clock starts."""

import asyncio
from datetime import datetime, timedelta

import structlog
from aiohttp import web
from prometheus_client import Counter

from chassis import retention, tracing
from chassis.clock import now
from chassis.database import DATABASE
from chassis.jobs import Jobs
from chassis.retention import Retention
from notifier.channels import CHANNEL, NeverDeliverable, NotDeliveredYet, Throttled, letters, mailbox
from notifier.domain.bounces import read_bounce
from notifier.domain.mails import Mail, next_try, pause
from notifier.settings import SETTINGS
from notifier.store import bounces, mails
from notifier.store.announcements import mail_some

ANSWER_MAX = 500
LEASE_MARGIN_SECONDS = 15
GUARDIANS_AT_ONCE = 200
REPORTS_AT_ONCE = 100

OLD_REPORTS = Retention("bounce", "received_at")
OLD_MAILS = Retention(
    "mail",
    "created_at",
    "status <> 'waiting' AND NOT EXISTS (SELECT FROM bounce b WHERE b.mail_id = mail.mail_id) "
    "AND NOT EXISTS (SELECT FROM returned_address r WHERE r.mail_id = mail.mail_id)",
)

MAILS = Counter("preau_mails", "Mails by what became of each try", ["kind", "outcome"])

log = structlog.get_logger()
jobs = Jobs()


@jobs.every(seconds=5, wake_on="mail_waiting")
async def send_mails(app: web.Application) -> None:
    """Send what waits; what the mail server does not take yet is tried again later."""
    settings = app[SETTINGS]
    # A lease is longer than the slowest dialogue, and each mail claimed has a connection: no mail is in two hands.
    limit, lease = (
        settings.smtp_connections_max,
        timedelta(seconds=settings.dialogue_seconds_max + LEASE_MARGIN_SECONDS),
    )
    while True:
        at = now()
        async with app[DATABASE].transaction() as tx:
            claimed = await mails.claim_mails(
                tx,
                now=at,
                leased_until=at + lease,
                limit=limit,
                a_minute_a_domain=settings.mails_a_minute_a_domain,
            )
        await asyncio.gather(*(_send(app, mail) for mail in claimed))
        if len(claimed) < limit:
            return


@jobs.every(seconds=30, wake_on="announcement_saved")
async def mail_announcements(app: web.Application) -> None:
    """Turn messages that are to be mailed into mails, some guardians at a time."""
    while True:
        async with app[DATABASE].transaction() as tx:
            if not await mail_some(tx, now(), GUARDIANS_AT_ONCE):
                return


@jobs.every(seconds=60)
async def read_bounces(app: web.Application) -> None:
    """Record the reports that came into the mailbox; each replica may read it, a report is recorded once."""
    settings, database = app[SETTINGS], app[DATABASE]
    if settings.bounce_imap_host is None:
        return
    name = f"{settings.bounce_imap_username}@{settings.bounce_imap_host}/{settings.bounce_imap_folder}"
    is_all = False
    while not is_all:
        async with database.transaction() as tx:
            uid_validity, last_uid = await bounces.last_read(tx, name)
        try:
            read = await mailbox.read_after(settings, uid_validity, last_uid, REPORTS_AT_ONCE)
        except mailbox.Unreadable as failure:
            log.warning("the mailbox of reports cannot be read", mailbox=name, answer=str(failure)[:200])
            return
        async with database.transaction() as tx:
            for raw in read.reports:
                if found := read_bounce(raw):
                    await bounces.add_bounce(tx, found, raw, now())
            await bounces.was_read(tx, name, read.uid_validity, read.last_uid)
        is_all = read.is_all


@jobs.every(seconds=3600)
async def delete_old_mails(app: web.Application) -> None:
    """Retention: reports first, because a mail stays as long as what came back of it, and its address if it returns."""
    before = now() - timedelta(days=app[SETTINGS].mails_kept_days)
    deleted = sum([await retention.delete_expired(app[DATABASE], each, before) for each in (OLD_REPORTS, OLD_MAILS)])
    if deleted:
        log.info("old mails deleted", rows=deleted)


async def _send(app: web.Application, mail: Mail) -> None:
    """One mail, to its end or to its next try. One that we cannot even write fails by itself and stops no other."""
    with tracing.continue_trace(mail.traceparent, f"send mail {mail.kind}", tracing.Kind.CLIENT):
        await _send_one(app, mail)


async def _send_one(app: web.Application, mail: Mail) -> None:
    try:
        message = await asyncio.to_thread(letters.write, mail, app[SETTINGS])
    except Exception as defect:
        log.exception("mail cannot be written", mail_id=str(mail.mail_id), kind=mail.kind)
        await _not_sent(app, mail, f"cannot be written: {type(defect).__name__}", None)
        return
    try:
        answer = await app[CHANNEL].send(message)
    except NeverDeliverable as refusal:
        await _not_sent(app, mail, str(refusal), None)
    except NotDeliveredYet as failure:
        if isinstance(failure, Throttled):
            await _pause(app, mail)
        await _not_sent(app, mail, str(failure), _try_again_at(app, mail))
    else:
        async with app[DATABASE].transaction() as tx:
            await mails.sent(tx, mail, answer[:ANSWER_MAX], now())
        MAILS.labels(mail.kind, "sent").inc()


def _try_again_at(app: web.Application, mail: Mail) -> datetime | None:
    settings = app[SETTINGS]
    if mail.attempts >= settings.mail_attempts_max:
        return None
    return next_try(mail.attempts, settings.mail_retry_seconds, now=now())


async def _not_sent(app: web.Application, mail: Mail, answer: str, try_at: datetime | None) -> None:
    tracing.current().fails()
    again = try_at and try_at.isoformat()
    log.warning("mail not sent", mail_id=str(mail.mail_id), answer=answer[:200], again=again)
    async with app[DATABASE].transaction() as tx:
        await mails.not_sent(tx, mail.mail_id, answer[:ANSWER_MAX], try_at)
    MAILS.labels(mail.kind, "later" if try_at else "failed").inc()


async def _pause(app: web.Application, mail: Mail) -> None:
    """Leave a domain that asks for patience alone, longer each time in a row."""
    async with app[DATABASE].transaction() as tx:
        times = await mails.count_throttling(tx, mail.domain)
        await mails.pause_domain(tx, mail.domain, now() + pause(times, app[SETTINGS].mail_retry_seconds))
