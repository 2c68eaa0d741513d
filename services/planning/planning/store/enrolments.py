"""Which activities a child may book, from when until when, and who said so."""

from collections import defaultdict
from datetime import date, datetime
from typing import Any
from uuid import UUID

from chassis.database import Transaction
from contracts.api.enrolments import Enrolment, EnrolmentRequest
from contracts.events.planning import Channel
from planning.store.households import DayLeft

_ENROLMENTS = (
    "SELECT e.*, a.label, c.channel, c.changed_at FROM enrolment e JOIN activity a USING (activity_id) "
    "LEFT JOIN LATERAL (SELECT channel, changed_at FROM enrolment_change h WHERE h.household_id = e.household_id "
    "AND h.child_id = e.child_id AND h.activity_id = e.activity_id ORDER BY position DESC LIMIT 1) c ON true "
    "WHERE e.household_id = $1 "
)


def _enrolment(row: Any) -> Enrolment:
    return Enrolment(
        activity_id=row["activity_id"],
        activity_label=row["label"],
        first_day=row["first_day"],
        last_day=row["last_day"],
        version=row["version"],
        channel=row["channel"],
        changed_at=row["changed_at"],
    )


async def of_household(tx: Transaction, household_id: UUID) -> dict[UUID, dict[UUID, Enrolment]]:
    """A household's enrolments by child and activity, in the town's order."""
    found: dict[UUID, dict[UUID, Enrolment]] = defaultdict(dict)
    for row in await tx.fetch(f"{_ENROLMENTS} ORDER BY a.position, a.label", household_id):
        found[row["child_id"]][row["activity_id"]] = _enrolment(row)
    return found


async def enrolment(tx: Transaction, household_id: UUID, child_id: UUID, activity_id: UUID) -> Enrolment | None:
    row = await tx.fetchrow(
        f"{_ENROLMENTS} AND e.child_id = $2 AND e.activity_id = $3", household_id, child_id, activity_id
    )
    return _enrolment(row) if row else None


async def save(tx: Transaction, household_id: UUID, child_id: UUID, activity_id: UUID, body: EnrolmentRequest) -> int:
    """Keep an enrolment, in place of the one before; its version."""
    version: int = await tx.fetchval(
        "INSERT INTO enrolment AS e (household_id, child_id, activity_id, first_day, last_day) "
        "VALUES ($1, $2, $3, $4, $5) ON CONFLICT (household_id, child_id, activity_id) "
        "DO UPDATE SET first_day = $4, last_day = $5, version = e.version + 1 RETURNING version",
        household_id,
        child_id,
        activity_id,
        body.first_day,
        body.last_day,
    )
    return version


async def add_change(
    tx: Transaction, household_id: UUID, child_id: UUID, activity_id: UUID, *, channel: Channel, by: UUID, at: datetime
) -> None:
    """Write down who made the enrolment what it is now."""
    await tx.execute(
        "INSERT INTO enrolment_change "
        "(household_id, child_id, activity_id, first_day, last_day, version, channel, changed_by, changed_at) "
        "SELECT household_id, child_id, activity_id, first_day, last_day, version, $4, $5, $6 FROM enrolment "
        "WHERE household_id = $1 AND child_id = $2 AND activity_id = $3",
        household_id,
        child_id,
        activity_id,
        channel,
        by,
        at,
    )


async def days_outside(
    tx: Transaction, household_id: UUID, child_id: UUID, activity_id: UUID, body: EnrolmentRequest, today: date
) -> list[DayLeft]:
    """The days after today that are booked or waited for, and that the wished dates do not cover."""
    rows = await tx.fetch(
        "SELECT d.*, c.first_name, a.label FROM ("
        "SELECT household_id, child_id, activity_id, day, false AS waits FROM booking WHERE booked UNION ALL "
        "SELECT household_id, child_id, activity_id, day, true FROM waiting) d "
        "JOIN household_child c USING (household_id, child_id) JOIN activity a USING (activity_id) "
        "WHERE household_id = $1 AND child_id = $2 AND activity_id = $3 AND day > $6 AND day NOT BETWEEN $4 AND $5 "
        "ORDER BY day",
        household_id,
        child_id,
        activity_id,
        body.first_day,
        body.last_day,
        today,
    )
    return [DayLeft.of(row) for row in rows]
