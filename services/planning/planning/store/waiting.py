"""Waiting lists: who comes next when a place frees. All of it under the lock of the day's places.

The order is that of the view ``waiting_list``: residents where the activity wants it, then siblings of booked children
where it wants that, then by arrival.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from chassis.database import Transaction
from contracts.events.planning import BookingsChanged
from planning.domain.booking_context import ContextQuery, Slot
from planning.store.households import DayLeft

SPARE = 5
LAPSED_MAX = 200
"""How many slots are looked through at a time for offers that are over."""

RANK = (
    "(SELECT count(*) FROM waiting_list o WHERE o.activity_id = w.activity_id AND o.day = w.day "
    "AND (o.is_outsider, o.is_alone, o.position) <= (w.is_outsider, w.is_alone, w.position))"
)
"""The place in its list of a row ``w`` of ``waiting_list``: 1 is next."""


@dataclass(frozen=True)
class Waiter:
    """A household's child that waits for a slot, who asked for it, and its position, which no other ever has."""

    slot: Slot
    household_id: UUID
    child_id: UUID
    waits_by: UUID
    position: int


@dataclass(frozen=True)
class OfferLeft:
    """A place that was held for a child and that nobody answered in time."""

    left: DayLeft
    position: int
    offered_until: datetime


async def ranks(tx: Transaction, looks: Sequence[ContextQuery]) -> dict[UUID, dict[Slot, int]]:
    """The places of children in the lists of some days, by child: 1 is next."""
    rows = await tx.fetch(
        f"SELECT w.child_id, w.activity_id, w.day, {RANK} AS rank FROM waiting_list w "  # noqa: S608 - our words
        "JOIN unnest($1::uuid[], $2::uuid[], $3::date[], $4::date[]) AS asked (household_id, child_id, first, last) "
        "ON w.household_id = asked.household_id AND w.child_id = asked.child_id "
        "AND w.day BETWEEN asked.first AND asked.last",
        *map(list, zip(*looks, strict=True)),
    )
    found: dict[UUID, dict[Slot, int]] = {look.child_id: {} for look in looks}
    for row in rows:
        found[row["child_id"]][row["activity_id"], row["day"]] = row["rank"]
    return found


async def join(tx: Transaction, changes: Sequence[tuple[BookingsChanged, Collection[Slot]]]) -> None:
    """Put the children of changes at the end of lists, in that order, behind those whom the activity's rules put
    first."""
    lines = [(event, *slot) for event, slots in changes for slot in slots]
    await tx.execute(
        "INSERT INTO waiting (activity_id, day, child_id, household_id, has_sibling, is_resident, waits_by, "
        "waits_since) SELECT s.activity_id, s.day, s.child_id, s.household_id, "
        "has_booked_sibling(s.household_id, s.child_id, s.activity_id, s.day), is_resident(s.household_id, s.day), "
        "s.waits_by, s.waits_since FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::date[], $5::uuid[], "
        "$6::timestamptz[]) WITH ORDINALITY "
        "AS s (household_id, child_id, activity_id, day, waits_by, waits_since, number) ORDER BY number",
        [event.household_id for event, _, _ in lines],
        [event.child_id for event, _, _ in lines],
        [activity_id for _, activity_id, _ in lines],
        [day for _, _, day in lines],
        [event.changed_by for event, _, _ in lines],
        [event.changed_at for event, _, _ in lines],
    )


async def leave(tx: Transaction, child_id: UUID, slots: Collection[Slot]) -> None:
    """Take a child off the lists; a place that was held for it is held no more."""
    await tx.execute(
        "WITH gone AS (DELETE FROM waiting WHERE child_id = $1 "
        "AND (activity_id, day) IN (SELECT * FROM unnest($2::uuid[], $3::date[])) "
        "RETURNING activity_id, day, offered_until) "
        "UPDATE occupation o SET held = o.held - 1 FROM gone g "
        "WHERE g.offered_until IS NOT NULL AND o.activity_id = g.activity_id AND o.day = g.day",
        child_id,
        *_columns(slots),
    )


