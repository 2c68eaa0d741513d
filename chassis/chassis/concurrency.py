"""Limits on concurrent requests and their duration: overload of one route leaves the others available."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler

from chassis.settings import EdgeSettings
from contracts import failures

HandlerT = TypeVar("HandlerT", bound=Callable[..., Awaitable[web.StreamResponse]])

USUAL, QUEUED, STREAMS = "usual", "queued", "streams"
"""The kinds of requests that are counted; a route may have one of its own (``separate_limit``)."""
STREAMS_FOR_A_REQUEST = 4
"""Open streams allowed for each concurrent request: they are idle most of the time."""


def separate_limit(name: str) -> Callable[[HandlerT], HandlerT]:
    """Count the requests of a handler apart, under ``name``: overload elsewhere leaves it available."""

    def mark(handler: HandlerT) -> HandlerT:
        handler.separate_limit = name  # type: ignore[attr-defined]
        return handler

    return mark


def queued(handler: HandlerT) -> HandlerT:
    """Let requests of a handler wait up to ``queue_timeout_seconds``, in at most half of the concurrent requests."""
    handler.is_queued = True  # type: ignore[attr-defined]
    return handler


def streaming(handler: HandlerT) -> HandlerT:
    """Mark a handler whose response lasts as long as the client stays, such as server-sent events."""
    handler.is_streaming = True  # type: ignore[attr-defined]
    return handler


def limit_concurrency(settings: EdgeSettings) -> Callable[..., Awaitable[web.StreamResponse]]:
    """The middleware that answers 503 beyond the limits, and ends a request that takes too long."""
    entrance, active = asyncio.Lock(), Counter[str]()
    most = settings.concurrent_requests_max

    def enter(handler: Any) -> str:
        if getattr(handler, "is_streaming", False):
            kind, is_full = STREAMS, active[STREAMS] >= most * STREAMS_FOR_A_REQUEST
        elif own := getattr(handler, "separate_limit", None):
            kind, is_full = own, active[own] >= max(1, most // 4)
        else:
            may_wait = getattr(handler, "is_queued", False)
            kind = QUEUED if may_wait else USUAL
            is_full = active[USUAL] + active[QUEUED] >= most or (may_wait and active[QUEUED] >= most // 2)
        if is_full:
            raise failures.Unavailable("too many concurrent requests", retry_after_seconds=1)
        active[kind] += 1
        return kind

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith("/health/"):
            return await handler(request)
        kind = enter(request.match_info.handler)
        try:
            if kind == STREAMS:
                return await handler(request)
            seconds_max = settings.queue_timeout_seconds if kind == QUEUED else settings.request_seconds_max
            async with asyncio.timeout(seconds_max) as limit:
                if kind in {USUAL, QUEUED}:
                    async with entrance:  # one new request per turn of the loop: those in progress continue
                        await asyncio.sleep(0)
                return await handler(request)
        except TimeoutError:
            if kind != STREAMS and limit.expired():
                raise failures.Unavailable("this took too long", retry_after_seconds=2) from None
            raise
        finally:
            active[kind] -= 1

    return middleware
