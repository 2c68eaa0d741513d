"""Idempotency keys: a request sent again with the same key is executed once and answered alike."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple, TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import SecretStr

from chassis.database import DATABASE, Database, Transaction
from chassis.encryption import Encryption
from chassis.http import KEY_HEADER, idempotency_key
from chassis.identity import IDENTITY
from chassis.tasks import cancel_and_wait, run_forever
from contracts.failures import Conflict

Route = TypeVar("Route", bound=Callable[[web.Request], Awaitable[web.StreamResponse]])

KEPT = timedelta(days=1)
KEPT_HEADERS = ("Content-Type", "Content-Disposition", "Cache-Control")
DELETED_ROWS_MAX = 5_000
REUSED = "this idempotency key was used for another request"


class KeyReused(Conflict):
    """The key was already used for another request."""

    code = "idempotency_key_reused"


class IdempotencyKey(NamedTuple):
    """Identifies a request that is sent again; ``scope`` separates households and routes."""

    scope: str
    key: str
    request: bytes


async def find_answers(tx: Transaction, keys: Sequence[IdempotencyKey]) -> dict[IdempotencyKey, bytes]:
    """The answers stored so far, without waiting for requests in progress; raises as ``claim_key``.

    For callers that hold the locks of what the requests change; they end with ``store_answers``.
    """
    if not keys:
        return {}
    rows = await tx.fetch(
        "SELECT * FROM idempotency_key JOIN unnest($1::text[], $2::text[]) AS asked (scope, key) USING (scope, key)",
        [key.scope for key in keys],
        [key.key for key in keys],
    )
    found = {(row["scope"], row["key"]): row for row in rows}
    answers = {key: _answer(found[key.scope, key.key], key.request) for key in keys if key[:2] in found}
    return {key: answer for key, answer in answers.items() if answer is not None}


async def claim_key(tx: Transaction, scope: str, key: str, request: bytes) -> bytes | None:
    """The stored answer, or None the first time. Requests with the same key wait for each other.

    Raises ``KeyReused`` when the key came with another request.
    """
    row = await tx.fetchrow(
        "INSERT INTO idempotency_key (scope, key, request) VALUES ($1, $2, $3) "
        "ON CONFLICT (scope, key) DO UPDATE SET key = excluded.key RETURNING request, answer",
        scope,
        key,
        fingerprint(request),
    )
    return _answer(row, request)


def fingerprint(request: bytes) -> bytes:
    """SHA-256 of a request; of JSON, in a canonical form that ignores the order of fields and white space.

    A client of another version that serialises the same request differently gets the same answer.
    """
    try:
        canonical = json.dumps(json.loads(request), sort_keys=True, separators=(",", ":")).encode()
    except (ValueError, RecursionError):
        canonical = request
    return hashlib.sha256(b"preau request 2\n" + canonical).digest()


def _answer(row: Any, request: bytes) -> bytes | None:
    as_before = hashlib.sha256(request).digest()  # what versions until December 2026 kept
    if row["request"] not in {fingerprint(request), as_before}:
        raise KeyReused(REUSED)
    answer: bytes | None = row["answer"]
    return answer


async def store_answer(tx: Transaction, scope: str, key: str, answer: bytes) -> None:
    """Store the answer, in the transaction of the request."""
    await tx.execute(
        "UPDATE idempotency_key SET answer = $3, answered_at = now() WHERE scope = $1 AND key = $2", scope, key, answer
    )


async def store_answers(tx: Transaction, answers: Mapping[IdempotencyKey, bytes]) -> None:
    """Store the answers of requests that called ``find_answers`` under their locks, in the same transaction; raises
    ``KeyReused`` if another request has taken one of the keys since."""
    kept = await tx.fetch(
        "INSERT INTO idempotency_key (scope, key, request, answer) "
        "SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bytea[]) ON CONFLICT DO NOTHING RETURNING key",
        [key.scope for key in answers],
        [key.key for key in answers],
        [fingerprint(key.request) for key in answers],
        list(answers.values()),
    )
    if len(kept) < len(answers):
        raise KeyReused(REUSED)


def idempotent(handler: Route) -> Route:
    """Execute a handler once for each ``Idempotency-Key`` of a person; a repetition gets the stored answer.

    Its work and its answer are committed together, so it must not be used for a handler that writes something and then
    raises, such as a counted failure. Without the header the handler runs each time.
    """
    handler.is_idempotent = True  # type: ignore[attr-defined]
    return handler


def use_idempotency(app: web.Application) -> None:
    """Enable ``@idempotent``; after ``use_database`` and ``use_identity``."""
    app.middlewares.append(_idempotency)

    async def run(app: web.Application) -> AsyncIterator[None]:
        retention = run_forever(partial(_delete_expired_hourly, app[DATABASE]), "idempotency key retention")
        yield
        await cancel_and_wait(retention)

    app.cleanup_ctx.append(run)


async def _delete_expired_hourly(database: Database) -> None:
    while True:
        while await delete_expired(database) == DELETED_ROWS_MAX:
            pass
        await asyncio.sleep(3600)


async def delete_expired(database: Database) -> int:
    """Delete a batch of answers older than ``KEPT``; the number of rows."""
    async with database.transaction() as tx:
        done = await tx.execute(
            "DELETE FROM idempotency_key WHERE ctid = ANY(ARRAY(SELECT ctid FROM idempotency_key "
            "WHERE answered_at < now() - $1::interval LIMIT $2))",
            KEPT,
            DELETED_ROWS_MAX,
        )
    return int(done.removeprefix("DELETE "))


@web.middleware
async def _idempotency(request: web.Request, handler: Handler) -> web.StreamResponse:
    if not getattr(request.match_info.handler, "is_idempotent", False) or KEY_HEADER not in request.headers:
        return await handler(request)
    key, database, subject = idempotency_key(request), request.app[DATABASE], request.get(IDENTITY)
    scope = f"{request.method} {request.path} {subject.subject_id if subject else ''}"
    # The answer may hold access codes or names: it is encrypted under the key, of which only a hash is stored.
    encryption, digest = Encryption(SecretStr(f"answer to {key}"), "key"), hashlib.sha256(key.encode()).hexdigest()
    async with database.transaction() as tx:
        kept = await claim_key(tx, scope, digest, await request.read())
        if kept is not None:
            return _again(encryption.decrypt(kept))
        with database.shared(tx):
            response = await handler(request)
        await store_answer(tx, scope, digest, encryption.encrypt(_kept(response)))
    return response


def _kept(response: web.StreamResponse) -> bytes:
    """Serialise status, headers and body, the last as raw bytes: a PDF may be long."""
    assert isinstance(response, web.Response), "an answer that is kept is whole"
    body = response.body or b""
    assert isinstance(body, bytes), "an answer that is kept is bytes"
    headers = {name: value for name, value in response.headers.items() if name in KEPT_HEADERS}
    return json.dumps([response.status, headers]).encode() + b"\n" + body


def _again(kept: bytes) -> web.Response:
    head, _, body = kept.partition(b"\n")
    status, headers = json.loads(head)
    return web.Response(status=status, headers=headers, body=body or None)
