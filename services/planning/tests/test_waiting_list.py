"""Who waits gets the freed place: in order, once, and only while it can be given."""

import asyncio
import json
from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from chassis.clock import now
from chassis.testing import eventually
from contracts.events.billing import ResidenceChanged, ResidenceFrom
from planning.app import build
from planning.store.booking_contexts import SITUATIONS


@pytest.mark.timeout(600)
async def test_two_hundred_ask_for_the_last_place_on_two_replicas(town: Any, aiohttp_client: Any) -> None:
    """One wins; the others are told their ranks, 1 to 199, each once."""
    replica = await aiohttp_client(build(town.settings))
    (day, _), *_ = await town.open_days()
    await town.asks((day, True))
    pool = await asyncpg.create_pool(town.settings.database_url, min_size=1, max_size=2)
    families = [replace(town, household=uuid4(), child=uuid4()) for _ in range(200)]
    await pool.executemany("INSERT INTO household VALUES ($1, 1)", [(family.household,) for family in families])
    await pool.executemany(
        "INSERT INTO household_child (household_id, child_id, first_name, last_name, school, class_name, custody, "
        "position) VALUES ($1, $2, 'Léa', 'Dupont', 'Prévert', 'CE1', 'free', 0)",
        [(family.household, family.child) for family in families],
    )
    await pool.executemany(
        "INSERT INTO enrolment VALUES ($1, $2, $3, $4, $5)",
        [(f.household, f.child, f.activity, day, day) for f in families],
    )
    for number, family in enumerate(families):
        family.client = town.client if number % 2 else replica

    async def persist(family: Any) -> dict[str, Any]:
        """As a parent does: an overloaded service says 503 with Retry-After, and the same key is sent again."""
        body = family.payload((day, True))
        body["lines"][0]["or_wait"] = True
        headers = family.parent(**{"Idempotency-Key": "one-place"})

        async def ask() -> Any:
            response = await family.book(body, headers)
            assert response.status in {200, 503}, await response.text()
            return await response.json() if response.status == 200 else None

        return dict((await eventually(ask, seconds=500))["lines"][0])

    lines = await asyncio.gather(*(persist(family) for family in families))
    assert [line["refusal"] for line in lines] == [None] * 200
    assert sum(line["booked"] for line in lines) == 1
    assert sorted(line["rank"] for line in lines if not line["booked"]) == list(range(1, 200))
    assert await pool.fetchval("SELECT booked FROM occupation WHERE day = $1", day) == 2
    await pool.close()


async def test_a_freed_place_goes_to_who_waited_longest(town: Any) -> None:
    (day, _), *_ = await town.open_days()
    second, third, fourth = [await town.neighbour() for _ in range(3)]
    await town.asks((day, True))
    await second.asks((day, True))
    refused = await third.asks((day, True), wait=False)
    assert refused["lines"][0]["refusal"] == "full"
    assert (await third.cell(day))["state"] == "full"
    waits = await third.asks((day, True))
    assert (waits["lines"][0]["refusal"], waits["lines"][0]["booked"], waits["lines"][0]["rank"]) == (None, False, 1)
    assert (await fourth.asks((day, True)))["lines"][0]["rank"] == 2
    assert (await third.asks((day, True)))["lines"][0]["rank"] == 1  # asking twice keeps the place
    cell = await fourth.cell(day)
    assert (cell["state"], cell["rank"], cell["changeable"]) == ("waiting", 2, True)
    await town.asks((day, False))
    granted = await town.probe.next("planning.place.granted")
    assert (granted.data["household_id"], granted.data["day"]) == (str(third.household), str(day))
    assert (await third.cell(day))["state"] == "booked"
    assert (await fourth.cell(day))["rank"] == 1
    assert await third.history() == [
        (str(day), True, False, "waiting_list"),
        (str(day), True, True, "internet"),
    ]
    stale = await third.asks((day, False), seen=waits["version"])  # the page still shows the waiting list
    assert stale["lines"][0]["refusal"] == "changed_elsewhere"
    left = await fourth.asks((day, False))
    assert (left["lines"][0]["refusal"], left["lines"][0]["rank"]) == (None, None)
    assert (await fourth.cell(day))["state"] == "full"
    await third.asks((day, False))
    assert (await fourth.cell(day))["state"] == "free"


async def test_who_may_no_longer_have_the_place_is_passed_over(town: Any) -> None:
    (day, _), *_ = await town.open_days()
    second, third, fourth = [await town.neighbour() for _ in range(3)]
    for family in (town, second, third, fourth):
        await family.asks((day, True))
    other = uuid4()
    await third.announce(other, own=[day])
    await town.asks((day, False))
    assert (await third.cell(day))["state"] == "other_household"
    assert (await fourth.cell(day))["state"] == "booked"


