"""What waits too long, or loses the server in the middle, is told to come again, and has changed nothing."""

import asyncio

import asyncpg
import pytest

from chassis.database import Database, Statement, execute_together, opened
from contracts.failures import Unavailable, Unreadable
from local_stack.wires import Wire, wired

LONGEST_SECONDS = 10
"""Half of what a statement without an answer is waited for."""


async def test_who_waits_too_long_for_a_lock_is_told_to_come_again(empty_database_url: str) -> None:
    database = Database(empty_database_url, connections_max=2)
    await database.start()
    async with database.transaction() as tx:
        await tx.execute("CREATE TABLE place (taken boolean)")
        await tx.execute("INSERT INTO place VALUES (false)")
    async with database.transaction() as holding:
        await holding.execute("SELECT FROM place FOR UPDATE")
        with pytest.raises(Unavailable) as told:
            async with database.transaction() as tx:
                await tx.execute("INSERT INTO place VALUES (true)")
                await tx.execute("SET LOCAL lock_timeout = '50ms'")
                await tx.execute("UPDATE place SET taken = true")
        assert told.value.facts["retry_after_seconds"] > 0
    async with database.reading() as look:
        assert await look.fetchval("SELECT count(*) FROM place") == 1
    await database.stop()


async def test_nobody_waits_for_ever_for_a_connection(empty_database_url: str) -> None:
    database = Database(empty_database_url, connections_max=2, acquire_seconds=0.2)
    await database.start()
    async with database.reading(), database.reading(), asyncio.timeout(5):
        with pytest.raises(Unavailable):
            await database.check()
    await database.check()
    await database.stop()


@pytest.mark.parametrize("statement", ["SELECT pg_sleep(10)", "SELECT 1"])
async def test_a_connection_that_breaks_in_a_transaction_is_told_as_such(
    empty_database_url: str, statement: str
) -> None:
    async with wired(empty_database_url) as wire:
        database = Database(wire.url, connections_max=2)
        await database.start()
        with pytest.raises(Unavailable):
            async with database.transaction() as tx:
                await tx.execute("CREATE TABLE place (taken boolean)")
                asyncio.get_running_loop().call_later(0.2, wire.reset)
                await tx.execute(statement)
                await asyncio.sleep(0.5)
        async with database.transaction() as tx:
            assert await tx.fetchval("SELECT to_regclass('place')") is None
        await database.stop()


async def _falls_silent(wire: Wire, database: Database) -> None:
    """A transaction whose connection is half open from its second statement on."""
    async with database.transaction() as tx:
        await tx.execute("SELECT 1")
        wire.silence()
        await tx.execute("SELECT 2")


async def test_a_server_that_never_answers_is_told_to_be_away_and_its_connection_is_not_used_again(
    empty_database_url: str,
) -> None:
    async with wired(empty_database_url) as wire:
        database = Database(wire.url, connections_max=2, answer_seconds=0.3)
        await database.start()
        with pytest.raises(Unavailable):
            await _falls_silent(wire, database)
        await database.check()
        assert database.connections()["working"] == 0
        await database.stop()


async def test_who_may_wait_no_longer_for_a_silent_server_goes(empty_database_url: str) -> None:
    async with wired(empty_database_url) as wire:
        database = Database(wire.url, connections_max=2)
        await database.start()
        async with asyncio.timeout(LONGEST_SECONDS):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await _falls_silent(wire, database)
        await database.check()
        assert database.connections()["working"] == 0
        await database.stop()


async def test_parts_are_stored_together_with_their_own_arguments_and_all_or_none(empty_database_url: str) -> None:
    async with opened(empty_database_url) as database:
        async with database.transaction() as tx:
            await tx.execute("CREATE TABLE kept (name text, size int UNIQUE)")
            words = ("one AS (INSERT INTO kept VALUES ($2, $1))", "two AS (INSERT INTO kept VALUES ($1, $2))")
            await execute_together(tx, Statement(words[0], (1, "a")), Statement(words[1], ("b", 2)))
            assert [tuple(row) for row in await tx.fetch("SELECT * FROM kept ORDER BY size")] == [("a", 1), ("b", 2)]
        with pytest.raises(asyncpg.UniqueViolationError):
            async with database.transaction() as tx:
                await execute_together(tx, Statement(words[0], (3, "c")), Statement(words[1], ("d", 1)))
        async with database.reading() as tx:
            assert await tx.fetchval("SELECT count(*) FROM kept") == 2


