"""Signing in and out, and exchanging a session for a short-lived token."""

import hashlib
import secrets
from datetime import datetime, timedelta

from aiohttp import web

from auth import store
from auth.api.keys import OWN_KEYS
from auth.api.secrets import HASHER
from auth.domain.failures import SessionOver, SignInLocked, WrongCodes
from auth.domain.sign_in import ACCOUNT_FAILURES_MAX, ADDRESS_FAILURES_MAX
from auth.settings import SETTINGS, Settings
from chassis import outbox
from chassis.clock import now
from chassis.database import DATABASE, Transaction
from chassis.http import json_response, public, read_body
from contracts.api.auth import SessionKey, SignedIn, SignIn, Token, TokenWish
from contracts.events.auth import SessionEnded
from contracts.failures import Invalid

AUDIENCES = frozenset({"auth", "planning", "billing", "payment-gateway", "notifier"})
NO_SUCH_AUDIENCE = "no service of that name"

routes = web.RouteTableDef()


def _limits(settings: Settings) -> tuple[timedelta, timedelta]:
    return timedelta(seconds=settings.session_idle_seconds), timedelta(seconds=settings.session_seconds_max)


def _guards(wish: SignIn) -> dict[bytes, int]:
    """The two guards of an attempt and how many failures each allows."""
    by_account = hashlib.sha256(f"account {wish.identifier.strip().lower()}".encode()).digest()
    by_address = hashlib.sha256(f"address {wish.client_address}".encode()).digest()
    return {by_account: ACCOUNT_FAILURES_MAX, by_address: ADDRESS_FAILURES_MAX}


@routes.post("/sessions")
@public
async def sign_in(request: web.Request) -> web.Response:
    """The two codes against a session; every failure looks and takes the same."""
    wish = await read_body(request, SignIn)
    at = now()
    async with request.app[DATABASE].transaction() as tx:
        await _refuse_while_locked(tx, wish, at)
        account = await store.account_by_identifier(tx, wish.identifier.strip())
    hasher, secret = request.app[HASHER], wish.secret.get_secret_value()
    is_right = await hasher.verify(account.secret_hash if account else None, secret)
    if account is None or not is_right:
        await _note_failure(request, wish, account)
        raise WrongCodes("the two codes do not go together")
    rehashed = await hasher.hash(secret) if hasher.needs_rehash(account.secret_hash) else None
    session = secrets.token_urlsafe(32)
    async with request.app[DATABASE].transaction() as tx:
        await _refuse_while_locked(tx, wish, at)
        await store.clear_guard(tx, next(iter(_guards(wish))))
        if rehashed:
            await store.save_secret(tx, account.account_id, rehashed)
        session_id = await store.add_session(tx, account.account_id, session, wish.user_agent, at)
        await store.add_security_fact(tx, "signed in", account.account_id, wish.client_address)
    idle, longest = _limits(request.app[SETTINGS])
    answer = SignedIn(session=session, expires_at=at + min(idle, longest), identity=account.identity(session_id))
    return json_response(answer, status=201)


async def _refuse_while_locked(tx: Transaction, wish: SignIn, at: datetime) -> None:
    guards = await store.guards_for_update(tx, list(_guards(wish)))
    wait = max(guard.wait_seconds(at) for guard in guards.values())
    if wait > 0:
        raise SignInLocked("too many failures, wait a while", retry_after_seconds=round(wait) + 1)


async def _note_failure(request: web.Request, wish: SignIn, account: store.Account | None) -> None:
    """Count the failure, in a transaction of its own: the refusal that follows must not undo it."""
    async with request.app[DATABASE].transaction() as tx:
        limits = _guards(wish)
        for key, guard in (await store.guards_for_update(tx, list(limits))).items():
            await store.save_guard(tx, key, guard.after_failure(limits[key], now=now()))
        account_id = account.account_id if account else None
        await store.add_security_fact(tx, "wrong codes", account_id, wish.client_address)


@routes.post("/sessions/end")
@public
async def sign_out(request: web.Request) -> web.Response:
    """End the session everywhere; ending it twice is no error."""
    wish = await read_body(request, SessionKey)
    async with request.app[DATABASE].transaction() as tx:
        at = now()
        if session_id := await store.end_session(tx, wish.session, at):
            await outbox.add(tx, SessionEnded(session_id=session_id, ended_at=at))
    return web.Response(status=204)


@routes.post("/tokens")
@public
async def exchange(request: web.Request) -> web.Response:
    """A live session against a token for one service."""
    wish = await read_body(request, TokenWish)
    if wish.audience not in AUDIENCES:
        raise Invalid(NO_SUCH_AUDIENCE, errors=[{"field": "audience", "message": NO_SUCH_AUDIENCE}])
    at, settings = now(), request.app[SETTINGS]
    idle, longest = _limits(settings)
    async with request.app[DATABASE].transaction() as tx:
        session = await store.session_by_token(tx, wish.session)
        if session is None or not session.times.is_live(at, idle=idle, longest=longest):
            raise SessionOver("the session is over")
        await store.touch_session(tx, session.session_id, at)
    identity = session.account.identity(session.session_id)
    expires_at = at + timedelta(seconds=settings.token_seconds)
    token = await request.app[OWN_KEYS].sign(identity, audience=wish.audience, issued_at=at, expires_at=expires_at)
    return json_response(Token(token=token, expires_at=expires_at, identity=identity))


@routes.get("/.well-known/jwks.json")
@public
async def jwks(request: web.Request) -> web.Response:
    """The public keys, for every service."""
    return web.json_response(await request.app[OWN_KEYS].jwks(), headers={"Cache-Control": "max-age=60"})
