"""The chain of published documents."""

from collections.abc import Sequence
from typing import Any

from billing.domain.chain import Link, extend
from chassis.database import Transaction


async def add_to_chain(tx: Transaction, documents: Sequence[tuple[str, bytes]]) -> None:
    """Link new documents, given as number and digest, one publisher at a time until its transaction ends."""
    await tx.execute("SELECT pg_advisory_xact_lock(hashtext('billing.document_chain'))")
    rows = await links(tx, after=None, limit=1)
    last = rows[0] if rows else None
    await tx.executemany(
        "INSERT INTO document_chain (position, number, digest, previous, hash) VALUES ($1, $2, $3, $4, $5)",
        [(each.position, each.number, each.digest, each.previous, each.hash) for each in extend(last, documents)],
    )


async def links(tx: Transaction, *, after: int | None, limit: int) -> list[Link]:
    """The links after a position, in order; the last ones, newest first, when ``after`` is None."""
    if after is None:
        rows: Any = await tx.fetch("SELECT * FROM document_chain ORDER BY position DESC LIMIT $1", limit)
    else:
        query = "SELECT * FROM document_chain WHERE position > $2 ORDER BY position LIMIT $1"
        rows = await tx.fetch(query, limit, after)
    return [Link(row["position"], row["number"], row["digest"], row["previous"], row["hash"]) for row in rows]
