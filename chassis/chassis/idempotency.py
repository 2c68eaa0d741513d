"""Same key, same answer: a command that costs something may be sent again without doing it twice."""

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
from chassis.http import KEY_HEADER, idempotency_key
from chassis.identity import IDENTITY
from chassis.sealing import Seal
from chassis.tasks import end, keep_running
from contracts.failures import Conflict

Route = TypeVar("Route", bound=Callable[[web.Request], Awaitable[web.StreamResponse]])

KEPT = timedelta(days=1)
KEPT_HEADERS = ("Content-Type", "Content-Disposition", "Cache-Control")
FORGOTTEN_AT_ONCE_MAX = 5_000
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
    told = {key: _answer(found[key.scope, key.key], key.request) for key in keys if key[:2] in found}
    return {key: answer for key, answer in told.items() if answer is not None}


async def recall(tx: Transaction, scope: str, key: str, request: bytes) -> bytes | None:
    """The answer given to ``key``, or None the first time. Requests with the same key wait for each other.

    ``scope`` keeps households and commands apart. Raises ``KeyReused`` when the key came with another request.
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
    """What is kept of a request for as long as its key: of JSON, whatever the order of its fields and its spaces.

    So a client of another version, which writes the same request otherwise, is answered as before.
    """
    try:
        said = json.dumps(json.loads(request), sort_keys=True, separators=(",", ":")).encode()
    except (ValueError, RecursionError):
        said = request
    return hashlib.sha256(b"preau request 2\n" + said).digest()


def _answer(row: Any, request: bytes) -> bytes | None:
    as_before = hashlib.sha256(request).digest()  # what versions until December 2026 kept
    if row["request"] not in {fingerprint(request), as_before}:
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
        [fingerprint(key.request) for key in answers],
        list(answers.values()),
    )
    if len(kept) < len(answers):
        raise KeyReused(REUSED)


def idempotent(handler: Route) -> Route:
    """Mark a handler: the same ``Idempotency-Key`` of the same person does it once, and answers alike.

    All of its work and its answer are committed together, so it is not for a handler that writes something and then
    refuses, such as a counted failure. Without the header it is done each time.
    """
    handler.is_idempotent = True  # type: ignore[attr-defined]
    return handler


def use_idempotency(app: web.Application) -> None:
    """Do what is marked once for its key; after ``use_database`` and ``use_identity``."""
    app.middlewares.append(_once_for_a_key)

    async def run(app: web.Application) -> AsyncIterator[None]:
        forgetting = keep_running(partial(_forget_hourly, app[DATABASE]), "kept answers")
        yield
        await end(forgetting)

    app.cleanup_ctx.append(run)


async def _forget_hourly(database: Database) -> None:
    while True:
        while await forget(database) == FORGOTTEN_AT_ONCE_MAX:
            pass
        await asyncio.sleep(3600)


async def forget(database: Database) -> int:
    """Forget some of the answers that are older than ``KEPT``; how many."""
    async with database.transaction() as tx:
        done = await tx.execute(
            "DELETE FROM idempotency_key WHERE ctid = ANY(ARRAY(SELECT ctid FROM idempotency_key "
            "WHERE answered_at < now() - $1::interval LIMIT $2))",
            KEPT,
            FORGOTTEN_AT_ONCE_MAX,
        )
    return int(done.removeprefix("DELETE "))


@web.middleware
async def _once_for_a_key(request: web.Request, handler: Handler) -> web.StreamResponse:
    if not getattr(request.match_info.handler, "is_idempotent", False) or KEY_HEADER not in request.headers:
        return await handler(request)
    key, database, who = idempotency_key(request), request.app[DATABASE], request.get(IDENTITY)
    scope = f"{request.method} {request.path} {who.subject_id if who else ''}"
    # The answer may hold access codes or names: only who has the key can read it again, and the key is not kept.
    seal, digest = Seal(SecretStr(f"answer to {key}"), "key"), hashlib.sha256(key.encode()).hexdigest()
    async with database.transaction() as tx:
        kept = await recall(tx, scope, digest, await request.read())
        if kept is not None:
            return _again(seal.open(kept))
        with database.shared(tx):
            response = await handler(request)
        await remember(tx, scope, digest, seal.seal(_kept(response)))
    return response


def _kept(response: web.StreamResponse) -> bytes:
    """Status, headers and body, the last as it is: a PDF may be long."""
    assert isinstance(response, web.Response), "an answer that is kept is whole"
    body = response.body or b""
    assert isinstance(body, bytes), "an answer that is kept is bytes"
    headers = {name: value for name, value in response.headers.items() if name in KEPT_HEADERS}
    return json.dumps([response.status, headers]).encode() + b"\n" + body


def _again(kept: bytes) -> web.Response:
    head, _, body = kept.partition(b"\n")
    status, headers = json.loads(head)
    return web.Response(status=status, headers=headers, body=body or None)
