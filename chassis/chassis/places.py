"""How many requests are answered at once, and for how long: a flood at one door leaves the others open."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler

from chassis.settings import EdgeSettings
from contracts import failures

Door = TypeVar("Door", bound=Callable[..., Awaitable[web.StreamResponse]])

USUAL, IN_LINE, STREAMS = "usual", "in line", "streams"
"""The places that requests take; a door may name others of its own."""
STREAMS_FOR_A_REQUEST = 4
"""How many open streams are allowed for each request at once: they do nothing most of the time."""


def own_places(name: str) -> Callable[[Door], Door]:
    """Mark doors that have places of their own, ``name`` says which: a flood at any other leaves them open."""

    def mark(door: Door) -> Door:
        door.places = name  # type: ignore[attr-defined]
        return door

    return mark


def in_line(door: Door) -> Door:
    """Mark a door where people may have to wait for their turn: they may for ``line_seconds_max``, while half of the
    requests at once are left to everybody else."""
    door.is_in_line = True  # type: ignore[attr-defined]
    return door


def streaming(door: Door) -> Door:
    """Mark a door that answers for as long as the client stays, such as server-sent events."""
    door.is_streaming = True  # type: ignore[attr-defined]
    return door


def places(settings: EdgeSettings) -> Callable[..., Awaitable[web.StreamResponse]]:
    """Requests at once, of which half may wait in line; doors with places of their own, and streams, besides."""
    entrance, inside = asyncio.Lock(), Counter[str]()
    most = settings.requests_at_once_max

    def enter(door: Any) -> str:
        if getattr(door, "is_streaming", False):
            kind, is_full = STREAMS, inside[STREAMS] >= most * STREAMS_FOR_A_REQUEST
        elif own := getattr(door, "places", None):
            kind, is_full = own, inside[own] >= max(1, most // 4)
        else:
            waits = getattr(door, "is_in_line", False)
            kind = IN_LINE if waits else USUAL
            is_full = inside[USUAL] + inside[IN_LINE] >= most or (waits and inside[IN_LINE] >= most // 2)
        if is_full:
            raise failures.Unavailable("too many requests at once", retry_after_seconds=1)
        inside[kind] += 1
        return kind

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith("/health/"):
            return await handler(request)
        kind = enter(request.match_info.handler)
        try:
            if kind == STREAMS:
                return await handler(request)
            seconds_max = settings.line_seconds_max if kind == IN_LINE else settings.request_seconds_max
            async with asyncio.timeout(seconds_max) as limit:
                if kind in {USUAL, IN_LINE}:
                    async with entrance:  # of a crowd one a turn of the loop, so that who is inside goes on meanwhile
                        await asyncio.sleep(0)
                return await handler(request)
        except TimeoutError:
            if kind != STREAMS and limit.expired():
                raise failures.Unavailable("this took too long", retry_after_seconds=2) from None
            raise
        finally:
            inside[kind] -= 1

    return middleware