async def test_what_changes_nothing_leaves_nothing_to_take_back(town: Any) -> None:
    (day, _), *_ = await town.open_days()
    assert (await town.asks((day, True)))["undoable"]
    assert not (await town.asks((day, True)))["undoable"]


async def test_no_place_is_granted_once_the_kitchen_has_counted(town: Any) -> None:
    (day, _), *_ = await town.open_days()
    second, third = await town.neighbour(), await town.neighbour()
    await town.asks((day, True))
    await second.asks((day, True))
    await third.asks((day, True))
    over = {"until": str(now() - timedelta(minutes=1))}
    await town.put(f"/activities/{town.activity}", town.every_day_activity(booking_notice=over))
    await town.asks((day, False))
    assert (await third.cell(day))["state"] == "waiting"
    assert not (await third.cell(day))["changeable"]
    await town.put(f"/activities/{town.activity}", town.every_day_activity())
    assert (await third.cell(day))["state"] == "booked"  # the rule was put right: whoever waited is served


async def test_a_larger_capacity_serves_who_waits_and_a_smaller_one_takes_nothing_back(town: Any) -> None:
    (day, _), *_ = await town.open_days()
    families = [town, *[await town.neighbour() for _ in range(4)]]
    for family in families:
        await family.asks((day, True))
    await town.put(f"/activities/{town.activity}", town.every_day_activity(capacity=4))
    states = [(await family.cell(day))["state"] for family in families]
    assert states == ["booked"] * 4 + ["waiting"]
    await town.put(f"/activities/{town.activity}", town.every_day_activity(capacity=1))
    await town.asks((day, False))
    assert (await families[4].cell(day))["state"] == "waiting"
    connection = await asyncpg.connect(town.settings.database_url)
    try:
        with pytest.raises(asyncpg.CheckViolationError, match="full"):
            await connection.execute("UPDATE occupation SET booked = booked + 1 WHERE day = $1", day)
    finally:
        await connection.close()


async def test_siblings_of_a_booked_child_wait_before_the_others_where_the_town_wants_it(town: Any) -> None:
    await town.put(f"/activities/{town.activity}", town.every_day_activity(capacity=1, siblings_first=True))
    (day, _), *_ = await town.open_days()
    sibling = uuid4()
    await town.announce(town.household, version=2, siblings=(sibling,))
    await town.enrol(town.household, sibling)
    other = await town.neighbour()
    await town.asks((day, True))
    assert (await other.asks((day, True)))["lines"][0]["rank"] == 1
    assert (await town.asks((day, True), child_id=str(sibling)))["lines"][0]["rank"] == 1
    assert (await other.cell(day))["rank"] == 2


async def test_a_rank_follows_the_sibling_who_is_booked_or_cancelled_later_and_the_towns_rule(town: Any) -> None:
    def rule(**more: bool) -> Any:
        return town.every_day_activity(capacity=1, **more)

    await town.put(f"/activities/{town.activity}", rule())
    (day, _), *_ = await town.open_days()
    siblings = [uuid4(), uuid4()]
    await town.announce(town.household, version=2, siblings=siblings)
    for sibling in siblings:
        await town.enrol(town.household, sibling)
    holder, early = await town.neighbour(), await town.neighbour()
    for family in (holder, town, early):
        await family.asks((day, True))
    for sibling in siblings:
        await town.asks((day, True), child_id=str(sibling))

    async def ranks() -> list[int | None]:
        mine = [(await town.cell(day, sibling))["rank"] for sibling in siblings]
        return [(await early.cell(day))["rank"], *mine]

    assert await ranks() == [2, 3, 4]
    await holder.asks((day, False))  # the first child of the town's family has the place
    assert (await town.cell(day))["state"] == "booked"
    assert await ranks() == [1, 2, 3]
    await town.put(f"/activities/{town.activity}", rule(siblings_first=True))
    assert await ranks() == [3, 1, 2]
    assert (await holder.asks((day, True)))["lines"][0]["rank"] == 4
    await town.put(f"/activities/{town.activity}", rule())
    assert await ranks() == [1, 2, 3]
    await town.put(f"/activities/{town.activity}", rule(siblings_first=True))
    await town.asks((day, False))  # nobody of the family is booked any more: the place goes by arrival
    assert (await early.cell(day))["state"] == "booked"
    assert await ranks() == [None, 1, 2]


