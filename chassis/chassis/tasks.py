"""Background tasks that run as long as the program does."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

log = structlog.get_logger()


def run_forever(work: Callable[[], Awaitable[None]], name: str) -> "asyncio.Task[None]":
    """A task that runs ``work`` for ever; an unexpected error is logged and ``work`` started again after a second."""

    async def run() -> None:
        while True:
            try:
                await work()
            except Exception:
                log.exception("task failed, restarting", task=name)
            await asyncio.sleep(1)

    return asyncio.create_task(run(), name=name)


async def cancel_and_wait(*tasks: "asyncio.Task[Any]") -> None:
    """Cancel tasks and wait until each has ended; repeated, because a library may swallow one cancellation."""
    waiting = set(tasks)
    while waiting:
        for task in waiting:
            task.cancel()
        _, waiting = await asyncio.wait(waiting, timeout=1)
