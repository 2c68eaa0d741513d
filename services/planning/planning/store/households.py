"""Households' children, as auth tells of them, and whose days are whose."""

from collections.abc import Collection
from datetime import date
from typing import Any
from uuid import UUID

from chassis.database import Transaction
from contracts.api.planning import ChildView
from contracts.events.auth import HouseholdChanged


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
    await tx.execute(
        "SELECT FROM household_child WHERE household_id = $1 ORDER BY child_id FOR UPDATE", event.household_id
    )
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


CHILD = (
    "SELECT c.*, EXISTS (SELECT FROM enrolment e WHERE e.household_id = c.household_id AND e.child_id = c.child_id) "
    "AS enrolled FROM household_child c WHERE c.household_id = $1 AND c.present"
)


def child_of(row: Any) -> ChildView:
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
    return [child_of(row) for row in await tx.fetch(f"{CHILD} ORDER BY c.position", household_id)]


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


async def save_custody_days(tx: Transaction, household_id: UUID, child_id: UUID, days: Collection[date]) -> bool:
    """Give days of a child to one of its households by name; False when that is not one of them."""
    is_theirs = await tx.fetchval(
        "SELECT true FROM household_child WHERE household_id = $1 AND child_id = $2 AND present", household_id, child_id
    )
    if not is_theirs:
        return False
    await tx.execute(
        "INSERT INTO custody_day (child_id, day, household_id) SELECT $1, unnest($2::date[]), $3 "
        "ON CONFLICT (child_id, day) DO UPDATE SET household_id = $3",
        child_id,
        sorted(days),
        household_id,
    )
    return True
