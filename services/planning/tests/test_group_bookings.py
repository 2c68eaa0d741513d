"""Siblings who go together or not at all."""

from typing import Any
from uuid import UUID, uuid4


async def plan(town: Any, children: list[UUID], days: list[Any], **more: Any) -> dict[str, list[tuple[str, Any]]]:
    """What becomes of the same days for some children: day and refusal, or booked, by child."""
    body = {
        "children": [{"child_id": str(each)} for each in children],
        "first_day": str(days[0]),
        "last_day": str(days[-1]),
        "week": [{"activity_id": str(town.activity), "weekday": days[0].isoweekday(), "booked": True}],
        "together": True,
        **more,
    }
    outcomes = (await town.post("plans", body))["outcomes"]
    return {
        each["child"]["child_id"]: [(line["day"], line["refusal"] or line["booked"]) for line in each["lines"]]
        for each in outcomes
    }


async def test_a_day_with_one_place_left_is_booked_for_neither_sibling_and_the_others_for_both(town: Any) -> None:
    week, sibling = await town.weekly(3), uuid4()
    await town.announce(town.household, version=2, siblings=[sibling])
    await town.enrol(town.household, sibling)
    neighbour = await town.neighbour()
    await neighbour.asks((week[1], True))
    children = [town.child, sibling]
    before = await plan(town, children, week, preview=True)
    done = await plan(town, children, week)
    first, second = str(town.child), str(sibling)
    assert {*done[first]} == {(str(week[0]), True), (str(week[2]), True), (str(week[1]), "not_for_all")}
    assert {*done[second]} == {(str(week[0]), True), (str(week[2]), True), (str(week[1]), "full")}
    assert {key: {*lines} for key, lines in before.items()} == {key: {*lines} for key, lines in done.items()}
    assert (await town.cell(week[1]))["state"] == "free"
    assert (await town.cell(week[1], sibling))["state"] == "free"
    again = await plan(town, children, week)
    assert again == {first: [(str(week[1]), "not_for_all")], second: [(str(week[1]), "full")]}
    await neighbour.asks((week[1], False))
    assert await plan(town, children, week) == {first: [(str(week[1]), True)], second: [(str(week[1]), True)]}


async def test_who_goes_together_does_not_wait_apart(town: Any) -> None:
    week = await town.weekly(1)
    body = {"children": [{"child_id": str(town.child)}], "first_day": str(week[0]), "last_day": str(week[0])}
    slot = {"activity_id": str(town.activity), "weekday": week[0].isoweekday(), "booked": True}
    await town.post("plans", {**body, "week": [slot], "together": True, "or_wait": True}, status=422)


async def test_a_preview_counts_the_places_that_siblings_take_as_the_plan_does(town: Any) -> None:
    week, sibling = await town.weekly(1), uuid4()
    await town.announce(town.household, version=2, siblings=[sibling])
    await town.enrol(town.household, sibling)
    await (await town.neighbour()).asks((week[0], True))
    children = [town.child, sibling]
    before = await plan(town, children, week, together=False, preview=True)
    assert before == {str(town.child): [(str(week[0]), True)], str(sibling): [(str(week[0]), "full")]}
    assert await plan(town, children, week, together=False) == before
