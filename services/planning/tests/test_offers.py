"""A place that comes free may be offered for some hours: held meanwhile, accepted, refused, or given on."""

import asyncio
from datetime import date, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from chassis.clock import now
from chassis.testing import eventually
from planning.app import build
from planning.jobs import lapse_offers


async def sql(town: Any, query: str, *arguments: Any) -> Any:
    connection = await asyncpg.connect(town.settings.database_url)
    try:
        return await connection.fetchval(query, *arguments)
    finally:
        await connection.close()


async def offering(town: Any, count: int, **more: Any) -> tuple[date, list[Any]]:
    """A full day of one place, and so many families that wait for it."""
    payload = town.every_day_activity(**{"capacity": 1, "offer_hours": 24, **more})
    await town.put(f"/activities/{town.activity}", payload)
    day = [day for day, _ in await town.open_days()][5]
    families = [await town.neighbour() for _ in range(count)]
    for family in (town, *families):
        await family.asks((day, True))
    return day, families


async def states(day: date, families: list[Any]) -> list[tuple[str, bool]]:
    cells = [await family.cell(day) for family in families]
    return [(cell["state"], cell["offered_until"] is not None) for cell in cells]


async def over(town: Any) -> None:
    """Let the time of every offer pass."""
    await sql(town, "UPDATE waiting SET offered_until = $1 WHERE offered_until IS NOT NULL", now())


async def test_a_freed_place_is_held_for_the_first_who_waits_and_is_theirs_when_they_accept(town: Any) -> None:
    day, (first, second) = await offering(town, 2)
    before = now()
    await town.asks((day, False))
    told = (await town.probe.next("planning.place.offered")).data
    assert (told["household_id"], told["day"], told["child_first_name"]) == (str(first.household), str(day), "Léa")
    until = datetime.fromisoformat(told["offered_until"])
    assert before + timedelta(hours=24) <= until <= now() + timedelta(hours=24)
    assert await states(day, [town, first, second]) == [("full", False), ("waiting", True), ("waiting", False)]
    assert (await second.asks((day, True)))["lines"][0]["rank"] == 2  # nobody else can have it meanwhile
    assert (await town.asks((day, True), wait=False))["lines"][0]["refusal"] == "full"
    month = await first.get(f"/households/{first.household}/children/{first.child}/months/2026-01")
    assert [(each["activity_label"], each["day"]) for each in month["offers"]] == [("Cantine", str(day))]
    accepted = await first.asks((day, True), wait=False)
    assert (accepted["lines"][0]["booked"], accepted["lines"][0]["refusal"]) == (True, None)
    assert await states(day, [town, first, second]) == [("full", False), ("booked", False), ("waiting", False)]
    assert (await second.cell(day))["rank"] == 1
    assert await sql(town, "SELECT (booked, held)::text FROM occupation WHERE day = $1", day) == "(1,0)"
    assert (await first.history())[0] == (str(day), True, False, "internet")


async def test_who_refuses_leaves_the_list_and_the_place_is_offered_to_the_next(town: Any) -> None:
    day, (first, second) = await offering(town, 2)
    await town.asks((day, False))
    refused = await first.asks((day, False))
    assert (refused["lines"][0]["refusal"], refused["lines"][0]["rank"]) == (None, None)
    assert await states(day, [first, second]) == [("full", False), ("waiting", True)]
    offers = [(await town.probe.next("planning.place.offered")).data for _ in range(2)]
    assert [each["household_id"] for each in offers] == [str(first.household), str(second.household)]
    await second.asks((day, False))
    assert (await town.cell(day))["state"] == "free"
    await town.probe.none("planning.offer.lapsed", seconds=0.5)


