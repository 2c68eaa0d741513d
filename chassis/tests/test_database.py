"""What waits too long for another is told to come again, and has changed nothing."""

import asyncio

import pytest

from chassis.database import Database
from contracts.failures import Unavailable


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
