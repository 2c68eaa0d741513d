"""Who changed what, when and how: written once, never changed."""

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

from chassis.database import Transaction
from contracts.api.bookings import ActivityChanges, Change
from contracts.events.planning import BookedDay, BookingsChanged
from planning.domain.booking_context import Slot

CHANGES_MAX = 100


async def add_waiting(tx: Transaction, changes: Sequence[tuple[BookingsChanged, Sequence[BookedDay]]]) -> None:
    """Write the days of changes that joined (booked) or left (not booked) waiting lists."""
    lines = [(event, day) for event, days in changes for day in days]
    await tx.execute(
        "INSERT INTO booking_change "
        "(household_id, child_id, activity_id, day, booked, waiting, version, channel, changed_by, changed_at) "
        "SELECT d.household_id, d.child_id, d.activity_id, d.day, d.booked, true, d.version, d.channel, d.changed_by, "
        "d.changed_at FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::date[], $5::boolean[], $6::bigint[], "
        "$7::text[], $8::uuid[], $9::timestamptz[]) AS d "
        "(household_id, child_id, activity_id, day, booked, version, channel, changed_by, changed_at)",
        [event.household_id for event, _ in lines],
        [event.child_id for event, _ in lines],
        [day.activity_id for _, day in lines],
        [day.day for _, day in lines],
        [day.booked for _, day in lines],
        [event.version for event, _ in lines],
        [event.channel for event, _ in lines],
        [event.changed_by for event, _ in lines],
        [event.changed_at for event, _ in lines],
    )


async def change(tx: Transaction, household_id: UUID, child_id: UUID, version: int) -> list[tuple[Slot, bool, bool]]:
    """One change: its slots, booked or not, waiting list or not."""
    rows = await tx.fetch(
        "SELECT activity_id, day, booked, waiting FROM booking_change "
        "WHERE household_id = $1 AND child_id = $2 AND version = $3 ORDER BY position",
        household_id,
        child_id,
        version,
    )
    return [((row["activity_id"], row["day"]), row["booked"], row["waiting"]) for row in rows]


async def changes(tx: Transaction, household_id: UUID, child_id: UUID) -> tuple[ActivityChanges, ...]:
    """The newest changes of a child's days, by activity, the activity that changed last before the others.

    One walk down the index for each activity the child is or was enrolled in, however long the history is.
    """
    rows = await tx.fetch(
        "SELECT a.activity_id, a.label, c.* FROM enrolment e JOIN activity a USING (activity_id) "
        "CROSS JOIN LATERAL (SELECT position, channel, changed_at, day, booked, waiting FROM booking_change "
        "WHERE household_id = $1 AND child_id = $2 AND activity_id = e.activity_id "
        "ORDER BY position DESC LIMIT $3) c "
        "WHERE e.household_id = $1 AND e.child_id = $2 ORDER BY c.position DESC",
        household_id,
        child_id,
        CHANGES_MAX,
    )
    by_activity: dict[tuple[UUID, str], list[Change]] = {}
    for row in rows:
        changed_at: datetime = row["changed_at"]
        day: date = row["day"]
        change = Change(
            channel=row["channel"], changed_at=changed_at, day=day, booked=row["booked"], waiting=row["waiting"]
        )
        by_activity.setdefault((row["activity_id"], row["label"]), []).append(change)
    return tuple(
        ActivityChanges(activity_id=activity_id, label=label, changes=tuple(found))
        for (activity_id, label), found in by_activity.items()
    )
