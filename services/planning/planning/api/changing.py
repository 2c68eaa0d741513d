"""The one way in which days change, whatever door they came by: locks, decision, storage, places that come free."""

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from aiohttp import web

from chassis import outbox
from chassis.clock import now
from chassis.database import DATABASE, Transaction, store
from chassis.http import idempotency_key, json_response
from chassis.idempotency import keep, recalled
from chassis.identity import identity
from contracts.api.bookings import BookingOutcome, BookingWish
from contracts.events.planning import BookingsChanged, Channel
from contracts.failures import Forbidden
from contracts.identity import Identity, Role
from planning.api.turns import TURNS
from planning.domain.bookings import Decision, booked_day, decide, told
from planning.domain.failures import NoSuchChild
from planning.domain.situation import Situation
from planning.domain.together import together
from planning.settings import SETTINGS
from planning.store import bookings, history, households, places, situations, waiting


async def situation_of(
    request: web.Request, tx: Transaction, household_id: UUID, child_id: UUID, days: tuple[date, date]
) -> Situation:
    """What decides about a child's days; ``NoSuchChild`` when it is not the household's."""
    zone = request.app[SETTINGS].school_zone
    found = await situations.situation(tx, zone, household_id, child_id, *days)
    if found is None:
        raise NoSuchChild("the household has no such child")
    return found


def channel_of(request: web.Request, person: Identity) -> Channel:
    """How the wish came in: a parent's by internet, staff's by the town hall, an administrator's import by name."""
    if not person.is_staff:
        return Channel.INTERNET
    if request.headers.get("X-Channel") != Channel.IMPORT:
        return Channel.TOWN_HALL
    if Role.ADMINISTRATOR not in person.roles:
        raise Forbidden("only an administrator may import")
    return Channel.IMPORT


class Changed(NamedTuple):
    """What became of some wishes, and whether any of them changed anything."""

    outcomes: tuple[BookingOutcome, ...]
    is_any: bool


class Key(NamedTuple):
    """What the same request is known by when it comes again."""

    scope: str
    key: str
    request: bytes


class Answered(Exception):  # noqa: N818 - an answer
    """The request had its answer before."""

    def __init__(self, answer: bytes) -> None:
        super().__init__("answered before")
        self.answer = answer


async def change(
    request: web.Request,
    tx: Transaction,
    household_id: UUID,
    wishes: Sequence[BookingWish],
    *,
    as_one: bool = False,
    key: Key | None = None,
) -> Changed:
    """Do what can be done of some wishes, one a child, an outcome each; what frees goes to who waits.

    ``as_one``: a day that one child cannot have is changed for none. Locks are taken in one order everywhere: the
    calendar, the places, the children. The clock is read once they are held, so that a deadline that passes while
    waiting for them counts.
    """
    slots = [(line.activity_id, line.day) for wish in wishes for line in wish.lines]
    freed = Counter((line.activity_id, line.day) for wish in wishes for line in wish.lines if not line.booked)
    children = {wish.child_id for wish in wishes}
    await bookings.take_locks(tx, slots, () if freed else children)
    if freed:
        await households.lock_children(tx, children | {each.child_id for each in await waiting.heads(tx, freed)})
    at, parts = now(), []
    if as_one:
        situations = [await situation_of(request, tx, household_id, each.child_id, _span(each)) for each in wishes]
        pairs = list(zip(situations, wishes, strict=True))
        parts = together(pairs, now=at, on_behalf=identity(request).is_staff)
        wishes = [part.wish for part in parts if part.wish]
    decisions = [await _decide(request, tx, household_id, wish, at, key) for wish in wishes]
    if freed:
        await places.grant(tx, request.app[SETTINGS].school_zone, freed, at=at)
    refused = {part.found.child.child_id: part for part in parts}
    outcomes = []
    for found, wish, decision in decisions:
        ranks = await waiting.ranks(tx, household_id, wish.child_id, *_span(wish)) if decision.joined else {}
        part = refused.pop(wish.child_id, None)
        lines = (*decision.ranked(ranks), *(part.refused if part else ()))
        undoable = bool(decision.changed or decision.joined)
        outcomes.append(BookingOutcome(child=found.child, version=decision.version, lines=lines, undoable=undoable))
    left = (BookingOutcome(child=p.found.child, version=p.found.version, lines=p.refused) for p in refused.values())
    is_any = any(decision.version > found.version for found, _, decision in decisions)
    return Changed((*outcomes, *left), is_any)


