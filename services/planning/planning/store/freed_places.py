"""Places that come free, and who gets them; the facts of it go to the outbox."""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from itertools import groupby
from uuid import UUID

from chassis import outbox
from chassis.database import Transaction, execute_together
from contracts.events.auth import Span
from contracts.events.planning import BookedDay, BookingsChanged, Channel, OfferLapsed
from planning.domain.booking_context import ContextQuery, Slot
from planning.domain.bookings import booked_day, changed_event, granted, may_grant, offered
from planning.store import booking_contexts, bookings, calendars, history, households, waiting
from planning.store.households import DayLeft
from planning.store.waiting import OfferLeft

NOBODY = UUID(int=0)
"""Who changes what changes by itself."""


async def grant_freed_places(
    tx: Transaction, zone: str, slots: Collection[Slot], *, at: datetime, origin: outbox.Origin | None = None
) -> None:
    """Give or offer free places to who waits for them, under the lock of their days, unless it is too late for the
    kitchen. ``origin`` is what freed them, if not what is being worked on."""
    free, cause = await waiting.free_places(tx, slots), origin or outbox.origin()
    for waiter in await waiting.next_in_line(tx, free):
        slot, day = waiter.slot, waiter.slot[1]
        found = await booking_contexts.booking_context(
            tx, zone, ContextQuery(waiter.household_id, waiter.child_id, day, day)
        )
        if found is None or not free[slot] or not may_grant(found, slot, now=at):
            continue
        free[slot] -= 1
        if hours := found.activities[slot[0]].offer_hours:
            offer = offered(found, slot, waiter.position, hours=hours, at=at)
            await waiting.offer(tx, waiter, offer.offered_until)
            await execute_together(tx, outbox.insert_statement(offer, origins=[cause]))
            continue
        version = await households.next_version(tx, waiter.household_id, waiter.child_id)
        days = (booked_day(found.activities[slot[0]], day, booked=True),)
        event = changed_event(found, days, version, channel=Channel.WAITING_LIST, by=waiter.waits_by, at=at)
        await waiting.leave(tx, waiter.child_id, [slot])
        await execute_together(
            tx,
            bookings.changes(event),
            outbox.insert_statement(event, granted(found, slot, event), origins=[cause, cause]),
        )


async def grant_waited(tx: Transaction, zone: str, activity_id: UUID, first: date, *, at: datetime) -> None:
    """Give what a changed activity has free to who waits; the calendar is held, so nobody books meanwhile."""
    slots = await waiting.waited_for(tx, activity_id, first)
    await bookings.take_locks(tx, slots)
    heads = await waiting.next_in_line(tx, await waiting.free_places(tx, slots))
    await households.lock_children(tx, {each.child_id for each in heads})
    await grant_freed_places(tx, zone, slots, at=at)


async def release_places(
    tx: Transaction,
    zone: str,
    left: Sequence[DayLeft],
    *,
    channel: Channel,
    by: UUID,
    at: datetime,
    reason: str | None = None,
    enrolled: Span | None = None,
) -> None:
    """Cancel days and leave lists, child by child, and give the places on; nobody books meanwhile:
    the calendar is held, or nothing but one slot is touched, whose places are locked."""
    slots = {(each.activity_id, each.day) for each in left}
    await bookings.take_locks(tx, sorted(slots))
    heads = await waiting.next_in_line(tx, dict.fromkeys(slots, len(left)))
    await households.lock_children(tx, {each.child_id for each in left} | {each.child_id for each in heads})
    for (household_id, child_id), group in groupby(left, key=lambda each: (each.household_id, each.child_id)):
        days = list(group)
        waited = tuple(_cancelled(each) for each in days if each.waits)
        event = BookingsChanged(
            household_id=household_id,
            child_id=child_id,
            child_first_name=days[0].child_first_name,
            version=await households.next_version(tx, household_id, child_id),
            channel=channel,
            changed_by=by,
            changed_at=at,
            days=tuple(_cancelled(each) for each in days if not each.waits),
            waited=waited if reason or enrolled else (),
            reason=reason,
            enrolled=enrolled,
        )
        await execute_together(
            tx, bookings.changes(event), outbox.insert_statement(*[event] if event.days or event.waited else [])
        )
        if waited:
            await history.add_waiting(tx, [(event, waited)])
            await waiting.leave(tx, child_id, [(each.activity_id, each.day) for each in waited])
    await grant_freed_places(tx, zone, slots, at=at)


def _cancelled(left: DayLeft) -> BookedDay:
    return BookedDay(activity_id=left.activity_id, activity_label=left.activity_label, day=left.day, booked=False)


async def expire_offers(tx: Transaction, zone: str, slot: Slot, *, at: datetime) -> int:
    """Take off the list who let an offer pass, tell them, and offer the place to the next; how many there were."""
    await bookings.take_locks(tx, [slot])
    over = await waiting.take_expired_offers(tx, slot, at)
    await release_places(tx, zone, [each.left for each in over], channel=Channel.WAITING_LIST, by=NOBODY, at=at)
    if over:
        year = await calendars.this_year(tx, zone)
        activity = year.activities[slot[0]]
        until = year.calendar.deadline(activity, activity.booking_notice, slot[1])
        await outbox.add(tx, *(_lapsed(each, at=at, book_until=until) for each in over))
    return len(over)


def _lapsed(offer: OfferLeft, *, at: datetime, book_until: datetime) -> OfferLapsed:
    return OfferLapsed(
        household_id=offer.left.household_id,
        child_id=offer.left.child_id,
        child_first_name=offer.left.child_first_name,
        activity_id=offer.left.activity_id,
        activity_label=offer.left.activity_label,
        day=offer.left.day,
        position=offer.position,
        offered_until=offer.offered_until,
        lapsed_at=at,
        book_until=book_until,
    )


async def release_departed_child(tx: Transaction, zone: str, today: date, *, at: datetime) -> int:
    """Free some days to come of closed households and of children who left theirs; how many, 0 when there are none.

    Only days before their cancelling deadline: what the kitchen counts on already is theirs, as it would be if they
    had stayed. The deadlines are applied before anything is limited, so no kept day stands in the way of others.
    """
    await bookings.hold_calendar(tx)
    calendar = await calendars.calendar(tx, zone)
    known = {activity.activity_id: activity for activity in await calendars.activities(tx)}
    booked = await households.slots_left(tx, today)
    slots = [s for s in booked if at < calendar.deadline(known[s[0]], known[s[0]].cancelling_notice, s[1])]
    left = await households.days_left(tx, today, slots)
    await release_places(tx, zone, left, channel=Channel.AUTOMATIC, by=NOBODY, at=at)
    return len(left)
