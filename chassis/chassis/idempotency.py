"""Same key, same answer: a command that costs something may be sent again without doing it twice."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from chassis.database import Transaction
from contracts.failures import Conflict

REUSED = "this idempotency key was used for another request"


class KeyReused(Conflict):
    """The key was already used for another request."""

    code = "idempotency_key_reused"


class Key(NamedTuple):
    """What a request is known by when it comes again; ``scope`` keeps households and commands apart."""

    scope: str
    key: str
    request: bytes


async def recalled(tx: Transaction, keys: Sequence[Key]) -> dict[Key, bytes]:
    """The answers given so far, without waiting for one that is being made; raises as ``recall``.

    Who asks under the locks of what the commands change has nobody to wait for, and ends with ``keep``.
    """
    if not keys:
        return {}
    rows = await tx.fetch(
        "SELECT * FROM idempotency_key JOIN unnest($1::text[], $2::text[]) AS asked (scope, key) USING (scope, key)",
        [key.scope for key in keys],
        [key.key for key in keys],
    )
    found = {(row["scope"], row["key"]): row for row in rows}
    told = {key: _answer(found[key.scope, key.key], _digest(key.request)) for key in keys if key[:2] in found}
    return {key: answer for key, answer in told.items() if answer is not None}


async def recall(tx: Transaction, scope: str, key: str, request: bytes) -> bytes | None:
    """The answer given to ``key``, or None the first time. Requests with the same key wait for each other.

    ``scope`` keeps households and commands apart. Raises ``KeyReused`` when the key came with another request.
    """
    digest = _digest(request)
    row = await tx.fetchrow(
        "INSERT INTO idempotency_key (scope, key, request) VALUES ($1, $2, $3) "
        "ON CONFLICT (scope, key) DO UPDATE SET key = excluded.key RETURNING request, answer",
        scope,
        key,
        digest,
    )
    return _answer(row, digest)


def _digest(request: bytes) -> bytes:
    return hashlib.sha256(request).digest()


def _answer(row: Any, digest: bytes) -> bytes | None:
    if row["request"] != digest:
        raise KeyReused(REUSED)
    answer: bytes | None = row["answer"]
    return answer


async def remember(tx: Transaction, scope: str, key: str, answer: bytes) -> None:
    """Keep the answer, in the transaction that does the work."""
    await tx.execute(
        "UPDATE idempotency_key SET answer = $3, answered_at = now() WHERE scope = $1 AND key = $2", scope, key, answer
    )


async def keep(tx: Transaction, answers: Mapping[Key, bytes]) -> None:
    """Keep the answers of commands that asked ``recalled`` once they held their locks, in the transaction that does
    the work; raises ``KeyReused`` when another command has taken one of the keys since."""
    kept = await tx.fetch(
        "INSERT INTO idempotency_key (scope, key, request, answer) "
        "SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bytea[]) ON CONFLICT DO NOTHING RETURNING key",
        [key.scope for key in answers],
        [key.key for key in answers],
        [_digest(key.request) for key in answers],
        list(answers.values()),
    )
    if len(kept) < len(answers):
        raise KeyReused(REUSED)
