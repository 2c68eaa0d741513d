"""Weeks and months planned at once, shared custody, decrees and what a change of calendar leaves."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

from chassis.clock import today
from chassis.testing import eventually
from contracts.events.auth import Custody
from contracts.identity import Role

DAYS = [str(today() + timedelta(days=number)) for number in range(-60, 121)]


async def test_a_week_is_planned_after_a_preview_then_taken_back(town: Any) -> None:
    days = await town.weekly(4)
    first, last = days[0], days[-1] + timedelta(days=6)
    await town.client.post("/closures", json={"day": str(days[1]), "reason": "Grève"}, headers=town.staff())
    slot = {"activity_id": str(town.activity), "weekday": first.isoweekday(), "booked": True}
    plan = {
        "children": [{"child_id": str(town.child)}],
        "first_day": str(first),
        "last_day": str(last),
        "week": [slot],
    }
    (shown,) = (await town.post("plans", {**plan, "preview": True}))["outcomes"]
    assert [line["day"] for line in shown["lines"]] == [str(day) for day in days]
    assert shown["lines"][1]["refusal"] == "closed"
    assert (await town.cell(first))["state"] == "free"
    (done,) = (await town.post("plans", plan))["outcomes"]
    assert [line["booked"] for line in done["lines"]] == [line["refusal"] is None for line in shown["lines"]]
    assert (await town.cell(first))["state"] == "booked"
    again = (await town.post("plans", plan))["outcomes"][0]
    assert [line["refusal"] for line in again["lines"]] == ["closed"]  # nothing else is left to change
    await town.asks((days[0], False))
    undone = await town.post("undo", {"child_id": str(town.child), "version": done["version"]})
    told = {line["day"]: line["refusal"] for line in undone["lines"]}
    assert told.pop(str(days[0])) is None  # it was taken back by hand already
    assert set(told.values()) == {None}
    assert (await town.cell(days[2]))["state"] == "free"
    await town.post("undo", {"child_id": str(town.child), "version": 999}, status=404)


async def test_a_plan_copies_a_month_and_a_sibling(town: Any) -> None:
    sibling = uuid4()
    await town.announce(town.household, version=2, siblings=(sibling,))
    await town.enrol(town.household, sibling)
    week = await town.weekly(6)
    await town.asks(*[(day, True) for day in week[:4]])
    plan = {
        "children": [{"child_id": str(sibling)}],
        "first_day": str(week[0]),
        "last_day": str(week[3]),
        "like_child_id": str(town.child),
    }
    (copied,) = (await town.post("plans", plan))["outcomes"]
    assert {line["day"] for line in copied["lines"]} == {str(day) for day in week[:4]}
    following = {
        "children": [{"child_id": str(town.child)}, {"child_id": str(sibling)}],
        "first_day": str(week[3] + timedelta(days=1)),
        "last_day": str(week[3] + timedelta(days=14)),
        "like_first_day": str(week[0]),
        "like_last_day": str(week[3]),
    }
    for outcome in (await town.post("plans", following))["outcomes"]:
        booked = [line["day"] for line in outcome["lines"] if line["booked"]]
        assert booked == [str(week[4]), str(week[5])]
    await town.post("plans", {**following, "week": []} | {"like_first_day": None, "like_last_day": None}, status=422)
    foreign = {**plan, "children": [{"child_id": str(uuid4())}]}
    await town.post("plans", foreign, status=404)


async def test_dates_of_a_household_outrank_the_parity_of_both(town: Any) -> None:
    other, ((day, _), *_) = uuid4(), await town.open_days()
    await town.announce(town.household, Custody.EVEN_WEEKS, version=2)
    await town.announce(other, Custody.ODD_WEEKS)
    await town.enrol(other)
    owner, guest = (town.household, other) if day.isocalendar().week % 2 == 0 else (other, town.household)
    assert (await replace(town, household=owner).cell(day))["state"] == "free"
    custody = Custody.EVEN_WEEKS if guest == town.household else Custody.ODD_WEEKS
    await town.announce(guest, custody, version=3, own=[day])

    async def is_lost() -> bool:
        return bool((await replace(town, household=owner).cell(day))["state"] == "other_household")

    await eventually(is_lost)
    refused = await replace(town, household=owner).asks((day, True))
    assert refused["lines"][0]["refusal"] == "other_household"
    assert (await replace(town, household=guest).asks((day, True)))["lines"][0]["refusal"] is None
    assert (await replace(town, household=guest).cell(day + timedelta(days=7)))["state"] == "free"


async def test_a_decree_outranks_the_published_calendar_and_staff_see_it_first(town: Any) -> None:
    friday = date(today().year, 6, 1)
    friday += timedelta(days=(5 - friday.isoweekday()) % 7)
    payload = town.every_day_activity(
        period="school_days", days=[], weekdays=[5], first_day=str(friday), last_day=str(friday + timedelta(days=7))
    )

    async def preview() -> list[str]:
        response = await town.client.post("/activities/preview", json=payload, headers=town.staff(Role.CLERK))
        assert response.status == 200, await response.text()
        return [each["day"] for each in (await response.json())["days"]]

    assert str(friday) in await preview()
    await town.put(f"/school-days/{friday}", {"holiday": "Pont"})
    assert str(friday) not in await preview()
    await town.put(f"/school-days/{friday}", {"holiday": None})
    assert str(friday) in await preview()
    assert (await town.client.post("/activities/preview", json=payload, headers=town.parent())).status == 403


async def test_no_change_of_the_calendar_leaves_a_booking_behind(town: Any) -> None:
    """A day that would no longer be offered is closed first, which cancels and tells; then it can go."""
    (day, _), *_ = await town.open_days()
    await town.asks((day, True))
    fewer = town.every_day_activity(days=[each for each in DAYS if each != str(day)])
    refused = await town.client.put(f"/activities/{town.activity}", json=fewer, headers=town.staff())
    assert refused.status == 409
    told = await refused.json(content_type=None)
    assert (told["code"], told["bookings"], told["day"]) == ("day_has_bookings", 1, str(day))
    assert (await town.cell(day))["state"] == "booked"
    closure = {"day": str(day), "reason": "Grève", "cancel_bookings": True}
    assert (await town.client.post("/closures", json=closure, headers=town.staff())).status == 201
    await town.put(f"/activities/{town.activity}", fewer)
