"""The HTTP application: request ids, limits, and the one place where failures become problem+json (RFC 9457)."""

import json
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import date
from itertools import islice
from typing import Any, TypeVar
from urllib.parse import unquote_to_bytes
from uuid import UUID, uuid4

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler
from multidict import MultiDictProxy
from pydantic import BaseModel, TypeAdapter, ValidationError

from chassis import health, tracing
from chassis.concurrency import limit_concurrency
from chassis.connections import Connection, answered_by
from chassis.database import TablesChanged
from chassis.draining import DRAIN, Drain
from chassis.logs import bind_correlation_id
from chassis.metrics import observe, route_of
from chassis.request_bodies import NetworkOf, Receiving, bytes_max_of
from chassis.settings import EdgeSettings
from contracts import failures
from contracts.model import DAY_MAX, DAY_MIN, Month, parse_day
from contracts.versions import version_of

Model = TypeVar("Model", bound=BaseModel)
HandlerT = TypeVar("HandlerT", bound=Callable[..., Awaitable[web.StreamResponse]])

REQUEST_ID_HEADER = "X-Request-ID"
REQUEST_ID = web.RequestKey("request_id", str)

ERRORS_MAX = 50
ATTEMPTS_MAX = 3
"""How often a request is repeated when a migration changes its tables: a new version brings a few in a row."""
NUL = "\0"
REPLACED = "\N{REPLACEMENT CHARACTER}"
"""What decoders put in place of bytes that are not UTF-8; stored, it would not be the text that was typed."""
CLIENT_CLOSED_REQUEST = 499
"""The status in logs and metrics of a request whose client disconnected before it was answered."""

_SAFE_ID = re.compile(r"^[A-Za-z0-9._-]{8,64}$")
KEY_HEADER = "Idempotency-Key"
_SAFE_KEY = re.compile(r"^[\x21-\x7e]{1,100}$")
_YEAR = re.compile(r"[0-9]{4}")
_MONTH: TypeAdapter[date] = TypeAdapter(Month)
_PROBLEM: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])

STATUS: tuple[tuple[type[failures.Refusal], int], ...] = (
    (failures.Unreadable, 400),
    (failures.Invalid, 422),
    (failures.Unauthenticated, 401),
    (failures.Forbidden, 403),
    (failures.NotFound, 404),
    (failures.Conflict, 409),
    (failures.TooMany, 429),
    (failures.Unavailable, 503),
    (failures.Refusal, 409),
)

log = structlog.get_logger()


class Problem(BaseModel):
    """The problem+json of a failure; ``facts`` become members at the top level."""

    status: int
    code: str
    detail: str
    facts: dict[str, Any] = {}

    def headers(self) -> dict[str, str]:
        seconds = self.facts.get("retry_after_seconds")
        return {} if seconds is None else {"Retry-After": str(max(1, round(seconds)))}


Render = Callable[[web.Request, Problem], Awaitable[web.StreamResponse]]


async def problem_json(request: web.Request, problem: Problem) -> web.StreamResponse:
    """A problem as JSON, which services answer; the gateway renders pages instead."""
    body = _PROBLEM.dump_python(
        {
            **problem.facts,
            "type": f"urn:preau:problem:{problem.code}",
            "title": problem.code.replace("_", " "),
            "status": problem.status,
            "code": problem.code,
            "detail": problem.detail,
            "request_id": request.get(REQUEST_ID),
        },
        mode="json",
    )
    return web.json_response(
        body, status=problem.status, headers=problem.headers(), content_type="application/problem+json"
    )


