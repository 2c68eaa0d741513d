"""The raw journal: every word of a bank, as it came."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from chassis.database import Transaction
from contracts.api.payment_gateway import (
    BankMessage,
    JournalEntry,
    SignedNotifications,
    UnknownNotifications,
    Verification,
)

TEXT_MAX = 4_000


@dataclass(frozen=True)
class Word:
    """What came from a bank: ``kind`` is ``notice`` or ``answer``, ``verdict`` what was made of it."""

    bank: str
    kind: str
    verdict: Verification
    body: bytes
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    is_elsewhere: bool = False

    def from_elsewhere(self) -> "Word":
        """The same word, from an address that its bank did not announce."""
        return replace(self, is_elsewhere=True)

    def judged(self, verdict: Verification) -> "Word":
        """The same word, with what was made of it."""
        return replace(self, verdict=verdict)


async def add_word(
    tx: Transaction, word: Word, *, payment_id: UUID | None, at: datetime, notices_max: int | None = None
) -> None:
    """Keep the bytes, once, unless ``notices_max`` notifications of the payment are kept already."""
    digest = hashlib.sha256(b"\0".join((str(payment_id).encode(), word.query.encode(), word.body))).digest()
    await tx.execute(
        "INSERT INTO bank_word (bank, kind, verdict, payment_id, digest, query, headers, body, source, received_at, "
        "is_elsewhere) SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11 WHERE $12::int IS NULL OR "
        "(SELECT count(*) FROM bank_word WHERE payment_id = $4 AND kind = 'notice') < $12 ON CONFLICT DO NOTHING",
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
        word.is_elsewhere,
        notices_max,
    )


async def count_unknown(tx: Transaction, bank: str, at: datetime) -> int:
    """Count a call that names nothing here; how many there were in this hour, with it."""
    seen: int = await tx.fetchval(
        "INSERT INTO unknown_notice (bank, hour, seen) VALUES ($1, date_trunc('hour', $2::timestamptz), 1) "
        "ON CONFLICT (bank, hour) DO UPDATE SET seen = unknown_notice.seen + 1 RETURNING seen",
        bank,
        at,
    )
    return seen


async def count_signed(tx: Transaction, bank: str, kind: str, at: datetime) -> int:
    """Count a call that a bank signed and that reached no payment; how many of its kind in this hour, with it."""
    seen: int = await tx.fetchval(
        "INSERT INTO signed_notice (bank, kind, hour, seen) VALUES ($1, $2, date_trunc('hour', $3::timestamptz), 1) "
        "ON CONFLICT (bank, kind, hour) DO UPDATE SET seen = signed_notice.seen + 1 RETURNING seen",
        bank,
        kind,
        at,
    )
    return seen


async def signed_notices(tx: Transaction, since: datetime) -> tuple[SignedNotifications, ...]:
    """The hours in which a bank signed what reached no payment and should have, newest first."""
    rows = await tx.fetch(
        "SELECT bank, kind, hour, seen FROM signed_notice WHERE hour >= $1 AND kind <> 'unrelated' "
        "ORDER BY hour DESC, bank, kind LIMIT 200",
        since,
    )
    return tuple(SignedNotifications(**dict(row)) for row in rows)


async def unknown_notices(tx: Transaction, since: datetime) -> tuple[UnknownNotifications, ...]:
    """The hours with calls that named nothing here, newest first."""
    rows = await tx.fetch(
        "SELECT bank, hour, seen FROM unknown_notice WHERE hour >= $1 ORDER BY hour DESC, bank LIMIT 200", since
    )
    return tuple(UnknownNotifications(**dict(row)) for row in rows)


async def words_of(tx: Transaction, payment_id: UUID) -> tuple[BankMessage, ...]:
    """What the bank said about a payment, oldest first."""
    rows = await tx.fetch(
        "SELECT received_at, verdict, source, is_elsewhere, query, body, digest, trimmed_at FROM bank_word "
        "WHERE payment_id = $1 ORDER BY word_id LIMIT 200",
        payment_id,
    )
    return tuple(BankMessage(**_shown(row)) for row in rows)


def _shown(row: Any) -> dict[str, Any]:
    """A row as people read it: the bytes as text, the digest in hexadecimal."""
    query, body, digest = row["query"], row["body"].decode("utf-8", "replace"), row["digest"].hex()
    rest = {name: value for name, value in row.items() if name not in {"query", "body"}}
    return {**rest, "text": " ".join(filter(None, (query, body)))[:TEXT_MAX], "digest": digest}


@dataclass(frozen=True)
class Search:
    """What is looked for; an empty ``reference`` and None are no filter. ``before`` is the oldest word seen so far."""

    reference: str
    begins: datetime | None
    ends: datetime | None
    verdict: Verification | None
    before: int


_WORDS = (
    "SELECT w.word_id, w.bank, w.payment_id, p.reference, p.bank_reference, w.headers, w.received_at, w.verdict, "
    "w.source, w.is_elsewhere, w.query, w.body, w.digest, w.trimmed_at FROM bank_word w "
    "LEFT JOIN payment p USING (payment_id) WHERE w.word_id < $1 AND ($2::timestamptz IS NULL OR w.received_at >= $2) "
    "AND ($3::timestamptz IS NULL OR w.received_at < $3) AND ($4::text IS NULL OR w.verdict = $4) "
)
_NAMED = (
    "AND w.word_id IN (SELECT word_id FROM bank_word WHERE payment_id IN (SELECT payment_id FROM payment "
    "WHERE reference = $6 UNION ALL SELECT payment_id FROM payment WHERE bank_reference = $6 "
    "UNION ALL SELECT payment_id FROM payment WHERE payment_id = $7) UNION ALL SELECT word_id FROM bank_word "
    "WHERE payment_id IS NULL AND position(convert_to($6, 'UTF8') IN convert_to(query, 'UTF8') || body) > 0) "
)


async def search(tx: Transaction, request: Search, limit: int) -> tuple[JournalEntry, ...]:
    """Words of the journal, newest first: a reference is a payment's, or any text of a word without a payment."""
    rows = await tx.fetch(
        f"{_WORDS}{_NAMED if request.reference else ''}ORDER BY w.word_id DESC LIMIT $5",
        *(request.before, request.begins, request.ends, request.verdict, limit),
        *((request.reference, _payment_id(request.reference)) if request.reference else ()),
    )
    return tuple(JournalEntry(**_shown(row)) for row in rows)


def _payment_id(reference: str) -> UUID | None:
    try:
        return UUID(reference)
    except ValueError:
        return None


async def trim(tx: Transaction, before: datetime, at: datetime, limit: int) -> int:
    """Forget the bytes of words older than ``before``, never their digest; how many.

    What the till keeper still has to decide keeps its evidence.
    """
    rows = await tx.fetch(
        "UPDATE bank_word SET query = '', headers = '{}', body = '', source = '', trimmed_at = $2 "
        "WHERE word_id IN (SELECT w.word_id FROM bank_word w WHERE w.received_at < $1 AND w.trimmed_at IS NULL "
        "AND NOT EXISTS (SELECT FROM payment p WHERE p.payment_id = w.payment_id "
        "AND p.status IN ('review', 'disputed')) ORDER BY w.received_at LIMIT $3 FOR UPDATE SKIP LOCKED) "
        "RETURNING word_id",
        before,
        at,
        limit,
    )
    return len(rows)


async def first_notice_at(tx: Transaction, payment_id: UUID) -> datetime | None:
    """When the bank first called about a payment."""
    at: datetime | None = await tx.fetchval(
        "SELECT min(received_at) FROM bank_word WHERE payment_id = $1 AND kind = 'notice'", payment_id
    )
    return at