async def change_once(request: web.Request, household_id: UUID, wish: BookingWish, command: str) -> web.Response:
    """Do what can be done of a wish, all in one transaction, once for the key that the request carries.

    The key of what changes nothing stays free: the same wish sent again is weighed again. In a crowd that is told from
    a look.
    """
    key = Key(f"{command}/{household_id}", idempotency_key(request), await request.read())
    async with request.app[TURNS].of([(line.activity_id, line.day) for line in wish.lines]) as is_crowded:
        try:
            if is_crowded:
                async with request.app[DATABASE].reading() as look:
                    if told := await _unchanged(request, look, household_id, wish, key):
                        return json_response(told)
            async with request.app[DATABASE].transaction() as tx:
                (outcome,), is_any = await change(request, tx, household_id, [wish], key=key)
                answer = outcome.model_dump_json().encode()
                if is_any:
                    await keep(tx, *key, answer)
        except Answered as answered:
            answer = answered.answer
    return as_json(answer)


async def _answered(tx: Transaction, key: Key, found: Situation, wish: BookingWish) -> None:
    """Raise ``Answered`` when the wish was fulfilled before.

    A change that the situation shows was committed together with its answer; where none came after the version that
    the wish has seen, the key has no answer.
    """
    if found.version != wish.seen_version and (answer := await recalled(tx, *key)):
        raise Answered(answer)


def as_json(body: bytes) -> web.Response:
    """An answer that was kept with its key, or is kept now."""
    return web.Response(body=body, content_type="application/json", charset="utf-8")


async def _unchanged(
    request: web.Request, look: Transaction, household_id: UUID, wish: BookingWish, key: Key
) -> BookingOutcome | None:
    """The outcome of a wish that comes to nothing as all stands at one instant; None when it would change something.

    At the opening of a season, those who come too late do not stand in line for a lock to hear that it is full.
    """
    at = now()
    found = await situation_of(request, look, household_id, wish.child_id, _span(wish))
    decision = decide(found, wish, now=at, on_behalf=identity(request).is_staff)
    if decision.version > found.version:
        return None
    await _answered(look, key, found, wish)
    return BookingOutcome(child=found.child, version=found.version, lines=decision.lines)


async def _decide(
    request: web.Request, tx: Transaction, household_id: UUID, wish: BookingWish, at: datetime, key: Key | None
) -> tuple[Situation, BookingWish, Decision]:
    """One child's wish, decided and stored under the locks."""
    person, channel = identity(request), channel_of(request, identity(request))
    found = await situation_of(request, tx, household_id, wish.child_id, _span(wish))
    if key:
        await _answered(tx, key, found, wish)
    decision = decide(found, wish, now=at, on_behalf=person.is_staff)
    event = told(found, decision.changed, max(decision.version, 1), channel=channel, by=person.subject_id, at=at)
    await _save(tx, found, decision, event)
    return found, wish, decision


async def _save(tx: Transaction, found: Situation, decision: Decision, event: BookingsChanged) -> None:
    if decision.version == found.version:
        return
    await store(tx, bookings.changes(event), outbox.part(*[event] if decision.changed else []))
    child_id = found.child.child_id
    if decision.joined:
        await waiting.join(tx, event.household_id, child_id, decision.joined, event.changed_by, event.changed_at)
    if decision.left:
        await waiting.leave(tx, child_id, decision.left)
    is_wish = {**dict.fromkeys(decision.left, False), **dict.fromkeys(decision.joined, True)}
    booked = {(day.activity_id, day.day) for day in decision.changed}
    days = [
        booked_day(found.activities[slot[0]], slot[1], booked=joins)
        for slot, joins in is_wish.items()
        if slot not in booked
    ]
    if days:
        await history.add_waiting(tx, event, days)


def _span(wish: BookingWish) -> tuple[date, date]:
    days = [line.day for line in wish.lines]
    return min(days), max(days)
