"""Households, tariffs, and the days to invoice."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from billing.domain.invoicing import Tariff, Usage
from chassis.database import Transaction
from contracts.api.billing import TariffWish
from contracts.events.auth import HouseholdChanged
from contracts.events.planning import BookingsChanged


async def save_household(tx: Transaction, event: HouseholdChanged) -> None:
    """Keep a household as told, unless a newer version was heard before."""
    await tx.execute(
        "INSERT INTO household (household_id, version, reference, name, address) VALUES ($1, $2, $3, $4, $5) "
        "ON CONFLICT (household_id) DO UPDATE SET version = $2, reference = $3, name = $4, address = $5 "
        "WHERE household.version < $2",
        event.household_id,
        event.version,
        event.reference,
        event.name,
        list(event.address),
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


async def save_tariff(tx: Transaction, activity_id: UUID, wish: TariffWish) -> None:
    await tx.execute(
        "INSERT INTO tariff (activity_id, valid_from, activity_label, unit_price_cents) VALUES ($1, $2, $3, $4) "
        "ON CONFLICT (activity_id, valid_from) DO UPDATE SET activity_label = $3, unit_price_cents = $4",
        activity_id,
        wish.valid_from,
        wish.activity_label,
        wish.unit_price_cents,
    )


async def tariffs(tx: Transaction) -> dict[UUID, list[Tariff]]:
    found: dict[UUID, list[Tariff]] = defaultdict(list)
    for row in await tx.fetch("SELECT activity_id, valid_from, unit_price_cents FROM tariff"):
        found[row["activity_id"]].append(Tariff(row["valid_from"], row["unit_price_cents"]))
    return found


_TO_INVOICE = (
    "SELECT u.* FROM usage u JOIN household h USING (household_id) WHERE u.booked <> u.invoiced AND u.day <= $1 "
    "ORDER BY h.reference, u.child_id, u.activity_id, u.day"
)


async def usages_to_invoice(tx: Transaction, until: date) -> list[Usage]:
    """The days up to ``until`` whose invoices do not tell the truth yet, for households that are known."""
    return _usages(await tx.fetch(_TO_INVOICE, until))


async def usages_to_invoice_for_update(tx: Transaction, until: date) -> list[Usage]:
    """The same, locked for a run."""
    return _usages(await tx.fetch(f"{_TO_INVOICE} FOR UPDATE OF u", until))


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
        )
        for row in rows
    ]


async def mark_invoiced(tx: Transaction, days: Sequence[tuple[Usage, int]]) -> None:
    """Note that the invoices now say what is booked, and at which price."""
    await tx.executemany(
        "UPDATE usage SET invoiced = $5, invoiced_price_cents = $6 "
        "WHERE household_id = $1 AND child_id = $2 AND activity_id = $3 AND day = $4",
        [
            (
                usage.household_id,
                usage.child_id,
                usage.activity_id,
                usage.day,
                usage.booked,
                cents if usage.booked else None,
            )
            for usage, cents in days
        ],
    )
