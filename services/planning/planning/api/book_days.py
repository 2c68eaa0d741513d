"""The one way in which days change, whatever door they came by: locks, decision, storage, places that come free."""

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from aiohttp import web

from chassis import outbox
from chassis.clock import now
from chassis.database import Transaction, execute_together
from chassis.identity import identity
from contracts.api.bookings import BookingOutcome, BookingRequest
from contracts.events.planning import BookedDay, BookingsChanged, Channel
from contracts.failures import Forbidden
from contracts.identity import Identity, Role
from planning.domain.booking_context import BookingContext, ContextQuery
from planning.domain.bookings import Decision, booked_day, changed_event
from planning.domain.failures import NoSuchChild
from planning.domain.together import Candidate, decide_in_order, decide_together
from planning.settings import SETTINGS
from planning.store import booking_contexts, bookings, freed_places, history, households, waiting


async def situation_of(
    request: web.Request, tx: Transaction, household_id: UUID, child_id: UUID, days: tuple[date, date]
) -> BookingContext:
    """What decides about a child's days; ``NoSuchChild`` when it is not the household's."""
    look = ContextQuery(household_id, child_id, *days)
    return _known(await booking_contexts.booking_context(tx, request.app[SETTINGS].school_zone, look))


def no_such_child() -> NoSuchChild:
    """What is told of a child that is not the household's."""
    return NoSuchChild("the household has no such child")


def _known(found: BookingContext | None) -> BookingContext:
    if found is None:
        raise no_such_child()
    return found


def channel_of(request: web.Request, person: Identity) -> Channel:
    """How the wish came in: a parent's by internet, staff's by the town hall, an administrator's import by name."""
    if not person.is_staff:
        return Channel.INTERNET
    if request.headers.get("X-Channel") != Channel.IMPORT:
        return Channel.TOWN_HALL
    if Role.ADMINISTRATOR not in person.roles:
        raise Forbidden("only an administrator may import", roles=[Role.ADMINISTRATOR])
    return Channel.IMPORT


class BookingCommand(NamedTuple):
    """A wish for a household's child, by whom and by which door, and the request it came with."""

    household_id: UUID
    body: BookingRequest
    by: UUID
    on_behalf: bool
    channel: Channel
    origin: outbox.Origin

    @classmethod
    def of(cls, request: web.Request, household_id: UUID, body: BookingRequest) -> "BookingCommand":
        """The wish of who sends the request."""
        person = identity(request)
        channel = channel_of(request, person)
        return cls(household_id, body, person.subject_id, person.is_staff, channel, outbox.origin())

    @property
    def look(self) -> ContextQuery:
        """What has to be known to decide."""
        days = [line.day for line in self.body.lines]
        return ContextQuery(self.household_id, self.body.child_id, min(days), max(days))


class LockedBooking(NamedTuple):
    """A wish whose places and child are locked, and what decides about it."""

    asked: BookingCommand
    found: BookingContext


class BookingResult(NamedTuple):
    """What became of a wish, and whether it changed anything."""

    outcome: BookingOutcome
    is_any: bool


async def lock_bookings(app: web.Application, tx: Transaction, asked: Sequence[BookingCommand]) -> list[LockedBooking]:
    """Lock what wishes, one a child, would change, and read what decides about them.

    Locks are taken in one order everywhere: the calendar, the places, the children.
    """
    slots = {(line.activity_id, line.day) for each in asked for line in each.body.lines}
    freed, children = _freed(asked), {each.body.child_id for each in asked}
    await bookings.take_locks(tx, slots, () if freed else children)
    if freed:
        await households.lock_children(tx, children | {each.child_id for each in await waiting.next_in_line(tx, freed)})
    found = await booking_contexts.booking_contexts(tx, app[SETTINGS].school_zone, [each.look for each in asked])
    return [LockedBooking(each, _known(situation)) for each, situation in zip(asked, found, strict=True)]


async def book_days(
    app: web.Application, tx: Transaction, held: Sequence[LockedBooking], *, as_one: bool = False
) -> list[BookingResult]:
    """Do what can be done of wishes, in their order; what frees goes to who waits, and several that free come with one
    request.

    ``as_one``: a day that one child cannot have is changed for none. The clock is read while the locks are held, so
    that a deadline that passed while waiting for them counts.
    """
    at = now()
    requests = [Candidate(found, asked.body, asked.on_behalf) for asked, found in held]
    decided = list(zip(held, (decide_together if as_one else decide_in_order)(requests, now=at), strict=True))
    await _save(tx, [each for each in decided if each[1].version > each[0].found.version], at)
    if freed := _freed([asked for asked, _ in held]):
        await freed_places.grant_freed_places(tx, app[SETTINGS].school_zone, freed, at=at, origin=held[0].asked.origin)
    joining = [asked.look for (asked, _), decision in decided if decision.joined]
    ranks = await waiting.ranks(tx, joining) if joining else {}
    return [
        BookingResult(
            BookingOutcome(
                child=found.child,
                version=decision.version,
                lines=decision.ranked(ranks.get(found.child.child_id, {})),
                undoable=bool(decision.changed or decision.joined),
            ),
            decision.version > found.version,
        )
        for (_, found), decision in decided
    ]


def _freed(asked: Sequence[BookingCommand]) -> Counter[tuple[UUID, date]]:
    lines = (line for each in asked for line in each.body.lines)
    return Counter((line.activity_id, line.day) for line in lines if not line.booked)


async def _save(tx: Transaction, decided: Sequence[tuple[LockedBooking, Decision]], at: datetime) -> None:
    """Store what changes: the days with what is told of them, then the waiting lists, in the order of the wishes."""
    if not decided:
        return
    events, said, joins, waits = list[BookingsChanged](), [], [], []
    for (asked, found), decision in decided:
        event = changed_event(found, decision.changed, decision.version, channel=asked.channel, by=asked.by, at=at)
        events.append(event)
        if decision.changed:
            said.append((event, asked.origin))
        if decision.joined:
            joins.append((event, decision.joined))
        if waited := _waited(found, decision):
            waits.append((event, waited))
    told_of = outbox.insert_statement(*[event for event, _ in said], origins=[origin for _, origin in said])
    await execute_together(tx, bookings.changes(*events), told_of)
    if joins:
        await waiting.join(tx, joins)
    for (asked, _), decision in decided:
        if decision.left:
            await waiting.leave(tx, asked.body.child_id, decision.left)
    if waits:
        await history.add_waiting(tx, waits)


def _waited(found: BookingContext, decision: Decision) -> list[BookedDay]:
    """The lists left and joined, but for those that were left for the place itself."""
    booked = {(day.activity_id, day.day) for day in decision.changed}
    is_wish = {**dict.fromkeys(decision.left, False), **dict.fromkeys(decision.joined, True)}
    return [
        booked_day(found.activities[slot[0]], slot[1], booked=joins)
        for slot, joins in is_wish.items()
        if slot not in booked
    ]
