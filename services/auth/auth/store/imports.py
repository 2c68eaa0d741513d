"""Files of families: read, then applied or not."""

from datetime import datetime
from typing import Any
from uuid import UUID

from chassis.database import Transaction
from contracts.api.auth import ImportReport, ImportStatus, ImportView


async def add(tx: Transaction, made_by: UUID, file_name: str, content: bytes, at: datetime) -> UUID:
    import_id: UUID = await tx.fetchval(
        "INSERT INTO family_import (made_by, made_at, file_name, content, status) "
        "VALUES ($1, $2, $3, $4, 'reading') RETURNING import_id",
        made_by,
        at,
        file_name,
        content,
    )
    await wake(tx)
    return import_id


async def wake(tx: Transaction) -> None:
    await tx.execute("SELECT pg_notify('import_waiting', '')")


async def view(tx: Transaction, import_id: UUID) -> ImportView | None:
    row = await tx.fetchrow("SELECT * FROM family_import WHERE import_id = $1", import_id)
    return _view(row) if row else None


def _view(row: Any) -> ImportView:
    return ImportView(
        import_id=row["import_id"],
        file_name=row["file_name"],
        status=ImportStatus(row["status"]),
        done=row["done"],
        total=row["total"],
        close_missing=row["close_missing"],
        report=ImportReport.model_validate(row["report"]),
    )


async def begin_apply(tx: Transaction, import_id: UUID, *, close_missing: bool) -> bool:
    """Have a file applied that was read; False when it is anywhere else."""
    begun = await tx.fetchval(
        "UPDATE family_import SET status = 'applying', close_missing = $2, done = 0 "
        "WHERE import_id = $1 AND status = 'read' RETURNING true",
        import_id,
        close_missing,
    )
    await wake(tx)
    return bool(begun)


async def hold(tx: Transaction) -> None:
    """Let no file be read or applied until the end of this transaction."""
    await tx.execute("SELECT pg_advisory_xact_lock(hashtext('auth.import'))")


async def next_waiting(tx: Transaction) -> Any | None:
    """The oldest file with something to do; None while another replica is at it, or when there is none."""
    if not await tx.fetchval("SELECT pg_try_advisory_xact_lock(hashtext('auth.import'))"):
        return None
    return await tx.fetchrow(
        "SELECT import_id, content, status, close_missing, diff_digest, attempts FROM family_import "
        "WHERE status IN ('reading', 'applying') ORDER BY made_at LIMIT 1"
    )


async def count_attempt(tx: Transaction, import_id: UUID) -> None:
    """Outside the transaction that does the work, so that it stays counted when its worker dies."""
    await tx.execute("UPDATE family_import SET attempts = attempts + 1 WHERE import_id = $1", import_id)


async def forget_attempt(tx: Transaction, import_id: UUID) -> None:
    """The file was not what stopped the work."""
    await tx.execute("UPDATE family_import SET attempts = attempts - 1 WHERE import_id = $1", import_id)


async def set_progress(tx: Transaction, import_id: UUID, done: int, total: int) -> None:
    """Outside the transaction that does the work, so that it is seen."""
    await tx.execute("UPDATE family_import SET done = $2, total = $3 WHERE import_id = $1", import_id, done, total)


async def was_read(
    tx: Transaction, import_id: UUID, status: ImportStatus, report: ImportReport, digest: bytes | None
) -> None:
    await tx.execute(
        "UPDATE family_import SET status = $2, report = $3, diff_digest = $4, attempts = 0 WHERE import_id = $1",
        import_id,
        status.value,
        report.model_dump(mode="json"),
        digest,
    )


async def was_applied(tx: Transaction, import_id: UUID, report: ImportReport, at: datetime) -> None:
    """The file's content is forgotten; what it changed stays readable for a while."""
    await tx.execute(
        "UPDATE family_import SET status = 'applied', report = $2, applied_at = $3, content = NULL, done = total "
        "WHERE import_id = $1",
        import_id,
        report.model_dump(mode="json"),
        at,
    )
