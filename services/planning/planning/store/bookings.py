"""Bookings and the places they take."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from chassis.database import Transaction
from contracts.api.planning import EnrolmentWish
from contracts.events.auth import Span
from contracts.events.planning import BookedDay, BookingsChanged
from planning.domain.situation import Booking, Situation, Slot
from planning.store import calendars, history, households, waiting


async def share_calendar(tx: Transaction) -> None:
    """Book while others book, but not while a day is being closed."""
    await tx.execute("SELECT pg_advisory_xact_lock_shared(hashtext('planning.calendar'))")


async def hold_calendar(tx: Transaction) -> None:
    """Close a day while nobody books."""
    await tx.execute("SELECT pg_advisory_xact_lock(hashtext('planning.calendar'))")


async def lock_occupation(tx: Transaction, slots: Sequence[tuple[UUID, date]]) -> None:
    """Lock the places of days with a capacity, always in the same order, and before any child."""
    ids, days = [slot[0] for slot in slots], [slot[1] for slot in slots]
    await tx.execute(
        "INSERT INTO occupation (activity_id, day, booked) "
        "SELECT s.activity_id, s.day, (SELECT count(*) FROM booking b "
        "WHERE b.activity_id = s.activity_id AND b.day = s.day AND b.booked) "
        "FROM unnest($1::uuid[], $2::date[]) AS s (activity_id, day) "
        "JOIN activity a USING (activity_id) WHERE a.capacity IS NOT NULL OR a.school_capacities <> '{}' "
        "ORDER BY 1, 2 ON CONFLICT DO NOTHING",
        ids,
        days,
    )
    await tx.execute(
        "SELECT FROM occupation WHERE (activity_id, day) IN (SELECT * FROM unnest($1::uuid[], $2::date[])) "
        "ORDER BY activity_id, day FOR UPDATE",
        ids,
        days,
    )


async def situation(
    tx: Transaction, zone: str, household_id: UUID, child_id: UUID, first: date, last: date
) -> Situation | None:
    """All that decides about a child's days between two dates; None when the household has no such child."""
    child = await tx.fetchrow(f"{households.CHILD} AND c.child_id = $2", household_id, child_id)
    if child is None:
        return None
    enrolments = await _enrolments(tx, household_id, child_id)
    ids = list(enrolments)
    activities = await tx.fetch("SELECT * FROM activity WHERE activity_id = ANY($1::uuid[])", ids)
    rows = await tx.fetch(
        "SELECT household_id, activity_id, day, booked, version FROM booking "
        "WHERE child_id = $1 AND day BETWEEN $2 AND $3",
        child_id,
        first,
        last,
    )
    elsewhere = {
        (row["activity_id"], row["day"]) for row in rows if row["household_id"] != household_id and row["booked"]
    }
    return Situation(
        household_id=household_id,
        child=households.child_of(child),
        version=child["bookings_version"],
        calendar=await calendars.calendar(tx, zone),
        activities={row["activity_id"]: calendars.activity_of(row) for row in activities},
        enrolments=enrolments,
        bookings=_own(rows, household_id),
        taken_elsewhere=frozenset(elsewhere | await waiting.elsewhere(tx, household_id, child_id, first, last)),
        occupation=await _occupation(tx, ids, first, last),
        of_school=await _of_school(tx, ids, child["school"], first, last),
        ranks=await waiting.ranks(tx, household_id, child_id, first, last),
        own_spans=households.spans_of(child["custody_days"]),
        others_spans=await _others_spans(tx, household_id, child_id),
    )


async def _enrolments(tx: Transaction, household_id: UUID, child_id: UUID) -> dict[UUID, EnrolmentWish]:
    rows = await tx.fetch(
        "SELECT activity_id, first_day, last_day FROM enrolment WHERE household_id = $1 AND child_id = $2",
        household_id,
        child_id,
    )
    return {row["activity_id"]: EnrolmentWish(first_day=row["first_day"], last_day=row["last_day"]) for row in rows}


def _own(rows: Sequence[Any], household_id: UUID) -> dict[Slot, Booking]:
    own = (row for row in rows if row["household_id"] == household_id)
    return {(row["activity_id"], row["day"]): Booking(row["booked"], row["version"]) for row in own}


async def _others_spans(tx: Transaction, household_id: UUID, child_id: UUID) -> tuple[Span, ...]:
    rows = await tx.fetch(
        "SELECT custody_days FROM household_child WHERE child_id = $2 AND household_id <> $1 AND present",
        household_id,
        child_id,
    )
    return tuple(span for row in rows for span in households.spans_of(row["custody_days"]))


