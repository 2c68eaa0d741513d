"""A wish is fulfilled once for its key, by itself; in a crowd, together with others."""

from collections.abc import AsyncIterator, Sequence
from functools import partial
from uuid import UUID

import structlog
from aiohttp import web

from chassis.clock import now
from chassis.database import DATABASE
from chassis.http import idempotency_key
from chassis.idempotency import IdempotencyKey, find_answers, store_answers
from contracts.api.bookings import BookingOutcome, BookingRequest
from contracts.failures import Refusal, Unavailable
from planning.api.book_days import BookingCommand, book_days, lock_bookings, no_such_child
from planning.api.booking_queue import Answers, BookingQueue, QueuedBooking
from planning.domain.bookings import decide
from planning.settings import SETTINGS
from planning.store import booking_contexts

TURNS = web.AppKey("turns", BookingQueue)

log = structlog.get_logger()


def use_booking_queue(app: web.Application) -> None:
    """Let wishes of a crowd be fulfilled together; after ``use_database``."""
    app[TURNS] = BookingQueue(partial(_book_one, app), _BatchBooking(app).answers)

    async def run(app: web.Application) -> AsyncIterator[None]:
        yield
        await app[TURNS].stop()

    app.cleanup_ctx.append(run)


async def book_once(request: web.Request, household_id: UUID, body: BookingRequest, command: str) -> web.Response:
    """Do what can be done of a wish, all in one transaction, once for the key that the request carries.

    The key of what changes nothing stays free: the same wish sent again is weighed again.
    """
    key = IdempotencyKey(f"{command}/{household_id}", idempotency_key(request), await request.read())
    return as_json(await request.app[TURNS].of(QueuedBooking(BookingCommand.of(request, household_id, body), key)))


def as_json(body: bytes) -> web.Response:
    """An answer that was kept with its key, or is kept now."""
    return web.Response(body=body, content_type="application/json", charset="utf-8")


class _BatchBooking:
    """Wishes that are fulfilled together."""

    def __init__(self, app: web.Application) -> None:
        self._app = app
        self._is_vain = False

    async def answers(self, wanted: Sequence[QueuedBooking]) -> AsyncIterator[Answers]:
        """The answer to each wish, or what is raised for it.

        Once wishes come to nothing, the next ones are looked at first: at the opening of a season, those who come too
        late do not wait for a lock to hear that it is full.
        """
        told = await _answer_without_lock(self._app, wanted) if self._is_vain else {}
        self._is_vain = bool(told)
        yield told
        if left := [each for each in wanted if each.key not in told]:
            yield await self._bisect(left)

    async def _bisect(self, wanted: Sequence[QueuedBooking]) -> Answers:
        """All together, and by halves if one of them cannot be, until it is found: it alone has the error."""
        try:
            answers, is_vain = await _book_together(self._app, wanted)
        except Unavailable:
            raise
        except Exception as error:
            if len(wanted) == 1:
                return {wanted[0].key: error}
            if not isinstance(error, Refusal):
                log.exception("wishes could not be fulfilled together")
            half = len(wanted) // 2
            return {**await self._bisect(wanted[:half]), **await self._bisect(wanted[half:])}
        self._is_vain |= is_vain
        return answers


async def _book_one(app: web.Application, wanted: QueuedBooking) -> bytes:
    return (await _book_together(app, [wanted]))[0][wanted.key]


async def _answer_without_lock(app: web.Application, wanted: Sequence[QueuedBooking]) -> Answers:
    """The answers to wishes that change nothing as all stands at one instant.

    Left out is whose days changed after the version that was seen: there may be an answer to the key.
    """
    told, at = dict[IdempotencyKey, bytes | Exception](), now()
    async with app[DATABASE].reading() as look:
        found = await booking_contexts.booking_contexts(
            look, app[SETTINGS].school_zone, [asked.look for asked, _ in wanted]
        )
    for (asked, key), situation in zip(wanted, found, strict=True):
        if situation is None:
            told[key] = no_such_child()
        elif situation.version == asked.body.seen_version:
            decision = decide(situation, asked.body, now=at, on_behalf=asked.on_behalf)
            if decision.version == situation.version:
                outcome = BookingOutcome(child=situation.child, version=situation.version, lines=decision.lines)
                told[key] = outcome.model_dump_json().encode()
    return told


async def _book_together(
    app: web.Application, wanted: Sequence[QueuedBooking]
) -> tuple[dict[IdempotencyKey, bytes], bool]:
    """The answers to wishes, one a child, as they are or were before, and whether any comes to nothing; all that
    changes is one transaction.

    A change that is found was committed together with its answer: where none came after the version that a wish has
    seen, its key has no answer.
    """
    async with app[DATABASE].transaction() as tx:
        found = zip(wanted, await lock_bookings(app, tx, [asked for asked, _ in wanted]), strict=True)
        held = {key: one for (_, key), one in found}
        moved = [key for key, (asked, situation) in held.items() if situation.version != asked.body.seen_version]
        answers = await find_answers(tx, moved)
        new = [key for key in held if key not in answers]
        changed = dict(zip(new, await book_days(app, tx, [held[key] for key in new]), strict=True))
        told = {key: outcome.model_dump_json().encode() for key, (outcome, _) in changed.items()}
        kept = {key: told[key] for key, (_, is_any) in changed.items() if is_any}
        if kept:
            await store_answers(tx, kept)
    return answers | told, len(kept) < len(told)
