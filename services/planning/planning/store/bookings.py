"""Children, bookings and their history."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from chassis.database import Transaction
from contracts.api.planning import ActivityChanges, Change, ChildView, EnrolmentWish
from contracts.events.auth import HouseholdChanged
from contracts.events.planning import BookedDay, BookingsChanged
from planning.domain.bookings import Booking, Situation
from planning.store import calendars

CHANGES_MAX = 200


async def save_household(tx: Transaction, event: HouseholdChanged) -> None:
    """Keep a household's children as the event tells them, unless a newer one was heard before."""
    is_newer = await tx.fetchval(
        "INSERT INTO household (household_id, version) VALUES ($1, $2) "
        "ON CONFLICT (household_id) DO UPDATE SET version = $2 WHERE household.version < $2 RETURNING true",
        event.household_id,
        event.version,
    )
    if not is_newer:
        return
    await tx.execute("UPDATE household_child SET present = false WHERE household_id = $1", event.household_id)
    await tx.executemany(
        "INSERT INTO household_child (household_id, child_id, first_name, last_name, school, class_name, custody, "
        "position) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (household_id, child_id) DO UPDATE SET "
        "first_name = $3, last_name = $4, school = $5, class_name = $6, custody = $7, position = $8, present = true",
        [
            (
                event.household_id,
                child.child_id,
                child.first_name,
                child.last_name,
                child.school,
                child.class_name,
                child.custody.value,
                position,
            )
            for position, child in enumerate(event.children)
        ],
    )


_CHILD = (
    "SELECT c.*, EXISTS (SELECT FROM enrolment e WHERE e.household_id = c.household_id AND e.child_id = c.child_id) "
    "AS enrolled FROM household_child c WHERE c.household_id = $1 AND c.present"
)


def _child(row: Any) -> ChildView:
    return ChildView(
        child_id=row["child_id"],
        first_name=row["first_name"],
        last_name=row["last_name"],
        school=row["school"],
        class_name=row["class_name"],
        custody=row["custody"],
        enrolled=row["enrolled"],
    )


async def children(tx: Transaction, household_id: UUID) -> list[ChildView]:
    return [_child(row) for row in await tx.fetch(f"{_CHILD} ORDER BY c.position", household_id)]


async def share_calendar(tx: Transaction) -> None:
    """Book while others book, but not while a day is being closed."""
    await tx.execute("SELECT pg_advisory_xact_lock_shared(hashtext('planning.calendar'))")


async def hold_calendar(tx: Transaction) -> None:
    """Close a day while nobody books."""
    await tx.execute("SELECT pg_advisory_xact_lock(hashtext('planning.calendar'))")


async def lock_child(tx: Transaction, child_id: UUID) -> None:
    """Let one change at a time touch a child's days, whichever of its households asks."""
    await tx.execute("SELECT FROM household_child WHERE child_id = $1 ORDER BY household_id FOR UPDATE", child_id)


