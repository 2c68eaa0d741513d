"""Same key, same answer: a command that costs something may be sent again without doing it twice."""

import hashlib

from chassis.database import Transaction
from contracts.failures import Conflict


class KeyReused(Conflict):
    """The key was already used for another request."""

    code = "idempotency_key_reused"


async def recall(tx: Transaction, scope: str, key: str, request: bytes) -> bytes | None:
    """The answer given to ``key``, or None the first time. Requests with the same key wait for each other.

    ``scope`` keeps households and commands apart. Raises ``KeyReused`` when the key came with another request.
    """
    digest = hashlib.sha256(request).digest()
    await tx.execute(
        "INSERT INTO idempotency_key (scope, key, request) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        scope,
        key,
        digest,
    )
    row = await tx.fetchrow(
        "SELECT request, answer FROM idempotency_key WHERE scope = $1 AND key = $2 FOR UPDATE", scope, key
    )
    assert row is not None, "the row was inserted or found by the statement above"
    if row["request"] != digest:
        raise KeyReused("this idempotency key was used for another request")
    answer: bytes | None = row["answer"]
    return answer


async def remember(tx: Transaction, scope: str, key: str, answer: bytes) -> None:
    """Keep the answer, in the transaction that does the work."""
    await tx.execute(
        "UPDATE idempotency_key SET answer = $3, answered_at = now() WHERE scope = $1 AND key = $2", scope, key, answer
    )
