"""Households and the days to invoice."""

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from billing.domain.attendance import Basis
from billing.domain.invoicing import Invoiced, Usage
from chassis.database import Transaction
from contracts.events.auth import Custody, HouseholdChanged
from contracts.events.planning import AttendanceRecorded, BookingsChanged


async def save_household(tx: Transaction, event: HouseholdChanged) -> None:
    """Keep a household and its children as told, unless a newer version was heard before."""
    is_news = await tx.fetchval(
        "INSERT INTO household (household_id, version, reference, name, address, erased) "
        "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (household_id) "
        "DO UPDATE SET version = $2, reference = $3, name = $4, address = $5, erased = $6 "
        "WHERE household.version < $2 RETURNING true",
        event.household_id,
        event.version,
        event.reference,
        event.name,
        list(event.address),
        event.erased,
    )
    if not is_news:
        return
    if event.erased:
        await _erase(tx, event.household_id)
    await tx.execute("UPDATE child SET is_present = false WHERE household_id = $1", event.household_id)
    await tx.executemany(
        "INSERT INTO child (household_id, child_id, first_name, last_name, birth_date, school, alternating, "
        "is_present) VALUES ($1, $2, $3, $4, $5, $6, $7, true) ON CONFLICT (household_id, child_id) DO UPDATE "
        "SET first_name = $3, last_name = $4, birth_date = $5, school = $6, alternating = $7, is_present = true",
        [
            (
                event.household_id,
                child.child_id,
                child.first_name,
                child.last_name,
                child.birth_date,
                child.school,
                child.custody in {Custody.EVEN_WEEKS, Custody.ODD_WEEKS},
            )
            for child in event.children
        ],
    )


ERASED = "(effacé)"


async def _erase(tx: Transaction, household_id: UUID) -> None:
    """Forget who the children are: documents keep what they say, and days stay without a name.

    The order of their births stays, for it makes the price of days that are not invoiced yet; the dates do not.
    """
    await tx.execute(
        "UPDATE child SET first_name = $2, last_name = $2, school = $2, birth_date = date '1900-01-01' + rank::integer "
        "FROM (SELECT child_id, row_number() OVER (ORDER BY birth_date, child_id) AS rank FROM child "
        "WHERE household_id = $1) known WHERE child.household_id = $1 AND child.child_id = known.child_id",
        household_id,
        ERASED,
    )
    await tx.execute("UPDATE usage SET child_first_name = $2 WHERE household_id = $1", household_id, ERASED)


async def _name(tx: Transaction, household_id: UUID, first_name: str) -> str:
    """The child's name as it may be kept."""
    is_erased = await tx.fetchval("SELECT erased FROM household WHERE household_id = $1", household_id)
    return ERASED if is_erased else first_name


async def invoice_ids(tx: Transaction, household_id: UUID) -> list[UUID]:
    rows = await tx.fetch("SELECT invoice_id FROM invoice WHERE household_id = $1", household_id)
    return [row["invoice_id"] for row in rows]


async def save_usage(tx: Transaction, event: BookingsChanged) -> None:
    """Keep each day as told with the highest version; the order and number of tellings change nothing."""
    first_name = await _name(tx, event.household_id, event.child_first_name)
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
                first_name,
                day.activity_label,
            )
            for day in sorted(event.days, key=lambda day: (day.activity_id, day.day))
        ],
    )


async def save_attendance(tx: Transaction, event: AttendanceRecorded) -> None:
    """Keep what was marked last of a child's day, in whichever household; order and number of tellings change nothing.

    A day that nobody booked is known from here on too. The lock is the day's: a child's two households are two rows.
    """
    key = (event.child_id, event.activity_id, event.day)
    await tx.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('billing.attendance/' || $1::uuid || $2::uuid || $3::date, 0))",
        *key,
    )
    newest = await tx.fetchval(
        "SELECT coalesce(max(attendance_version), 0) FROM usage WHERE child_id = $1 AND activity_id = $2 AND day = $3 "
        "AND presence IS NOT NULL",
        *key,
    )
    if newest >= event.version:
        return
    await tx.execute(
        "UPDATE usage SET presence = NULL, late_pickup = false, attendance_version = 0 WHERE child_id = $1 "
        "AND activity_id = $2 AND day = $3 AND presence IS NOT NULL AND household_id <> $4",
        *key,
        event.household_id,
    )
    await tx.execute(
        "INSERT INTO usage (child_id, activity_id, day, household_id, booked, version, child_first_name, "
        "activity_label, presence, late_pickup, attendance_version) "
        "VALUES ($1, $2, $3, $4, false, 0, $5, $6, $7, $8, $9) "
        "ON CONFLICT (household_id, child_id, activity_id, day) DO UPDATE SET presence = $7, late_pickup = $8, "
        "attendance_version = $9",
        *key,
        event.household_id,
        await _name(tx, event.household_id, event.child_first_name),
        event.activity_label,
        event.presence,
        event.late_pickup,
        event.version,
    )


async def waiting(tx: Transaction, until: date) -> tuple[int, int]:
    """How many households and days up to ``until`` wait to be invoiced."""
    row = await tx.fetchrow(
        "SELECT count(DISTINCT u.household_id) AS households, count(*) AS days FROM usage u "
        "JOIN household h USING (household_id) WHERE u.basis IS DISTINCT FROM u.seen_as AND u.day <= $1",
        until,
    )
    assert row is not None, "an aggregate always has a row"
    return row["households"], row["days"]


