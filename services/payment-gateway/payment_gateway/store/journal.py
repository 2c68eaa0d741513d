"""The raw journal: every word of a bank, as it came."""

import hashlib
from datetime import datetime
from uuid import UUID

from chassis.database import Transaction


async def add_word(
    tx: Transaction, bank: str, kind: str, *, payment_id: UUID | None, query: str, body: bytes, at: datetime
) -> bool:
    """Keep the bytes; False when the same were kept before."""
    digest = hashlib.sha256(b"\0".join((str(payment_id).encode(), query.encode(), body))).digest()
    row = await tx.fetchrow(
        "INSERT INTO bank_word (bank, kind, payment_id, digest, query, body, received_at) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING RETURNING word_id",
        bank,
        kind,
        payment_id,
        digest,
        query,
        body,
        at,
    )
    return row is not None
