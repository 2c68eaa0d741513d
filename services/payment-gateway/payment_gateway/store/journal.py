"""The raw journal: every word of a bank, as it came."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from chassis.database import Transaction
from contracts.api.payment_gateway import BankWord, UnknownNotices, Verdict

TEXT_MAX = 4_000


@dataclass(frozen=True)
class Word:
    """What came from a bank: ``kind`` is ``notice`` or ``answer``, ``verdict`` what was made of it."""

    bank: str
    kind: str
    verdict: Verdict
    body: bytes
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    source: str = ""

    def as_unknown(self) -> "Word":
        """The same word, about nothing that is known here."""
        return replace(self, verdict=Verdict.UNKNOWN)


async def add_word(tx: Transaction, word: Word, *, payment_id: UUID | None, at: datetime) -> bool:
    """Keep the bytes; False when the same were kept before."""
    digest = hashlib.sha256(b"\0".join((str(payment_id).encode(), word.query.encode(), word.body))).digest()
    row = await tx.fetchrow(
        "INSERT INTO bank_word (bank, kind, verdict, payment_id, digest, query, headers, body, source, received_at) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING RETURNING word_id",
        word.bank,
        word.kind,
        word.verdict,
        payment_id,
        digest,
        word.query,
        dict(word.headers),
        word.body,
        word.source,
        at,
    )
    return row is not None


async def may_keep(tx: Transaction, payment_id: UUID, *, words_max: int) -> bool:
    """Whether the journal has room for another notification about a payment."""
    kept: int = await tx.fetchval(
        "SELECT count(*) FROM bank_word WHERE payment_id = $1 AND kind = 'notice'", payment_id
    )
    return kept < words_max


async def count_unknown(tx: Transaction, bank: str, at: datetime) -> int:
    """Count a call that names nothing here; how many there were in this hour, with it."""
    seen: int = await tx.fetchval(
        "INSERT INTO unknown_notice (bank, hour, seen) VALUES ($1, date_trunc('hour', $2::timestamptz), 1) "
        "ON CONFLICT (bank, hour) DO UPDATE SET seen = unknown_notice.seen + 1 RETURNING seen",
        bank,
        at,
    )
    return seen


async def unknown_notices(tx: Transaction, since: datetime) -> tuple[UnknownNotices, ...]:
    """The hours with calls that named nothing here, newest first."""
    rows = await tx.fetch(
        "SELECT bank, hour, seen FROM unknown_notice WHERE hour >= $1 ORDER BY hour DESC, bank LIMIT 200", since
    )
    return tuple(UnknownNotices(**dict(row)) for row in rows)


async def words_of(tx: Transaction, payment_id: UUID) -> tuple[BankWord, ...]:
    """What the bank said about a payment, oldest first."""
    rows = await tx.fetch(
        "SELECT received_at, verdict, source, query, body FROM bank_word WHERE payment_id = $1 "
        "ORDER BY word_id LIMIT 200",
        payment_id,
    )
    return tuple(
        BankWord(
            received_at=row["received_at"],
            verdict=row["verdict"],
            source=row["source"],
            text=" ".join(filter(None, (row["query"], row["body"].decode("utf-8", "replace"))))[:TEXT_MAX],
        )
        for row in rows
    )


async def first_notice_at(tx: Transaction, payment_id: UUID) -> datetime | None:
    """When the bank first called about a payment."""
    at: datetime | None = await tx.fetchval(
        "SELECT min(received_at) FROM bank_word WHERE payment_id = $1 AND kind = 'notice'", payment_id
    )
    return at
