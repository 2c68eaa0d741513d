"""What a session wants before it opens anything: a secret of one's own, a confirmed address, a one-time code.

These doors go by the session itself: there is no token yet.
"""

import secrets as random
from datetime import datetime, timedelta
from uuid import uuid4

from aiohttp import web

from auth.api.attempts import of_one_time_codes
from auth.api.codes import is_right
from auth.api.secrets import HASHER
from auth.api.sessions import end_all, end_one, live_session, open_session
from auth.domain import chosen_secrets
from auth.domain.addresses import checked_email
from auth.domain.failures import LinkOver, SetUpWanted, WrongOneTimeCode
from auth.domain.sign_in import LINKS_AN_HOUR_MAX, SetUp
from auth.settings import SETTINGS
from auth.store import accounts
from chassis import outbox
from chassis.clock import now
from chassis.database import DATABASE, Transaction
from chassis.http import json_response, public, read_body
from chassis.idempotency import idempotent
from contracts.api.auth import (
    Email,
    EmailConfirmation,
    FirstEmailRequest,
    FirstSecretRequest,
    OneTimeCodeRequest,
    SessionStage,
)
from contracts.events.auth import EmailGiven, EmailReplaced
from contracts.failures import TooMany

HOUR = timedelta(hours=1)

routes = web.RouteTableDef()


async def send_confirmation(request: web.Request, tx: Transaction, account: accounts.Account, email: str) -> None:
    """Have a link sent to an address that somebody gives as their own; not often, however many ask at once."""
    at = now()
    await accounts.account_for_update(tx, account.account_id)
    if await accounts.links_since(tx, account.account_id, at - HOUR) >= LINKS_AN_HOUR_MAX:
        raise TooMany("links were sent already, wait for them", retry_after_seconds=HOUR.seconds)
    token, expires_at = random.token_urlsafe(32), at + timedelta(seconds=request.app[SETTINGS].link_seconds)
    await accounts.add_link(tx, "email", account, email, token, at, expires_at)
    await outbox.add(tx, _email_given(account, email, request.app[SETTINGS].sealed_link(token), expires_at))


def _email_given(account: accounts.Account, email: str, sealed_token: str, expires_at: datetime) -> EmailGiven:
    """The fact that the mail tells; its id is drawn, for a link may be asked for again."""
    return EmailGiven(
        link_id=uuid4(),
        account_id=account.account_id,
        first_name=account.first_name,
        email=email,
        sealed_token=sealed_token,
        expires_at=expires_at,
    )


@routes.post("/sessions/first-secret")
@public
async def choose_first_secret(request: web.Request) -> web.Response:
    """A secret of one's own in place of the letter's code, which is worth nothing from then on."""
    body = await read_body(request, FirstSecretRequest)
    email, secret = checked_email(body.email), body.secret.get_secret_value()
    async with request.app[DATABASE].transaction() as tx:
        session = await live_session(request, tx, body.session)
    if session.stage is not SessionStage.CHOOSE_SECRET:
        raise SetUpWanted("a secret is chosen already", stage=session.stage)
    chosen_secrets.check(secret, (*session.account.personal, email), request.app[SETTINGS].town_names)
    hashed = await request.app[HASHER].hash(secret)
    async with request.app[DATABASE].transaction() as tx:
        account = await accounts.account_for_update(tx, session.account.account_id)
        if account is None or account.state != session.account.state:
            raise LinkOver("the account has changed meanwhile")
        await accounts.save_secret(tx, account.account_id, hashed, SetUp.EMAIL)
        await end_all(tx, account.account_id, now())
        account = await accounts.account_for_update(tx, account.account_id)
        assert account is not None, "its row is locked"
        await send_confirmation(request, tx, account, email)
        await accounts.add_fact(tx, "first secret chosen", account.account_id, "")
        answer = await open_session(request, tx, account, session.user_agent, code_given=session.code_given)
    return json_response(answer, status=201)


@routes.post("/sessions/email")
@public
@idempotent
async def send_again(request: web.Request) -> web.Response:
    """Send the link again, or to another address; only while a session waits for it."""
    body = await read_body(request, FirstEmailRequest)
    email = checked_email(body.email)
    async with request.app[DATABASE].transaction() as tx:
        session = await live_session(request, tx, body.session)
        if session.stage is not SessionStage.CONFIRM_EMAIL:
            raise SetUpWanted("nothing waits for an address", stage=session.stage)
        await send_confirmation(request, tx, session.account, email)
    return json_response(Email(email=email))


@routes.post("/emails/confirmed")
@public
async def confirm_email(request: web.Request) -> web.Response:
    """The link that was sent to an address: it is the account's from now on."""
    body = await read_body(request, EmailConfirmation)
    async with request.app[DATABASE].transaction() as tx:
        found = await accounts.link_for_update(tx, "email", body.token)
        account = await accounts.account_for_update(tx, found[1]) if found else None
        if found is None or account is None or not found[0].is_good(account.state, now()):
            raise LinkOver("the link was used, or is too old")
        at = now()
        await accounts.use_link(tx, body.token, at)
        guardian = await accounts.confirm_email(tx, account.account_id, found[2], at)
        await accounts.add_fact(tx, "email confirmed", account.account_id, "")
        if guardian:
            await outbox.add(tx, guardian)
        if account.email and account.email.lower() != found[2].lower():
            who, left = account.account_id, account.email
            fact = EmailReplaced(account_id=who, first_name=account.first_name, email=left, replaced_at=at)
            await outbox.add(tx, fact)
    return json_response(Email(email=found[2]))


@routes.post("/sessions/one-time-code")
@public
async def give_one_time_code(request: web.Request) -> web.Response:
    """The second step of a sign-in; attempts are counted as those at the secret are, in a limit of their own."""
    body = await read_body(request, OneTimeCodeRequest)
    async with request.app[DATABASE].transaction() as tx:
        session = await live_session(request, tx, body.session)
        if session.stage is not SessionStage.ONE_TIME_CODE:
            raise SetUpWanted("no one-time code is wanted", stage=session.stage)
        limited = of_one_time_codes(session.account)
        await limited.count(tx)
    async with request.app[DATABASE].transaction() as tx:
        account = session.account
        if await is_right(request.app, tx, account, body.code.get_secret_value()):
            await limited.succeeded(tx)
            await end_one(tx, account.account_id, session.session_id)
            answer = await open_session(request, tx, account, session.user_agent, code_given=True)
            await accounts.add_fact(tx, "one-time code given", account.account_id, body.client_address)
            return json_response(answer, status=201)
        await accounts.add_fact(tx, "wrong one-time code", account.account_id, body.client_address)
    message = "this code is wrong, late or was used before"
    raise WrongOneTimeCode(message, errors=[{"field": "code", "message": message}])
