"""The PDFs of published documents: made once, kept for ever."""

import asyncio
from uuid import UUID

import documents
from chassis.database import Database, Transaction
from contracts.api.billing import CreditNote, Invoice


async def kept_pdf(database: Database, model: Invoice | CreditNote) -> bytes:
    """The PDF of a document, made the first time and kept: the same bytes for ever."""
    number = model.summary.number
    async with database.transaction() as tx:
        if kept := await pdf(tx, number):
            return kept
    content = await asyncio.to_thread(_made, model)
    async with database.transaction() as tx:
        return await save_pdf(tx, number, content)


def _made(model: Invoice | CreditNote) -> bytes:
    return documents.invoice(model) if isinstance(model, Invoice) else documents.credit_note(model)


async def pdf(tx: Transaction, number: str) -> bytes | None:
    found: bytes | None = await tx.fetchval("SELECT pdf FROM document_pdf WHERE number = $1", number)
    return found


async def save_pdf(tx: Transaction, number: str, content: bytes) -> bytes:
    """Keep the PDF; the first one stored is the one for ever."""
    await tx.execute("INSERT INTO document_pdf (number, pdf) VALUES ($1, $2) ON CONFLICT DO NOTHING", number, content)
    kept = await pdf(tx, number)
    assert kept is not None, "it was stored or found by the statement above"
    return kept


async def invoices_without_pdf(tx: Transaction, limit: int) -> list[tuple[UUID, UUID]]:
    """Households and invoices whose PDF is still to be made."""
    rows = await tx.fetch(
        "SELECT i.household_id, i.invoice_id FROM invoice_pdf_due d JOIN invoice i USING (invoice_id) WHERE NOT EXISTS "
        "(SELECT FROM document_pdf p WHERE p.number = d.number) ORDER BY d.published_at, d.number LIMIT $1",
        limit,
    )
    return [(row["household_id"], row["invoice_id"]) for row in rows]
