"""« Mon compte »: one's own secret, address, open sessions and one-time codes."""

import secrets as random

import pyotp
from aiohttp import web

from auth.api.attempts import of_one_time_codes, want_secret
from auth.api.codes import is_right
from auth.api.first_time import send_confirmation
from auth.api.keys import OWN_KEYS
from auth.api.secrets import HASHER
from auth.api.sessions import durations, end_all, end_one, open_session
from auth.domain import access_codes, chosen_secrets
from auth.domain.addresses import checked_email
from auth.domain.failures import CodesOnAlready, WrongOneTimeCode
from auth.domain.sign_in import SetUp
from auth.settings import SETTINGS
from auth.store import accounts, sessions
from chassis.clock import now
from chassis.database import DATABASE, Transaction
from chassis.http import KEY_HEADER, json_response, path_uuid, read_body
from chassis.idempotency import claim_key, store_answer
from chassis.identity import identity
from contracts.api.auth import (
    AccountView,
    CurrentSecret,
    Email,
    EmailChange,
    OneTimeCode,
    OneTimeCodeKey,
    RecoveryCodes,
    SecretChange,
)
from contracts.failures import NotFound

routes = web.RouteTableDef()


async def _own(request: web.Request, tx: Transaction) -> accounts.Account:
    account = await accounts.account_for_update(tx, identity(request).subject_id)
    if account is None:
        raise NotFound("this account is closed")
    return account


async def _proved(request: web.Request, current: str) -> accounts.Account:
    """One's own account, the present secret given once more."""
    async with request.app[DATABASE].transaction() as tx:
        account = await _own(request, tx)
    await want_secret(request, account, current)
    return account


@routes.get("/account")
async def get_account(request: web.Request) -> web.Response:
    person, at = identity(request), now()
    idle, longest = durations(request.app[SETTINGS])
    async with request.app[DATABASE].transaction() as tx:
        account = await _own(request, tx)
        view = AccountView(
            identifier=account.identifier,
            name=account.name,
            email=account.email,
            pending_email=await accounts.pending_email(tx, account, at),
            has_one_time_codes=account.has_totp,
            recovery_codes_left=await accounts.recovery_codes_left(tx, account.account_id) if account.has_totp else 0,
            sessions=await sessions.open_sessions(
                tx, account.account_id, person.session_id, at, idle=idle, longest=longest
            ),
        )
    return json_response(view)


@routes.put("/account/secret")
async def put_secret(request: web.Request) -> web.Response:
    """A new secret: every session is closed, and a new one opened for whoever changed it."""
    body = await read_body(request, SecretChange)
    account = await _proved(request, body.current.get_secret_value())
    secret = body.secret.get_secret_value()
    chosen_secrets.check(secret, account.personal, request.app[SETTINGS].town_names)
    hashed = await request.app[HASHER].hash(secret)
    async with request.app[DATABASE].transaction() as tx:
        account = await _own(request, tx)
        user_agent = await sessions.user_agent(tx, identity(request).session_id)
        await accounts.save_secret(tx, account.account_id, hashed, SetUp.DONE)
        await end_all(tx, account.account_id, now())
        answer = await open_session(request, tx, account, user_agent, code_given=account.has_totp)
        await accounts.add_fact(tx, "secret changed", account.account_id, "")
    return json_response(answer)


@routes.put("/account/email")
async def put_email(request: web.Request) -> web.Response:
    """Give another address; the present one stays until the link that is sent to the new one was used."""
    body = await read_body(request, EmailChange)
    email = checked_email(body.email)
    account = await _proved(request, body.current.get_secret_value())
    async with request.app[DATABASE].transaction() as tx:
        # Not « idempotent » as a whole: a wrong secret is counted, and its refusal would undo that.
        key, scope = request.headers.get(KEY_HEADER), f"account/email/{account.account_id}"
        if not key or await claim_key(tx, scope, key, email.encode()) is None:
            await send_confirmation(request, tx, account, email)
            await accounts.add_fact(tx, "email given", account.account_id, "")
            if key:
                await store_answer(tx, scope, key, b"sent")
    return json_response(Email(email=email), status=202)


