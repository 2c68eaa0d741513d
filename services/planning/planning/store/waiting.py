"""Waiting lists: who comes next when a place frees. All of it under the lock of the day's places.

The order is: siblings of booked children where the activity wants it, then by arrival.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from chassis.database import Transaction
from planning.domain.situation import Slot

SPARE = 5

RANK = (
    "(SELECT count(*) FROM waiting o WHERE o.activity_id = w.activity_id AND o.day = w.day "
    "AND (NOT o.has_sibling, o.position) <= (NOT w.has_sibling, w.position))"
)
"""The place in its list of a row ``w`` of ``waiting``: 1 is next."""


@dataclass(frozen=True)
class Waiter:
    """A household's child that waits for a slot, and who asked for it."""

    slot: Slot
    household_id: UUID
    child_id: UUID
    waits_by: UUID


async def ranks(tx: Transaction, household_id: UUID, child_id: UUID, first: date, last: date) -> dict[Slot, int]:
    """The child's places in the lists of some days: 1 is next."""
    rows = await tx.fetch(
        f"SELECT w.activity_id, w.day, {RANK} AS rank FROM waiting w "  # noqa: S608 - our words
        "WHERE w.household_id = $1 AND w.child_id = $2 AND w.day BETWEEN $3 AND $4",
        household_id,
        child_id,
        first,
        last,
    )
    return {(row["activity_id"], row["day"]): row["rank"] for row in rows}


async def join(
    tx: Transaction, household_id: UUID, child_id: UUID, slots: Collection[Slot], by: UUID, at: datetime
) -> None:
    """Put a child at the end of the lists."""
    await tx.execute(
        "INSERT INTO waiting (activity_id, day, child_id, household_id, has_sibling, waits_by, waits_since) "
        "SELECT s.activity_id, s.day, $2, $1, a.siblings_first AND EXISTS (SELECT FROM booking b "
        "WHERE b.activity_id = s.activity_id AND b.day = s.day AND b.booked "
        "AND b.household_id = $1 AND b.child_id <> $2), $5, $6 "
        "FROM unnest($3::uuid[], $4::date[]) AS s (activity_id, day) JOIN activity a USING (activity_id)",
        household_id,
        child_id,
        *_columns(slots),
        by,
        at,
    )


async def leave(tx: Transaction, child_id: UUID, slots: Collection[Slot]) -> None:
    """Take a child off the lists."""
    await tx.execute(
        "DELETE FROM waiting WHERE child_id = $1 "
        "AND (activity_id, day) IN (SELECT * FROM unnest($2::uuid[], $3::date[]))",
        child_id,
        *_columns(slots),
    )


async def leave_days_without_enrolment(tx: Transaction, household_id: UUID, child_id: UUID) -> None:
    """Take a child off the lists of days that its enrolments no longer cover."""
    await tx.execute(
        "DELETE FROM waiting w WHERE household_id = $1 AND child_id = $2 AND NOT EXISTS (SELECT FROM enrolment e "
        "WHERE e.household_id = $1 AND e.child_id = $2 AND e.activity_id = w.activity_id "
        "AND w.day BETWEEN e.first_day AND e.last_day)",
        household_id,
        child_id,
    )


async def close(tx: Transaction, day: date, activity_id: UUID | None, school: str | None) -> None:
    """Nobody waits for a closed day."""
    await tx.execute(
        "DELETE FROM waiting w USING household_child c WHERE c.household_id = w.household_id "
        "AND c.child_id = w.child_id AND w.day = $1 AND ($2::uuid IS NULL OR w.activity_id = $2) "
        "AND ($3::text IS NULL OR c.school = $3)",
        day,
        activity_id,
        school,
    )


async def heads(tx: Transaction, wanted: Mapping[Slot, int]) -> list[Waiter]:
    """The first of each list: as many as ``wanted`` and a few to spare, in case the first may not have the place.

    Where schools have places of their own, all who wait: the first may be of a full one.
    Left out are children who are no longer the household's, or have the day by their other household.
    """
    rows = await tx.fetch(
        "SELECT * FROM (SELECT w.*, n.wanted, "
        "row_number() OVER (PARTITION BY w.activity_id, w.day ORDER BY NOT w.has_sibling, w.position) AS rank "
        "FROM unnest($1::uuid[], $2::date[], $3::int[]) AS n (activity_id, day, wanted) "
        "JOIN waiting w USING (activity_id, day) "
        "JOIN household_child c ON c.household_id = w.household_id AND c.child_id = w.child_id AND c.present "
        "WHERE NOT EXISTS (SELECT FROM booking b WHERE b.child_id = w.child_id AND b.activity_id = w.activity_id "
        "AND b.day = w.day AND b.booked)) r JOIN activity a USING (activity_id) "
        "WHERE rank <= wanted + $4 OR a.school_capacities <> '{}' ORDER BY r.activity_id, day, rank",
        *_columns(wanted),
        list(wanted.values()),
        SPARE,
    )
    return [
        Waiter((row["activity_id"], row["day"]), row["household_id"], row["child_id"], row["waits_by"]) for row in rows
    ]


async def free_places(tx: Transaction, slots: Collection[Slot]) -> dict[Slot, int]:
    """How many places are free where somebody waits; slots without any are left out."""
    rows = await tx.fetch(
        "SELECT s.activity_id, s.day, count(*)::int AS wanting, max(a.capacity - o.booked) AS free "
        "FROM unnest($1::uuid[], $2::date[]) AS s (activity_id, day) JOIN waiting w USING (activity_id, day) "
        "JOIN activity a USING (activity_id) JOIN occupation o USING (activity_id, day) "
        "GROUP BY 1, 2 HAVING coalesce(max(a.capacity - o.booked), count(*)) > 0 ORDER BY 1, 2",
        *_columns(slots),
    )
    return {
        (row["activity_id"], row["day"]): row["wanting"] if row["free"] is None else min(row["free"], row["wanting"])
        for row in rows
    }


async def waited_for(tx: Transaction, activity_id: UUID, first: date) -> list[Slot]:
    """The days to come on which somebody waits."""
    rows = await tx.fetch(
        "SELECT DISTINCT day FROM waiting WHERE activity_id = $1 AND day >= $2 ORDER BY day", activity_id, first
    )
    return [(activity_id, row["day"]) for row in rows]


def _columns(slots: Collection[Slot]) -> tuple[Sequence[UUID], Sequence[date]]:
    return [slot[0] for slot in slots], [slot[1] for slot in slots]
