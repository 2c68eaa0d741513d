"""Places that come free, and who gets them; the facts of it go to the outbox."""

from collections.abc import Collection
from datetime import date, datetime
from itertools import groupby
from uuid import UUID

from chassis import outbox
from chassis.database import Transaction
from contracts.events.planning import BookedDay, BookingsChanged, Channel
from planning.domain.bookings import booked_day, granted, may_grant, told
from planning.domain.situation import Slot
from planning.store import bookings, households, situations, waiting

NOBODY = UUID(int=0)
"""Who changes what changes by itself."""


async def grant(tx: Transaction, zone: str, slots: Collection[Slot], *, at: datetime) -> None:
    """Give free places to who waits for them, under the lock of their days, unless it is too late for the kitchen."""
    free = await waiting.free_places(tx, slots)
    for waiter in await waiting.heads(tx, free):
        slot, day = waiter.slot, waiter.slot[1]
        found = await situations.situation(tx, zone, waiter.household_id, waiter.child_id, day, day)
        if found is None or not free[slot] or not may_grant(found, slot, now=at):
            continue
        free[slot] -= 1
        version = await households.next_version(tx, waiter.household_id, waiter.child_id)
        days = (booked_day(found.activities[slot[0]], day, booked=True),)
        event = told(found, days, version, channel=Channel.WAITING_LIST, by=waiter.waits_by, at=at)
        await waiting.leave(tx, waiter.child_id, [slot])
        await bookings.save_changes(tx, event)
        await outbox.add(tx, event, granted(found, slot, event))


async def grant_waited(tx: Transaction, zone: str, activity_id: UUID, first: date, *, at: datetime) -> None:
    """Give what a changed activity has free to who waits; the calendar is held, so nobody books meanwhile."""
    slots = await waiting.waited_for(tx, activity_id, first)
    await bookings.lock_occupation(tx, slots)
    heads = await waiting.heads(tx, await waiting.free_places(tx, slots))
    await households.lock_children(tx, {each.child_id for each in heads})
    await grant(tx, zone, slots, at=at)


async def free_erased(tx: Transaction, zone: str, today: date, *, at: datetime) -> int:
    """Cancel the days to come of erased households, and give their places on; how many days there were."""
    await bookings.share_calendar(tx)
    slots = {(each.activity_id, each.day) for each in await households.days_of_erased(tx, today)}
    await bookings.lock_occupation(tx, sorted(slots))
    left = await households.days_of_erased(tx, today)
    heads = await waiting.heads(tx, dict.fromkeys(slots, len(left)))
    await households.lock_children(tx, {each.child_id for each in left} | {each.child_id for each in heads})
    for (household_id, child_id), group in groupby(left, key=lambda each: (each.household_id, each.child_id)):
        days = tuple(
            BookedDay(activity_id=each.activity_id, activity_label=each.activity_label, day=each.day, booked=False)
            for each in group
        )
        event = BookingsChanged(
            household_id=household_id,
            child_id=child_id,
            child_first_name=households.ERASED,
            version=await households.next_version(tx, household_id, child_id),
            channel=Channel.AUTOMATIC,
            changed_by=NOBODY,
            changed_at=at,
            days=days,
        )
        await bookings.save_changes(tx, event)
        await outbox.add(tx, event)
    await grant(tx, zone, slots, at=at)
    return len(left)
