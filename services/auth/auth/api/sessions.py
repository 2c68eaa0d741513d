"""Signing in and out, and exchanging a session for a short-lived token."""

import secrets
from datetime import datetime, timedelta
from uuid import UUID

from aiohttp import web

from auth.api.attempts import Limited, of_device, of_strangers
from auth.api.keys import OWN_KEYS
from auth.api.secrets import HASHER
from auth.domain.access_codes import typed_identifier
from auth.domain.chosen_secrets import is_published
from auth.domain.failures import SessionOver, SetUpWanted, WrongCodes
from auth.domain.sign_in import SetUp, stage
from auth.settings import SETTINGS, Settings
from auth.store import accounts, sessions
from chassis import outbox
from chassis.clock import now
from chassis.concurrency import queued
from chassis.database import DATABASE, Transaction
from chassis.http import json_response, polled, public, read_body
from contracts.api.auth import SessionKey, SessionStage, SessionState, SignedIn, SignIn, Token, TokenRequest
from contracts.events.auth import NewDeviceUsed, SessionEnded
from contracts.failures import Invalid
from contracts.user_agents import browser_and_system

AUDIENCES = frozenset({"auth", "planning", "billing", "payment-gateway", "notifier"})
NO_SUCH_AUDIENCE = "no service of that name"

routes = web.RouteTableDef()


def durations(settings: Settings) -> tuple[timedelta, timedelta]:
    """How long a session lasts unused, and at most."""
    return timedelta(seconds=settings.session_idle_seconds), timedelta(seconds=settings.session_seconds_max)


async def live_session(request: web.Request, tx: Transaction, token: str) -> sessions.Session:
    """The session of that token, its use noted; ``SessionOver`` when it is none any more."""
    idle, longest = durations(request.app[SETTINGS])
    session = await sessions.session_by_token(tx, token)
    if session is None or not session.times.is_live(now(), idle=idle, longest=longest):
        raise SessionOver("the session is over")
    await sessions.touch_session(tx, session.session_id, now())
    return session


async def end_all(tx: Transaction, account_id: UUID, at: datetime, *, but: UUID | None = None) -> None:
    """End the account's sessions, but for one, everywhere."""
    ended = await sessions.end_sessions(tx, [account_id], at, but=but)
    await outbox.add(tx, *(SessionEnded(session_id=each, ended_at=at) for each in ended))


async def end_one(tx: Transaction, account_id: UUID, session_id: UUID) -> None:
    """End one session of the account, everywhere; ending it twice is no error."""
    at = now()
    ended = await sessions.end_sessions(tx, [account_id], at, only=session_id)
    await outbox.add(tx, *(SessionEnded(session_id=each, ended_at=at) for each in ended))


async def open_session(
    request: web.Request, tx: Transaction, account: accounts.Account, user_agent: str, *, code_given: bool = False
) -> SignedIn:
    """A new session, and what it still wants."""
    at, token = now(), secrets.token_urlsafe(32)
    session_id = await sessions.add_session(tx, account.account_id, token, user_agent, at, code_given=code_given)
    return SignedIn(
        session=token,
        expires_at=at + min(durations(request.app[SETTINGS])),
        identity=account.identity(session_id),
        stage=stage(account.set_up, wants_code=account.has_totp and not code_given),
    )


@routes.post("/sessions")
@public
@queued
async def sign_in(request: web.Request) -> web.Response:
    """The two codes against a session; every failure looks and takes the same."""
    body = await read_body(request, SignIn)
    async with request.app[DATABASE].transaction() as tx:
        account, limited = await _counted(tx, body)
    hasher, secret = request.app[HASHER], body.secret.get_secret_value()
    is_right = await hasher.verify(account.secret_hash if account else None, secret)
    is_right &= not is_published(secret) or request.app[SETTINGS].demo_accounts
    if account is None or account.secret_hash is None or not is_right:
        async with request.app[DATABASE].transaction() as tx:  # of its own: the refusal must not undo it
            await accounts.add_fact(tx, "wrong codes", account.account_id if account else None, body.client_address)
        raise WrongCodes("the two codes do not go together")
    rehashed = await hasher.hash(secret) if hasher.needs_rehash(account.secret_hash) else None
    async with request.app[DATABASE].transaction() as tx:
        await _unchanged(tx, account)
        await limited.succeeded(tx)
        if rehashed:
            await accounts.rehash(tx, account, rehashed)
        answer = await open_session(request, tx, account, body.user_agent)
        if body.device:
            await _note_device(tx, account, answer.identity.session_id, body.device.get_secret_value(), body.user_agent)
        await accounts.add_fact(tx, "signed in", account.account_id, body.client_address)
    return json_response(answer, status=201)


