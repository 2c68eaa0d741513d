"""Slowing down whoever guesses, by account and by address; kept in the database, so that it holds across replicas."""

import hashlib
from datetime import datetime
from uuid import UUID

from aiohttp import web

from auth.api.secrets import HASHER
from auth.domain.access_codes import typed_identifier
from auth.domain.failures import SignInLocked, WrongSecret
from auth.domain.sign_in import ACCOUNT_FAILURES_MAX, ADDRESS_FAILURES_MAX
from auth.store import accounts
from chassis.clock import now
from chassis.database import DATABASE, Transaction

Limits = dict[bytes, int]
"""Guards and how many failures each allows."""


def account_guard(identifier: str) -> bytes:
    """The guard of whoever signs in with this, known or not."""
    return hashlib.sha256(f"account {typed_identifier(identifier)}".encode()).digest()


def limits(identifier: str, address: str) -> Limits:
    """The two guards of an attempt."""
    by_address = hashlib.sha256(f"address {address}".encode()).digest()
    return {account_guard(identifier): ACCOUNT_FAILURES_MAX, by_address: ADDRESS_FAILURES_MAX}


async def refuse_while_locked(tx: Transaction, guarded: Limits, at: datetime) -> None:
    """``SignInLocked`` while one of the guards must wait."""
    guards = await accounts.guards_for_update(tx, list(guarded))
    wait = max(guard.wait_seconds(at) for guard in guards.values())
    if wait > 0:
        raise SignInLocked("too many failures, wait a while", retry_after_seconds=round(wait) + 1)


async def note_failure(request: web.Request, guarded: Limits, fact: str, account_id: UUID | None, address: str) -> None:
    """Count the failure, in a transaction of its own: the refusal that follows must not undo it."""
    async with request.app[DATABASE].transaction() as tx:
        for key, guard in (await accounts.guards_for_update(tx, list(guarded))).items():
            await accounts.save_guard(tx, key, guard.after_failure(guarded[key], now=now()))
        await accounts.add_fact(tx, fact, account_id, address)


async def want_secret(request: web.Request, account: accounts.Account, secret: str) -> None:
    """``WrongSecret`` unless it is the account's present one; failures count as those of a sign-in do."""
    guarded = {account_guard(account.identifier): ACCOUNT_FAILURES_MAX}
    async with request.app[DATABASE].transaction() as tx:
        await refuse_while_locked(tx, guarded, now())
    if not await request.app[HASHER].verify(account.secret_hash, secret):
        await note_failure(request, guarded, "wrong secret", account.account_id, "")
        message = "this is not the present secret"
        raise WrongSecret(message, errors=[{"field": "current", "message": message}])
