"""The public JSON API: the routes of ``/api/v1``, made from the table of operations.

A session is opened with the two access codes and sent back as ``Authorization: Bearer``; a cookie opens nothing here,
so no page of another site can ask in a parent's name. Every rule is the services'.
"""

import functools
from collections.abc import Awaitable, Callable
from urllib.parse import quote, urlencode

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import BaseModel

from chassis.concurrency import queued
from chassis.http import json_response, path_month, path_uuid, path_year, read_body
from contracts.api.auth import OneTimeCodeRequest, SessionKey, SignedIn, SignIn
from contracts.api.payment_gateway import PaymentRequest
from contracts.failures import Forbidden, TooMany, Unauthenticated
from gateway.api.limits import LIMITS
from gateway.api.openapi import DOCUMENT
from gateway.api.operations import OPERATIONS, AccessCodesTyped, OneTimeCodeTyped, Operation
from gateway.clients.services import SERVICES, SignedOut, SignInUnfinished
from gateway.pages.shared.payment_calls import start_payment
from gateway.pages.shared.rendering import client_address, network_key

PREFIX = "/api/v1"
PRIVATE = {"Cache-Control": "no-store"}
RATE_LIMIT = web.RequestKey("rate_limit", dict)


def session_of(request: web.Request) -> str:
    """The session that the request carries; ``Unauthenticated`` without one."""
    scheme, _, session = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not 20 <= len(session) <= 200:
        raise Unauthenticated("send the session as Authorization: Bearer")
    return session


def _part(request: web.Request, name: str) -> str:
    """A part of the path, checked for what its name says it is."""
    if name == "month":
        return f"{path_month(request):%Y-%m}"
    return str(path_year(request) if name == "year" else path_uuid(request, name))


def _names(path: str) -> list[str]:
    return [each.partition("}")[0] for each in path.split("{")[1:]]


async def _path(request: web.Request, operation: Operation, session: str) -> str:
    """The path behind, with the household of who asks."""
    parts = {name: _part(request, name) for name in _names(operation.path)}
    if "household_id" in _names(operation.to):
        person = (await request.app[SERVICES].token(session, operation.service)).identity
        if person.household_id is None:
            raise Forbidden("this is for households")
        parts["household_id"] = str(person.household_id)
    wanted = {name: request.query[name] for name in operation.query if name in request.query}
    return operation.to.format(**parts) + (f"?{urlencode(wanted, quote_via=quote)}" if wanted else "")


def _handler(operation: Operation) -> Handler:
    """What an operation does: hand the wish on for the person, and answer what the service answers."""

    async def forward(request: web.Request) -> web.StreamResponse:
        services, session = request.app[SERVICES], session_of(request)
        path = await _path(request, operation, session)
        if isinstance(operation.answer, str):
            disposition, raw = await services.file(session, operation.service, path)
            headers = {"Content-Disposition": disposition, **PRIVATE}
            return web.Response(body=raw, content_type=operation.answer, headers=headers)
        body = await read_body(request, operation.body) if operation.body else None
        if operation.answer is None:
            await services.call_no_content(session, operation.service, path, method=operation.method, body=body)
            return web.Response(status=204)
        key = request.headers.get("Idempotency-Key") if operation.keyed else None
        answer: BaseModel = await services.call(
            session, operation.service, path, operation.answer, method=operation.method, body=body, key=key
        )
        return json_response(answer, status=operation.status, headers=PRIVATE)

    return forward


@queued
async def sign_in(request: web.Request) -> web.Response:
    """The two codes against a session, by the same defences as the page."""
    typed = await read_body(request, AccessCodesTyped)
    body = SignIn(
        identifier=typed.identifier,
        secret=typed.secret,
        client_address=client_address(request)[:64],
        user_agent=request.headers.get("User-Agent", "")[:400],
    )
    return json_response(await request.app[SERVICES].sign_in(body), status=201, headers=PRIVATE)


async def give_one_time_code(request: web.Request) -> web.Response:
    """The code of the telephone; the answer is another session, in place of the one that was sent."""
    typed = await read_body(request, OneTimeCodeTyped)
    body = OneTimeCodeRequest(session=session_of(request), code=typed.code, client_address=client_address(request)[:64])
    opened = await request.app[SERVICES].open("/sessions/one-time-code", body, SignedIn)
    return json_response(opened, status=201, headers=PRIVATE)


async def sign_out(request: web.Request) -> web.Response:
    """End the session; ending it twice is no error."""
    await request.app[SERVICES].sign_out(SessionKey(session=session_of(request)).session)
    return web.Response(status=204)


async def current_identity(request: web.Request) -> web.Response:
    """The person of the session."""
    token = await request.app[SERVICES].token(session_of(request), "planning")
    return json_response(token.identity, headers=PRIVATE)


async def pay(request: web.Request) -> web.Response:
    """An attempt for a checkout, as soon as the payment gateway has heard of it; asked twice, the same one."""
    session, body = session_of(request), await read_body(request, PaymentRequest)
    return json_response(await start_payment(request, session, str(body.checkout_id)), status=201, headers=PRIVATE)


OWN_HANDLERS: dict[str, Callable[[web.Request], Awaitable[web.StreamResponse]]] = {
    "signIn": sign_in,
    "giveOneTimeCode": give_one_time_code,
    "signOut": sign_out,
    "whoAmI": current_identity,
    "pay": pay,
}


def _known_session(request: web.Request) -> str | None:
    """The session of the request, as what requests are counted by, if auth has vouched for it."""
    _scheme, _, session = request.headers.get("Authorization", "").partition(" ")
    found = request.app[SERVICES].known_session(session)
    return f"session {found}" if found else None


def limited(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> Handler:
    """Count the request against the caller's limit, report what is left, and answer an ended session with a problem."""

    @functools.wraps(handler)
    async def counted(request: web.Request) -> web.StreamResponse:
        limits, known = request.app[LIMITS], _known_session(request)
        who = known or network_key(request)
        left, seconds = limits.count(who)
        request[RATE_LIMIT] = limits.headers(left, seconds)
        if left < 0:
            raise TooMany("too many requests in a minute", retry_after_seconds=seconds)
        try:
            answer = await handler(request)
            if not known and (proved := _known_session(request)):
                limits.give_back(who)
                limits.count(proved)
            return answer
        except SignedOut:
            raise Unauthenticated("the session is over, or never was") from None
        except SignInUnfinished:
            raise Forbidden("the sign-in is not finished: it is done on the portal's pages") from None

    return counted


async def document(_request: web.Request) -> web.Response:
    """The OpenAPI document."""
    return web.Response(body=DOCUMENT, content_type="application/json", headers={"Cache-Control": "no-cache"})


async def add_rate_limit_headers(request: web.Request, response: web.StreamResponse) -> None:
    """What is left to ask, with every answer of the API."""
    response.headers.update(request.get(RATE_LIMIT, {}))


def routes() -> list[web.RouteDef]:
    """Every route of the API, and its document."""
    found = [web.get(f"{PREFIX}/openapi.json", document)]
    for operation in OPERATIONS:
        path = PREFIX + operation.path.replace("{year}", "{year:[0-9]{4}}")
        handler = OWN_HANDLERS.get(operation.name) or _handler(operation)
        found.append(web.route(operation.method, path, limited(handler)))
    return found