async def households_waiting(tx: Transaction, until: date, after: UUID, limit: int) -> list[UUID]:
    """The next households, by id, with days up to ``until`` whose invoices do not tell the truth yet."""
    rows = await tx.fetch(
        "SELECT h.household_id FROM household h WHERE h.household_id > $2 AND EXISTS (SELECT FROM usage u "
        "WHERE u.household_id = h.household_id AND u.basis IS DISTINCT FROM u.seen_as AND u.day <= $1) "
        "ORDER BY h.household_id LIMIT $3",
        until,
        after,
        limit,
    )
    return [row["household_id"] for row in rows]


_TO_INVOICE = (
    "SELECT * FROM usage WHERE household_id = ANY($1::uuid[]) AND basis IS DISTINCT FROM seen_as AND day <= $2 "
    "ORDER BY household_id, child_id, activity_id, day"
)
_ABSENCES_BESIDE = (
    "SELECT u.* FROM usage u JOIN (SELECT DISTINCT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::date[])) "
    "AS m (household_id, child_id, activity_id, month) USING (household_id, child_id, activity_id) "
    "WHERE u.basis = 'absent' AND u.seen_as = 'absent' AND u.day >= m.month AND u.day < m.month + interval '1 month'"
)


async def to_invoice(tx: Transaction, household_ids: Sequence[UUID], until: date) -> list[Usage]:
    """The days of some households that wait to be invoiced, by household."""
    return await _with_absences(tx, _usages(await tx.fetch(_TO_INVOICE, household_ids, until)), "")


async def to_invoice_for_update(tx: Transaction, household_ids: Sequence[UUID], until: date) -> list[Usage]:
    """The same, locked: who else wants to invoice them waits, then finds nothing left."""
    found = _usages(await tx.fetch(f"{_TO_INVOICE} FOR UPDATE", household_ids, until))
    return await _with_absences(tx, found, " FOR UPDATE OF u")


async def _with_absences(tx: Transaction, found: list[Usage], lock: str) -> list[Usage]:
    """Where an absence came or went, with the other absences of its month: which of them are free may have changed."""
    moved = [each for each in found if Basis.ABSENT in {each.basis, each.seen_as}]
    if not moved:
        return found
    rows = await tx.fetch(
        _ABSENCES_BESIDE + lock,
        [each.household_id for each in moved],
        [each.child_id for each in moved],
        [each.activity_id for each in moved],
        [each.day.replace(day=1) for each in moved],
    )
    return sorted([*found, *_usages(rows)], key=lambda each: (each.household_id, each.child_id, each.day))


_ACCOUNT = (
    "SELECT * FROM usage WHERE household_id = $1 AND (invoice_id IS NOT NULL OR basis = 'absent') "
    "ORDER BY child_id, activity_id, day"
)


async def account(tx: Transaction, household_id: UUID) -> list[Usage]:
    """The days of a household that are on an invoice, and every absence."""
    return _usages(await tx.fetch(_ACCOUNT, household_id))


async def account_for_update(tx: Transaction, household_id: UUID) -> list[Usage]:
    """The same, locked."""
    return _usages(await tx.fetch(f"{_ACCOUNT} FOR UPDATE", household_id))


def _usages(rows: Sequence[Any]) -> list[Usage]:
    return [
        Usage(
            row["household_id"],
            row["child_id"],
            row["activity_id"],
            row["day"],
            Basis(row["basis"]) if row["basis"] else None,
            Basis(row["seen_as"]) if row["seen_as"] else None,
            row["child_first_name"],
            row["activity_label"],
            _invoiced(row),
        )
        for row in rows
    ]


def _invoiced(row: Any) -> Invoiced | None:
    if row["invoice_id"] is None:
        return None
    price, base = row["invoiced_price_cents"], row["invoiced_base_cents"]
    return Invoiced(row["invoice_id"], price, base, row["invoiced_tariff_id"], row["waived"])


async def mark(tx: Transaction, days: Sequence[tuple[Usage, Invoiced | None]]) -> None:
    """Note how each day is invoiced from now on, as what it was seen; one that was marked since it was read stays."""
    await tx.execute(
        "UPDATE usage u SET seen_as = n.basis, invoice_id = n.invoice_id, invoiced_price_cents = n.cents, "
        "invoiced_base_cents = n.base_cents, invoiced_tariff_id = n.tariff_id, waived = n.waived "
        "FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::date[], $5::text[], $6::uuid[], $7::bigint[], "
        "$8::bigint[], $9::uuid[], $10::boolean[], $11::text[], $12::bigint[]) "
        "AS n (household_id, child_id, activity_id, day, basis, invoice_id, cents, base_cents, tariff_id, waived, "
        "was_seen_as, was_cents) "
        "WHERE u.household_id = n.household_id AND u.child_id = n.child_id AND u.activity_id = n.activity_id "
        "AND u.day = n.day AND u.seen_as IS NOT DISTINCT FROM n.was_seen_as "
        "AND u.invoiced_price_cents IS NOT DISTINCT FROM n.was_cents",
        [usage.household_id for usage, _ in days],
        [usage.child_id for usage, _ in days],
        [usage.activity_id for usage, _ in days],
        [usage.day for usage, _ in days],
        [usage.basis for usage, _ in days],
        [each and each.invoice_id for _, each in days],
        [each and each.price_cents for _, each in days],
        [each and each.base_cents for _, each in days],
        [each and each.tariff_id for _, each in days],
        [each is not None and each.waived for _, each in days],
        [usage.seen_as for usage, _ in days],
        [usage.invoiced and usage.invoiced.price_cents for usage, _ in days],
    )
