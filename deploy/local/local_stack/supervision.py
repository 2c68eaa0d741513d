"""What is started together, and what is started again when it stops by itself."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Protocol

WATCH_SECONDS = 1
PAUSE_SECONDS_MAX = 30
STEADY_SECONDS = 60
"""What has run that long before it stopped is started again without a pause."""

Say = Callable[[str], None]


class Part(Protocol):
    """A program or a server."""

    @property
    def pid(self) -> int | None:
        """The process, while it runs."""

    @property
    def log(self) -> Path:
        """Where its output is."""

    async def start(self) -> None:
        """Start it, again too."""


async def keep(name: str, part: Part, say: Say, changed: Callable[[], None]) -> None:
    """Start a part again whenever it has stopped, with growing pauses while it does not last, until cancelled."""
    pause, began = 0, time.monotonic() - STEADY_SECONDS
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        if part.pid is not None:
            continue
        lasted = time.monotonic() - began >= STEADY_SECONDS
        pause = 0 if lasted else min(max(1, 2 * pause), PAUSE_SECONDS_MAX)
        when = f"in {pause} s" if pause else "now"
        say(f"{name} stopped by itself, starting it again {when}; its log: {part.log}")
        await asyncio.sleep(pause)
        began = time.monotonic()
        try:
            await part.start()
            changed()
        except Exception as error:  # whatever a start fails with, the next one may do
            say(f"{name} did not start again: {error}")


async def together(*work: Coroutine[Any, Any, None]) -> None:
    """Do all of it at once. The first failure ends the rest, and is raised once that has ended."""
    try:
        async with asyncio.TaskGroup() as group:
            for each in work:
                group.create_task(each)
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
