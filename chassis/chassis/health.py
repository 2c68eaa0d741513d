"""Live: the process answers. Ready: every dependency answers; the response names those that do not.

A program that is draining is live and not ready.
"""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from chassis.draining import DRAIN

Check = Callable[[], Awaitable[None]]

CHECK_SECONDS = 5
NAME = web.AppKey("name", str)
CHECKS = web.AppKey("checks", dict[str, Check])


def add_check(app: web.Application, name: str, check: Check) -> None:
    """Make readiness depend on ``check``, which raises while its dependency is missing."""
    app[CHECKS][name] = check


async def live(_request: web.Request) -> web.Response:
    """200 while the event loop runs."""
    return web.json_response({"status": "live"})


async def ready(request: web.Request) -> web.Response:
    """200 when every check passes, else 503 with the failing ones named; 503 while draining."""
    if request.app[DRAIN].is_begun:
        return web.json_response({"status": "draining", "checks": {}}, status=503)
    checks = request.app[CHECKS]
    results = await asyncio.gather(
        *(asyncio.wait_for(check(), CHECK_SECONDS) for check in checks.values()), return_exceptions=True
    )
    found = {
        name: "ok" if result is None else f"{type(result).__name__}: {result}".strip(": ")
        for name, result in zip(checks, results, strict=True)
    }
    is_ready = all(text == "ok" for text in found.values())
    return web.json_response(
        {"status": "ready" if is_ready else "missing", "checks": found},
        status=200 if is_ready else 503,
        headers={} if is_ready else {"Retry-After": "2"},
    )
