"""The rules that make prices, and what is known of the households they apply to."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from billing.domain.tariffs import Child, Household
from chassis.database import Transaction
from contracts.api.tariffs import Tariff, TariffRequest, Terms, TermsRequest

_SELECT = (
    "SELECT tariff_id, label, activity_id, activity_label, school, resident, valid_from, valid_until, formula, "
    "sibling_percents, childcare, childcare_cents, childcare_percent, attendance, is_used FROM tariff"
)


async def hold_tariffs(tx: Transaction) -> None:
    """Let one change of the rules happen at a time, so that an overlap is found before it is written."""
    await tx.execute("SELECT pg_advisory_xact_lock(hashtext('billing.tariff'))")


def _tariff(row: Any) -> tuple[Tariff, bool]:
    values = dict(row)
    is_used = values.pop("is_used")
    return Tariff.model_validate(values), is_used


async def tariffs(tx: Transaction) -> list[Tariff]:
    """Every rule, by activity, newest first."""
    rows = await tx.fetch(f"{_SELECT} ORDER BY activity_label, valid_from DESC, label")
    return [_tariff(row)[0] for row in rows]


async def tariff(tx: Transaction, tariff_id: UUID) -> tuple[Tariff, bool] | None:
    """A rule, and whether it made an invoice."""
    row = await tx.fetchrow(f"{_SELECT} WHERE tariff_id = $1", tariff_id)
    return _tariff(row) if row else None


async def save_tariff(tx: Transaction, tariff_id: UUID, request: TariffRequest) -> None:
    await tx.execute(
        "INSERT INTO tariff (tariff_id, label, activity_id, activity_label, school, resident, valid_from, valid_until, "
        "formula, sibling_percents, childcare, attendance, childcare_cents, childcare_percent) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) "
        "ON CONFLICT (tariff_id) DO UPDATE SET label = $2, activity_id = $3, activity_label = $4, school = $5, "
        "resident = $6, valid_from = $7, valid_until = $8, formula = $9, sibling_percents = $10, childcare = $11, "
        "attendance = $12, childcare_cents = $13, childcare_percent = $14",
        tariff_id,
        request.label,
        request.activity_id,
        request.activity_label,
        request.school,
        request.resident,
        request.valid_from,
        request.valid_until,
        request.formula.model_dump(mode="json"),
        list(request.sibling_percents),
        request.childcare,
        request.attendance.model_dump(mode="json") if request.attendance else None,
        request.childcare_cents,
        request.childcare_percent,
    )


async def remove_tariff(tx: Transaction, tariff_id: UUID) -> None:
    await tx.execute("DELETE FROM tariff WHERE tariff_id = $1", tariff_id)


async def mark_used(tx: Transaction, tariff_ids: Sequence[UUID]) -> None:
    """Note that these rules made an invoice: from now on they only end."""
    await tx.execute("UPDATE tariff SET is_used = true WHERE tariff_id = ANY($1::uuid[]) AND NOT is_used", tariff_ids)


async def households(tx: Transaction, household_ids: Sequence[UUID]) -> dict[UUID, Household]:
    """What prices depend on, for these households."""
    terms: dict[UUID, list[Terms]] = {household_id: [] for household_id in household_ids}
    for row in await tx.fetch(
        "SELECT household_id, valid_from, quotient_cents, resident FROM household_terms "
        "WHERE household_id = ANY($1::uuid[]) ORDER BY terms_id",
        household_ids,
    ):
        terms[row["household_id"]].append(_terms(row))
    children: dict[UUID, list[tuple[UUID, Child]]] = {household_id: [] for household_id in household_ids}
    for row in await tx.fetch(
        "SELECT household_id, child_id, school, is_present, row_number() OVER "
        "(PARTITION BY household_id, is_present ORDER BY birth_date, child_id) AS rank FROM child "
        "WHERE household_id = ANY($1::uuid[]) ORDER BY household_id, is_present DESC, rank",
        household_ids,
    ):
        child = Child(row["school"], row["rank"] if row["is_present"] else 1)
        children[row["household_id"]].append((row["child_id"], child))
    return {each: Household(each, tuple(terms[each]), tuple(children[each])) for each in household_ids}


def _terms(row: Any) -> Terms:
    return Terms(valid_from=row["valid_from"], quotient_cents=row["quotient_cents"], resident=row["resident"])


async def add_terms(
    tx: Transaction, household_id: UUID, valid_from: date, request: TermsRequest, by: UUID, at: datetime
) -> int:
    """Keep what is known from a day on; what was known before stays readable. Its id, which grows."""
    terms_id: int = await tx.fetchval(
        "INSERT INTO household_terms (household_id, valid_from, quotient_cents, resident, recorded_by, recorded_at) "
        "VALUES ($1, $2, $3, $4, $5, $6) RETURNING terms_id",
        household_id,
        valid_from,
        request.quotient_cents,
        request.resident,
        by,
        at,
    )
    return terms_id


async def versions(tx: Transaction, after: UUID | None, limit: int) -> dict[UUID, int]:
    """Households of which terms are known, in the order of their ids, with the newest id of those terms."""
    rows = await tx.fetch(
        "SELECT household_id, max(terms_id) AS version FROM household_terms "
        "WHERE $1::uuid IS NULL OR household_id > $1 GROUP BY household_id ORDER BY household_id LIMIT $2",
        after,
        limit,
    )
    return {row["household_id"]: row["version"] for row in rows}


async def household(tx: Transaction, household_id: UUID) -> Any:
    """The household's name, reference and address; None when it was never heard of."""
    return await tx.fetchrow("SELECT * FROM household WHERE household_id = $1", household_id)


async def names(tx: Transaction, household_ids: Sequence[UUID]) -> dict[UUID, Any]:
    """The same for several."""
    rows = await tx.fetch("SELECT * FROM household WHERE household_id = ANY($1::uuid[])", household_ids)
    return {row["household_id"]: row for row in rows}
