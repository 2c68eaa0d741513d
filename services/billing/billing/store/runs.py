"""Monthly runs: where each stands, and what it found."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from billing.domain.invoicing import Finding
from chassis.database import Transaction
from contracts.api.billing import Anomaly, InvoiceRun, InvoiceRunRequest
from contracts.events.billing import RunProgressed, RunStatus

ANOMALIES_SHOWN_MAX = 200
RUNS_SHOWN_MAX = 24
FIRST = UUID(int=0)


async def add_run(tx: Transaction, request: InvoiceRunRequest, households: int, by: UUID, at: datetime) -> UUID | None:
    """Begin a run; None when another is open."""
    run_id: UUID | None = await tx.fetchval(
        "INSERT INTO invoice_run (month, due_on, straight, status, requested_by, created_at, after_household, "
        "households) VALUES ($1, $2, $3, 'drafting', $4, $5, $6, $7) ON CONFLICT DO NOTHING RETURNING run_id",
        request.month,
        request.due_on,
        request.straight,
        by,
        at,
        FIRST,
        households,
    )
    return run_id


async def open_run(tx: Transaction) -> UUID | None:
    found: UUID | None = await tx.fetchval(
        "SELECT run_id FROM invoice_run WHERE status IN ('drafting', 'ready', 'publishing')"
    )
    return found


async def claim_run(tx: Transaction) -> Any:
    """The run that has work to do, locked; None when there is none.

    Replicas take turns at its steps. A run that is locked is waited for and not passed over: who holds it may be a
    second tap on « Publier », after which nobody would wake the job again.
    """
    return await tx.fetchrow("SELECT * FROM invoice_run WHERE status IN ('drafting', 'publishing') FOR UPDATE")


async def run_for_update(tx: Transaction, run_id: UUID) -> Any:
    return await tx.fetchrow("SELECT * FROM invoice_run WHERE run_id = $1 FOR UPDATE", run_id)


def progressed(row: Any, at: datetime) -> RunProgressed:
    """Where a run stands, to be told."""
    return RunProgressed(
        run_id=row["run_id"],
        month=row["month"],
        status=row["status"],
        households=row["households"],
        households_done=row["households_done"],
        invoices=row["invoices"],
        total_cents=row["total_cents"],
        progressed_at=at,
    )


async def advance(
    tx: Transaction, run_id: UUID, *, after: UUID, households: int, invoices: int, total_cents: int
) -> Any:
    """Note how far the run is; the run as it is then."""
    return await tx.fetchrow(
        "UPDATE invoice_run SET after_household = $2, households_done = households_done + $3, "
        "invoices = invoices + $4, total_cents = total_cents + $5 WHERE run_id = $1 RETURNING *",
        run_id,
        after,
        households,
        invoices,
        total_cents,
    )


async def move(tx: Transaction, run_id: UUID, status: RunStatus) -> Any:
    return await tx.fetchrow("UPDATE invoice_run SET status = $2 WHERE run_id = $1 RETURNING *", run_id, status)


async def start_publishing(tx: Transaction, run_id: UUID, by: UUID) -> Any:
    """From the first household again, counting what is published."""
    return await tx.fetchrow(
        "UPDATE invoice_run SET status = 'publishing', published_by = $2, after_household = $3, households_done = 0, "
        "invoices = 0, total_cents = 0 WHERE run_id = $1 RETURNING *",
        run_id,
        by,
        FIRST,
    )


async def wake(tx: Transaction) -> None:
    await tx.execute("SELECT pg_notify('invoice_run', '')")


async def add_anomalies(tx: Transaction, run_id: UUID, found: Sequence[tuple[UUID, Finding, int]]) -> None:
    """Keep findings, each with its household and the amount of its invoice; the newest of a kind holds."""
    await tx.executemany(
        "INSERT INTO invoice_anomaly (run_id, household_id, kind, detail, amount_cents) VALUES ($1, $2, $3, $4, $5) "
        "ON CONFLICT (run_id, household_id, kind) DO UPDATE SET detail = $4, amount_cents = $5",
        [(run_id, household_id, finding.kind, finding.detail, cents) for household_id, finding, cents in found],
    )


async def missing_tariffs(tx: Transaction, run_id: UUID) -> list[str]:
    """What stands in the way of publishing: the activities without a price."""
    rows = await tx.fetch(
        "SELECT DISTINCT detail FROM invoice_anomaly WHERE run_id = $1 AND kind = 'tariff_missing' ORDER BY detail "
        "LIMIT 20",
        run_id,
    )
    return [row["detail"] for row in rows]


def _run(row: Any, anomalies: Sequence[Anomaly] = (), count: int = 0) -> InvoiceRun:
    return InvoiceRun(
        run_id=row["run_id"],
        month=row["month"],
        due_on=row["due_on"],
        status=row["status"],
        created_at=row["created_at"],
        households=row["households"],
        households_done=row["households_done"],
        invoices=row["invoices"],
        total_cents=row["total_cents"],
        anomalies=tuple(anomalies),
        anomalies_count=count,
    )


async def run(tx: Transaction, run_id: UUID) -> InvoiceRun | None:
    """A run with the anomalies it found, those that stand in the way first."""
    row = await tx.fetchrow("SELECT * FROM invoice_run WHERE run_id = $1", run_id)
    if row is None:
        return None
    rows = await tx.fetch(
        "SELECT a.*, h.name, h.reference, count(*) OVER () AS found FROM invoice_anomaly a "
        "JOIN household h USING (household_id) WHERE run_id = $1 "
        "ORDER BY array_position(ARRAY['tariff_missing', 'attendance_unchecked', 'unusual_amount', "
        "'quotient_missing'], kind), h.reference "
        "LIMIT $2",
        run_id,
        ANOMALIES_SHOWN_MAX,
    )
    anomalies = [
        Anomaly(
            kind=each["kind"],
            household_id=each["household_id"],
            household_name=each["name"],
            household_reference=each["reference"],
            detail=each["detail"],
            amount_cents=each["amount_cents"],
        )
        for each in rows
    ]
    return _run(row, anomalies, rows[0]["found"] if rows else 0)


async def runs(tx: Transaction) -> list[InvoiceRun]:
    """The latest runs, newest first."""
    rows = await tx.fetch("SELECT * FROM invoice_run ORDER BY created_at DESC LIMIT $1", RUNS_SHOWN_MAX)
    return [_run(row) for row in rows]


def last_day(month: date) -> date:
    """The last day of a month given by its first."""
    following = date(month.year + month.month // 12, month.month % 12 + 1, 1)
    return date.fromordinal(following.toordinal() - 1)
