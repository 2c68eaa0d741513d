"""The same key gives the same answer, also when two requests come at once."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from chassis import outbox
from chassis.database import DATABASE, Database
from chassis.http import application, json_response
from chassis.idempotency import (
    IdempotencyKey,
    KeyReused,
    claim_key,
    delete_expired,
    find_answers,
    fingerprint,
    idempotent,
    store_answer,
    store_answers,
    use_idempotency,
)
from chassis.migrations import migrate
from chassis.settings import EdgeSettings
from contracts.failures import Conflict
from contracts.model import Contract

KEY, OTHER, THIRD = (IdempotencyKey("scope", key, b"request") for key in ("key", "other", "third"))


@pytest.fixture
async def database(empty_database_url: str, tmp_path: Path) -> AsyncIterator[Database]:
    await migrate(empty_database_url, tmp_path)
    made = Database(empty_database_url, connections_max=5)
    await made.start()
    yield made
    await made.stop()


async def test_same_key_same_answer_even_at_once(database: Database) -> None:
    worked = 0

    async def command(request: bytes) -> bytes:
        nonlocal worked
        async with database.transaction() as tx:
            if (answer := await claim_key(tx, "household/1 checkout", "key", request)) is not None:
                return answer
            worked += 1
            await asyncio.sleep(0.05)
            await store_answer(tx, "household/1 checkout", "key", f"answer {worked}".encode())
            return f"answer {worked}".encode()

    answers = await asyncio.gather(*(command(b"pay invoice 1") for _ in range(5)))
    assert set(answers) == {b"answer 1"}
    with pytest.raises(KeyReused):
        await command(b"pay invoice 2")


async def test_a_command_that_failed_may_be_sent_again(database: Database) -> None:
    with pytest.raises(RuntimeError):
        async with database.transaction() as tx:
            assert await claim_key(tx, "scope", "key", b"request") is None
            raise RuntimeError
    async with database.transaction() as tx:
        assert await claim_key(tx, "scope", "key", b"request") is None


async def test_a_look_knows_an_answer_that_was_given_and_one_too_old_is_forgotten(database: Database) -> None:
    async with database.reading() as look:
        assert await find_answers(look, [KEY]) == {}
    async with database.transaction() as tx:
        await claim_key(tx, "scope", "key", b"request")
        await store_answer(tx, "scope", "key", b"answer")
    async with database.reading() as look:
        assert await find_answers(look, [KEY]) == {KEY: b"answer"}
        with pytest.raises(KeyReused):
            await find_answers(look, [KEY._replace(request=b"another request")])
        await outbox.delete_expired(database, kept_days=1)
        assert await find_answers(look, [KEY]) == {KEY: b"answer"}
        await look.execute("UPDATE idempotency_key SET answered_at = now() - interval '25 hours'")
        await outbox.delete_expired(database, kept_days=1)
        assert await find_answers(look, [KEY]) == {}


async def test_an_answer_is_kept_once_and_another_request_with_its_key_is_refused(database: Database) -> None:
    async with database.transaction() as tx:
        assert await find_answers(tx, [KEY, OTHER]) == {}
        await store_answers(tx, {KEY: b"answer", OTHER: b"its own"})
    async with database.transaction() as tx:
        assert await find_answers(tx, [KEY, OTHER]) == {KEY: b"answer", OTHER: b"its own"}
    with pytest.raises(KeyReused):
        async with database.transaction() as tx:
            await store_answers(tx, {THIRD: b"a third", KEY._replace(request=b"another"): b"another answer"})
    async with database.transaction() as tx:
        assert await find_answers(tx, [KEY, OTHER]) == {KEY: b"answer", OTHER: b"its own"}


class Made(Contract):
    """How many there are."""

    count: int


@pytest.fixture
async def client(database: Database) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    """A program that makes something, or fails to."""
    async with database.transaction() as tx:
        await tx.execute("CREATE TABLE made (what text NOT NULL)")

    async def make(request: web.Request) -> web.Response:
        async with request.app[DATABASE].transaction() as tx:
            await tx.execute("INSERT INTO made VALUES ($1)", request.path)
        async with request.app[DATABASE].transaction() as tx:
            made = Made(count=await tx.fetchval("SELECT count(*) FROM made"))
        if request.path == "/failing" and "fine" not in await request.text():
            raise Conflict("not like this")
        return json_response(made, status=201)

    app = application("maker", EdgeSettings(AMQP_URL="amqp://nowhere", AUTH_URL="http://nowhere", HTTP_PORT=0))
    app[DATABASE] = database
    use_idempotency(app)
    app.add_routes([web.post(path, idempotent(make)) for path in ("/things", "/failing")])
    async with TestClient(TestServer(app)) as made:
        yield made


async def _press(client: TestClient[web.Request, web.Application], path: str, key: str = "", body: str = "") -> object:
    headers = {"Idempotency-Key": key} if key else {}
    async with client.post(path, data=body, headers=headers) as response:
        return response.status, (await response.json())["count" if response.status < 400 else "code"]


async def test_what_is_pressed_three_times_is_made_once(client: TestClient[web.Request, web.Application]) -> None:
    answers = await asyncio.gather(*(_press(client, "/things", "one-form") for _ in range(3)))
    assert answers == [(201, 1)] * 3
    assert await _press(client, "/things", "another-form") == (201, 2)
    assert await _press(client, "/things") == (201, 3)
    assert await _press(client, "/things", "one-form", "other words") == (409, "idempotency_key_reused")


async def test_a_kept_answer_is_read_with_its_key_alone(
    client: TestClient[web.Request, web.Application], database: Database
) -> None:
    assert await _press(client, "/things", "one-form") == (201, 1)
    async with database.transaction() as tx:
        row = await tx.fetchrow("SELECT * FROM idempotency_key")
    assert row is not None
    assert "one-form" not in str(dict(row))
    assert b"count" not in row["answer"]


async def test_what_failed_left_nothing_and_may_be_pressed_again_with_its_key(
    client: TestClient[web.Request, web.Application], database: Database
) -> None:
    assert await _press(client, "/failing", "one-form") == (409, "conflict")
    async with database.transaction() as tx:
        assert await tx.fetchval("SELECT count(*) FROM made") == 0
    assert await _press(client, "/failing", "one-form", "fine") == (201, 1)


async def test_an_answer_is_forgotten_after_a_day(
    client: TestClient[web.Request, web.Application], database: Database
) -> None:
    assert await _press(client, "/things", "one-form") == (201, 1)
    assert await delete_expired(database) == 0
    async with database.transaction() as tx:
        await tx.execute("UPDATE idempotency_key SET answered_at = now() - interval '25 hours'")
    assert await delete_expired(database) == 1
    assert await _press(client, "/things", "one-form") == (201, 2)


@pytest.mark.parametrize(
    ("request_bytes", "digest"),
    [
        (b'{"b": "\xc3\xa9", "a": [1, null]}', "1ccf395732b61b695f32a5086a7f70edff2d19abf880897df382d6884b0e1480"),
        (b"no JSON", "dd21d11780cb448e6bcaccc6c01f694928edfe98bef599b24a53407a70f13303"),
    ],
)
def test_the_fingerprint_of_a_request_is_what_it_always_was(request_bytes: bytes, digest: str) -> None:
    """They are kept for weeks: whoever changes the form refuses what was rightly sent again."""
    assert fingerprint(request_bytes).hex() == digest


async def test_the_same_request_written_otherwise_is_answered_as_before_and_another_is_refused(
    database: Database,
) -> None:
    async with database.transaction() as tx:
        assert await claim_key(tx, "scope", "key", b'{"amount_cents":425,"means":"cash"}') is None
        await store_answer(tx, "scope", "key", b"answer")
    async with database.transaction() as tx:
        assert await claim_key(tx, "scope", "key", b'{"means": "cash", "amount_cents": 425}') == b"answer"
        for another in (b'{"means": "cash", "amount_cents": 426}', b'{"amount_cents": 425}', b"425", b""):
            with pytest.raises(KeyReused):
                await claim_key(tx, "scope", "key", another)
        # As the version before kept it: the digest of the bytes.
        before = b'{"amount_cents":425,"means":"card"}'
        await tx.execute("UPDATE idempotency_key SET request = sha256($1)", before)
        assert await claim_key(tx, "scope", "key", before) == b"answer"