async def test_the_other_household_of_a_child_and_another_day_are_no_sibling_there(town: Any) -> None:
    await town.put(f"/activities/{town.activity}", town.every_day_activity(capacity=2, siblings_first=True))
    (day, _), (other_day, _), *_ = await town.open_days()
    sibling, shared = uuid4(), await town.neighbour()
    await town.announce(town.household, version=2, siblings=(sibling,))
    await town.enrol(town.household, sibling)
    other_home = replace(town, household=uuid4())
    await other_home.announce(other_home.household)
    await other_home.enrol(other_home.household)
    await shared.asks((day, True))
    await other_home.asks((day, True))  # the child is booked by its other household
    early = await town.neighbour()
    await early.asks((day, True))
    await town.asks((other_day, True))
    assert (await town.asks((day, True), child_id=str(sibling)))["lines"][0]["rank"] == 2


async def test_a_closed_day_has_no_waiting_list_left(town: Any) -> None:
    (day, _), *_ = await town.open_days()
    families = [town, await town.neighbour(), await town.neighbour()]
    for family in families:
        await family.asks((day, True))
    closure = {"day": str(day), "reason": "Chauffage en panne", "school": "Prévert", "cancel_bookings": True}
    done = await town.client.post("/closures", json=closure, headers=town.staff())
    assert (await done.json())["cancelled"] == 2
    assert {(await family.cell(day))["state"] for family in families} == {"closed"}
    assert (await families[2].asks((day, True)))["lines"][0]["refusal"] == "closed"
    assert (await families[2].history())[0] == (str(day), False, True, "automatic")
    told = [(await town.probe.next("planning.bookings.changed")).data for _ in range(5)]
    lost = [each for each in told if each["waited"]]
    assert [(each["household_id"], each["days"], each["reason"]) for each in lost] == [
        (str(families[2].household), [], "Chauffage en panne")
    ]


async def test_a_school_has_places_of_its_own_within_those_of_the_activity(town: Any) -> None:
    (day, _), *_ = await town.open_days()
    limited = town.every_day_activity(capacity=3, school_capacities={"Prévert": 1})
    await town.put(f"/activities/{town.activity}", limited)
    second = await town.neighbour()
    third, fourth, fifth = [await town.neighbour(school="Curie") for _ in range(3)]
    for family in (town, second, third, fourth, fifth):
        await family.asks((day, True))

    async def states() -> list[str]:
        return [(await each.cell(day))["state"] for each in (town, second, third, fourth, fifth)]

    assert await states() == ["booked", "waiting", "booked", "booked", "waiting"]
    await third.asks((day, False))  # the first in line is of a full school: the place goes to the next
    assert await states() == ["booked", "waiting", "full", "booked", "booked"]
    await town.asks((day, False))
    assert await states() == ["full", "booked", "full", "booked", "booked"]
    await town.put(f"/activities/{town.activity}", {**limited, "capacity": None, "school_capacities": {"Prévert": 2}})
    assert await states() == ["free", "booked", "free", "booked", "booked"]


async def test_a_school_is_never_overbooked_by_requests_at_once(town: Any) -> None:
    (day, _), *_ = await town.open_days()
    limited = town.every_day_activity(capacity=None, school_capacities={"Prévert": 3})
    await town.put(f"/activities/{town.activity}", limited)
    families = [await town.neighbour() for _ in range(9)]
    outcomes = await asyncio.gather(*(family.asks((day, True)) for family in families))
    lines = [outcome["lines"][0] for outcome in outcomes]
    assert sum(line["booked"] for line in lines) == 3
    assert sorted(line["rank"] for line in lines if line["rank"]) == [1, 2, 3, 4, 5, 6]


async def lives(town: Any, version: int, *since: tuple[date, bool]) -> None:
    """Say where a family lives, and wait until it is known."""
    residences = tuple(ResidenceFrom(first_day=day, resident=resident) for day, resident in since)
    event = ResidenceChanged(household_id=town.household, version=version, residences=residences)
    event_id = await town.probe.publish(event)
    connection = await asyncpg.connect(town.settings.database_url)
    query = "SELECT true FROM inbox WHERE event_id = $1"
    try:
        await eventually(lambda: connection.fetchval(query, event_id))
    finally:
        await connection.close()


async def test_who_lives_in_the_town_waits_before_the_others_where_the_town_wants_it(town: Any) -> None:
    (day, _), *_ = await town.open_days()
    await town.put(f"/activities/{town.activity}", town.every_day_activity(capacity=1, residents_first=True))
    outsider, resident, unknown = [await town.neighbour() for _ in range(3)]
    await lives(outsider, 1, (day - timedelta(days=30), False))
    await lives(resident, 1, (day - timedelta(days=60), False), (day - timedelta(days=9), True))
    for family in (town, outsider, resident, unknown):
        await family.asks((day, True))

    async def ranks() -> list[int]:
        return [(await each.cell(day))["rank"] for each in (outsider, resident, unknown)]

    assert await ranks() == [3, 1, 2]
    await town.put(f"/activities/{town.activity}", town.every_day_activity(capacity=1))
    assert await ranks() == [1, 2, 3]  # by arrival, as soon as the town wants nothing else
    await town.put(f"/activities/{town.activity}", town.every_day_activity(capacity=1, residents_first=True))
    await town.asks((day, False))
    assert (await resident.cell(day))["state"] == "booked"


