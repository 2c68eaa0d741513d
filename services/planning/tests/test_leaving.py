"""A family that leaves gives its days back, as far as the kitchen can still do without them."""

from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import asyncpg

from chassis.clock import now
from chassis.testing import eventually
from contracts.events.auth import HouseholdChanged


async def booked(town: Any) -> list[date]:
    connection = await asyncpg.connect(town.settings.database_url)
    try:
        query = "SELECT day FROM booking WHERE household_id = $1 AND booked ORDER BY day"
        return [row["day"] for row in await connection.fetch(query, town.household)]
    finally:
        await connection.close()


async def kitchen_has(town: Any, *days: date) -> None:
    """Make an activity of its own for these days, whose cancelling deadline is over; book them before it is."""
    payload = {**town.every_day_activity(), "days": [str(day) for day in days], "label": "Sortie"}
    await town.put(f"/activities/{town.activity}", payload)
    await town.enrol(town.household)
    await town.asks(*((day, True) for day in days))
    over = {"until": str(now() - timedelta(minutes=1))}
    await town.put(f"/activities/{town.activity}", {**payload, "cancelling_notice": over})


async def test_the_days_to_come_of_a_closed_household_go_to_who_waits_but_those_the_kitchen_has(town: Any) -> None:
    (day, _), (late, _), *_ = await town.open_days()
    families = [await town.neighbour() for _ in range(2)]
    for family in (town, *families):
        await family.asks((day, True))
    canteen, town.activity = town.activity, uuid4()
    await kitchen_has(town, late)
    town.activity = canteen
    assert (await families[1].cell(day))["state"] == "waiting"
    await town.announce(town.household, version=9, active=False)

    async def is_granted() -> bool:
        return bool((await families[1].cell(day))["state"] == "booked")

    await eventually(is_granted)
    assert await booked(town) == [late]
    told = [(await town.probe.next("planning.bookings.changed")).data for _ in range(5)]
    gone = [each for each in told if each["channel"] == "automatic"]
    assert [(each["child_first_name"], [line["day"] for line in each["days"]]) for each in gone] == [
        ("Léa", [str(day)])
    ]


async def test_what_the_kitchen_has_of_an_erased_household_stays_without_a_name(town: Any) -> None:
    (day, _), (late, _), *_ = await town.open_days()
    await town.asks((day, True))
    town.activity = uuid4()
    await kitchen_has(town, late)
    erased = {"version": 9, "reference": "F-1", "name": "(effacé)", "address": ("(effacé)",), "active": False}
    await town.probe.publish(HouseholdChanged(household_id=town.household, children=(), erased=True, **erased))

    async def is_freed() -> bool:
        return await booked(town) == [late]

    await eventually(is_freed)
    told = [(await town.probe.next("planning.bookings.changed")).data for _ in range(3)]
    assert [each["child_first_name"] for each in told if each["channel"] == "automatic"] == ["(effacé)"]


async def test_a_closed_household_waits_for_nothing(town: Any) -> None:
    (day, _), *_ = await town.open_days()
    families = [await town.neighbour() for _ in range(3)]
    for family in (*families[:2], town, families[2]):
        await family.asks((day, True))
    assert (await families[2].cell(day))["rank"] == 2
    await town.announce(town.household, version=9, active=False)

    async def is_next() -> bool:
        return bool((await families[2].cell(day))["rank"] == 1)

    await eventually(is_next)
    await families[0].asks((day, False))
    assert (await families[2].cell(day))["state"] == "booked"


async def test_a_child_that_leaves_one_household_gives_its_days_back_and_its_siblings_keep_theirs(town: Any) -> None:
    (day, _), *_ = await town.open_days()
    sibling = uuid4()
    await town.announce(town.household, version=2, siblings=(sibling,))
    await town.enrol(town.household, sibling)
    await town.asks((day, True))
    await town.asks((day, True), child_id=str(sibling))
    await town.announce(town.household, version=3, siblings=(sibling,), gone=(town.child,))
    other = await town.neighbour()

    async def is_free() -> bool:
        return bool((await other.cell(day))["state"] == "free")

    await eventually(is_free)
    assert (await town.cell(day, sibling))["state"] == "booked"
    assert await booked(town) == [day]


async def test_a_day_that_was_kept_is_cancelled_when_the_town_closes_it(town: Any) -> None:
    (late, _), *_ = await town.open_days()
    await kitchen_has(town, late)
    gone = {"version": 9, "reference": "F-1", "name": "Famille", "address": ("1 rue",), "active": False}
    await town.probe.publish(HouseholdChanged(household_id=town.household, children=(), **gone))

    async def has_left() -> bool:
        return not (await town.get(f"/households/{town.household}/children"))["children"]

    await eventually(has_left)
    closure = {"day": str(late), "reason": "Grève"}
    told = await (await town.client.post("/closures", json=closure, headers=town.staff())).json(content_type=None)
    assert (told["code"], told["bookings"]) == ("day_has_bookings", 1)
    closure["cancel_bookings"] = True
    done = await town.client.post("/closures", json=closure, headers=town.staff())
    assert (await done.json())["cancelled"] == 1
    assert await booked(town) == []