async def next_in_line(tx: Transaction, wanted: Mapping[Slot, int]) -> list[Waiter]:
    """The first of each list: as many as ``wanted`` and a few to spare, in case the first may not have the place.

    Where schools have places of their own, all who wait: the first may be of a full one.
    Left out are who has an offer already, children of closed households or no longer the household's, and who have the
    day by their other one.
    """
    rows = await tx.fetch(
        "SELECT * FROM (SELECT w.*, w.position AS place, n.wanted, "
        "row_number() OVER (PARTITION BY w.activity_id, w.day ORDER BY w.is_outsider, w.is_alone, w.position) AS rank "
        "FROM unnest($1::uuid[], $2::date[], $3::int[]) AS n (activity_id, day, wanted) "
        "JOIN waiting_list w USING (activity_id, day) "
        "JOIN household_child c ON c.household_id = w.household_id AND c.child_id = w.child_id AND c.present "
        "JOIN household h ON h.household_id = w.household_id AND h.active "
        "WHERE w.offered_until IS NULL AND NOT EXISTS (SELECT FROM booking b WHERE b.child_id = w.child_id "
        "AND b.activity_id = w.activity_id AND b.day = w.day AND b.booked)) r JOIN activity a USING (activity_id) "
        "WHERE rank <= wanted + $4 OR a.school_capacities <> '{}' ORDER BY r.activity_id, day, rank",
        *_columns(wanted),
        list(wanted.values()),
        SPARE,
    )
    return [
        Waiter((row["activity_id"], row["day"]), row["household_id"], row["child_id"], row["waits_by"], row["place"])
        for row in rows
    ]


async def offer(tx: Transaction, waiter: Waiter, until: datetime) -> None:
    """Hold a place of the slot for a child that waits."""
    await tx.execute(
        "WITH held AS (UPDATE waiting SET offered_until = $4 WHERE activity_id = $1 AND day = $2 AND child_id = $3 "
        "RETURNING activity_id, day) UPDATE occupation o SET held = o.held + 1 FROM held h "
        "WHERE o.activity_id = h.activity_id AND o.day = h.day",
        *waiter.slot,
        waiter.child_id,
        until,
    )


async def slots_of_expired_offers(tx: Transaction, now: datetime) -> list[Slot]:
    """Slots with offers that are over, the oldest first."""
    rows = await tx.fetch(
        "SELECT activity_id, day FROM waiting WHERE offered_until <= $1 GROUP BY 1, 2 "
        "ORDER BY min(offered_until) LIMIT $2",
        now,
        LAPSED_MAX,
    )
    return [(row["activity_id"], row["day"]) for row in rows]


async def take_expired_offers(tx: Transaction, slot: Slot, now: datetime) -> list[OfferLeft]:
    """Whose offers of a slot are over, under the lock of its places."""
    rows = await tx.fetch(
        "SELECT w.household_id, w.child_id, c.first_name, w.activity_id, a.label, w.day, true AS waits, w.position, "
        "w.offered_until FROM waiting w "
        "JOIN household_child c USING (household_id, child_id) JOIN activity a USING (activity_id) "
        "WHERE w.activity_id = $1 AND w.day = $2 AND w.offered_until <= $3 ORDER BY w.child_id, w.household_id",
        *slot,
        now,
    )
    return [OfferLeft(DayLeft.of(row), row["position"], row["offered_until"]) for row in rows]


async def free_places(tx: Transaction, slots: Collection[Slot]) -> dict[Slot, int]:
    """How many places are free where somebody waits without an offer; slots without any are left out."""
    rows = await tx.fetch(
        "SELECT s.activity_id, s.day, count(*)::int AS wanting, max(a.capacity - o.booked - o.held) AS free "
        "FROM unnest($1::uuid[], $2::date[]) AS s (activity_id, day) JOIN waiting w USING (activity_id, day) "
        "JOIN activity a USING (activity_id) JOIN occupation o USING (activity_id, day) WHERE w.offered_until IS NULL "
        "GROUP BY 1, 2 HAVING coalesce(max(a.capacity - o.booked - o.held), count(*)) > 0 ORDER BY 1, 2",
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