@routes.delete("/account/sessions/{session_id}")
async def delete_session(request: web.Request) -> web.Response:
    """Close one session of one's own; one that is closed already is no error."""
    session_id = path_uuid(request, "session_id")
    async with request.app[DATABASE].transaction() as tx:
        account = await _own(request, tx)
        if not await sessions.belongs(tx, session_id, account.account_id):
            raise NotFound("no such session")
        await end_one(tx, account.account_id, session_id)
        await accounts.add_fact(tx, "session closed", account.account_id, "")
    return web.Response(status=204)


@routes.delete("/account/sessions")
async def delete_sessions(request: web.Request) -> web.Response:
    """Close every session but this one."""
    person = identity(request)
    async with request.app[DATABASE].transaction() as tx:
        await end_all(tx, person.subject_id, now(), but=person.session_id)
        await accounts.add_fact(tx, "other sessions closed", person.subject_id, "")
    return web.Response(status=204)


@routes.post("/account/one-time-codes")
async def post_one_time_codes(request: web.Request) -> web.Response:
    """A key for the telephone; nothing is asked of a sign-in before a first code was given."""
    body = await read_body(request, CurrentSecret)
    account = await _proved(request, body.current.get_secret_value())
    key = pyotp.random_base32()
    async with request.app[DATABASE].transaction() as tx:
        if (await _own(request, tx)).has_totp:
            raise CodesOnAlready("one-time codes are in use already")
        await accounts.save_totp(tx, account.account_id, request.app[OWN_KEYS].at_rest.encrypt(key.encode()), None)
    uri = pyotp.TOTP(key).provisioning_uri(name=account.identifier, issuer_name=request.app[SETTINGS].town_name)
    return json_response(OneTimeCodeKey(key=key, uri=uri), status=201)


@routes.put("/account/one-time-codes")
async def put_one_time_codes(request: web.Request) -> web.Response:
    """The telephone's first code puts them in use; other sessions are closed, for they never gave one."""
    body, person = await read_body(request, OneTimeCode), identity(request)
    async with request.app[DATABASE].transaction() as tx:
        limited = of_one_time_codes(await _own(request, tx))
        await limited.count(tx)
    async with request.app[DATABASE].transaction() as tx:
        account = await _own(request, tx)
        if account.has_totp or not await is_right(request.app, tx, account, body.code.get_secret_value()):
            message = "this code is not the telephone's present one"
            raise WrongOneTimeCode(message, errors=[{"field": "code", "message": message}])
        await limited.succeeded(tx)
        codes = access_codes.draw_recovery_codes(random.choice)
        await accounts.start_totp(tx, account.account_id, now())
        key, plain = request.app[SETTINGS].recovery_key, [accounts.token_hash(each) for each in codes]
        hashes = [access_codes.recovery_hash(key, account.account_id, each) for each in plain]
        await accounts.replace_recovery_codes(tx, account.account_id, hashes)
        await sessions.code_was_given(tx, person.session_id)
        await end_all(tx, account.account_id, now(), but=person.session_id)
        await accounts.add_fact(tx, "one-time codes on", account.account_id, "")
    return json_response(RecoveryCodes(codes=tuple(codes)), status=201)


@routes.post("/account/one-time-codes/end")
async def end_one_time_codes(request: web.Request) -> web.Response:
    """No one-time codes any more; the present secret is asked for."""
    body = await read_body(request, CurrentSecret)
    account = await _proved(request, body.current.get_secret_value())
    async with request.app[DATABASE].transaction() as tx:
        await accounts.save_totp(tx, account.account_id, None, None)
        await accounts.replace_recovery_codes(tx, account.account_id, [])
        await accounts.add_fact(tx, "one-time codes off", account.account_id, "")
    return web.Response(status=204)