async def _occupation(tx: Transaction, ids: list[UUID], first: date, last: date) -> dict[tuple[UUID, date], int]:
    rows = await tx.fetch(
        "SELECT activity_id, day, booked FROM occupation WHERE activity_id = ANY($1::uuid[]) AND day BETWEEN $2 AND $3",
        ids,
        first,
        last,
    )
    return {(row["activity_id"], row["day"]): row["booked"] for row in rows}


async def _of_school(
    tx: Transaction, ids: list[UUID], school: str, first: date, last: date
) -> dict[tuple[UUID, date], int]:
    """How many children of a school are booked, on days of the activities that count them."""
    rows = await tx.fetch(
        "SELECT b.activity_id, b.day, count(*) AS booked FROM activity a JOIN booking b USING (activity_id) "
        "JOIN household_child c USING (household_id, child_id) WHERE a.activity_id = ANY($1::uuid[]) "
        "AND a.school_capacities ? $2 AND b.booked AND b.day BETWEEN $3 AND $4 AND c.school = $2 GROUP BY 1, 2",
        ids,
        school,
        first,
        last,
    )
    return {(row["activity_id"], row["day"]): row["booked"] for row in rows}


async def save_changes(tx: Transaction, event: BookingsChanged) -> None:
    """Store the days of a change, the places they take or free, their history, and the new version."""
    await tx.execute(
        "UPDATE household_child SET bookings_version = $3 WHERE household_id = $1 AND child_id = $2",
        event.household_id,
        event.child_id,
        event.version,
    )
    days = _columns(event.days)
    await tx.execute(
        "INSERT INTO booking (household_id, child_id, activity_id, day, booked, version) "
        "SELECT $1, $2, d.activity_id, d.day, d.booked, $6 "
        "FROM unnest($3::uuid[], $4::date[], $5::boolean[]) AS d (activity_id, day, booked) "
        "ON CONFLICT (child_id, day, activity_id, household_id) "
        "DO UPDATE SET booked = excluded.booked, version = excluded.version",
        event.household_id,
        event.child_id,
        *days,
        event.version,
    )
    await tx.execute(
        "UPDATE occupation o SET booked = o.booked + CASE WHEN d.booked THEN 1 ELSE -1 END "
        "FROM unnest($1::uuid[], $2::date[], $3::boolean[]) AS d (activity_id, day, booked) "
        "WHERE o.activity_id = d.activity_id AND o.day = d.day",
        *days,
    )
    await history.add(tx, event, event.days)


def _columns(days: Sequence[BookedDay]) -> tuple[list[UUID], list[date], list[bool]]:
    return [day.activity_id for day in days], [day.day for day in days], [day.booked for day in days]


async def are_full(tx: Transaction, slots: Sequence[Slot]) -> bool:
    """Whether no place at all is left on any of the days, as of now; no lock is taken."""
    full: int = await tx.fetchval(
        "SELECT count(*) FROM unnest($1::uuid[], $2::date[]) AS s (activity_id, day) "
        "JOIN occupation o USING (activity_id, day) JOIN activity a USING (activity_id) WHERE o.booked >= a.capacity",
        [slot[0] for slot in slots],
        [slot[1] for slot in slots],
    )
    return full == len(slots)


@dataclass(frozen=True)
class Attending:
    """A child booked on a day of an activity, or waiting for it."""

    household_id: UUID
    child_id: UUID
    activity_id: UUID
    waits: bool


async def attending(tx: Transaction, day: date, activity_id: UUID | None, school: str | None) -> list[Attending]:
    """Who is booked on a day or waits for it, in the order in which children are locked."""
    rows = await tx.fetch(
        "SELECT household_id, child_id, activity_id, waits FROM ("
        "SELECT household_id, child_id, activity_id, false AS waits FROM booking WHERE day = $1 AND booked UNION ALL "
        "SELECT household_id, child_id, activity_id, true FROM waiting WHERE day = $1) b "
        "JOIN household_child c USING (household_id, child_id) WHERE c.present "
        "AND ($2::uuid IS NULL OR activity_id = $2) AND ($3::text IS NULL OR c.school = $3) "
        "ORDER BY child_id, household_id, activity_id",
        day,
        activity_id,
        school,
    )
    return [Attending(**row) for row in rows]


async def booked_days(tx: Transaction, activity_id: UUID, first: date) -> dict[date, int]:
    """How many children are booked on each day to come of an activity."""
    rows = await tx.fetch(
        "SELECT day, count(*) AS bookings FROM booking WHERE activity_id = $1 AND day >= $2 AND booked "
        "GROUP BY day ORDER BY day",
        activity_id,
        first,
    )
    return {row["day"]: row["bookings"] for row in rows}
