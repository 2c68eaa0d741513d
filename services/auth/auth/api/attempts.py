"""Attempts to prove something are counted before they are verified, and given back when they were right.

So of many at once no more pass than the limit says, on however many replicas, and while somebody must wait the right
answer is told like a wrong one: nothing is verified at all. A browser that the account was used in before has a limit
of its own: a stranger who knows an identifier locks other strangers out, not the family (OWASP, device cookies).
"""

from dataclasses import dataclass

from aiohttp import web

from auth.api.secrets import HASHER
from auth.domain.access_codes import typed_identifier
from auth.domain.attempts import OF_ACCOUNT, OF_ADDRESS, Limit
from auth.domain.failures import SignInLocked, WrongSecret
from auth.store import accounts, attempts
from chassis.client_networks import client_network
from chassis.clock import now
from chassis.database import DATABASE, Transaction


@dataclass(frozen=True)
class Limited:
    """What an attempt counts for: ``own`` is forgotten by a success, ``shared`` gets back what ``own`` had counted."""

    own: tuple[bytes, Limit]
    shared: tuple[bytes, Limit] | None = None

    async def count(self, tx: Transaction) -> None:
        """Count an attempt, or ``SignInLocked``, which undoes ``tx``: what is refused is not counted."""
        for key, limit in filter(None, (self.own, self.shared)):
            if wait := await attempts.count(tx, key, limit, now()):
                raise SignInLocked("too many attempts, wait a while", retry_after_seconds=round(wait) + 1)

    async def succeeded(self, tx: Transaction) -> None:
        """Give back what was counted since the last success."""
        counted = await attempts.forget(tx, self.own[0])
        if self.shared:
            await attempts.give_back(tx, self.shared[0], counted)


def address_key(kind: str, address: str) -> bytes:
    """The key of what is counted by address."""
    return attempts.key_of(kind, client_network(address))


def account_key(identifier: str) -> bytes:
    """The key of whoever signs in with this identifier, known or not, from a browser that is new to the account."""
    return attempts.key_of("account", typed_identifier(identifier))


def of_strangers(identifier: str, address: str) -> Limited:
    """Signing in from a browser that the account was never used in, whether the account exists or not."""
    return Limited((account_key(identifier), OF_ACCOUNT), (address_key("address", address), OF_ADDRESS))


def of_device(account: accounts.Account, device: str) -> Limited:
    """Signing in from a browser that the account was used in before; begins anew with each new secret."""
    return Limited((attempts.key_of("device", f"{account.account_id} {account.state} {device}"), OF_ACCOUNT))


def of_one_time_codes(account: accounts.Account) -> Limited:
    """Codes of the telephone and recovery codes: whoever gives one has proved the secret."""
    return Limited((attempts.key_of("code", str(account.account_id)), OF_ACCOUNT))


def of_present_secret(account: accounts.Account) -> Limited:
    """The present secret, asked for once more in a session."""
    return Limited((attempts.key_of("present secret", str(account.account_id)), OF_ACCOUNT))


async def want_secret(request: web.Request, account: accounts.Account, secret: str) -> None:
    """``WrongSecret`` unless it is the account's present one."""
    limited = of_present_secret(account)
    async with request.app[DATABASE].transaction() as tx:
        await limited.count(tx)
    is_right = await request.app[HASHER].verify(account.secret_hash, secret)
    async with request.app[DATABASE].transaction() as tx:
        if is_right:
            await limited.succeeded(tx)
        else:
            await accounts.add_fact(tx, "wrong secret", account.account_id, "")
    if not is_right:
        message = "this is not the present secret"
        raise WrongSecret(message, errors=[{"field": "current", "message": message}])
