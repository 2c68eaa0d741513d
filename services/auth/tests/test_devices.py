"""A sign-in from a device that was never seen before is told to whom the account belongs."""

import asyncio
from typing import Any

from auth.jobs import forget
from chassis.clock import now

DEVICES = "SELECT count(*) FROM device JOIN account USING (account_id) WHERE identifier = 'camille.d'"


async def test_a_new_device_is_told_once_and_the_first_of_all_never(town: Any) -> None:
    await town.has_household()
    for device in ("the usual telephone", "a library's computer", "a library's computer", "the usual telephone"):
        assert (await town.sign_in("camille.d", "un-bon-secret", device=device)).status == 201
    told = await town.mailed("auth.device.new")
    assert (told["first_name"], told["email"]) == ("Camille", "camille@example.org")
    assert (told["browser"], told["system"]) == ("Firefox", "")
    listed = await town.sql("SELECT array_agg(session_id::text) FROM session")
    assert told["session_id"] in listed
    await town.probe.none("auth.device.new")
    assert await town.sql(DEVICES) == 2


async def test_two_tabs_of_a_new_device_are_told_as_one_and_a_wrong_secret_not_at_all(town: Any) -> None:
    await town.has_household()
    assert (await town.sign_in("camille.d", "un-bon-secret")).status == 201
    assert (await town.sign_in("camille.d", "wrong", device="somebody else's")).status == 401
    both = (town.sign_in("camille.d", "un-bon-secret", device="a new computer") for _ in range(2))
    assert [each.status for each in await asyncio.gather(*both)] == [201, 201]
    await town.mailed("auth.device.new")
    await town.probe.none("auth.device.new")
    assert await town.sql(DEVICES) == 2


async def test_a_device_that_was_not_used_for_long_is_forgotten(town: Any) -> None:
    await town.has_household()
    await town.sign_in("camille.d", "un-bon-secret")
    await town.sql("UPDATE device SET last_used_at = $1::timestamptz - interval '401 days'", now())
    await forget(town.client.app)
    assert await town.sql("SELECT count(*) FROM device") == 0
