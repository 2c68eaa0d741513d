"""Activities, holidays and closures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from chassis.database import Transaction
from contracts.api.calendar import ActivityRequest, ActivityView, Closure, ClosureRequest, SchoolDayRequest
from contracts.names import name_key
from planning.domain.calendar import Calendar

KEPT_MAX = 4


@dataclass(frozen=True)
class Year:
    """What the town has decided of its year: the calendar, and the activities by their ids."""

    calendar: Calendar
    activities: Mapping[UUID, ActivityView]


_READ: dict[tuple[UUID, str], Year] = {}
"""Years by the version they were read under, which is drawn anew with each change and never comes again."""


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
        school_capacities=row["school_capacities"],
        position=row["position"],
        days=frozenset(row["days"]),
        schools=frozenset(row["schools"]),
        opens_at=row["opens_at"],
        siblings_first=row["siblings_first"],
        residents_first=row["residents_first"],
        offer_hours=row["offer_hours"],
    )


async def activities(tx: Transaction) -> list[ActivityView]:
    rows = await tx.fetch("SELECT * FROM activity ORDER BY position, label LIMIT 500")
    return [activity_of(row) for row in rows]


async def activity(tx: Transaction, activity_id: UUID) -> ActivityView | None:
    row = await tx.fetchrow("SELECT * FROM activity WHERE activity_id = $1", activity_id)
    return activity_of(row) if row else None


async def save_activity(tx: Transaction, activity_id: UUID, request: ActivityRequest) -> None:
    """Keep an activity as wished; with a capacity, its booked days get their rows of places."""
    await tx.execute(
        "INSERT INTO activity (activity_id, label, period, weekdays, first_day, last_day, booking_notice, "
        "cancelling_notice, capacity, position, days, schools, opens_at, siblings_first, school_capacities, "
        "residents_first, offer_hours) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) "
        "ON CONFLICT (activity_id) DO UPDATE SET label = $2, period = $3, weekdays = $4, first_day = $5, "
        "last_day = $6, booking_notice = $7, cancelling_notice = $8, capacity = $9, position = $10, days = $11, "
        "schools = $12, opens_at = $13, siblings_first = $14, school_capacities = $15, residents_first = $16, "
        "offer_hours = $17",
        activity_id,
        request.label,
        request.period,
        sorted(request.weekdays),
        request.first_day,
        request.last_day,
        request.booking_notice.model_dump(mode="json"),
        request.cancelling_notice.model_dump(mode="json"),
        request.capacity,
        request.position,
        sorted(request.days),
        sorted(request.schools),
        request.opens_at,
        request.siblings_first,
        request.school_capacities,
        request.residents_first,
        request.offer_hours,
    )
    if request.capacity is not None or request.school_capacities:
        await tx.execute(
            "INSERT INTO occupation (activity_id, day, booked) SELECT activity_id, day, count(*) FROM booking "
            "WHERE activity_id = $1 AND booked GROUP BY 1, 2 ON CONFLICT DO NOTHING",
            activity_id,
        )


async def calendar(tx: Transaction, zone: str) -> Calendar:
    """The town's calendar as it stands."""
    return (await this_year(tx, zone)).calendar


async def this_year(tx: Transaction, zone: str) -> Year:
    """The town's year as it stands."""
    return await year(tx, zone, await tx.fetchval("SELECT version FROM calendar_version"))


async def year(tx: Transaction, zone: str, version: UUID) -> Year:
    """The town's year of a version that was just seen, read again only when it is not known: no question otherwise."""
    known = _READ.get((version, zone))
    if known is None:
        rows = await tx.fetch("SELECT * FROM activity")
        known = Year(await _read(tx, zone), {row["activity_id"]: activity_of(row) for row in rows})
        if len(_READ) >= KEPT_MAX:
            _READ.clear()
        _READ[version, zone] = known
    return known


async def _read(tx: Transaction, zone: str) -> Calendar:
    school = await tx.fetch(
        "SELECT day, label FROM school_holiday WHERE zone = $1 AND day NOT IN (SELECT day FROM school_day) "
        "UNION ALL SELECT day, holiday FROM school_day WHERE holiday IS NOT NULL",
        zone,
    )
    public = await tx.fetch("SELECT day, label FROM public_holiday")
    closed = await tx.fetch("SELECT day, activity_id, school, reason FROM closure")
    return Calendar(
        {row["day"]: row["label"] for row in school},
        {row["day"]: row["label"] for row in public},
        {(row["day"], row["activity_id"], _key(row["school"])): row["reason"] for row in closed},
        await tx.fetchval("SELECT max(day) FROM school_holiday WHERE zone = $1", zone),
    )


async def save_school_day(tx: Transaction, day: date, request: SchoolDayRequest) -> None:
    """Keep what a decree says of a day; it outranks the published calendar."""
    await tx.execute(
        "INSERT INTO school_day (day, holiday) VALUES ($1, $2) ON CONFLICT (day) DO UPDATE SET holiday = $2",
        day,
        request.holiday,
    )


async def add_holidays(
    tx: Transaction, school: Sequence[tuple[str, date, str]], public: Sequence[tuple[date, str]]
) -> None:
    """Fill in days that are not known yet."""
    zones, days, labels = zip(*school, strict=True) if school else ((), (), ())
    await tx.execute(
        "INSERT INTO school_holiday (zone, day, label) SELECT * FROM unnest($1::text[], $2::date[], $3::text[]) "
        "ON CONFLICT DO NOTHING",
        zones,
        days,
        labels,
    )
    days, labels = zip(*public, strict=True) if public else ((), ())
    await tx.execute(
        "INSERT INTO public_holiday (day, label) SELECT * FROM unnest($1::date[], $2::text[]) ON CONFLICT DO NOTHING",
        days,
        labels,
    )


async def holidays_until(tx: Transaction) -> tuple[date, date]:
    """The last school holiday and the last public one that are known; ``date.min`` when there is none."""
    row = await tx.fetchrow(
        "SELECT (SELECT max(day) FROM school_holiday) AS school, (SELECT max(day) FROM public_holiday) AS public"
    )
    assert row is not None, "a row of aggregates is always there"
    return row["school"] or date.min, row["public"] or date.min


def _key(school: str | None) -> str | None:
    return None if school is None else name_key(school)


async def add_closure(tx: Transaction, request: ClosureRequest) -> bool:
    """Close a day; False when it was closed already, for the same activity and school: its reason is the new one."""
    inserted = await tx.fetchval(
        "INSERT INTO closure (day, activity_id, school, reason) VALUES ($1, $2, $3, $4) "
        "ON CONFLICT (day, activity_id, school) DO UPDATE SET reason = EXCLUDED.reason RETURNING xmax = 0",
        request.day,
        request.activity_id,
        request.school,
        request.reason,
    )
    return bool(inserted)


async def closures(tx: Transaction, first: date) -> list[Closure]:
    rows = await tx.fetch("SELECT * FROM closure WHERE day >= $1 ORDER BY day LIMIT 1000", first)
    return [
        Closure(day=row["day"], reason=row["reason"], activity_id=row["activity_id"], school=row["school"])
        for row in rows
    ]
