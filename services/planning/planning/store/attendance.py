"""The sheet of a day, and what was marked on it."""

from collections.abc import Collection
from datetime import date, datetime
from typing import Any
from uuid import UUID

from chassis.database import Transaction
from contracts.api.attendance import AttendanceMark, AttendanceRow

SHEET_MAX = 2000


async def sheet(tx: Transaction, activity_id: UUID, day: date, school: str | None) -> list[AttendanceRow]:
    """Every child enrolled that day, booked or not, and what is marked, by school, class and name.

    A child of two households stands once for each that is enrolled and has the day: booked or marked, or neither has.
    """
    rows = await tx.fetch(
        "SELECT c.household_id, c.child_id, c.first_name, c.last_name, c.school, c.class_name, "
        "coalesce(b.booked, false) AS booked, t.presence, coalesce(t.late_pickup, false) AS late_pickup "
        "FROM household_child c "
        "LEFT JOIN booking b ON b.household_id = c.household_id AND b.child_id = c.child_id "
        "AND b.activity_id = $1 AND b.day = $2 "
        "LEFT JOIN attendance t ON t.household_id = c.household_id AND t.child_id = c.child_id "
        "AND t.activity_id = $1 AND t.day = $2 "
        "WHERE ($3::text IS NULL OR c.school = $3) AND (b.booked OR t.presence IS NOT NULL "
        "OR c.present AND EXISTS (SELECT FROM enrolment e WHERE e.household_id = c.household_id "
        "AND e.child_id = c.child_id AND e.activity_id = $1 AND $2 BETWEEN e.first_day AND e.last_day) "
        "AND NOT EXISTS (SELECT FROM booking o WHERE o.child_id = c.child_id AND o.activity_id = $1 "
        "AND o.day = $2 AND o.booked)) "
        "ORDER BY c.school, c.class_name, c.last_name, c.first_name LIMIT $4",
        activity_id,
        day,
        school,
        SHEET_MAX,
    )
    return [_row(row) for row in rows]


def _row(row: Any) -> AttendanceRow:
    return AttendanceRow(
        household_id=row["household_id"],
        child_id=row["child_id"],
        first_name=row["first_name"],
        last_name=row["last_name"],
        school=row["school"],
        class_name=row["class_name"],
        booked=row["booked"],
        presence=row["presence"],
        late_pickup=row["late_pickup"],
    )


async def schools(tx: Transaction) -> tuple[str, ...]:
    """The schools that children go to."""
    rows = await tx.fetch("SELECT DISTINCT school FROM household_child WHERE present ORDER BY school LIMIT 500")
    return tuple(row["school"] for row in rows)


async def lock_sheet(tx: Transaction, activity_id: UUID, day: date) -> None:
    """Let one set of marks at a time touch a sheet."""
    await tx.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('planning.attendance/' || $1::uuid || '/' || $2::date, 0))",
        activity_id,
        day,
    )


async def mark(
    tx: Transaction, activity_id: UUID, day: date, marks: Collection[AttendanceMark], by: UUID, at: datetime
) -> list[tuple[int, AttendanceMark]]:
    """Keep what changes of the marks: each that did, with the new version of its child's day."""
    found = []
    for each in marks:
        version = await tx.fetchval(
            "INSERT INTO attendance "
            "(activity_id, day, child_id, household_id, presence, late_pickup, version, recorded_by, recorded_at) "
            "VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $8) ON CONFLICT (activity_id, day, child_id) DO UPDATE SET "
            "household_id = $4, presence = $5, late_pickup = $6, version = attendance.version + 1, recorded_by = $7, "
            "recorded_at = $8 "
            "WHERE (attendance.household_id, attendance.presence, attendance.late_pickup) <> ($4, $5, $6) "
            "RETURNING version",
            activity_id,
            day,
            each.child_id,
            each.household_id,
            each.presence,
            each.late_pickup,
            by,
            at,
        )
        if version:
            found.append((version, each))
    return found
