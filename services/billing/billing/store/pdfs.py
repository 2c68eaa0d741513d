"""The PDFs of invoices: made once, kept for ever."""

import asyncio
from uuid import UUID

import documents
from chassis.database import Database, Transaction
from contracts.api.billing import Invoice


async def kept_pdf(database: Database, model: Invoice) -> bytes:
    """The PDF of an invoice, made the first time and kept: the same bytes for ever."""
    invoice_id = model.summary.invoice_id
    async with database.transaction() as tx:
        if kept := await pdf(tx, invoice_id):
            return kept
    content = await asyncio.to_thread(documents.invoice, model)
    async with database.transaction() as tx:
        return await save_pdf(tx, invoice_id, content)


async def pdf(tx: Transaction, invoice_id: UUID) -> bytes | None:
    found: bytes | None = await tx.fetchval("SELECT pdf FROM invoice_pdf WHERE invoice_id = $1", invoice_id)
    return found


async def save_pdf(tx: Transaction, invoice_id: UUID, content: bytes) -> bytes:
    """Keep the PDF; the first one stored is the one for ever."""
    await tx.execute(
        "INSERT INTO invoice_pdf (invoice_id, pdf) VALUES ($1, $2) ON CONFLICT DO NOTHING", invoice_id, content
    )
    kept = await pdf(tx, invoice_id)
    assert kept is not None, "it was stored or found by the statement above"
    return kept


async def invoices_without_pdf(tx: Transaction, limit: int) -> list[tuple[UUID, UUID]]:
    """Households and invoices whose PDF is still to be made."""
    rows = await tx.fetch(
        "SELECT household_id, invoice_id FROM invoice i WHERE NOT EXISTS "
        "(SELECT FROM invoice_pdf p WHERE p.invoice_id = i.invoice_id) ORDER BY published_at LIMIT $1",
        limit,
    )
    return [(row["household_id"], row["invoice_id"]) for row in rows]