@pytest.mark.parametrize("query", ["INSERT INTO kept VALUES ($1)", "SELECT $1::text"])
async def test_a_text_that_no_database_can_keep_is_refused_and_nothing_is_kept(
    empty_database_url: str, query: str
) -> None:
    async with opened(empty_database_url) as database:
        async with database.transaction() as tx:
            await tx.execute("CREATE TABLE kept (name text)")
        with pytest.raises(Unreadable):
            async with database.transaction() as tx:
                await tx.execute("INSERT INTO kept VALUES ('before')")
                await tx.fetch(query, "\0")
        async with database.reading() as look:
            assert await look.fetchval("SELECT count(*) FROM kept") == 0


async def test_the_same_character_in_json_is_refused_too(empty_database_url: str) -> None:
    async with opened(empty_database_url) as database:
        with pytest.raises(Unreadable):
            async with database.reading() as look:
                await look.fetchval("SELECT $1::text::jsonb", r'{"name": "\u0000"}')


RAISED = "DO $$ BEGIN RAISE EXCEPTION 'as the server says it' USING ERRCODE = '{}'; END $$"
SESSION_ENDS = ("08000", "08006", "57P01", "57P02", "57P03", "57P04", "57P05", "25P03", "25P04", "25006", "53300")
SESSION_STAYS = ("55P03", "57014", "40001", "40P01", "40003", "53000", "53100", "53200", "53400", "55006", "58030")
TRY_AGAIN = [*((state, False) for state in SESSION_ENDS), *((state, True) for state in SESSION_STAYS)]


@pytest.mark.parametrize(("sqlstate", "stays"), TRY_AGAIN)
async def test_what_may_go_well_another_time_is_said_as_such_and_a_session_that_is_of_no_more_use_is_ended(
    empty_database_url: str, sqlstate: str, *, stays: bool
) -> None:
    database = Database(empty_database_url, connections_max=1)
    await database.start()
    async with database.transaction() as tx:
        await tx.execute("CREATE TABLE place (taken boolean)")
        session = await tx.fetchval("SELECT pg_backend_pid()")
    with pytest.raises(Unavailable) as told:
        async with database.transaction() as tx:
            await tx.execute("INSERT INTO place VALUES (true)")
            await tx.execute(RAISED.format(sqlstate))
    assert told.value.facts["retry_after_seconds"] > 0
    async with database.transaction() as tx:
        assert await tx.fetchval("SELECT count(*) FROM place") == 0
        assert (await tx.fetchval("SELECT pg_backend_pid()") == session) is stays
    await database.stop()


@pytest.mark.parametrize("sqlstate", ["23514", "42703", "25P02", "0A000", "XX000"])
async def test_any_other_error_is_itself(empty_database_url: str, sqlstate: str) -> None:
    async with opened(empty_database_url) as database:
        with pytest.raises(asyncpg.PostgresError) as told:
            async with database.transaction() as tx:
                await tx.execute(RAISED.format(sqlstate))
        assert told.value.sqlstate == sqlstate


async def test_a_server_that_takes_no_writes_any_more_is_left(empty_database_url: str) -> None:
    async with opened(empty_database_url) as database:
        async with database.reading() as session:
            was = await session.fetchval("SELECT pg_backend_pid()")
            await session.execute("SET default_transaction_read_only = on")  # as a server does whose disk is full
        with pytest.raises(Unavailable, match="read-only"):
            await database.check()
        async with database.reading() as session:
            assert await session.fetchval("SELECT pg_backend_pid()") != was
        await database.check()


async def test_a_write_to_a_server_that_takes_none_leaves_every_session_with_it(empty_database_url: str) -> None:
    async with opened(empty_database_url) as database:
        async with database.reading() as one, database.reading() as other:
            were = {await each.fetchval("SELECT pg_backend_pid()") for each in (one, other)}
        with pytest.raises(Unavailable, match="read-only"):
            async with database.transaction() as tx:
                await tx.execute("SET TRANSACTION READ ONLY")
                await tx.execute("CREATE TABLE place (taken boolean)")
        async with database.reading() as one, database.reading() as other:
            assert not were & {await each.fetchval("SELECT pg_backend_pid()") for each in (one, other)}


async def test_a_role_that_is_refused_is_told_to_come_again(empty_database_url: str) -> None:
    url = empty_database_url.replace("@", "wrong@", 1)
    async with opened(url) as database:
        with pytest.raises(Unavailable):
            await database.check()


async def test_a_silent_server_does_not_hide_the_other_one(empty_database_url: str) -> None:
    silent = await asyncio.start_server(lambda _reader, _writer: asyncio.sleep(60), "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    async with opened(empty_database_url.replace("@127.0.0.1", f"@127.0.0.1:{port},127.0.0.1")) as database:
        for _ in range(2):
            await database.check()
    silent.close()