def application(
    name: str, settings: EdgeSettings, *, render: Render = problem_json, network_of: NetworkOf | None = None
) -> web.Application:
    """An application with the limits of ``settings``, health routes, and failures rendered by ``render``.

    At the edge ``network_of`` gives the client's network for limits, and an incoming trace context is ignored.
    """
    is_edge = network_of is not None
    app = web.Application(
        client_max_size=settings.body_bytes_max,
        middlewares=[
            *(_request_context(is_edge=is_edge), _failures(render), _reject_non_utf8),
            *(_receive_body(settings, network_of), limit_concurrency(settings), _repeat_after_migration),
        ],
    )
    app.on_response_prepare.append(answered_by)
    app[health.NAME] = name
    app[health.CHECKS] = {}
    app[DRAIN] = Drain(settings.drain_seconds)
    app.router.add_get("/health/live", public(health.live))
    app.router.add_get("/health/ready", public(health.ready))
    return app


def public(handler: HandlerT) -> HandlerT:
    """Mark a handler that needs no token."""
    handler.is_public = True  # type: ignore[attr-defined]
    return handler


def polled(handler: HandlerT) -> HandlerT:
    """Mark a handler that programs poll: like health, it is left out of logs, metrics and traces."""
    handler.is_polled = True  # type: ignore[attr-defined]
    return handler


def _is_polled(request: web.Request) -> bool:
    return request.path.startswith("/health/") or getattr(request.match_info.handler, "is_polled", False)


def _loggable_path(request: web.Request) -> str:
    """The path as it may be logged: parts named ``key`` or ``…_key`` are secrets."""
    path = request.path
    for name, value in request.match_info.items():
        path = path.replace(value, "…") if name.endswith("key") and value else path
    return path


def _span(request: web.Request, *, is_edge: bool) -> tracing.Span:
    if not tracing.is_on() or _is_polled(request):
        return tracing.NOTHING
    route = route_of(request)
    parent = None if is_edge else request.headers.get(tracing.HEADER)
    facts = {"http.request.method": request.method, "http.route": route}
    return tracing.continue_trace(parent, f"{request.method} {route}", tracing.Kind.SERVER, facts)


def _request_context(*, is_edge: bool) -> Callable[..., Awaitable[web.StreamResponse]]:
    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get(REQUEST_ID_HEADER, "")
        request[REQUEST_ID] = given if _SAFE_ID.match(given) else uuid4().hex
        structlog.contextvars.clear_contextvars()
        bind_correlation_id(request[REQUEST_ID])
        connection = request.protocol if isinstance(request.protocol, Connection) else None
        if connection:
            connection.headers_complete()
        with _span(request, is_edge=is_edge) as span:
            start = time.perf_counter()
            response = await handler(request)
            if not response.prepared:
                response.headers[REQUEST_ID_HEADER] = request[REQUEST_ID]
                if request.app[DRAIN].is_begun:
                    response.force_close()
            _record(request, response, time.perf_counter() - start, span)
        if connection:
            connection.answered()
        return response

    return middleware


