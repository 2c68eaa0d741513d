"""Households' children, as auth tells of them, and whose days are whose."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from chassis.database import Transaction
from contracts.api.enrolments import ChildView
from contracts.events.auth import HouseholdChanged, Span

ERASED = "(effacé)"
DAYS_LEFT_MAX = 500
"""How many days are freed in one transaction, while nobody books."""


@dataclass(frozen=True)
class DayLeft:
    """A day to come of a child that cannot keep it: booked, or waited for."""

    household_id: UUID
    child_id: UUID
    child_first_name: str
    activity_id: UUID
    activity_label: str
    day: date
    waits: bool

    @classmethod
    def of(cls, row: Any) -> "DayLeft":
        """A row with ``first_name``, ``label`` and the rest by the fields' names."""
        ids = {name: row[name] for name in ("household_id", "child_id", "activity_id", "day", "waits")}
        return cls(**ids, child_first_name=row["first_name"], activity_label=row["label"])


async def save_household(tx: Transaction, event: HouseholdChanged) -> None:
    """Keep a household's children as the event tells them, unless a newer one was heard before.

    Wakes ``free_leaving`` when it is closed, or a child is no longer its own.
    """
    is_newer = await tx.fetchval(
        "INSERT INTO household (household_id, version, erased, active) VALUES ($1, $2, $3, $4) "
        "ON CONFLICT (household_id) DO UPDATE SET version = $2, erased = $3, active = $4 "
        "WHERE household.version < $2 RETURNING true",
        event.household_id,
        event.version,
        event.erased,
        event.active,
    )
    if not is_newer:
        return
    await tx.execute(
        "SELECT FROM household_child WHERE household_id = $1 ORDER BY child_id FOR UPDATE", event.household_id
    )
    await tx.execute("UPDATE household_child SET present = false WHERE household_id = $1", event.household_id)
    await tx.executemany(
        "INSERT INTO household_child (household_id, child_id, first_name, last_name, school, class_name, custody, "
        "position, custody_days) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) "
        "ON CONFLICT (household_id, child_id) DO UPDATE SET first_name = $3, last_name = $4, school = $5, "
        "class_name = $6, custody = $7, position = $8, custody_days = $9, present = true",
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
                [[each.first_day.isoformat(), each.last_day.isoformat()] for each in child.custody_days],
            )
            for position, child in enumerate(event.children)
        ],
    )
    await tx.execute(
        "SELECT pg_notify('household_left', '') WHERE EXISTS (SELECT FROM day_of_who_left WHERE household_id = $1)",
        event.household_id,
    )


async def erase(tx: Transaction, household_id: UUID) -> None:
    """Forget who a household's children are; days and their history stay, without a name."""
    await tx.execute(
        "UPDATE household_child SET first_name = $2, last_name = $2, school = $2, class_name = $2, custody = 'free', "
        "custody_days = '[]' WHERE household_id = $1",
        household_id,
        ERASED,
    )
    await tx.execute("DELETE FROM waiting WHERE household_id = $1 AND offered_until IS NULL", household_id)
    for table in ("enrolment", "feed", "residence_from"):
        await tx.execute(f"DELETE FROM {table} WHERE household_id = $1", household_id)  # noqa: S608 - our names
    await tx.execute(
        "DELETE FROM idempotency_key WHERE scope = ANY($1)",
        [f"{command}/{household_id}" for command in ("bookings", "accept", "decline", "plans", "undo")],
    )


async def slots_left(tx: Transaction, today: date) -> list[tuple[UUID, date]]:
    """The slots after today that children who left have booked."""
    rows = await tx.fetch("SELECT DISTINCT activity_id, day FROM day_of_who_left WHERE NOT waits AND day > $1", today)
    return [(row["activity_id"], row["day"]) for row in rows]


async def days_left(tx: Transaction, today: date, slots: Collection[tuple[UUID, date]]) -> list[DayLeft]:
    """Some of the days after today that children who left wait for, or have booked on one of ``slots``."""
    rows = await tx.fetch(
        "SELECT * FROM day_of_who_left WHERE day > $1 AND (waits OR (activity_id, day) IN "
        "(SELECT * FROM unnest($2::uuid[], $3::date[]))) ORDER BY child_id, household_id, day, activity_id LIMIT $4",
        today,
        [slot[0] for slot in slots],
        [slot[1] for slot in slots],
        DAYS_LEFT_MAX,
    )
    return [DayLeft.of(row) for row in rows]


def spans_of(days: Any) -> tuple[Span, ...]:
    """The spans of a row."""
    return tuple(Span(first_day=first, last_day=last) for first, last in days)


CHILD = (
    "SELECT c.*, EXISTS (SELECT FROM enrolment e WHERE e.household_id = c.household_id AND e.child_id = c.child_id) "
    "AS enrolled FROM household_child c WHERE c.household_id = $1 AND c.present"
)


def child_of(row: Any, *, enrolled: bool) -> ChildView:
    return ChildView(
        child_id=row["child_id"],
        first_name=row["first_name"],
        last_name=row["last_name"],
        school=row["school"],
        class_name=row["class_name"],
        custody=row["custody"],
        enrolled=enrolled,
    )


async def children(tx: Transaction, household_id: UUID) -> list[ChildView]:
    return [
        child_of(row, enrolled=row["enrolled"]) for row in await tx.fetch(f"{CHILD} ORDER BY c.position", household_id)
    ]


async def child(tx: Transaction, household_id: UUID, child_id: UUID) -> ChildView | None:
    row = await tx.fetchrow(f"{CHILD} AND c.child_id = $2", household_id, child_id)
    return child_of(row, enrolled=row["enrolled"]) if row else None


async def lock_children(tx: Transaction, child_ids: Collection[UUID]) -> None:
    """Let one change at a time touch a child's days, whichever of its households asks; always after the places."""
    await tx.execute(
        "SELECT FROM household_child WHERE child_id = ANY($1::uuid[]) ORDER BY child_id, household_id FOR UPDATE",
        list(child_ids),
    )


async def next_version(tx: Transaction, household_id: UUID, child_id: UUID) -> int:
    """The version of a change that is about to be made, kept; the child is locked by it."""
    version: int = await tx.fetchval(
        "UPDATE household_child SET bookings_version = bookings_version + 1 "
        "WHERE household_id = $1 AND child_id = $2 RETURNING bookings_version",
        household_id,
        child_id,
    )
    return version
