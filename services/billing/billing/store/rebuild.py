"""Usage built anew from everything that planning told; what was invoiced stays as it is."""

from collections.abc import Iterable
from dataclasses import dataclass

from billing.store import usages
from chassis.database import Transaction
from contracts.events import Event
from contracts.events.planning import AttendanceRecorded, BookingsChanged

_NEWER = (
    "SELECT count(*) FROM usage_before_rebuild k WHERE k.version > (SELECT coalesce(max(u.version), 0) FROM usage u "
    "WHERE u.household_id = k.household_id AND u.child_id = k.child_id) "
    "OR k.attendance_version > (SELECT coalesce(max(u.attendance_version), 0) FROM usage u "
    "WHERE u.child_id = k.child_id AND u.activity_id = k.activity_id AND u.day = k.day AND u.presence IS NOT NULL)"
)
_DIFFERENT = (
    "SELECT count(*) FROM usage_before_rebuild k FULL JOIN usage u USING (household_id, child_id, activity_id, day) "
    "WHERE k.basis IS DISTINCT FROM u.basis OR coalesce(k.version, 0) <> coalesce(u.version, 0) "
    "OR coalesce(k.attendance_version, 0) <> coalesce(u.attendance_version, 0)"
)


@dataclass(frozen=True)
class Rebuilt:
    """How many events made how many days; how many are not as they were, and how many were known by news that the
    events do not hold, because they were written down too early.
    """

    events: int
    days: int
    different: int
    newer: int


async def rebuild_usage(tx: Transaction, events: Iterable[Event]) -> Rebuilt:
    """Forget all that planning told, then hear these events as the listeners do, while nobody else writes days.

    ``ValueError`` for an event that says nothing of usage.
    """
    await tx.execute("LOCK TABLE usage IN EXCLUSIVE MODE")
    await tx.execute(
        "INSERT INTO usage_before_rebuild "
        "SELECT household_id, child_id, activity_id, day, basis, version, attendance_version FROM usage"
    )
    await tx.execute(
        "UPDATE usage SET booked = false, version = 0, presence = NULL, late_pickup = false, attendance_version = 0"
    )
    count = 0
    for event in events:
        await _hear(tx, event)
        count += 1
    await tx.execute(
        "DELETE FROM usage WHERE version = 0 AND presence IS NULL AND seen_as IS NULL AND invoice_id IS NULL"
    )
    rebuilt = Rebuilt(
        events=count,
        days=await tx.fetchval("SELECT count(*) FROM usage WHERE version > 0 OR presence IS NOT NULL"),
        different=await tx.fetchval(_DIFFERENT),
        newer=await tx.fetchval(_NEWER),
    )
    await tx.execute("DELETE FROM usage_before_rebuild")
    return rebuilt


async def _hear(tx: Transaction, event: Event) -> None:
    match event:
        case BookingsChanged():
            await usages.save_usage(tx, event)
        case AttendanceRecorded():
            await usages.save_attendance(tx, event)
        case _:
            raise ValueError(f"{event.type} says nothing of usage")