@web.middleware
async def _reject_non_utf8(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Raise ``Unreadable`` when the path or a header has bytes that are not UTF-8."""
    try:
        for each in (request.raw_path, *request.headers.values()):
            if not each.isascii():
                each.encode()
    except UnicodeEncodeError:
        raise failures.Unreadable("the request holds bytes that are not UTF-8", errors=[]) from None
    return await handler(request)


def _receive_body(settings: EdgeSettings, network_of: NetworkOf | None) -> Callable[..., Awaitable[web.StreamResponse]]:
    receiving = Receiving(network_of)

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        await receiving.receive(request, bytes_max_of(request, settings.body_bytes_max))
        return await handler(request)

    return middleware


def _record(request: web.Request, response: web.StreamResponse, seconds: float, span: tracing.Span) -> None:
    """Record a request in metrics, its trace and the log."""
    if _is_polled(request) and response.status < 400:
        return
    if not getattr(request.match_info.handler, "is_streaming", False):
        observe(request, response.status, seconds)
    span.note({"http.response.status_code": response.status})
    if response.status >= 500:
        span.fails()
    log.info(
        "request",
        method=request.method,
        path=_loggable_path(request),
        status=response.status,
        milliseconds=round(seconds * 1000, 1),
    )


def _failures(render: Render) -> Callable[..., Awaitable[web.StreamResponse]]:
    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except failures.Refusal as refusal:
            return await render(request, problem_of(refusal))
        except web.HTTPException as answer:
            if answer.status < 400:
                raise
            response = await render(
                request, Problem(status=answer.status, code=_code(answer), detail=answer.reason or "refused")
            )
            if isinstance(answer, web.HTTPMethodNotAllowed):
                response.headers["Allow"] = ",".join(sorted(answer.allowed_methods))
            if isinstance(answer, web.HTTPRequestTimeout):
                response.force_close()
            return response
        except Exception as error:
            if error is request.content.exception():  # raised by the body reader
                return await _incomplete_body(request, render)
            log.exception("request failed", method=request.method, path=_loggable_path(request))
            return await render(request, Problem(status=500, code="defect", detail="something broke here"))

    return middleware


async def _incomplete_body(request: web.Request, render: Render) -> web.StreamResponse:
    """Answer a body that ended early: 499 if the client is gone, else 400."""
    if request.transport is None or request.transport.is_closing():
        log.info("client disconnected", method=request.method, path=_loggable_path(request))
        return web.Response(status=CLIENT_CLOSED_REQUEST)
    log.info("unreadable body", method=request.method, path=_loggable_path(request))
    response = await render(request, problem_of(failures.Unreadable("the body is not what its head says", errors=[])))
    response.force_close()
    return response


@web.middleware
async def _repeat_after_migration(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Repeat a request whose transaction was rolled back because a migration changed its tables."""
    for _ in range(ATTEMPTS_MAX - 1):
        try:
            return await handler(request)
        except TablesChanged:
            log.info("tables changed under a request, repeating it", path=_loggable_path(request))
    return await handler(request)


def problem_of(refusal: failures.Refusal) -> Problem:
    """The HTTP problem of a named failure; the only place that maps them."""
    status = next(status for kind, status in STATUS if isinstance(refusal, kind))
    return Problem(status=status, code=refusal.code, detail=refusal.detail, facts=refusal.facts)


def _code(answer: web.HTTPException) -> str:
    named = {404: "not_found", 405: "method_not_allowed", 408: "body_too_slow", 413: "body_too_large"}
    return named.get(answer.status, f"http_{answer.status}")


async def read_body(request: web.Request, model: type[Model]) -> Model:
    """The JSON body as ``model``; ``Invalid`` names each wrong field, never its value.

    ``Unreadable`` where a string or a name has U+0000, which PostgreSQL cannot store.
    """
    if request.content_type != "application/json":
        raise failures.Invalid("the body is not application/json", errors=[])
    body = await request.read()
    if b"\\u0000" in body and (errors := list(islice(_nul_in(_parsed(body)), ERRORS_MAX))):
        raise failures.Unreadable("a text has a character that is none", errors=errors)
    try:
        return model.model_validate_json(body, strict=True)
    except ValidationError as error:
        raise invalid(error) from None


async def read_form(request: web.Request) -> "MultiDictProxy[str | bytes | bytearray | web.FileField]":
    """The form fields; ``Unreadable`` when the body is not a form or not UTF-8."""
    try:
        if (request.charset or "utf-8").lower() not in {"utf-8", "utf8", "us-ascii"}:
            raise failures.Unreadable("a form is sent as UTF-8", errors=[])
        form = await request.post()
    except (ValueError, LookupError, AssertionError, HttpProcessingError):  # what aiohttp's form parsers raise
        raise failures.Unreadable("the form cannot be read", errors=[]) from None
    wrong = [name for name, value in form.items() if isinstance(value, str) and REPLACED in name + value]
    sent = unquote_to_bytes(await request.read()) if wrong else b""
    if sent != sent.decode(errors="ignore").encode():  # else U+FFFD itself was typed, which the field refuses
        errors = [{"field": name, "message": "holds bytes that are not UTF-8"} for name in wrong[:ERRORS_MAX]]
        raise failures.Unreadable("a text has a character that is none", errors=errors)
    return form


def _parsed(body: bytes) -> object:
    """The parsed JSON; None if it is invalid, which the model reports."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _nul_in(whole: object) -> Iterator[dict[str, str]]:
    """The fields of a JSON value, however deep, that hold U+0000."""
    left: list[tuple[str, object]] = [("", whole)]
    while left:
        place, value = left.pop()
        if isinstance(value, str) and NUL in value:
            yield {"field": place, "message": "holds the character U+0000"}
        elif isinstance(value, dict):
            if any(NUL in name for name in value):
                yield {"field": place, "message": "has a name with the character U+0000"}
            left += [(f"{place}.{name}".strip("."), each) for name, each in value.items() if NUL not in name]
        elif isinstance(value, list):
            left += [(f"{place}.{number}".strip("."), each) for number, each in enumerate(value)]


def invalid(error: ValidationError) -> failures.Invalid:
    """The validation errors of pydantic as ``Invalid``."""
    errors = [{"field": ".".join(str(part) for part in each["loc"]), "message": each["msg"]} for each in error.errors()]
    return failures.Invalid("some fields are wrong", errors=errors[:ERRORS_MAX])


def json_response(model: BaseModel, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """A contract model as JSON."""
    return web.Response(text=model.model_dump_json(), status=status, content_type="application/json", headers=headers)


def path_uuid(request: web.Request, name: str) -> UUID:
    """A part of the path as a UUID; ``NotFound`` for anything else."""
    try:
        return UUID(request.match_info[name])
    except ValueError:
        raise failures.NotFound("no such thing here") from None


def path_month(request: web.Request, name: str = "month") -> date:
    """A part of the path such as ``2026-12`` as the first day of that month."""
    try:
        return _MONTH.validate_python(request.match_info[name])
    except ValidationError:
        raise failures.NotFound("no such month") from None


def query_day(request: web.Request, name: str, otherwise: date) -> date:
    """A parameter such as ``2026-12-01`` as that day; ``otherwise`` without it, ``Invalid`` for anything else."""
    try:
        return parse_day(request.query[name]) if name in request.query else otherwise
    except ValueError as error:
        raise failures.Invalid("a day cannot be read", errors=[{"field": name, "message": str(error)}]) from None


def path_year(request: web.Request, name: str = "year") -> int:
    """A part of the path such as ``2026`` as a year; ``NotFound`` for anything else."""
    text = request.match_info[name]
    if not _YEAR.fullmatch(text) or not DAY_MIN.year <= int(text) <= DAY_MAX.year:
        raise failures.NotFound("no such year")
    return int(text)


def path_day(request: web.Request, name: str = "day") -> date:
    """A part of the path such as ``2026-12-01`` as that day."""
    try:
        return parse_day(request.match_info[name])
    except ValueError:
        raise failures.NotFound("no such day") from None


def check_version(request: web.Request, present: BaseModel | None) -> None:
    """Raise ``ChangedMeanwhile`` unless ``present`` is the version that the request was made from (``If-Match``).

    Call it under the lock of the change. Without the header the check is left out.
    """
    seen = request.headers.get("If-Match")
    if seen is not None and seen.strip('"') != version_of(present):
        raise failures.ChangedMeanwhile("it was changed since it was shown")


def idempotency_key(request: web.Request) -> str:
    """The ``Idempotency-Key`` header: 1 to 100 visible ASCII characters, one per intent; ``Invalid`` otherwise."""
    key = request.headers.get(KEY_HEADER, "")
    if not _SAFE_KEY.match(key):
        raise failures.Invalid("the Idempotency-Key header is missing or malformed", errors=[])
    return key
