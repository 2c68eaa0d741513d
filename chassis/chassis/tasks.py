"""Tasks that run for as long as the program does, and their end."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

log = structlog.get_logger()


def keep_running(work: Callable[[], Awaitable[None]], name: str) -> "asyncio.Task[None]":
    """A task that does ``work`` for ever: an error nobody foresaw is told, and the work begun again."""

    async def run() -> None:
        while True:
            try:
                await work()
            except Exception:
                log.exception("task failed, beginning again", task=name)
            await asyncio.sleep(1)

    return asyncio.create_task(run(), name=name)


async def end(*tasks: "asyncio.Task[Any]") -> None:
    """Cancel tasks and wait for them; again until each has ended, as a library may swallow one cancellation."""
    waiting = set(tasks)
    while waiting:
        for task in waiting:
            task.cancel()
        _, waiting = await asyncio.wait(waiting, timeout=1)
