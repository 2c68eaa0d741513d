"""The services, called with the signed token of the person for whom it is done."""

import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable
from contextvars import ContextVar
from http import HTTPStatus
from itertools import islice
from typing import Any, TypeVar
from urllib.parse import quote
from uuid import UUID

import aiohttp
import structlog
from aiohttp import web
from pydantic import BaseModel, SecretStr
from yarl import URL

from chassis import tracing
from chassis.http import Problem
from chassis.logs import correlation_id
from contracts.api.auth import SessionKey, SignedIn, SignIn, Token, TokenRequest
from contracts.failures import Refusal, Unavailable
from gateway.settings import SETTINGS, Settings

Answer = TypeVar("Answer", bound=BaseModel)

TOKEN_KEPT_SECONDS = 40
UNUSED_SECONDS = 2
"""How long an unused connection is kept: less than the services' ``DRAIN_SECONDS``, so none is closed under a call."""
CONNECTIONS_A_SERVICE_MAX = 200
SIGN_IN = "/sessions"
TOKENS_MAX = 20_000
ENDED_KEPT_SECONDS = 120
OWN_FIELDS = {"type", "title", "status", "code", "detail", "request_id"}
"""The fields of a problem that are not its facts."""

log = structlog.get_logger()


_form: ContextVar["FormKey | None"] = ContextVar("form key", default=None)


