"""What comes next for a household: its children's next days, and the places that wait for its answer."""

from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import asyncpg

from chassis.clock import today
from local_stack.testing import owner_url
from planning.store.ahead import AHEAD


async def ahead(town: Any) -> Any:
    return await town.get(f"/households/{town.household}/ahead")


async def answer(town: Any, offer: Any, word: str, key: str = "") -> Any:
    payload = {name: offer[name] for name in ("child_id", "activity_id", "day")}
    headers = town.parent(**{"Idempotency-Key": key or uuid4().hex})
    body = {**payload, "seen_version": offer["version"]}
    response = await town.client.post(f"/households/{town.household}/offers/{word}", json=body, headers=headers)
    assert response.status == 200, await response.text()
    return await response.json()


async def offering(town: Any) -> tuple[date, Any]:
    """A day whose only place is offered to another family, which is given with it."""
    await town.put(f"/activities/{town.activity}", town.every_day_activity(capacity=1, offer_hours=24))
    day = [day for day, _ in await town.open_days()][5]
    other = await town.neighbour()
    for family in (town, other):
        await family.asks((day, True))
    await town.asks((day, False))
    return day, other


async def test_the_next_days_of_every_child_are_told_with_their_activities_in_the_towns_order(town: Any) -> None:
    sibling = uuid4()
    await town.announce(town.household, version=2, siblings=(sibling,))
    await town.enrol(town.household, sibling)
    days = [day for day, _ in await town.open_days()][:5]
    await town.asks(*((day, True) for day in days))
    morning = uuid4()
    await town.put(f"/activities/{morning}", town.every_day_activity(label="Accueil", position=1))
    path = f"/households/{town.household}/children/{town.child}/enrolments/{morning}"
    await town.put(path, {"first_day": str(days[0]), "last_day": str(days[-1])})
    line = {"activity_id": str(morning), "day": str(days[1]), "booked": True}
    await town.asks((days[0], True), lines=[line])
    first, second = (await ahead(town))["children"]
    assert (first["child"]["child_id"], second["child"]["child_id"]) == (str(town.child), str(sibling))
    told = [(each["day"], each["activities"]) for each in first["days"]]
    names = [["Cantine"], ["Cantine", "Accueil"], ["Cantine"]]
    assert told == [(str(day), labels) for day, labels in zip(days[:3], names, strict=True)]
    assert (second["days"], second["child"]["enrolled"]) == ([], True)


async def test_a_day_that_is_over_too_far_off_or_a_holiday_is_not_next(town: Any) -> None:
    (first, _), (second, _), (third, _), *_ = await town.open_days()
    await town.asks((first, True), (second, True), (third, True))
    connection = await asyncpg.connect(owner_url(town.settings.database_url))
    try:
        move = "UPDATE booking SET day = $2 WHERE day = $1"
        await connection.execute(move, first, today() - timedelta(days=1))
        await connection.execute(move, third, today() + timedelta(days=100))
        assert [each["day"] for each in (await ahead(town))["children"][0]["days"]] == [str(second)]
        await connection.execute("INSERT INTO closure (day, school, reason) VALUES ($1, 'Prévert', 'Grève')", second)
    finally:
        await connection.close()
    assert (await ahead(town))["children"][0]["days"] == []


async def test_an_offer_is_listed_for_its_family_alone_and_accepted_once(town: Any) -> None:
    day, other = await offering(town)
    (offer,) = (await ahead(other))["offers"]
    assert (offer["child_first_name"], offer["activity_label"], offer["day"]) == ("Léa", "Cantine", str(day))
    assert (await other.get(f"/households/{other.household}/offers"))["offers"] == [offer]
    assert (await ahead(town))["offers"] == []
    accepted = await answer(other, offer, "accept", "one")
    assert [(each["booked"], each["refusal"]) for each in accepted["lines"]] == [(True, None)]
    assert await answer(other, offer, "accept", "one") == accepted
    found = await ahead(other)
    assert found["offers"] == []
    assert [each["day"] for each in found["children"][0]["days"]] == [str(day)]


async def test_who_declines_after_the_other_parent_accepted_is_told_and_cancels_nothing(town: Any) -> None:
    _, other = await offering(town)
    (offer,) = (await ahead(other))["offers"]
    await answer(other, offer, "accept")
    (line,) = (await answer(other, offer, "decline"))["lines"]
    assert (line["refusal"], line["booked"]) == ("changed_elsewhere", True)


async def test_who_accepts_after_the_other_parent_declined_never_joins_the_list_again(town: Any) -> None:
    day, other = await offering(town)
    (offer,) = (await ahead(other))["offers"]
    declined = await answer(other, offer, "decline")
    (line,) = declined["lines"]
    assert (line["refusal"], line["booked"], line["rank"], declined["undoable"]) == (None, False, None, False)
    await town.asks((day, True))
    (line,) = (await answer(other, offer, "accept"))["lines"]
    assert (line["refusal"], line["booked"], line["rank"]) == ("full", False, None)


async def test_a_strangers_child_and_a_missing_key_are_refused(town: Any) -> None:
    _, other = await offering(town)
    (offer,) = (await ahead(other))["offers"]
    payload = {name: offer[name] for name in ("child_id", "activity_id", "day")} | {"seen_version": offer["version"]}
    path = f"/households/{town.household}/offers/accept"
    keyless = await town.client.post(path, json=payload, headers=town.parent())
    assert keyless.status == 422
    foreign = await town.client.post(path, json=payload, headers=town.parent(**{"Idempotency-Key": "k"}))
    assert (foreign.status, (await foreign.json())["code"]) == (404, "no_such_child")
    assert (await ahead(other))["offers"] == [offer]


async def test_many_children_are_one_question_and_no_other_familys_booking_is_read(town: Any) -> None:
    """The plan's look-ups of bookings and lists all begin with the child."""
    connection = await asyncpg.connect(owner_url(town.settings.database_url))
    try:
        await connection.execute("SET enable_seqscan = off")
        arguments = (town.household, today(), today() + timedelta(days=62), await connection.fetchval("SELECT now()"))
        plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {AHEAD}", *arguments))
    finally:
        await connection.close()
    conditions = [line.strip() for line in plan.splitlines() if "Index Cond" in line]
    assert sum("child_id = c.child_id" in each for each in conditions) >= 3, plan
