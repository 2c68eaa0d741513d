"""Credit notes."""

from datetime import datetime
from typing import Any
from uuid import UUID

from chassis.database import Transaction
from contracts.api.billing import CreditNote, CreditNoteLine, CreditNoteSummary, Issuer

_NOTE = (
    "SELECT c.*, i.number AS invoice_number FROM credit_note c JOIN invoice i USING (invoice_id) "
    "WHERE c.household_id = $1"
)
LIST_MAX = 200


async def add_credit_note(tx: Transaction, household_id: UUID, model: CreditNote, at: datetime, by: UUID) -> None:
    """A published credit note, as it will be read for ever."""
    note = model.summary
    await tx.execute(
        "INSERT INTO credit_note (credit_note_id, number, invoice_id, household_id, published_at, published_on, "
        "published_by, total_cents, reason, issuer, household_name, household_reference, household_address) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        note.credit_note_id,
        note.number,
        note.invoice_id,
        household_id,
        at,
        note.published_on,
        by,
        note.total_cents,
        note.reason,
        model.issuer.model_dump(),
        model.household_name,
        model.household_reference,
        list(model.household_address),
    )
    await tx.executemany(
        "INSERT INTO credit_note_line (credit_note_id, position, child_first_name, label, count, unit_credit_cents, "
        "amount_cents) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        [
            (
                note.credit_note_id,
                position,
                line.child_first_name,
                line.label,
                line.count,
                line.unit_credit_cents,
                line.amount_cents,
            )
            for position, line in enumerate(model.lines)
        ],
    )


def _summary(row: Any) -> CreditNoteSummary:
    return CreditNoteSummary(
        credit_note_id=row["credit_note_id"],
        number=row["number"],
        invoice_id=row["invoice_id"],
        invoice_number=row["invoice_number"],
        published_on=row["published_on"],
        total_cents=row["total_cents"],
        reason=row["reason"],
    )


async def credit_notes(tx: Transaction, household_id: UUID) -> list[CreditNoteSummary]:
    """The household's credit notes, newest first."""
    rows = await tx.fetch(f"{_NOTE} ORDER BY c.published_at DESC LIMIT {LIST_MAX}", household_id)
    return [_summary(row) for row in rows]


async def credit_note(tx: Transaction, household_id: UUID, credit_note_id: UUID) -> CreditNote | None:
    """A credit note of the household with its lines."""
    row = await tx.fetchrow(f"{_NOTE} AND c.credit_note_id = $2", household_id, credit_note_id)
    if row is None:
        return None
    lines = await tx.fetch("SELECT * FROM credit_note_line WHERE credit_note_id = $1 ORDER BY position", credit_note_id)
    return CreditNote(
        summary=_summary(row),
        issuer=Issuer.model_validate(row["issuer"]),
        household_name=row["household_name"],
        household_reference=row["household_reference"],
        household_address=tuple(row["household_address"]),
        lines=tuple(
            CreditNoteLine(
                child_first_name=line["child_first_name"],
                label=line["label"],
                count=line["count"],
                unit_credit_cents=line["unit_credit_cents"],
                amount_cents=line["amount_cents"],
            )
            for line in lines
        ),
    )
