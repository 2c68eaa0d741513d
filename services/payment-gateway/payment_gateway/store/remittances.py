"""What banks remitted and what arrived at the treasury, line by line, and where it disagrees with us."""

import hashlib
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from chassis.database import Transaction
from contracts.api.payment_gateway import RemittedLine, StatementSource
from contracts.api.remittances import Remittance, RemittanceDifference, RemittanceNote
from contracts.identity import Identity
from payment_gateway.domain.remittances import Line

_REMITTANCE = (
    "SELECT r.remittance_id, r.source, r.bank, r.file_name, r.lines, r.new_lines, r.imported_at, "
    "r.imported_by_name AS imported_by, count(l.line_id) FILTER (WHERE l.payment_id IS NULL)::int AS unmatched, "
    "min(l.day) AS first_day, max(l.day) AS last_day, "
    "coalesce(sum(l.amount_cents) FILTER (WHERE l.kind = 'taken'), 0)::bigint AS taken_cents, "
    "coalesce(sum(l.amount_cents) FILTER (WHERE l.kind = 'returned'), 0)::bigint AS returned_cents "
    "FROM remittance r LEFT JOIN remittance_line l USING (remittance_id) "
)


async def add(
    tx: Transaction,
    bank: str,
    source: StatementSource,
    file_name: str,
    content: bytes,
    lines: list[Line],
    by: Identity,
    at: datetime,
) -> UUID:
    """Keep a file's lines, those that are new, each with its payment; the same bytes again change nothing."""
    await tx.execute("SELECT pg_advisory_xact_lock(hashtext('remittance'), hashtext($1))", bank)
    digest, remittance_id = hashlib.sha256(content).digest(), uuid4()
    query = "SELECT remittance_id FROM remittance WHERE bank = $1 AND digest = $2 AND source = $3"
    known: UUID | None = await tx.fetchval(query, bank, digest, source)
    if known:
        return known
    await tx.execute(
        "INSERT INTO remittance (remittance_id, bank, digest, file_name, lines, new_lines, imported_by, "
        "imported_by_name, imported_at, source) VALUES ($1, $2, $3, $4, $5, 0, $6, $7, $8, $9)",
        remittance_id,
        bank,
        digest,
        file_name,
        len(lines),
        by.subject_id,
        by.name,
        at,
        source,
    )
    new = await _add_lines(tx, remittance_id, bank, source, lines)
    await tx.execute("UPDATE remittance SET new_lines = $2 WHERE remittance_id = $1", remittance_id, new)
    return remittance_id


async def _add_lines(
    tx: Transaction, remittance_id: UUID, bank: str, source: StatementSource, lines: list[Line]
) -> int:
    """The lines that no earlier file of the account and the source had. A payment is known by our reference, or by the
    bank's, or by the authorisation of its ticket with the same amount, when that names only one.
    """
    names = ("line", "kind", "day", "amount_cents", "reference", "bank_reference", "authorisation", "times")
    added: int = await tx.fetchval(
        "WITH said AS (SELECT * FROM unnest($3::int[], $4::text[], $5::date[], $6::bigint[], $7::text[], $8::text[], "
        "$9::text[], $10::int[]) AS s (line, kind, day, amount_cents, reference, bank_reference, authorisation, "
        "times)), added AS (INSERT INTO remittance_line (remittance_id, bank, line, kind, day, amount_cents, "
        "reference, bank_reference, authorisation, times, source, payment_id) "
        "SELECT $1, $2, s.*, $11, coalesce("
        "(SELECT payment_id FROM payment p WHERE p.bank = $2 AND p.reference = s.reference), "
        "(SELECT payment_id FROM payment p WHERE p.bank = $2 AND p.bank_reference = s.bank_reference), "
        "(SELECT payment_id FROM payment p WHERE p.bank = $2 AND p.bank_reference = s.reference), "
        "(SELECT payment_id FROM payment p WHERE p.bank = $2 AND p.bank_payment = s.bank_reference), "
        "(SELECT (array_agg(payment_id))[1] FROM payment p WHERE p.bank = $2 AND s.authorisation <> '' "
        "AND s.reference = '' AND s.bank_reference = '' AND p.ticket ->> 'authorisation' = s.authorisation "
        "AND p.taken_cents = s.amount_cents HAVING count(*) = 1)) "
        "FROM said s ON CONFLICT DO NOTHING RETURNING 1) SELECT count(*)::int FROM added",
        remittance_id,
        bank,
        *([getattr(each, name) for each in lines] for name in names),
        source,
    )
    return added


async def remittance(tx: Transaction, remittance_id: UUID) -> Remittance:
    """A file as it was read."""
    row: Any = await tx.fetchrow(f"{_REMITTANCE} WHERE r.remittance_id = $1 GROUP BY r.remittance_id", remittance_id)
    return Remittance(**dict(row))


