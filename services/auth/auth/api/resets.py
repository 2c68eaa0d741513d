"""« Codes oubliés ? »: asked for by address, answered by a mail, used once."""

from datetime import datetime

from aiohttp import web

from auth.api.attempts import account_key, address_key
from auth.api.secrets import HASHER
from auth.api.sessions import end_all
from auth.domain import chosen_secrets
from auth.domain.addresses import typed_email
from auth.domain.attempts import RESETS_OF_ADDRESS, RESETS_OF_DEVICE, Limit
from auth.domain.failures import LinkOver
from auth.domain.sign_in import SetUp
from auth.settings import SETTINGS
from auth.store import accounts, attempts, sessions
from chassis.clock import now
from chassis.database import DATABASE, Transaction
from chassis.http import public, read_body
from chassis.idempotency import idempotent
from contracts.api.auth import ResetRequest, ResetUse
from contracts.failures import TooMany

DEVICE_HEADER = "X-Device"
"""What the gateway's browser is known by, when it has something: see ``SignIn.device``."""

routes = web.RouteTableDef()


@routes.post("/resets")
@public
@idempotent
async def post_reset(request: web.Request) -> web.Response:
    """Note the wish and answer: who has that address is looked up afterwards, so nothing here can tell."""
    body, at = await read_body(request, ResetRequest), now()
    async with request.app[DATABASE].transaction() as tx:
        key, limit = await _limit_of(tx, body.client_address, request.headers.get(DEVICE_HEADER, ""))
        if wait := await attempts.count(tx, key, limit, at):
            raise TooMany("too many resets from here", retry_after_seconds=round(wait) + 1)
        await accounts.add_reset_wish(tx, typed_email(body.email), body.client_address, at)
    return web.Response(status=202)


async def _limit_of(tx: Transaction, address: str, device: str) -> tuple[bytes, Limit]:
    """By the browser when somebody signed in with it before, whoever that was; else by the address that it shares.

    Nothing is given back for an address that is somebody's: what is left would tell whose are.
    """
    if device and await sessions.is_known_device(tx, None, device):
        return attempts.key_of("reset device", device), RESETS_OF_DEVICE
    return address_key("reset", address), RESETS_OF_ADDRESS


@routes.post("/resets/used")
@public
async def use_reset(request: web.Request) -> web.Response:
    """A new secret by the link: every session ends, a lock is lifted, the letter's code is worth nothing."""
    body, at = await read_body(request, ResetUse), now()
    secret = body.secret.get_secret_value()
    async with request.app[DATABASE].transaction() as tx:
        account = await _account_of_link(tx, body.token, at)
    chosen_secrets.check(secret, account.personal, request.app[SETTINGS].town_names)
    hashed = await request.app[HASHER].hash(secret)
    async with request.app[DATABASE].transaction() as tx:
        await _account_of_link(tx, body.token, at)
        await accounts.use_link(tx, body.token, at)
        await accounts.save_secret(tx, account.account_id, hashed, SetUp.DONE)
        await attempts.forget(tx, account_key(account.identifier))
        await end_all(tx, account.account_id, at)
        await accounts.add_fact(tx, "secret reset", account.account_id, "")
    return web.Response(status=204)


async def _account_of_link(tx: Transaction, token: str, at: datetime) -> accounts.Account:
    """Whose link it is, both rows locked; ``LinkOver`` unless it is still good."""
    found = await accounts.link_for_update(tx, "reset", token)
    account = await accounts.account_for_update(tx, found[1]) if found else None
    if found is None or account is None or not found[0].is_good(account.state, at):
        raise LinkOver("the link was used, or is too old")
    return account