class FormKey:
    """The key of the form that is being answered, and of each call that is made for it."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._calls = Counter[str]()

    def of_call(self, method: str, path: str) -> str:
        """The same for the same call of the same form sent again: the first, the second… of that method and path."""
        self._calls[f"{method} {path}"] += 1
        return f"{self._key}-{self._calls[f'{method} {path}']}"


def _with_form_key(method: str, path: str, headers: dict[str, str]) -> dict[str, str]:
    """The headers of a call, with its key of the form that is being answered, if it changes something and has none."""
    form = _form.get()
    if form is None or method == "GET" or "Idempotency-Key" in headers:
        return headers
    return {**headers, "Idempotency-Key": form.of_call(method, path)}


class SignedOut(Exception):  # noqa: N818 - an answer
    """Nobody is signed in, or no longer."""


class SignInUnfinished(Exception):  # noqa: N818 - an answer
    """The session still wants a secret, an address or a one-time code before it opens any page."""


class ServiceDefect(Unavailable):
    """A service met a defect of its own: it says nothing about what was asked, so no page may take it for an answer."""

    code = "defect"


class UpstreamError(Refusal):
    """What a service answered instead of doing it: its status, its stable code and its facts."""

    def __init__(self, status: int, code: str, detail: str, facts: dict[str, Any]) -> None:
        super().__init__(detail, **facts)
        self.status, self.upstream_code = status, code

    @property
    def problem(self) -> Problem:
        """The same answer, for whoever asked us."""
        return Problem(status=self.status, code=self.upstream_code, detail=self.detail, facts=self.facts)


def plain(body: BaseModel) -> dict[str, Any]:
    """A model as JSON, its secrets as they were typed."""
    typed = {name: value for name, value in body if isinstance(value, SecretStr)}
    return {**body.model_dump(mode="json"), **{name: value.get_secret_value() for name, value in typed.items()}}


class Services:
    """Typed calls to the five services."""

    def __init__(self, settings: Settings) -> None:
        self._urls = {
            "auth": settings.auth_url,
            "planning": settings.planning_url,
            "billing": settings.billing_url,
            "payment-gateway": settings.payment_gateway_url,
            "notifier": settings.notifier_url,
        }
        self._seconds_max, self._sign_in_seconds_max = settings.service_seconds_max, settings.sign_in_seconds_max
        self._tokens: dict[tuple[str, str], tuple[Token, float]] = {}
        self._ended: dict[UUID, float] = {}
        self._http: aiohttp.ClientSession | None = None
        self._sign_ins: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the HTTP clients: each service has its own connections, and at auth those who wait for their codes to
        be verified have others than those who are in, and may wait longer; so that who waits for one keeps nobody
        from another."""
        self._http, self._sign_ins = self._client(self._seconds_max), self._client(self._sign_in_seconds_max)

    def _client(self, seconds_max: float) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=0, limit_per_host=CONNECTIONS_A_SERVICE_MAX, keepalive_timeout=UNUSED_SECONDS
        )
        return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=seconds_max), connector=connector)

    async def stop(self) -> None:
        """Close the HTTP clients."""
        for each in filter(None, (self._http, self._sign_ins)):
            await each.close()

    @staticmethod
    def use_form_key(key: str) -> None:
        """Give every call that changes something, as long as this request is answered, a key of this form's."""
        _form.set(FormKey(key))

    async def sign_in(self, body: SignIn) -> SignedIn:
        """The two codes against a session."""
        return await self.open(SIGN_IN, body, SignedIn)

    async def sign_out(self, session: str) -> None:
        """End the session on the server."""
        await self.raw("auth", "POST", "/sessions/end", json=SessionKey(session=session).model_dump())
        self._tokens = {key: kept for key, kept in self._tokens.items() if key[0] != session}

    def forget(self, session_id: UUID) -> None:
        """Drop the tokens of a session that ended elsewhere, those on their way from auth included."""
        at = time.monotonic()
        self._ended = {each: until for each, until in self._ended.items() if until > at}
        self._ended[session_id] = at + ENDED_KEPT_SECONDS
        kept = self._tokens.items()
        self._tokens = {key: value for key, value in kept if value[0].identity.session_id != session_id}

    def known_session(self, session: str) -> UUID | None:
        """The id of a session that auth has vouched for within the last seconds, whatever for."""
        at = time.monotonic()
        found = (self._tokens.get((session, audience)) for audience in self._urls)
        return next((each[0].identity.session_id for each in found if each and each[1] > at), None)

    def kept(self, session: str, audience: str) -> Token | None:
        """The token that was asked for a moment ago, if one was."""
        known = self._tokens.get((session, audience))
        return known[0] if known and known[1] > time.monotonic() else None

    async def token(self, session: str, audience: str) -> Token:
        """A token for one service; ``SignedOut`` when the session is over."""
        if kept := self.kept(session, audience):
            return kept
        try:
            body = TokenRequest(session=session, audience=audience)
            _, raw = await self.raw("auth", "POST", "/tokens", json=body.model_dump())
        except ValueError as error:
            raise SignedOut from error  # the cookie holds nothing that auth ever gave
        except UpstreamError as error:
            if error.upstream_code == "set_up_wanted":
                raise SignInUnfinished from error
            if error.status != HTTPStatus.UNAUTHORIZED:
                raise Unavailable("auth cannot say who is signed in", retry_after_seconds=5) from error
            raise SignedOut from error
        token = Token.model_validate_json(raw)
        if token.identity.session_id in self._ended:
            raise SignedOut
        self._keep(session, audience, token)
        return token

    def _keep(self, session: str, audience: str, token: Token) -> None:
        """Keep a token for a while. All are kept equally long, so the oldest come first: each new one takes away two
        that are over, or too many."""
        at = time.monotonic()
        self._tokens.pop((session, audience), None)
        self._tokens[(session, audience)] = (token, at + TOKEN_KEPT_SECONDS)
        for key, (_, until) in list(islice(self._tokens.items(), 2)):
            if until <= at or len(self._tokens) > TOKENS_MAX:
                del self._tokens[key]

    async def call(
        self,
        session: str,
        service: str,
        path: str,
        answer: type[Answer],
        *,
        method: str = "GET",
        body: BaseModel | None = None,
        key: str | None = None,
        version: str | None = None,
    ) -> Answer:
        """A call for a person, its answer as a contract model; with the ``version`` of what they saw and now change."""
        headers = {"Idempotency-Key": key} if key else {}
        if version is not None:
            headers["If-Match"] = f'"{version}"'
        json = plain(body) if body else None
        _, raw = await self._for_person(session, service, method, path, headers, json=json)
        return answer.model_validate_json(raw)

    async def _for_person(
        self, session: str, service: str, method: str, path: str, headers: dict[str, str], **more: Any
    ) -> tuple[dict[str, str], bytes]:
        """A call with a person's token; once more with a new one when that which was kept is refused, for its key may
        have been replaced meanwhile."""
        kept, headers = self.kept(session, service), _with_form_key(method, path, headers)
        for _ in range(2):
            token = await self.token(session, service)
            try:
                sent = {**headers, "Authorization": f"Bearer {token.token}"}
                return await self.raw(service, method, path, headers=sent, **more)
            except UpstreamError as error:
                if error.status != HTTPStatus.UNAUTHORIZED or token is not kept:
                    raise
                self._tokens.pop((session, service), None)
        raise SignedOut

    async def call_no_content(
        self, session: str, service: str, path: str, *, method: str = "POST", body: BaseModel | None = None
    ) -> None:
        """A call for a person that is answered without a body."""
        await self._for_person(session, service, method, path, {}, json=plain(body) if body else None)

    async def send(
        self, session: str, service: str, path: str, answer: type[Answer], content: bytes, file_name: str
    ) -> Answer:
        """A file handed on for a person."""
        headers = {"Content-Type": "application/octet-stream", "X-File-Name": quote(file_name[:200], errors="replace")}
        _, raw = await self._for_person(session, service, "POST", path, headers, data=content)
        return answer.model_validate_json(raw)

    async def open(self, path: str, body: BaseModel, answer: type[Answer]) -> Answer:
        """A call to a route of auth that needs no token."""
        _, raw = await self.raw("auth", "POST", path, json=plain(body))
        return answer.model_validate_json(raw)

    async def file(
        self, session: str, service: str, path: str, *, method: str = "GET", body: BaseModel | None = None
    ) -> tuple[str, bytes]:
        """A file for a person: its Content-Disposition and its bytes."""
        json = plain(body) if body else None
        headers, raw = await self._for_person(session, service, method, path, {}, json=json)
        return headers.get("Content-Disposition", "inline"), raw

    async def raw(
        self, service: str, method: str, path: str, *, headers: dict[str, str] | None = None, **more: Any
    ) -> tuple[dict[str, str], bytes]:
        """Make one HTTP call.

        Raises ``UpstreamError`` when the service refuses, ``Unavailable`` when it, or what it needs, does not answer.
        """
        headers = _with_form_key(method, path, headers or {})
        http = self._sign_ins if path == SIGN_IN else self._http
        assert http is not None, "the services are called before the start"
        url = URL(self._urls[service] + path, encoded=True)
        with tracing.span(f"{method} {service}", tracing.Kind.CLIENT) as span:
            sent = {"X-Request-Id": correlation_id(), **tracing.headers(), **(headers or {})}
            try:
                async with http.request(method, url, headers=sent, **more) as response:
                    raw = await response.read()
                    span.note({"http.response.status_code": response.status})
                    if response.status < 400:
                        return dict(response.headers), raw
                    problem = await response.json(content_type=None)
            except (TimeoutError, aiohttp.ClientError, ValueError) as error:
                log.warning("a service does not answer", called=service, error=f"{type(error).__name__}: {error}")
                raise Unavailable(f"{service} does not answer", retry_after_seconds=5, service=service) from error
        facts = {name: value for name, value in problem.items() if name not in OWN_FIELDS}
        if problem.get("code") == Unavailable.code:
            raise Unavailable(problem.get("detail", ""), **facts, service=service)
        is_named = problem.get("code", ServiceDefect.code) != ServiceDefect.code  # such as a bank that does not answer
        if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR and not is_named:
            raise ServiceDefect(problem.get("detail", ""), retry_after_seconds=5, service=service)
        raise UpstreamError(response.status, problem.get("code", "refused"), problem.get("detail", ""), facts)


async def or_none(call: Awaitable[Answer]) -> Answer | None:
    """The answer, or None when the service is away or refuses: a page shows the rest without it."""
    try:
        return await call
    except (Unavailable, UpstreamError):
        return None


SERVICES = web.AppKey("services", Services)


def use_services(app: web.Application) -> None:
    """Give the application its clients, from start to stop."""
    services = Services(app[SETTINGS])
    app[SERVICES] = services

    async def run(_app: web.Application) -> AsyncIterator[None]:
        await services.start()
        yield
        await services.stop()

    app.cleanup_ctx.append(run)
