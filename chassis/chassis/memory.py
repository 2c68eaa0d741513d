"""Returns freed memory to the system while a program is idle.

glibc keeps freed memory for later requests and returns only the end of its heap by itself. After the start, or after
many sign-ins, that is some ten MiB per program. It is not done under load, when the next request would allocate the
same memory again; in an idle program it takes 0.02 ms.
"""

import asyncio
import ctypes
import time
from collections.abc import AsyncIterator

from aiohttp import web

from chassis.tasks import cancel_and_wait, run_forever

LOOK_SECONDS = 15.0
IDLE_SHARE = 0.1
"""Of one processor."""


async def trim_when_idle(look_seconds: float = LOOK_SECONDS) -> None:
    """Return freed memory to the system whenever the program was idle for ``look_seconds``."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's; other C libraries have none, and no need of it
    if trim is None:
        return
    while True:
        before = time.process_time()
        await asyncio.sleep(look_seconds)
        if not is_busy(time.process_time() - before, look_seconds):
            trim(0)


def is_busy(processor_seconds: float, of_seconds: float) -> bool:
    """Whether a program used more than ``IDLE_SHARE`` of a processor."""
    return processor_seconds >= IDLE_SHARE * of_seconds


def use_memory(app: web.Application) -> None:
    """Return freed memory while the program is idle."""

    async def run(_app: web.Application) -> AsyncIterator[None]:
        task = run_forever(trim_when_idle, "memory trimming")
        yield
        await cancel_and_wait(task)

    app.cleanup_ctx.append(run)
