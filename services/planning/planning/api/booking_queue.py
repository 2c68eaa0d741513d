"""Days that many want at once: who asks stands in line, without a connection, and is served together with others."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextvars import Context
from typing import NamedTuple
from uuid import UUID

from chassis.idempotency import IdempotencyKey
from chassis.tasks import cancel_and_wait
from planning.api.book_days import BookingCommand
from planning.domain.booking_context import Slot
from planning.domain.bookings import slots_of

AT_ONCE = 4
"""How many of a replica's changes may be under way for one slot, each by itself; who comes then stands in line."""

SERVED_MAX, LINES_MAX = 50, 1000
"""How many are served together, and how many lines they may have: they are in one transaction."""

PACE_SECONDS = 0.01
"""Some begin to be served no closer together: of a trickle, a few are served together."""

Answers = Mapping[IdempotencyKey, bytes | Exception]
"""What is told to who asked, or raised for them."""


class QueuedBooking(NamedTuple):
    """A wish, and the key of its request."""

    asked: BookingCommand
    key: IdempotencyKey

    @property
    def slots(self) -> list[Slot]:
        """What it is about; ``Invalid`` when a slot is named twice."""
        return slots_of(self.asked.body)

    @property
    def frees(self) -> bool:
        """Whether it gives a place back, which is theirs who wait before any other wish sees it."""
        return not all(line.booked for line in self.asked.body.lines)


class WaitingCaller(NamedTuple):
    """Who stands in line: what is wanted, and where the answer goes."""

    wanted: QueuedBooking
    answer: asyncio.Future[bytes]

    def tell(self, told: bytes | Exception) -> None:
        """Answer, unless whoever asked waits no longer."""
        if self.answer.done():
            return
        if isinstance(told, Exception):
            self.answer.set_exception(told)
        else:
            self.answer.set_result(told)


class BookingQueue:
    """In the order of arrival. Only a line: what is true is decided under the database's locks, on any replica.

    ``alone`` fulfils a wish and gives its answer; ``many`` fulfils several, and gives answers as soon as it has some.
    """

    def __init__(
        self,
        alone: Callable[[QueuedBooking], Awaitable[bytes]],
        many: Callable[[Sequence[QueuedBooking]], AsyncIterator[Answers]],
    ) -> None:
        self._alone, self._many = alone, many
        self._under_way = Counter[Slot]()
        self._line, self._crowded = deque[WaitingCaller](), set[Slot]()
        self._serving: asyncio.Task[None] | None = None

    async def of(self, wanted: QueuedBooking) -> bytes:
        """The answer to a wish, at once where its days are not a crowd's."""
        slots = wanted.slots
        is_crowded = any(self._under_way[slot] >= AT_ONCE for slot in slots) or not self._crowded.isdisjoint(slots)
        self._under_way.update(slots)
        try:
            if not is_crowded:
                return await self._alone(wanted)
            standing = WaitingCaller(wanted, asyncio.get_running_loop().create_future())
            self._line.append(standing)
            self._crowded.update(slots)
            if self._serving is None or self._serving.done():
                self._serving = asyncio.create_task(self._serve(), name="turns", context=Context())  # nobody's own
            return await standing.answer
        finally:
            self._under_way -= Counter(slots)

    async def stop(self) -> None:
        """Serve nobody any more."""
        if self._serving:
            await cancel_and_wait(self._serving)

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        while served := self._next():
            began = loop.time()
            await self._tell(served)
            if not served[0].wanted.frees:
                await asyncio.sleep(began + PACE_SECONDS - loop.time())
        self._crowded.clear()

    async def _tell(self, served: Sequence[WaitingCaller]) -> None:
        waiting = {each.wanted.key: each for each in served}
        try:
            async for answers in self._many([each.wanted for each in served]):
                for key, told in answers.items():
                    waiting.pop(key).tell(told)
        except Exception as error:
            for each in waiting.values():
                each.tell(error)
        except BaseException:
            for each in waiting.values():
                each.answer.cancel()
            raise

    def _next(self) -> list[WaitingCaller]:
        """Who is served now: the first of the line and those behind, up to a second wish for the same child.

        Who gives a place back is served alone.
        """
        served, children, lines = list[WaitingCaller](), set[UUID](), 0
        while self._line:
            if self._line[0].answer.done():  # whoever asked waits no longer
                self._line.popleft()
                continue
            wanted, body = self._line[0].wanted, self._line[0].wanted.asked.body
            is_over = len(served) == SERVED_MAX or lines + len(body.lines) > LINES_MAX or body.child_id in children
            if served and (is_over or wanted.frees or served[0].wanted.frees):
                break
            served.append(self._line.popleft())
            children.add(body.child_id)
            lines += len(body.lines)
        return served