async def test_who_moves_while_waiting_gets_the_rank_of_the_new_address_and_an_older_word_changes_nothing(
    town: Any,
) -> None:
    (day, _), *_ = await town.open_days()
    await town.put(f"/activities/{town.activity}", town.every_day_activity(capacity=1, residents_first=True))
    first, second = [await town.neighbour() for _ in range(2)]
    for family in (town, first, second):
        await family.asks((day, True))
    await lives(first, 5, (day, False))
    assert ((await first.cell(day))["rank"], (await second.cell(day))["rank"]) == (2, 1)
    await lives(first, 4)
    await lives(second, 1, (day + timedelta(days=1), False))  # past the day: it still counts as a resident's
    assert ((await first.cell(day))["rank"], (await second.cell(day))["rank"]) == (2, 1)


async def test_siblings_come_after_those_who_live_in_the_town_where_both_go_first(town: Any) -> None:
    both = town.every_day_activity(capacity=1, residents_first=True, siblings_first=True)
    await town.put(f"/activities/{town.activity}", both)
    (day, _), *_ = await town.open_days()
    sibling = uuid4()
    await town.announce(town.household, version=2, siblings=(sibling,))
    await town.enrol(town.household, sibling)
    other = await town.neighbour()
    await lives(town, 1, (day, False))
    await town.asks((day, True))
    assert (await town.asks((day, True), child_id=str(sibling)))["lines"][0]["rank"] == 1
    assert (await other.asks((day, True)))["lines"][0]["rank"] == 1
    assert (await town.cell(day, sibling))["rank"] == 2


async def test_the_database_refuses_a_place_beyond_those_of_a_school_whatever_asks_for_it(town: Any) -> None:
    (day, _), (other_day, _), *_ = await town.open_days()
    limited = town.every_day_activity(capacity=None, school_capacities={"Prévert": 1})
    await town.put(f"/activities/{town.activity}", limited)
    same, elsewhere = await town.neighbour(), await town.neighbour(school="Curie")
    await town.asks((day, True))
    insert = (
        "INSERT INTO booking (household_id, child_id, activity_id, day, booked, version) VALUES ($1, $2, $3, $4, $5, 1)"
    )
    connection = await asyncpg.connect(town.settings.database_url)
    try:
        with pytest.raises(asyncpg.CheckViolationError, match=r"full on .* for Prévert"):
            await connection.execute(insert, same.household, same.child, same.activity, day, True)
        await connection.execute(insert, same.household, same.child, same.activity, day, False)
        with pytest.raises(asyncpg.CheckViolationError, match=r"full on .* for Prévert"):
            await connection.execute("UPDATE booking SET booked = true WHERE child_id = $1", same.child)
        await connection.execute(insert, same.household, same.child, same.activity, other_day, True)
        await connection.execute(insert, elsewhere.household, elsewhere.child, elsewhere.activity, day, True)
    finally:
        await connection.close()


async def test_a_day_closed_for_one_school_gives_its_places_to_who_waits_from_another(town: Any) -> None:
    (day, _), *_ = await town.open_days()
    await town.put(f"/activities/{town.activity}", town.every_day_activity(capacity=1))
    same, other = await town.neighbour(), await town.neighbour(school="Curie")
    for family in (town, same, other):
        await family.asks((day, True))
    closure = {"day": str(day), "reason": "Sortie", "school": "Prévert", "cancel_bookings": True}
    assert (await town.client.post("/closures", json=closure, headers=town.staff())).status == 201
    assert [(await each.cell(day))["state"] for each in (town, same, other)] == ["closed", "closed", "booked"]


async def test_no_other_childs_booking_is_read_where_no_school_has_places_of_its_own(town: Any) -> None:
    (day, _), *_ = await town.open_days()
    for family in (town, *[await town.neighbour() for _ in range(3)]):
        await family.asks((day, True))
    connection = await asyncpg.connect(town.settings.database_url)
    try:
        await connection.execute("SET enable_nestloop = off")  # as when the statistics make it look dear
        asked = f"EXPLAIN (ANALYZE, FORMAT JSON) {SITUATIONS}"
        plan = await connection.fetchval(asked, [town.household], [town.child], [date.min], [date.max], 1)
    finally:
        await connection.close()
    left, loops = [json.loads(plan)[0]["Plan"]], []
    while left:
        node = left.pop()
        left += node.get("Plans", [])
        loops += [node["Actual Loops"]] if node.get("Alias") == "s" else []
    assert loops
    assert set(loops) == {0}
