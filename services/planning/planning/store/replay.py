"""What planning told until now, told again from what it keeps: every change of bookings, then every attendance."""

from collections.abc import AsyncIterator
from typing import Any

from chassis.database import Transaction
from contracts.events import Event
from contracts.events.planning import AttendanceRecorded, BookedDay, BookingsChanged

_CHANGES = (
    "SELECT c.*, k.first_name, a.label FROM booking_change c JOIN household_child k USING (household_id, child_id) "
    "JOIN activity a USING (activity_id) WHERE NOT c.waiting "
    "ORDER BY c.household_id, c.child_id, c.version, c.position"
)
_ATTENDANCE = (
    "SELECT t.*, k.first_name, a.label, coalesce(b.booked, false) AS booked FROM attendance t "
    "JOIN household_child k USING (household_id, child_id) JOIN activity a USING (activity_id) "
    "LEFT JOIN booking b USING (household_id, child_id, activity_id, day) ORDER BY t.day, t.activity_id, t.child_id"
)


async def told(tx: Transaction) -> AsyncIterator[Event]:
    """The events, those of a child of a household in their order; names are as they are today."""
    rows: list[Any] = []
    async for row in tx.cursor(_CHANGES, prefetch=500):
        if rows and _change(rows[0]) != _change(row):
            yield _bookings(rows)
            rows = []
        rows.append(row)
    if rows:
        yield _bookings(rows)
    async for row in tx.cursor(_ATTENDANCE, prefetch=500):
        yield _attendance(row)


def _change(row: Any) -> tuple[Any, ...]:
    return row["household_id"], row["child_id"], row["version"]


def _bookings(rows: list[Any]) -> BookingsChanged:
    first = rows[0]
    return BookingsChanged(
        household_id=first["household_id"],
        child_id=first["child_id"],
        child_first_name=first["first_name"],
        version=first["version"],
        channel=first["channel"],
        changed_by=first["changed_by"],
        changed_at=first["changed_at"],
        days=tuple(
            BookedDay(activity_id=row["activity_id"], activity_label=row["label"], day=row["day"], booked=row["booked"])
            for row in rows
        ),
    )


def _attendance(row: Any) -> AttendanceRecorded:
    return AttendanceRecorded(
        household_id=row["household_id"],
        child_id=row["child_id"],
        child_first_name=row["first_name"],
        activity_id=row["activity_id"],
        activity_label=row["label"],
        day=row["day"],
        presence=row["presence"],
        late_pickup=row["late_pickup"],
        booked=row["booked"],
        version=row["version"],
        recorded_by=row["recorded_by"],
        recorded_at=row["recorded_at"],
    )