async def latest(tx: Transaction, limit: int) -> tuple[Remittance, ...]:
    """The latest files, newest first."""
    rows = await tx.fetch(f"{_REMITTANCE} GROUP BY r.remittance_id ORDER BY r.imported_at DESC LIMIT $1", limit)
    return tuple(Remittance(**dict(row)) for row in rows)


async def lines_of(tx: Transaction, payment_id: UUID) -> tuple[RemittedLine, ...]:
    """Where the bank's files speak of a payment, oldest first."""
    rows = await tx.fetch(
        "SELECT l.source, l.kind, l.day, l.amount_cents, r.file_name, l.line, r.imported_at FROM remittance_line l "
        "JOIN remittance r USING (remittance_id) WHERE l.payment_id = $1 ORDER BY l.day, l.line_id LIMIT 50",
        payment_id,
    )
    return tuple(RemittedLine(**dict(row)) for row in rows)


async def differences(
    tx: Transaction, *, late_before: datetime, limit: int, payment_id: UUID | None = None
) -> tuple[RemittanceDifference, ...]:
    """Where bank and town disagree and nobody said why, oldest first.

    ``late_before``: what was confirmed earlier should be in a file by now, where the account has files of that time.
    """
    rows = await tx.fetch(_DIFFERENCES, late_before, limit, payment_id)
    return tuple(RemittanceDifference(**dict(row)) for row in rows)


_DIFFERENCES = """
WITH said AS (
    SELECT l.source, p.payment_id, p.bank, p.reference, coalesce(p.taken_cents, 0) AS taken_cents, p.refunded_cents,
        count(*) FILTER (WHERE l.kind = 'taken') AS takes,
        coalesce(sum(l.amount_cents) FILTER (WHERE l.kind = 'taken'), 0)::bigint AS banks_cents,
        coalesce(sum(l.amount_cents) FILTER (WHERE l.kind = 'returned'), 0)::bigint AS returned_cents,
        max(l.line_id) AS line_id, max(l.day) AS day
    FROM remittance_line l JOIN payment p USING (payment_id) GROUP BY p.payment_id, l.source
), found AS (
    SELECT source, CASE WHEN taken_cents = 0 THEN 'unconfirmed' WHEN takes > 1 THEN 'twice' ELSE 'amount' END AS kind,
        bank, day, payment_id, reference, taken_cents AS ours_cents, banks_cents, line_id
    FROM said WHERE takes > 0 AND taken_cents <> banks_cents
    UNION ALL
    SELECT source, 'taken_back', bank, day, payment_id, reference, refunded_cents, returned_cents, line_id
    FROM said WHERE returned_cents > refunded_cents
    UNION ALL
    SELECT source, 'unknown', bank, day, NULL,
        coalesce(nullif(reference, ''), nullif(bank_reference, ''), authorisation), 0,
        CASE kind WHEN 'taken' THEN amount_cents ELSE -amount_cents END, line_id
    FROM remittance_line WHERE payment_id IS NULL AND line_id NOT IN (SELECT line_id FROM lump)
    UNION ALL
    SELECT s.source, 'missing', p.bank, (m.at AT TIME ZONE 'Europe/Paris')::date, p.payment_id, p.reference,
        p.taken_cents, 0, NULL
    FROM (VALUES ('bank'), ('treasury')) s (source), payment p
        JOIN (SELECT payment_id, min(at) AS at FROM payment_move WHERE to_status = 'confirmed' GROUP BY payment_id) m
        USING (payment_id)
    WHERE p.taken_cents IS NOT NULL AND m.at < $1
        AND EXISTS (SELECT FROM remittance_line f WHERE f.bank = p.bank AND f.source = s.source
            HAVING m.at >= min(f.day) AND m.at < max(f.day))
        AND NOT EXISTS (SELECT FROM remittance_line l WHERE l.payment_id = p.payment_id AND l.kind = 'taken'
            AND l.source = s.source)
        AND (s.source = 'bank' OR p.payment_id NOT IN (SELECT payment_id FROM arrived_at_treasury))
), named AS (
    SELECT concat_ws('/', nullif(source, 'bank'), kind, coalesce(payment_id::text, line_id::text), ours_cents,
        banks_cents) AS difference, * FROM found
)
SELECT n.difference, n.source, n.kind, n.bank, n.day, n.payment_id, n.reference, n.ours_cents, n.banks_cents,
    r.file_name, l.line
FROM named n LEFT JOIN remittance_line l USING (line_id) LEFT JOIN remittance r USING (remittance_id)
WHERE NOT EXISTS (SELECT FROM remittance_note o WHERE o.difference = n.difference)
    AND ($3::uuid IS NULL OR n.payment_id = $3)
ORDER BY n.day, n.difference LIMIT $2
"""


async def note(tx: Transaction, request: RemittanceNote, by: Identity, at: datetime) -> None:
    """Keep what a difference was; said twice, the first reason stays."""
    await tx.execute(
        "INSERT INTO remittance_note (difference, reason, noted_by, noted_by_name, noted_at) "
        "VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        request.difference,
        request.reason,
        by.subject_id,
        by.name,
        at,
    )
