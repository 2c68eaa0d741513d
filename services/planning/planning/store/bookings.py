"""Bookings and the places they take."""

from collections.abc import Collection, Sequence
from datetime import date
from uuid import UUID

from chassis.database import Part, Transaction
from contracts.events.planning import BookedDay, BookingsChanged
from planning.domain.situation import Slot
from planning.store.households import DayLeft


async def share_calendar(tx: Transaction) -> None:
    """Book while others book, but not while a day is being closed."""
    await tx.execute("SELECT pg_advisory_xact_lock_shared(hashtext('planning.calendar'))")


async def hold_calendar(tx: Transaction) -> None:
    """Close a day while nobody books."""
    await tx.execute("SELECT pg_advisory_xact_lock(hashtext('planning.calendar'))")


async def take_locks(tx: Transaction, slots: Sequence[Slot], child_ids: Collection[UUID] = ()) -> None:
    """Share the calendar, lock the places of days with a capacity, then the children: one order for everybody.

    Whoever has to read under the locks of the places which children there are locks these afterwards.
    """
    ids, days = [slot[0] for slot in slots], [slot[1] for slot in slots]
    await tx.execute("SELECT take_locks($1, $2, $3)", ids, days, list(child_ids))


def changes(event: BookingsChanged) -> Part:
    """The days of a change, the places they take or free, their history, and the new version.

    A place that was held for the child is taken, not another one. The places of the days are locked by now, and every
    question asked until the commit is time that others wait.
    """
    return Part(
        "changed (activity_id, day, booked) AS (SELECT * FROM unnest($3::uuid[], $4::date[], $5::boolean[])), "
        "child AS (UPDATE household_child SET bookings_version = $6 WHERE household_id = $1 AND child_id = $2), "
        "kept AS (INSERT INTO booking (household_id, child_id, activity_id, day, booked, version) "
        "SELECT $1, $2, activity_id, day, booked, $6 FROM changed "
        "ON CONFLICT (child_id, day, activity_id, household_id) "
        "DO UPDATE SET booked = excluded.booked, version = excluded.version), "
        "taken AS (UPDATE waiting w SET offered_until = NULL FROM changed d WHERE w.child_id = $2 AND d.booked "
        "AND w.activity_id = d.activity_id AND w.day = d.day AND offered_until IS NOT NULL "
        "RETURNING w.activity_id, w.day), "
        "places AS (UPDATE occupation o SET booked = o.booked + CASE WHEN d.booked THEN 1 ELSE -1 END, "
        "held = o.held - (t.day IS NOT NULL)::int "
        "FROM changed d LEFT JOIN taken t USING (activity_id, day) "
        "WHERE o.activity_id = d.activity_id AND o.day = d.day), "
        "history AS (INSERT INTO booking_change "
        "(household_id, child_id, activity_id, day, booked, version, channel, changed_by, changed_at) "
        "SELECT $1, $2, activity_id, day, booked, $6, $7, $8, $9 FROM changed)",
        (
            event.household_id,
            event.child_id,
            *_columns(event.days),
            event.version,
            event.channel,
            event.changed_by,
            event.changed_at,
        ),
    )


def _columns(days: Sequence[BookedDay]) -> tuple[list[UUID], list[date], list[bool]]:
    return [day.activity_id for day in days], [day.day for day in days], [day.booked for day in days]


async def attending(tx: Transaction, day: date, activity_id: UUID | None, school: str | None) -> list[DayLeft]:
    """Who is booked on a day or waits for it, in the order in which children are locked; whoever left included."""
    rows = await tx.fetch(
        "SELECT b.*, c.first_name, a.label FROM ("
        "SELECT household_id, child_id, activity_id, day, false AS waits FROM booking WHERE day = $1 AND booked "
        "UNION ALL SELECT household_id, child_id, activity_id, day, true FROM waiting WHERE day = $1) b "
        "JOIN household_child c USING (household_id, child_id) JOIN activity a USING (activity_id) "
        "WHERE ($2::uuid IS NULL OR activity_id = $2) AND ($3::text IS NULL OR c.school = $3) "
        "ORDER BY child_id, household_id, activity_id",
        day,
        activity_id,
        school,
    )
    return [DayLeft.of(row) for row in rows]


async def booked_days(tx: Transaction, activity_id: UUID, first: date) -> dict[date, int]:
    """How many children are booked on each day to come of an activity."""
    rows = await tx.fetch(
        "SELECT day, count(*) AS bookings FROM booking WHERE activity_id = $1 AND day >= $2 AND booked "
        "GROUP BY day ORDER BY day",
        activity_id,
        first,
    )
    return {row["day"]: row["bookings"] for row in rows}