async def _counted(tx: Transaction, body: SignIn) -> tuple[accounts.Account | None, Limited]:
    """The attempt counted, and whose account it is for; ``SignInLocked`` when it may not be made now."""
    account = await accounts.account_by_identifier(tx, typed_identifier(body.identifier))
    limited = of_strangers(body.identifier, body.client_address)
    if account and body.device:
        device = body.device.get_secret_value()
        if await sessions.is_known_device(tx, account.account_id, device):
            limited = of_device(account, device)
    await limited.count(tx)
    return account, limited


async def _unchanged(tx: Transaction, verified: accounts.Account) -> None:
    """``WrongCodes`` when the account was closed, or its secret replaced, while the codes were verified."""
    account = await accounts.account_for_update(tx, verified.account_id)
    if account is None or account.state != verified.state:
        raise WrongCodes("the two codes do not go together")


async def _note_device(
    tx: Transaction, account: accounts.Account, session_id: UUID, device: str, user_agent: str
) -> None:
    """A new device is told to the address that was confirmed, as soon as the secret is right, one-time code or not."""
    at = now()
    is_new = await sessions.is_new_device(tx, account.account_id, device, at)
    if not is_new or account.email is None or account.set_up is not SetUp.DONE:
        return
    browser, system = browser_and_system(user_agent)
    event = NewDeviceUsed(
        session_id=session_id,
        account_id=account.account_id,
        first_name=account.first_name,
        email=account.email,
        browser=browser,
        system=system,
        signed_in_at=at,
    )
    await outbox.add(tx, event)


@routes.post("/sessions/state")
@public
async def session_state(request: web.Request) -> web.Response:
    """What a session still wants before it opens doors."""
    body = await read_body(request, SessionKey)
    async with request.app[DATABASE].transaction() as tx:
        session = await live_session(request, tx, body.session)
        account = session.account
        email = await accounts.pending_email(tx, account, now()) or account.email
    return json_response(
        SessionState(
            stage=session.stage, identifier=account.identifier, name=account.name, email=email, locale=session.locale
        )
    )


@routes.post("/sessions/end")
@public
async def sign_out(request: web.Request) -> web.Response:
    """End the session everywhere; ending it twice is no error."""
    body = await read_body(request, SessionKey)
    async with request.app[DATABASE].transaction() as tx:
        at = now()
        if session_id := await sessions.end_session(tx, body.session, at):
            await outbox.add(tx, SessionEnded(session_id=session_id, ended_at=at))
    return web.Response(status=204)


@routes.post("/tokens")
@public
async def exchange(request: web.Request) -> web.Response:
    """A live session against a token for one service; none as long as the session wants something itself."""
    body = await read_body(request, TokenRequest)
    if body.audience not in AUDIENCES:
        raise Invalid(NO_SUCH_AUDIENCE, errors=[{"field": "audience", "message": NO_SUCH_AUDIENCE}])
    async with request.app[DATABASE].transaction() as tx:
        session = await live_session(request, tx, body.session)
    if session.stage is not SessionStage.OPEN:
        raise SetUpWanted("the sign-in is not finished", stage=session.stage)
    at = now()
    identity = session.account.identity(session.session_id)
    expires_at = at + timedelta(seconds=request.app[SETTINGS].token_seconds)
    token = await request.app[OWN_KEYS].sign(identity, audience=body.audience, issued_at=at, expires_at=expires_at)
    return json_response(Token(token=token, expires_at=expires_at, identity=identity, locale=session.locale))


@routes.get("/.well-known/jwks.json")
@public
@polled
async def jwks(request: web.Request) -> web.Response:
    """The public keys, for every service."""
    return web.json_response(await request.app[OWN_KEYS].jwks(), headers={"Cache-Control": "max-age=60"})
