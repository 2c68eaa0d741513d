"""Bookings and the places they take."""

from collections.abc import Collection, Sequence
from datetime import date
from uuid import UUID

from chassis.database import Statement, Transaction
from contracts.events.planning import BookingsChanged
from contracts.names import name_key
from planning.domain.booking_context import Slot
from planning.store.households import DayLeft


async def share_calendar(tx: Transaction) -> None:
    """Book while others book, but not while a day is being closed."""
    await tx.execute("SELECT pg_advisory_xact_lock_shared(hashtext('planning.calendar'))")


async def hold_calendar(tx: Transaction) -> None:
    """Close a day while nobody books."""
    await tx.execute("SELECT pg_advisory_xact_lock(hashtext('planning.calendar'))")


async def take_locks(tx: Transaction, slots: Collection[Slot], child_ids: Collection[UUID] = ()) -> None:
    """Share the calendar, lock the places of days with a capacity, then the children: one order for everybody.

    Whoever has to read under the locks of the places which children there are locks these afterwards.
    """
    ids, days = [slot[0] for slot in slots], [slot[1] for slot in slots]
    await tx.execute("SELECT take_locks($1, $2, $3)", ids, days, list(child_ids))


def changes(*events: BookingsChanged) -> Statement:
    """The days of changes, the places they take or free, their history, and the new versions; one change a child.

    A place that was held for a child is taken, not another one. The places of the days are locked by now, and every
    question asked until the commit is time that others wait. ``LIMIT`` is for the planner, as in ``situations``.
    """
    lines = [(number, day) for number, event in enumerate(events, 1) for day in event.days]
    return Statement(
        "change AS MATERIALIZED (SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::uuid[], "
        "$6::timestamptz[]) WITH ORDINALITY "
        "AS e (household_id, child_id, version, channel, changed_by, changed_at, number) LIMIT $11), "
        "changed AS MATERIALIZED (SELECT e.*, d.activity_id, d.day, d.booked, d.line FROM change e "
        "JOIN unnest($7::int[], $8::uuid[], $9::date[], $10::boolean[]) WITH ORDINALITY "
        "AS d (number, activity_id, day, booked, line) USING (number)), "
        "child AS (UPDATE household_child c SET bookings_version = e.version FROM change e "
        "WHERE c.household_id = e.household_id AND c.child_id = e.child_id), "
        "kept AS (INSERT INTO booking (household_id, child_id, activity_id, day, booked, version) "
        "SELECT household_id, child_id, activity_id, day, booked, version FROM changed "
        "ON CONFLICT (child_id, day, activity_id, household_id) "
        "DO UPDATE SET booked = excluded.booked, version = excluded.version), "
        "taken AS (UPDATE waiting w SET offered_until = NULL FROM changed d WHERE w.child_id = d.child_id AND d.booked "
        "AND w.activity_id = d.activity_id AND w.day = d.day AND offered_until IS NOT NULL "
        "RETURNING w.child_id, w.activity_id, w.day), "
        "places AS (UPDATE occupation o SET booked = o.booked + n.more, held = o.held - n.no_longer_held "
        "FROM (SELECT d.activity_id, d.day, sum(CASE WHEN d.booked THEN 1 ELSE -1 END) AS more, "
        "count(t.child_id) AS no_longer_held FROM changed d LEFT JOIN taken t USING (child_id, activity_id, day) "
        "GROUP BY d.activity_id, d.day) n WHERE o.activity_id = n.activity_id AND o.day = n.day), "
        "history AS (INSERT INTO booking_change "
        "(household_id, child_id, activity_id, day, booked, version, channel, changed_by, changed_at) "
        "SELECT household_id, child_id, activity_id, day, booked, version, channel, changed_by, changed_at "
        "FROM changed ORDER BY line)",
        (
            [event.household_id for event in events],
            [event.child_id for event in events],
            [event.version for event in events],
            [event.channel for event in events],
            [event.changed_by for event in events],
            [event.changed_at for event in events],
            [number for number, _ in lines],
            [day.activity_id for _, day in lines],
            [day.day for _, day in lines],
            [day.booked for _, day in lines],
            len(events),
        ),
    )


async def spellings(tx: Transaction, school: str) -> list[str]:
    """The school as children have it, however it is written there; none when nobody goes to it."""
    rows = await tx.fetch("SELECT DISTINCT school FROM household_child WHERE present")
    return [row["school"] for row in rows if name_key(row["school"]) == name_key(school)]


async def attending(
    tx: Transaction, day: date, activity_id: UUID | None, schools: Sequence[str] | None
) -> list[DayLeft]:
    """Who is booked on a day or waits for it, in the order in which children are locked; whoever left included."""
    rows = await tx.fetch(
        "SELECT b.*, c.first_name, a.label FROM ("
        "SELECT household_id, child_id, activity_id, day, false AS waits FROM booking WHERE day = $1 AND booked "
        "UNION ALL SELECT household_id, child_id, activity_id, day, true FROM waiting WHERE day = $1) b "
        "JOIN household_child c USING (household_id, child_id) JOIN activity a USING (activity_id) "
        "WHERE ($2::uuid IS NULL OR activity_id = $2) AND ($3::text[] IS NULL OR c.school = ANY($3)) "
        "ORDER BY child_id, household_id, activity_id",
        day,
        activity_id,
        None if schools is None else list(schools),
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
