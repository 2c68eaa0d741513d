"""The tables of holidays stay ahead of the calendar."""

from typing import Any

import asyncpg

from chassis.clock import today
from local_stack.testing import owner_url
from planning.jobs import YEARS_AFTER, keep_holidays


async def test_a_year_that_is_missing_is_added_and_known_ones_are_not_read_again(town: Any) -> None:
    connection = await asyncpg.connect(owner_url(town.settings.database_url))
    try:
        known = "SELECT day FROM public_holiday ORDER BY day"
        before = await connection.fetch(known)
        assert before[-1]["day"].year == today().year + YEARS_AFTER
        await connection.execute("DELETE FROM public_holiday WHERE day = $1", before[0]["day"])
        await keep_holidays(town.client.app)
        assert await connection.fetch(known) == before[1:]
        await connection.execute("DELETE FROM public_holiday WHERE day >= $1", before[-3]["day"])
        await connection.execute("DELETE FROM public_holiday WHERE extract(year FROM day) > $1", today().year + 1)
        await keep_holidays(town.client.app)
        assert await connection.fetch(known) == before
    finally:
        await connection.close()
