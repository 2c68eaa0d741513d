"""Same key, same answer: a command that costs something may be sent again without doing it twice."""

import hashlib
from typing import Any

from chassis.database import Transaction
from contracts.failures import Conflict

REUSED = "this idempotency key was used for another request"


class KeyReused(Conflict):
    """The key was already used for another request."""

    code = "idempotency_key_reused"


async def recalled(tx: Transaction, scope: str, key: str, request: bytes) -> bytes | None:
    """The answer given to ``key`` so far, without waiting for one that is being made; raises as ``recall``.

    Who asks under the locks of what the command changes has nobody to wait for, and ends with ``keep``.
    """
    row = await tx.fetchrow("SELECT request, answer FROM idempotency_key WHERE scope = $1 AND key = $2", scope, key)
    return _answer(row, _digest(request)) if row else None


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


async def keep(tx: Transaction, scope: str, key: str, request: bytes, answer: bytes) -> None:
    """Keep the answer of a command that asked ``recalled`` once it held its locks, in the transaction that does the
    work; raises ``KeyReused`` when another command has taken the key since."""
    free = await tx.fetchval(
        "INSERT INTO idempotency_key (scope, key, request, answer) VALUES ($1, $2, $3, $4) "
        "ON CONFLICT DO NOTHING RETURNING true",
        scope,
        key,
        _digest(request),
        answer,
    )
    if not free:
        raise KeyReused(REUSED)
