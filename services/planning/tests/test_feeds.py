"""The calendar of a guardian: its secret address, and what an erasure leaves."""

import hashlib
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg

from chassis.testing import Tokens, eventually
from contracts.events.auth import GuardianChanged, HouseholdChanged
from contracts.identity import Identity, Role
from local_stack.testing import owner_url
from planning.api.feeds import READS_AN_HOUR_MAX


def guardian(town: Any, subject_id: UUID) -> dict[str, str]:
    person = Identity(
        subject_id=subject_id,
        session_id=uuid4(),
        name="Camille",
        roles=frozenset({Role.PARENT}),
        household_id=town.household,
    )
    return Tokens.headers(town.tokens.token(person, audience="planning"))


async def sql(town: Any, query: str, *arguments: Any) -> Any:
    """One value, read or changed as the owner of the tables."""
    connection = await asyncpg.connect(owner_url(town.settings.database_url))
    try:
        return await connection.fetchval(query, *arguments)
    finally:
        await connection.close()


async def made(town: Any, headers: dict[str, str]) -> str:
    response = await town.client.put("/feed", headers=headers)
    assert response.status == 200, await response.text()
    return str((await response.json())["key"])


async def read(town: Any, key: str, status: int = 200, child_id: Any = None) -> str:
    response = await town.client.post("/feeds/read", json={"key": key, "child_id": child_id and str(child_id)})
    assert response.status == status, await response.text()
    return str(await response.text())


async def test_the_calendar_has_the_booked_days_of_the_household_and_not_the_cancelled_ones(town: Any) -> None:
    (first, _), (second, _), *_ = await town.open_days()
    neighbour = await town.neighbour()
    await neighbour.asks((first, True))
    await town.asks((first, True), (second, True))
    key = await made(town, guardian(town, uuid4()))
    both = await read(town, key)
    assert both.count("BEGIN:VEVENT") == 2
    assert f"DTSTART;VALUE=DATE:{first:%Y%m%d}" in both
    alone = await read(town, key, child_id=town.child)
    assert alone.partition("BEGIN:VEVENT")[2] == both.partition("BEGIN:VEVENT")[2]
    assert "CALNAME:Planning de Léa" in alone
    await town.asks((first, False))
    left = await read(town, key)
    assert f"DTSTART;VALUE=DATE:{first:%Y%m%d}" not in left
    assert f"DTSTART;VALUE=DATE:{second:%Y%m%d}" in left
    await read(town, key, status=404, child_id=neighbour.child)


async def test_an_address_is_kept_as_a_digest_replaced_revoked_and_not_read_without_end(town: Any) -> None:
    mine = guardian(town, uuid4())
    old, key = await made(town, mine), await made(town, mine)
    await read(town, old, status=404)
    assert await sql(town, "SELECT key_hash FROM feed") == hashlib.sha256(key.encode()).digest()
    for _ in range(READS_AN_HOUR_MAX):
        await read(town, key)
    await read(town, key, status=429)
    await sql(town, "UPDATE feed SET counted_from = counted_from - interval '1 hour'")
    await read(town, key)
    assert (await (await town.client.get("/feed", headers=mine)).json())["read_at"]
    assert (await town.client.delete("/feed", headers=mine)).status == 204
    await read(town, key, status=404)
    assert (await town.client.put("/feed", headers=town.staff())).status == 403


async def test_an_address_dies_with_the_account_even_when_that_was_heard_first(town: Any) -> None:
    left, late = uuid4(), uuid4()
    keys = [await made(town, guardian(town, left))]
    for guardian_id in (left, late):
        person = {"first_name": "C", "last_name": "D", "email": None, "household_id": town.household}
        await town.probe.publish(GuardianChanged(guardian_id=guardian_id, version=2, active=False, **person))
        await eventually(lambda each=guardian_id: sql(town, "SELECT true FROM guardian WHERE guardian_id = $1", each))
    keys.append(await made(town, guardian(town, late)))
    for key in keys:
        await read(town, key, status=404)


async def test_an_erased_household_leaves_no_name_and_its_days_to_come_go_to_who_waits(town: Any) -> None:
    (day, _), (other, _), *_ = await town.open_days()
    families = [await town.neighbour() for _ in range(2)]
    for family in (town, *families):
        await family.asks((day, True))
    await town.asks((other, True))
    await sql(town, "UPDATE booking SET day = day - 90 WHERE day = $1 AND household_id = $2", other, town.household)
    assert (await families[1].cell(day))["state"] == "waiting"
    erased = {"version": 9, "reference": "F-1", "name": "(effacé)", "address": ("(effacé)",), "active": False}
    await town.probe.publish(HouseholdChanged(household_id=town.household, children=(), erased=True, **erased))

    async def is_granted() -> bool:
        return bool((await families[1].cell(day))["state"] == "booked")

    await eventually(is_granted)
    kept = await sql(town, "SELECT row_to_json(c)::text FROM household_child c WHERE household_id = $1", town.household)
    assert "Dupont" not in kept
    assert "Prévert" not in kept
    mine = "household_id = $1 AND booked"
    assert await sql(town, f"SELECT array_agg(day) FROM booking WHERE {mine}", town.household) == [
        other - timedelta(days=90)
    ]
    query = "SELECT count(*) FROM booking_change WHERE household_id = $1 AND NOT booked AND channel = 'automatic'"
    assert await sql(town, query, town.household) == 1
    scope = f"%{town.household}"
    assert await sql(town, "SELECT count(*) FROM idempotency_key WHERE scope LIKE $1", scope) == 0
    told = [(await town.probe.next("planning.bookings.changed")).data for _ in range(5)]
    gone = [each for each in told if each["channel"] == "automatic"]
    assert [(each["child_first_name"], [day["booked"] for day in each["days"]]) for each in gone] == [
        ("(effacé)", [False])
    ]
