"""Households and the days to invoice."""

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from billing.domain.invoicing import Usage
from chassis.database import Transaction
from contracts.events.auth import HouseholdChanged
from contracts.events.planning import BookingsChanged


async def save_household(tx: Transaction, event: HouseholdChanged) -> None:
    """Keep a household and its children as told, unless a newer version was heard before."""
    is_news = await tx.fetchval(
        "INSERT INTO household (household_id, version, reference, name, address) VALUES ($1, $2, $3, $4, $5) "
        "ON CONFLICT (household_id) DO UPDATE SET version = $2, reference = $3, name = $4, address = $5 "
        "WHERE household.version < $2 RETURNING true",
        event.household_id,
        event.version,
        event.reference,
        event.name,
        list(event.address),
    )
    if not is_news:
        return
    await tx.execute("UPDATE child SET is_present = false WHERE household_id = $1", event.household_id)
    await tx.executemany(
        "INSERT INTO child (household_id, child_id, first_name, last_name, birth_date, school, is_present) "
        "VALUES ($1, $2, $3, $4, $5, $6, true) ON CONFLICT (household_id, child_id) DO UPDATE "
        "SET first_name = $3, last_name = $4, birth_date = $5, school = $6, is_present = true",
        [
            (event.household_id, child.child_id, child.first_name, child.last_name, child.birth_date, child.school)
            for child in event.children
        ],
    )


async def save_usage(tx: Transaction, event: BookingsChanged) -> None:
    """Keep each day as told with the highest version; the order and number of tellings change nothing."""
    await tx.executemany(
        "INSERT INTO usage (household_id, child_id, activity_id, day, booked, version, child_first_name, "
        "activity_label) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) "
        "ON CONFLICT (household_id, child_id, activity_id, day) DO UPDATE SET booked = $5, version = $6, "
        "child_first_name = $7, activity_label = $8 WHERE usage.version < $6",
        [
            (
                event.household_id,
                event.child_id,
                day.activity_id,
                day.day,
                day.booked,
                event.version,
                event.child_first_name,
                day.activity_label,
            )
            for day in sorted(event.days, key=lambda day: (day.activity_id, day.day))
        ],
    )


async def waiting(tx: Transaction, until: date) -> tuple[int, int]:
    """How many households and days up to ``until`` wait to be invoiced."""
    row = await tx.fetchrow(
        "SELECT count(DISTINCT u.household_id) AS households, count(*) AS days FROM usage u "
        "JOIN household h USING (household_id) WHERE u.booked <> u.invoiced AND u.day <= $1",
        until,
    )
    assert row is not None, "an aggregate always has a row"
    return row["households"], row["days"]


async def households_waiting(tx: Transaction, until: date, after: UUID, limit: int) -> list[UUID]:
    """The next households, by id, with days up to ``until`` whose invoices do not tell the truth yet."""
    rows = await tx.fetch(
        "SELECT h.household_id FROM household h WHERE h.household_id > $2 AND EXISTS (SELECT FROM usage u "
        "WHERE u.household_id = h.household_id AND u.booked <> u.invoiced AND u.day <= $1) "
        "ORDER BY h.household_id LIMIT $3",
        until,
        after,
        limit,
    )
    return [row["household_id"] for row in rows]


_TO_INVOICE = (
    "SELECT * FROM usage WHERE household_id = ANY($1::uuid[]) AND booked <> invoiced AND day <= $2 "
    "ORDER BY household_id, child_id, activity_id, day"
)


async def to_invoice(tx: Transaction, household_ids: Sequence[UUID], until: date) -> list[Usage]:
    """The days of some households that wait to be invoiced."""
    return _usages(await tx.fetch(_TO_INVOICE, household_ids, until))


async def to_invoice_for_update(tx: Transaction, household_ids: Sequence[UUID], until: date) -> list[Usage]:
    """The same, locked: who else wants to invoice them waits, then finds nothing left."""
    return _usages(await tx.fetch(f"{_TO_INVOICE} FOR UPDATE", household_ids, until))


_INVOICED = "SELECT * FROM usage WHERE household_id = $1 AND booked AND invoiced ORDER BY child_id, activity_id, day"


async def invoiced(tx: Transaction, household_id: UUID) -> list[Usage]:
    """The days of a household that are booked and on an invoice."""
    return _usages(await tx.fetch(_INVOICED, household_id))


async def invoiced_for_update(tx: Transaction, household_id: UUID) -> list[Usage]:
    """The same, locked."""
    return _usages(await tx.fetch(f"{_INVOICED} FOR UPDATE", household_id))


def _usages(rows: Sequence[Any]) -> list[Usage]:
    return [
        Usage(
            row["household_id"],
            row["child_id"],
            row["activity_id"],
            row["day"],
            row["booked"],
            row["child_first_name"],
            row["activity_label"],
            row["invoiced_price_cents"],
            row["invoice_id"],
        )
        for row in rows
    ]


async def mark_invoiced(tx: Transaction, days: Sequence[tuple[Usage, int, UUID]]) -> None:
    """Note that the invoices now say what is booked, at which price and on which of them."""
    await tx.execute(
        "UPDATE usage u SET invoiced = u.booked, invoiced_price_cents = CASE WHEN u.booked THEN n.cents END, "
        "invoice_id = CASE WHEN u.booked THEN n.invoice_id END "
        "FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::date[], $5::bigint[], $6::uuid[]) "
        "AS n (household_id, child_id, activity_id, day, cents, invoice_id) "
        "WHERE u.household_id = n.household_id AND u.child_id = n.child_id AND u.activity_id = n.activity_id "
        "AND u.day = n.day",
        [usage.household_id for usage, _, _ in days],
        [usage.child_id for usage, _, _ in days],
        [usage.activity_id for usage, _, _ in days],
        [usage.day for usage, _, _ in days],
        [cents for _, cents, _ in days],
        [invoice_id for _, _, invoice_id in days],
    )
