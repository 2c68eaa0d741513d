"""What the clock starts."""

import asyncio
import secrets
from datetime import timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import structlog
from aiohttp import web

from auth.domain import families_file
from auth.domain.access_codes import recovery_hash
from auth.domain.attempts import OF_ACCOUNT
from auth.domain.imports import compare, spelt
from auth.domain.sign_in import LINKS_AN_HOUR_MAX
from auth.settings import SETTINGS, Settings
from auth.store import accounts, changes, imports, registry, schools
from chassis import outbox, retention
from chassis.clock import now, today
from chassis.database import DATABASE, Database, TablesChanged, Transaction
from chassis.jobs import Jobs
from chassis.retention import Retention
from contracts.api.auth import FileError, ImportReport, ImportStatus
from contracts.events.auth import ResetRequested

HOUR = timedelta(hours=1)
RETENTIONS = (
    Retention("session", "coalesce(ended_at, last_used_at)"),
    Retention("device", "last_used_at"),
    Retention("link", "expires_at"),
    Retention("sign_in_guard", "last_at"),
    Retention("attempt_limit", "counted_at"),
    Retention("security_fact", "at"),
    Retention("family_import", "made_at", "status NOT IN ('reading', 'applying')"),
)
EVENTS_AT_ONCE = 2_000
CODES_AT_ONCE = 500
TOLD_AT_ONCE = 200
ATTEMPTS_MAX = 2
FAILED_TWICE = (
    "la lecture de ce fichier a échoué deux fois ; vérifiez qu'il vient du tableur des familles, puis renvoyez-le"
)

log = structlog.get_logger()
jobs = Jobs()


@jobs.every(seconds=5, wake_on="reset_wished")
async def answer_resets(app: web.Application) -> None:
    """A link for each account that has the address; an unknown one is forgotten."""
    while True:
        async with app[DATABASE].transaction() as tx:
            request = await accounts.take_reset_wish(tx)
            if request is None:
                return
            for account in await accounts.accounts_by_email(tx, request[0]):
                await _send_reset(tx, account, request[1], app[SETTINGS])


async def _send_reset(tx: Transaction, account: accounts.Account, address: str, settings: Settings) -> None:
    at = now()
    await accounts.account_for_update(tx, account.account_id)  # of many wishes answered at once each sees the others
    if account.email is None or await accounts.links_since(tx, account.account_id, at - HOUR) >= LINKS_AN_HOUR_MAX:
        return
    token, expires_at = secrets.token_urlsafe(32), at + timedelta(seconds=settings.link_seconds)
    await accounts.add_link(tx, "reset", account, account.email, token, at, expires_at)
    await accounts.add_fact(tx, "reset requested", account.account_id, address)
    event = ResetRequested(
        link_id=uuid4(),
        account_id=account.account_id,
        first_name=account.first_name,
        identifier=account.identifier,
        email=account.email,
        sealed_token=settings.sealed_link(token),
        expires_at=expires_at,
    )
    await outbox.add(tx, event)


@jobs.every(seconds=3600)
async def forget(app: web.Application) -> None:
    """Retention: what is older than the settings say is deleted."""
    settings = app[SETTINGS]
    kept = {
        **dict.fromkeys(("session", "link", "sign_in_guard"), timedelta(days=settings.sessions_kept_days)),
        "attempt_limit": 2 * OF_ACCOUNT.forgotten_after,
        "device": timedelta(days=settings.devices_kept_days),
        "security_fact": timedelta(days=settings.facts_kept_days),
        "family_import": timedelta(days=settings.imports_kept_days),
    }
    gone = sum([await retention.delete_expired(app[DATABASE], each, now() - kept[each.table]) for each in RETENTIONS])
    if gone:
        log.info("forgotten", rows=gone)


@jobs.every(seconds=3600)
async def key_recovery_codes(app: web.Application) -> None:
    """Bring what the version before kept of recovery codes to the present form, some at a time.

    A program of the version before knows none that was brought over: a code that meets one during a new version is
    refused, and is good a moment later.
    """
    while True:
        async with app[DATABASE].transaction() as tx:
            found = await accounts.plain_recovery_codes(tx, CODES_AT_ONCE)
            for account_id, plain in found:
                keyed = recovery_hash(app[SETTINGS].recovery_key, account_id, plain)
                await accounts.key_recovery_code(tx, account_id, plain, keyed)
        if len(found) < CODES_AT_ONCE:
            return


@jobs.every(seconds=30, wake_on="household_to_tell")
async def tell_households(app: web.Application) -> None:
    """Tell the others of households that changed by the registry of schools, a few hundred in a transaction."""
    while True:
        async with app[DATABASE].transaction() as tx:
            ids = await schools.to_tell(tx, TOLD_AT_ONCE)
            if not ids:
                return
            await outbox.add(tx, *await changes.told(tx, ids))


@jobs.every(seconds=5, wake_on="import_waiting")
async def work_on_imports(app: web.Application) -> None:
    """Read and apply the files of families, one at a time; a file whose worker died is taken up again."""
    while await one_import(app[DATABASE]):
        pass


async def one_import(database: Database) -> bool:
    """Read or apply the oldest file that waits, all or nothing; False when none does.

    A file that ended two workers, or failed twice by what it holds, is refused instead of ending a third.
    """
    async with database.transaction() as tx:
        row = await imports.next_waiting(tx)
        if row is None:
            return False
        if row["attempts"] >= ATTEMPTS_MAX:
            log.error("a file of families is refused, it failed too often", import_id=str(row["import_id"]))
            report = ImportReport(errors=(FileError(line=1, column="", message=FAILED_TWICE),))
            await imports.was_read(tx, row["import_id"], ImportStatus.REFUSED, report, None)
            return True
        async with database.transaction() as aside:
            await imports.count_attempt(aside, row["import_id"])
        try:
            await _work_on(database, tx, row)
        except (OSError, TimeoutError, asyncpg.PostgresConnectionError, TablesChanged):
            async with database.transaction() as aside:
                await imports.forget_attempt(aside, row["import_id"])
            raise
    return True


async def _work_on(database: Database, tx: Transaction, row: Any) -> None:
    import_id = row["import_id"]
    file = await asyncio.to_thread(families_file.read, row["content"])
    if file.errors:
        await imports.was_read(tx, import_id, ImportStatus.REFUSED, ImportReport(errors=file.errors), None)
        return
    await registry.lock(tx)
    known, children = await registry.load(tx), await registry.numbered_children(tx)
    erased = await registry.erased_references(tx, [each.reference for each in file.households])
    file, unknown = spelt(file, await schools.load(tx))
    found = await asyncio.to_thread(
        compare, known, children, file, uuid4, today=today(), erased=erased, new_schools=unknown
    )
    if found.report.errors:
        await imports.was_read(tx, import_id, ImportStatus.REFUSED, found.report, None)
        return
    if row["status"] == ImportStatus.READING or found.digest != row["diff_digest"]:
        # What would be applied is not what was shown: it is shown again instead.
        await imports.was_read(tx, import_id, ImportStatus.READ, found.report, found.digest)
        return

    async def progress(done: int) -> None:
        async with database.transaction() as aside:
            await imports.set_progress(aside, import_id, done, len(found.plans))

    for school, class_names in unknown.items():
        await schools.register(tx, school, *class_names)
    gone = found.gone if row["close_missing"] else ()
    events = await changes.make(tx, found.plans, gone, now(), progress)
    for start in range(0, len(events), EVENTS_AT_ONCE):
        await outbox.add(tx, *events[start : start + EVENTS_AT_ONCE])
    await imports.was_applied(tx, import_id, found.report, now())
