"""Days that many want at once: whoever asks waits here for a turn, without a connection, so that others are served."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection
from weakref import WeakValueDictionary

from aiohttp import web

from planning.domain.situation import Slot

AT_ONCE = 4
"""How many of a replica's changes may be under way for one slot: fewer than its connections."""


class Turns:
    """In the order of arrival, slot by slot. Only a queue: what is true is decided under the database's locks."""

    def __init__(self) -> None:
        self._of_slot: WeakValueDictionary[Slot, asyncio.Semaphore] = WeakValueDictionary()

    @contextlib.asynccontextmanager
    async def of(self, slots: Collection[Slot]) -> AsyncIterator[bool]:
        """A turn for all of ``slots``, taken in one order by everybody; whether others had to be waited for."""
        turns = [self._of_slot.setdefault(slot, asyncio.Semaphore(AT_ONCE)) for slot in sorted(set(slots))]
        is_crowded = any(turn.locked() for turn in turns)
        async with contextlib.AsyncExitStack() as held:
            for turn in turns:
                await held.enter_async_context(turn)
            yield is_crowded


TURNS = web.AppKey("turns", Turns)
