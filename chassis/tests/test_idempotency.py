"""The same key gives the same answer, also when two requests come at once."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chassis import outbox
from chassis.database import Database
from chassis.idempotency import Key, KeyReused, keep, recall, recalled, remember
from chassis.migrations import migrate

KEY, OTHER, THIRD = (Key("scope", key, b"request") for key in ("key", "other", "third"))


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
            if (answer := await recall(tx, "household/1 checkout", "key", request)) is not None:
                return answer
            worked += 1
            await asyncio.sleep(0.05)
            await remember(tx, "household/1 checkout", "key", f"answer {worked}".encode())
            return f"answer {worked}".encode()

    answers = await asyncio.gather(*(command(b"pay invoice 1") for _ in range(5)))
    assert set(answers) == {b"answer 1"}
    with pytest.raises(KeyReused):
        await command(b"pay invoice 2")


async def test_a_command_that_failed_may_be_sent_again(database: Database) -> None:
    with pytest.raises(RuntimeError):
        async with database.transaction() as tx:
            assert await recall(tx, "scope", "key", b"request") is None
            raise RuntimeError
    async with database.transaction() as tx:
        assert await recall(tx, "scope", "key", b"request") is None


async def test_a_look_knows_an_answer_that_was_given_and_one_too_old_is_forgotten(database: Database) -> None:
    async with database.reading() as look:
        assert await recalled(look, [KEY]) == {}
    async with database.transaction() as tx:
        await recall(tx, "scope", "key", b"request")
        await remember(tx, "scope", "key", b"answer")
    async with database.reading() as look:
        assert await recalled(look, [KEY]) == {KEY: b"answer"}
        with pytest.raises(KeyReused):
            await recalled(look, [KEY._replace(request=b"another request")])
        await outbox.trim(database, kept_days=1)
        assert await recalled(look, [KEY]) == {KEY: b"answer"}
        await look.execute("UPDATE idempotency_key SET answered_at = now() - interval '25 hours'")
        await outbox.trim(database, kept_days=1)
        assert await recalled(look, [KEY]) == {}


async def test_an_answer_is_kept_once_and_another_request_with_its_key_is_refused(database: Database) -> None:
    async with database.transaction() as tx:
        assert await recalled(tx, [KEY, OTHER]) == {}
        await keep(tx, {KEY: b"answer", OTHER: b"its own"})
    async with database.transaction() as tx:
        assert await recalled(tx, [KEY, OTHER]) == {KEY: b"answer", OTHER: b"its own"}
    with pytest.raises(KeyReused):
        async with database.transaction() as tx:
            await keep(tx, {THIRD: b"a third", KEY._replace(request=b"another"): b"another answer"})
    async with database.transaction() as tx:
        assert await recalled(tx, [KEY, OTHER]) == {KEY: b"answer", OTHER: b"its own"}