async def test_an_offer_that_nobody_answers_is_over_and_the_next_has_it_once_whatever_the_replicas(
    town: Any, aiohttp_client: Any
) -> None:
    day, (first, second, third) = await offering(town, 3)
    replica = await aiohttp_client(build(town.settings))
    await town.asks((day, False))
    await over(town)
    late = await first.asks((day, True), wait=False)
    assert (late["lines"][0]["booked"], late["lines"][0]["refusal"]) == (False, "offer_over")
    await asyncio.gather(*(lapse_offers(each.app) for each in (town.client, replica) * 3))
    families = [first, second, third]
    assert await states(day, families) == [("full", False), ("waiting", True), ("waiting", False)]
    assert (await first.history())[0] == (str(day), False, True, "waiting_list")
    assert await sql(town, "SELECT (booked, held)::text FROM occupation WHERE day = $1", day) == "(0,1)"
    offers = [(await town.probe.next("planning.place.offered")).data for _ in range(2)]
    assert [each["household_id"] for each in offers] == [str(first.household), str(second.household)]
    lapsed = (await town.probe.next("planning.offer.lapsed")).data
    for name in ("household_id", "child_id", "child_first_name", "activity_id", "activity_label", "day", "position"):
        assert lapsed[name] == offers[0][name]
    assert lapsed["offered_until"] <= lapsed["lapsed_at"] < lapsed["book_until"]
    for event in ("planning.place.offered", "planning.offer.lapsed"):
        await town.probe.none(event, seconds=0.5)


async def test_an_offer_ends_at_the_booking_deadline_and_past_it_nobody_is_offered_the_place(town: Any) -> None:
    soon = {"until": (now() + timedelta(hours=3)).isoformat()}
    day, (first, second) = await offering(town, 2, booking_notice=soon)
    await town.asks((day, False))
    told = (await town.probe.next("planning.place.offered")).data
    assert datetime.fromisoformat(told["offered_until"]) == datetime.fromisoformat(soon["until"])
    past = {"until": (now() - timedelta(minutes=1)).isoformat()}
    payload = town.every_day_activity(capacity=1, offer_hours=24, booking_notice=past)
    await town.put(f"/activities/{town.activity}", payload)
    assert (await first.asks((day, True)))["lines"][0]["refusal"] == "past_deadline"
    await over(town)
    await lapse_offers(town.client.app)
    assert await states(day, [first, second]) == [("free", False), ("waiting", False)]
    lapsed = (await town.probe.next("planning.offer.lapsed")).data
    assert datetime.fromisoformat(lapsed["book_until"]) == datetime.fromisoformat(past["until"])
    await town.probe.none("planning.place.offered", seconds=0.5)


async def test_a_closed_day_and_a_family_that_leaves_hold_nothing(town: Any) -> None:
    day, (first, second) = await offering(town, 2)
    await town.asks((day, False))
    await town.announce(first.household, version=9, active=False)

    async def is_offered_on() -> bool:
        return await states(day, [second]) == [("waiting", True)]

    await eventually(is_offered_on)
    closure = {"day": str(day), "reason": "Grève", "cancel_bookings": True}
    assert (await town.client.post("/closures", json=closure, headers=town.staff())).status == 201
    assert await sql(town, "SELECT (booked, held)::text FROM occupation WHERE day = $1", day) == "(0,0)"


async def test_a_place_of_a_school_is_held_for_a_child_of_that_school(town: Any) -> None:
    day, (first,) = await offering(town, 1, capacity=None, school_capacities={"Prévert": 1})
    await town.asks((day, False))
    assert await states(day, [town, first]) == [("full", False), ("waiting", True)]
    other = await town.neighbour(school="Curie")
    assert (await other.cell(day))["state"] == "free"
    await first.asks((day, True))
    assert await states(day, [town, first]) == [("full", False), ("booked", False)]


async def test_an_offer_is_kept_when_the_town_takes_places_away(town: Any) -> None:
    day, (first,) = await offering(town, 1)
    await town.asks((day, False))
    await town.put(f"/activities/{town.activity}", town.every_day_activity(capacity=0, offer_hours=24))
    await first.asks((day, True))
    assert await states(day, [first]) == [("booked", False)]
    connection = await asyncpg.connect(town.settings.database_url)
    try:
        with pytest.raises(asyncpg.CheckViolationError, match="full"):
            await connection.execute("UPDATE occupation SET held = held + 1 WHERE day = $1", day)
    finally:
        await connection.close()


async def test_an_offer_of_a_school_is_kept_when_the_town_takes_its_places_away(town: Any) -> None:
    day, (first,) = await offering(town, 1, capacity=None, school_capacities={"Prévert": 1})
    await town.asks((day, False))
    fewer = town.every_day_activity(capacity=None, offer_hours=24, school_capacities={"Prévert": 0})
    await town.put(f"/activities/{town.activity}", fewer)
    await first.asks((day, True))
    assert await states(day, [first]) == [("booked", False)]