async def lock_occupation(tx: Transaction, slots: Sequence[tuple[UUID, date]]) -> None:
    """Lock the places of days with a capacity, always in the same order, after the child."""
    ids, days = [slot[0] for slot in slots], [slot[1] for slot in slots]
    await tx.execute(
        "INSERT INTO occupation (activity_id, day, booked) "
        "SELECT s.activity_id, s.day, (SELECT count(*) FROM booking b "
        "WHERE b.activity_id = s.activity_id AND b.day = s.day AND b.booked) "
        "FROM unnest($1::uuid[], $2::date[]) AS s (activity_id, day) "
        "JOIN activity a USING (activity_id) WHERE a.capacity IS NOT NULL ORDER BY 1, 2 ON CONFLICT DO NOTHING",
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
    child = await tx.fetchrow(f"{_CHILD} AND c.child_id = $2", household_id, child_id)
    if child is None:
        return None
    enrolments = await tx.fetch(
        "SELECT activity_id, first_day, last_day FROM enrolment WHERE household_id = $1 AND child_id = $2",
        household_id,
        child_id,
    )
    ids = [row["activity_id"] for row in enrolments]
    activities = await tx.fetch("SELECT * FROM activity WHERE activity_id = ANY($1::uuid[])", ids)
    rows = await tx.fetch(
        "SELECT household_id, activity_id, day, booked, version FROM booking "
        "WHERE child_id = $1 AND day BETWEEN $2 AND $3",
        child_id,
        first,
        last,
    )
    return Situation(
        household_id=household_id,
        child=_child(child),
        version=child["bookings_version"],
        calendar=await calendars.calendar(tx, zone, first, last),
        activities={row["activity_id"]: calendars.activity_of(row) for row in activities},
        enrolments={
            row["activity_id"]: EnrolmentWish(first_day=row["first_day"], last_day=row["last_day"])
            for row in enrolments
        },
        bookings={
            (row["activity_id"], row["day"]): Booking(row["booked"], row["version"])
            for row in rows
            if row["household_id"] == household_id
        },
        booked_elsewhere=frozenset(
            (row["activity_id"], row["day"]) for row in rows if row["household_id"] != household_id and row["booked"]
        ),
        occupation=await _occupation(tx, ids, first, last),
    )


async def _occupation(tx: Transaction, ids: list[UUID], first: date, last: date) -> dict[tuple[UUID, date], int]:
    rows = await tx.fetch(
        "SELECT activity_id, day, booked FROM occupation WHERE activity_id = ANY($1::uuid[]) AND day BETWEEN $2 AND $3",
        ids,
        first,
        last,
    )
    return {(row["activity_id"], row["day"]): row["booked"] for row in rows}


async def save_changes(tx: Transaction, event: BookingsChanged) -> None:
    """Store the days of a change, their history, the places they take or free, and the new version."""
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
    await tx.execute(
        "INSERT INTO booking_change "
        "(household_id, child_id, activity_id, day, booked, channel, changed_by, changed_at) "
        "SELECT $1, $2, d.activity_id, d.day, d.booked, $6, $7, $8 "
        "FROM unnest($3::uuid[], $4::date[], $5::boolean[]) AS d (activity_id, day, booked)",
        event.household_id,
        event.child_id,
        *days,
        event.channel,
        event.changed_by,
        event.changed_at,
    )


def _columns(days: Sequence[BookedDay]) -> tuple[list[UUID], list[date], list[bool]]:
    return [day.activity_id for day in days], [day.day for day in days], [day.booked for day in days]


async def booked_on(tx: Transaction, day: date, activity_id: UUID | None) -> list[tuple[UUID, UUID, UUID]]:
    """Who is booked on a day: household, child and activity, in the order in which children are locked."""
    rows = await tx.fetch(
        "SELECT household_id, child_id, activity_id FROM booking "
        "WHERE day = $1 AND booked AND ($2::uuid IS NULL OR activity_id = $2) ORDER BY child_id, household_id",
        day,
        activity_id,
    )
    return [(row["household_id"], row["child_id"], row["activity_id"]) for row in rows]


async def changes(tx: Transaction, household_id: UUID, child_id: UUID) -> tuple[ActivityChanges, ...]:
    """The newest changes of a child's days, by activity."""
    rows = await tx.fetch(
        "SELECT c.*, a.label FROM booking_change c JOIN activity a USING (activity_id) "
        "WHERE c.household_id = $1 AND c.child_id = $2 ORDER BY c.position DESC LIMIT $3",
        household_id,
        child_id,
        CHANGES_MAX,
    )
    by_activity: dict[tuple[UUID, str], list[Change]] = {}
    for row in rows:
        changed_at: datetime = row["changed_at"]
        change = Change(channel=row["channel"], changed_at=changed_at, day=row["day"], booked=row["booked"])
        by_activity.setdefault((row["activity_id"], row["label"]), []).append(change)
    return tuple(
        ActivityChanges(activity_id=activity_id, label=label, changes=tuple(found))
        for (activity_id, label), found in by_activity.items()
    )
