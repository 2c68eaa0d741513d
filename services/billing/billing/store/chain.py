"""The chain of published documents, and that of the ledger, which the database itself continues."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from billing.domain.canonical import DOCUMENT_VERSION, Said, document_digest
from billing.domain.chain import Link, extend
from chassis.database import Transaction

_INVOICE_LINES = "SELECT * FROM invoice_line WHERE invoice_id = ANY($1::uuid[]) ORDER BY invoice_id, position"
_CREDIT_NOTE_LINES = (
    "SELECT * FROM credit_note_line WHERE credit_note_id = ANY($1::uuid[]) ORDER BY credit_note_id, position"
)


async def add_to_chain(tx: Transaction, numbers: Sequence[str]) -> None:
    """Link documents that this transaction stored, in that order, one publisher at a time until its transaction ends.

    What is hashed is read again from where it is kept, so that it is what is read for ever.
    """
    await tx.execute("SELECT pg_advisory_xact_lock(hashtext('billing.document_chain'))")
    rows = await links(tx, after=None, limit=1)
    said = await documents(tx, numbers)
    digests = [(number, document_digest(said[number], DOCUMENT_VERSION)) for number in numbers]
    await tx.executemany(
        "INSERT INTO document_chain (position, number, digest, previous, hash, version) "
        "VALUES ($1, $2, $3, $4, $5, $6)",
        [
            (each.position, each.number, each.digest, each.previous, each.hash, each.version)
            for each in extend(rows[0] if rows else None, digests)
        ],
    )


async def links(tx: Transaction, *, after: int | None, limit: int) -> list[Link]:
    """The links of documents after a position, in order; the last ones, newest first, when ``after`` is None."""
    if after is None:
        rows: Any = await tx.fetch("SELECT * FROM document_chain ORDER BY position DESC LIMIT $1", limit)
    else:
        query = "SELECT * FROM document_chain WHERE position > $2 ORDER BY position LIMIT $1"
        rows = await tx.fetch(query, limit, after)
    return [_link(row, row["number"], row["version"]) for row in rows]


async def ledger_links(tx: Transaction, *, after: int, limit: int) -> list[tuple[Link, int]]:
    """The links of the ledger after a position, in order, each with the transaction that it is of."""
    rows = await tx.fetch(
        "SELECT c.*, coalesce(t.key, 'transaction ' || c.transaction_id) AS name FROM ledger_chain c "
        "LEFT JOIN ledger_transaction t USING (transaction_id) WHERE position > $1 ORDER BY position LIMIT $2",
        after,
        limit,
    )
    return [(_link(row, row["name"], 1), row["transaction_id"]) for row in rows]


def _link(row: Any, name: str, version: int) -> Link:
    return Link(row["position"], name, row["digest"], row["previous"], row["hash"], version)


async def documents(tx: Transaction, numbers: Sequence[str]) -> dict[str, Said]:
    """What published documents say, by their numbers, as they are kept; those that are not there are left out."""
    invoices = await tx.fetch("SELECT * FROM invoice WHERE number = ANY($1::text[])", list(numbers))
    notes = await tx.fetch(
        "SELECT c.*, i.number AS invoice_number FROM credit_note c LEFT JOIN invoice i USING (invoice_id) "
        "WHERE c.number = ANY($1::text[])",
        list(numbers),
    )
    by_invoice = await _lines(tx, _INVOICE_LINES, "invoice_id", invoices)
    by_note = await _lines(tx, _CREDIT_NOTE_LINES, "credit_note_id", notes)
    found = {row["number"]: {**row, "lines": by_invoice[row["invoice_id"]]} for row in invoices}
    return found | {row["number"]: {**row, "lines": by_note[row["credit_note_id"]]} for row in notes}


async def _lines(tx: Transaction, query: str, name: str, of: Sequence[Any]) -> dict[UUID, list[Any]]:
    lines: dict[UUID, list[Any]] = {row[name]: [] for row in of}
    for line in await tx.fetch(query, list(lines)) if lines else ():
        lines[line[name]].append(line)
    return lines


async def ledger_transactions(tx: Transaction, ids: Sequence[int]) -> dict[int, tuple[Said, list[Said]]]:
    """Ledger transactions with their entries, in the order in which they were entered."""
    rows = await tx.fetch("SELECT * FROM ledger_transaction WHERE transaction_id = ANY($1::bigint[])", list(ids))
    found: dict[int, tuple[Said, list[Said]]] = {row["transaction_id"]: (dict(row), []) for row in rows}
    entries = await tx.fetch(
        "SELECT * FROM ledger_entry WHERE transaction_id = ANY($1::bigint[]) ORDER BY entry_id", list(ids)
    )
    for entry in entries:
        if entry["transaction_id"] in found:
            found[entry["transaction_id"]][1].append(dict(entry))
    return found
