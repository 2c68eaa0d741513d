"""Days that many want at once: who asks stands in line, without a connection, and is served together with others."""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import NamedTuple
from uuid import UUID

from chassis.idempotency import Key
from chassis.tasks import end
from planning.api.changing import Asked
from planning.domain.situation import Slot

AT_ONCE = 4
"""How many of a replica's changes may be under way for one slot, each by itself; who comes then stands in line."""

SERVED_MAX = 50
PACE_SECONDS = 0.01
"""Some begin to be served no closer together: of a trickle, a few are served together."""


class Wanted(NamedTuple):
    """A wish, and the key of its request."""

    asked: Asked
    key: Key

    @property
    def slots(self) -> set[Slot]:
        """What it is about."""
        return {(line.activity_id, line.day) for line in self.asked.wish.lines}

    @property
    def frees(self) -> bool:
        """Whether it gives a place back, which is theirs who wait before any other wish sees it."""
        return not all(line.booked for line in self.asked.wish.lines)


class Standing(NamedTuple):
    """Who stands in line: what is wanted, and where the answer goes."""

    wanted: Wanted
    answer: asyncio.Future[bytes]


class Turns:
    """In the order of arrival. Only a line: what is true is decided under the database's locks, on any replica.

    ``alone`` fulfils a wish and gives its answer, ``many`` several, each with its answer or what is raised for it.
    """

    def __init__(
        self,
        alone: Callable[[Wanted], Awaitable[bytes]],
        many: Callable[[Sequence[Wanted]], Awaitable[Sequence[bytes | Exception]]],
    ) -> None:
        self._alone, self._many = alone, many
        self._under_way = Counter[Slot]()
        self._line, self._crowded = deque[Standing](), set[Slot]()
        self._serving: asyncio.Task[None] | None = None

    async def of(self, wanted: Wanted) -> bytes:
        """The answer to a wish, at once where its days are not a crowd's."""
        slots = wanted.slots
        is_crowded = any(self._under_way[slot] >= AT_ONCE for slot in slots) or not slots.isdisjoint(self._crowded)
        self._under_way.update(slots)
        try:
            if not is_crowded:
                return await self._alone(wanted)
            standing = Standing(wanted, asyncio.get_running_loop().create_future())
            self._line.append(standing)
            self._crowded |= slots
            if self._serving is None or self._serving.done():
                self._serving = asyncio.create_task(self._serve(), name="turns", context=Context())  # nobody's own
            return await standing.answer
        finally:
            self._under_way -= Counter(slots)

    async def stop(self) -> None:
        """Serve nobody any more."""
        if self._serving:
            await end(self._serving)

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        while served := self._next():
            began = loop.time()
            try:
                told: Sequence[bytes | Exception] = await self._many([each.wanted for each in served])
            except Exception as error:
                told = [error] * len(served)
            for (_, answer), each in zip(served, told, strict=True):
                if answer.done():
                    continue
                if isinstance(each, Exception):
                    answer.set_exception(each)
                else:
                    answer.set_result(each)
            await asyncio.sleep(began + PACE_SECONDS - loop.time())
        self._crowded.clear()

    def _next(self) -> list[Standing]:
        """Who is served now: the first of the line, and whoever stands behind with a wish for another child.

        Who gives a place back is served alone. The others keep their order.
        """
        served, left, children = list[Standing](), list[Standing](), set[UUID]()
        while self._line and len(served) < SERVED_MAX:
            each = self._line.popleft()
            if each.answer.done():  # whoever asked waits no longer
                continue
            child_id, is_first = each.wanted.asked.wish.child_id, not served
            (served if is_first or not (each.wanted.frees or child_id in children) else left).append(each)
            children.add(child_id)
            if is_first and each.wanted.frees:
                break
        self._line.extendleft(reversed(left))
        return served
