"""Memory that a program has freed goes back to the system once the program has nothing to do.

The C library keeps what was freed for the next request, and gives back by itself only what lies at the end of its heap.
After the start, or after many sign-ins, that is some ten MiB a program that nobody uses. It is never done while there
is work, when the next request would have to get the same memory again; for a program at rest it takes 0.02 ms.
"""

import asyncio
import ctypes
import time
from collections.abc import AsyncIterator

from aiohttp import web

from chassis.tasks import end, keep_running

LOOK_SECONDS = 15.0
IDLE_SHARE = 0.1
"""Of one processor."""


async def give_back_when_idle(look_seconds: float = LOOK_SECONDS) -> None:
    """Give back what is free whenever the program has hardly worked for a while."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's; other C libraries have none, and no need of it
    if trim is None:
        return
    while True:
        before = time.process_time()
        await asyncio.sleep(look_seconds)
        if not worked(time.process_time() - before, look_seconds):
            trim(0)


def worked(processor_seconds: float, of_seconds: float) -> bool:
    """Tell whether a program that used so much of a processor did more than what the clock starts."""
    return processor_seconds >= IDLE_SHARE * of_seconds


def use_memory(app: web.Application) -> None:
    """Have a program give back what it has freed."""

    async def run(_app: web.Application) -> AsyncIterator[None]:
        task = keep_running(give_back_when_idle, "give memory back")
        yield
        await end(task)

    app.cleanup_ctx.append(run)
