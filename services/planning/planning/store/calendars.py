"""Activities, holidays, closures and enrolments."""

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from chassis.database import Transaction
from contracts.api.planning import ActivityView, ActivityWish, Closure, ClosureWish, EnrolmentWish
from planning.domain.calendar import Calendar


def activity_of(row: Any) -> ActivityView:
    """A row of ``activity`` as its contract model."""
    return ActivityView(
        activity_id=row["activity_id"],
        label=row["label"],
        period=row["period"],
        weekdays=frozenset(row["weekdays"]),
        first_day=row["first_day"],
        last_day=row["last_day"],
        booking_notice=row["booking_notice"],
        cancelling_notice=row["cancelling_notice"],
        capacity=row["capacity"],
        position=row["position"],
    )


async def activities(tx: Transaction) -> list[ActivityView]:
    rows = await tx.fetch("SELECT * FROM activity ORDER BY position, label LIMIT 500")
    return [activity_of(row) for row in rows]


async def save_activity(tx: Transaction, activity_id: UUID, wish: ActivityWish) -> None:
    await tx.execute(
        "INSERT INTO activity (activity_id, label, period, weekdays, first_day, last_day, booking_notice, "
        "cancelling_notice, capacity, position) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) "
        "ON CONFLICT (activity_id) DO UPDATE SET label = $2, period = $3, weekdays = $4, first_day = $5, "
        "last_day = $6, booking_notice = $7, cancelling_notice = $8, capacity = $9, position = $10",
        activity_id,
        wish.label,
        wish.period,
        sorted(wish.weekdays),
        wish.first_day,
        wish.last_day,
        wish.booking_notice.model_dump(mode="json"),
        wish.cancelling_notice.model_dump(mode="json"),
        wish.capacity,
        wish.position,
    )


async def calendar(tx: Transaction, zone: str, first: date, last: date) -> Calendar:
    """The town's calendar between two days, with some days before them for deadlines."""
    school = await tx.fetch(
        "SELECT day, label FROM school_holiday WHERE zone = $1 AND day BETWEEN $2 AND $3", zone, first, last
    )
    public = await tx.fetch(
        "SELECT day, label FROM public_holiday WHERE day BETWEEN $1::date - 120 AND $2", first, last
    )
    closed = await tx.fetch("SELECT day, activity_id, reason FROM closure WHERE day BETWEEN $1 AND $2", first, last)
    return Calendar(
        {row["day"]: row["label"] for row in school},
        {row["day"]: row["label"] for row in public},
        {(row["day"], row["activity_id"]): row["reason"] for row in closed},
    )


async def add_holidays(
    tx: Transaction, school: Sequence[tuple[str, date, str]], public: Sequence[tuple[date, str]]
) -> None:
    """Fill in days that are not known yet; what staff corrected stays."""
    await tx.executemany(
        "INSERT INTO school_holiday (zone, day, label) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", school
    )
    await tx.executemany("INSERT INTO public_holiday (day, label) VALUES ($1, $2) ON CONFLICT DO NOTHING", public)


async def add_closure(tx: Transaction, wish: ClosureWish) -> bool:
    """Close a day; False when it was closed already, for the same activity or for all."""
    inserted = await tx.fetchval(
        "INSERT INTO closure (day, activity_id, reason) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING true",
        wish.day,
        wish.activity_id,
        wish.reason,
    )
    return bool(inserted)


async def closures(tx: Transaction, first: date) -> list[Closure]:
    rows = await tx.fetch("SELECT * FROM closure WHERE day >= $1 ORDER BY day LIMIT 1000", first)
    return [Closure(day=row["day"], reason=row["reason"], activity_id=row["activity_id"]) for row in rows]


async def save_enrolment(
    tx: Transaction, household_id: UUID, child_id: UUID, activity_id: UUID, wish: EnrolmentWish
) -> None:
    await tx.execute(
        "INSERT INTO enrolment (household_id, child_id, activity_id, first_day, last_day) VALUES ($1, $2, $3, $4, $5) "
        "ON CONFLICT (household_id, child_id, activity_id) DO UPDATE SET first_day = $4, last_day = $5",
        household_id,
        child_id,
        activity_id,
        wish.first_day,
        wish.last_day,
    )
