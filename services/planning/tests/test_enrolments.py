"""What a child may book is the town hall's to say: from when, until when, and what becomes of days outside."""

from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import asyncpg

from chassis.clock import today
from contracts.identity import Role
from local_stack.testing import owner_url

YEAR = {"first_day": str(today() - timedelta(days=60)), "last_day": str(today() + timedelta(days=120))}


def path_of(town: Any) -> str:
    return f"/households/{town.household}/children/{town.child}/enrolments/{town.activity}"


async def put(town: Any, status: int = 200, headers: Any = None, **payload: Any) -> Any:
    body = {"first_day": YEAR["first_day"], "last_day": YEAR["last_day"], **payload}
    response = await town.client.put(path_of(town), json=body, headers=headers or town.staff(Role.CLERK))
    assert response.status == status, await response.text()
    return await response.json(content_type=None)


async def listed(town: Any) -> dict[str, Any]:
    (only,) = (await town.get(f"/households/{town.household}/enrolments"))["children"]
    return dict(only)


async def rows(town: Any, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
    connection = await asyncpg.connect(owner_url(town.settings.database_url))
    try:
        return [tuple(row) for row in await connection.fetch(query, *arguments)]
    finally:
        await connection.close()


async def test_an_enrolment_is_listed_with_its_dates_and_who_made_it(town: Any) -> None:
    known = await listed(town)
    (mine,) = known["enrolments"]
    assert (mine["activity_label"], mine["first_day"], mine["last_day"]) == ("Cantine", *YEAR.values())
    assert (mine["version"], mine["channel"]) == (1, "town_hall")
    assert known["choices"] == []
    await put(town, last_day=str(today() - timedelta(days=1)), seen_version=1)
    (choice,) = (await listed(town))["choices"]
    assert (choice["label"], choice["version"]) == ("Cantine", 2)
    kept = await rows(town, "SELECT version, last_day, channel FROM enrolment_change ORDER BY position")
    assert [(version, channel) for version, _, channel in kept] == [(1, "town_hall"), (2, "town_hall")]


async def test_only_the_activities_of_its_school_are_a_choice(town: Any) -> None:
    for schools in (["Curie"], ["Prévert"], []):
        other = {**town.every_day_activity(schools=schools), "label": f"Club {schools}"}
        await town.put(f"/activities/{uuid4()}", other)
    over = {**town.every_day_activity(), "label": "Passée", "last_day": str(today() - timedelta(days=1))}
    await town.put(f"/activities/{uuid4()}", over)
    assert [each["label"] for each in (await listed(town))["choices"]] == ["Club ['Prévert']", "Club []"]
    foreign = town.every_day_activity(schools=["Curie"])
    town.activity = uuid4()
    await town.put(f"/activities/{town.activity}", foreign)
    assert (await put(town, 409))["code"] == "not_for_the_school"


async def test_days_booked_past_the_end_are_told_first_then_cancelled_and_given_on_in_one_step(town: Any) -> None:
    (first, _), (second, _), (third, _), *_ = await town.open_days()
    await town.put(f"/activities/{town.activity}", town.every_day_activity(capacity=1))
    other = await town.neighbour()
    await town.asks((first, True), (second, True))
    await other.asks((second, True), (third, True))
    await town.asks((third, True))
    assert (await town.cell(third))["state"] == "waiting"
    told = await put(town, 409, last_day=str(first), seen_version=1)
    assert (told["code"], told["bookings"], told["day"]) == ("enrolment_has_bookings", 1, str(second))
    assert (await town.cell(second))["state"] == "booked"
    another = await put(town, 409, last_day=str(first), seen_version=1, cancel_bookings=True, cancel_seen=2)
    assert (another["code"], another["bookings"]) == ("enrolment_has_bookings", 1), "not the number that was shown"
    ended = await put(town, last_day=str(first), seen_version=1, cancel_bookings=True, cancel_seen=1)
    assert (ended["cancelled"], ended["last_day"], ended["version"]) == (1, str(first), 2)
    assert (await town.cell(first))["state"] == "booked"
    assert (await other.cell(second))["state"] == "booked"
    assert (await town.history())[:2] == [
        (str(third), False, True, "town_hall"),
        (str(second), False, False, "town_hall"),
    ]
    events = [(await town.probe.next("planning.bookings.changed")).data for _ in range(4)]
    cancelled = [each for each in events if each["channel"] == "town_hall"]
    assert [(each["household_id"], each["child_first_name"]) for each in cancelled] == [(str(town.household), "Léa")]
    assert [(day["day"], day["booked"]) for day in cancelled[0]["days"]] == [(str(second), False)]
    assert [day["day"] for day in cancelled[0]["waited"]] == [str(third)]
    assert cancelled[0]["enrolled"] == {"first_day": YEAR["first_day"], "last_day": str(first)}
    assert (await town.probe.next("planning.place.granted")).data["household_id"] == str(other.household)
    assert (await town.asks((second, True)))["lines"][0]["refusal"] == "not_enrolled"
    assert await rows(town, "SELECT 1 FROM waiting") == []


async def test_a_list_that_is_left_because_an_enrolment_ends_is_told_even_where_nothing_was_booked(town: Any) -> None:
    (day, _), *_ = await town.open_days()
    await town.put(f"/activities/{town.activity}", town.every_day_activity(capacity=1))
    other = await town.neighbour()
    await other.asks((day, True))
    await town.asks((day, True))
    await town.probe.next("planning.bookings.changed")
    await put(town, last_day=str(day - timedelta(days=1)))
    told = (await town.probe.next("planning.bookings.changed")).data
    assert (told["household_id"], told["days"]) == (str(town.household), [])
    assert [each["day"] for each in told["waited"]] == [str(day)]


async def test_what_is_over_stays_as_it_was_when_an_enrolment_ends_before_it(town: Any) -> None:
    (day, _), *_ = await town.open_days()
    await town.asks((day, True))
    await rows(town, "UPDATE booking SET day = $1", today() - timedelta(days=3))
    ended = await put(town, last_day=str(today() - timedelta(days=10)))
    assert ended["cancelled"] == 0
    assert await rows(town, "SELECT booked FROM booking") == [(True,)]


async def test_who_saw_something_else_is_told_and_changes_nothing(town: Any) -> None:
    await put(town, last_day=str(today() + timedelta(days=9)), seen_version=1)
    told = await put(town, 409, last_day=str(today() + timedelta(days=50)), seen_version=1)
    assert (told["code"], told["last_day"]) == ("enrolment_moved", str(today() + timedelta(days=9)))
    assert (await put(town, 409, seen_version=0))["code"] == "enrolment_moved"
    assert (await listed(town))["enrolments"][0]["version"] == 2


async def test_dates_the_wrong_way_round_a_stranger_and_an_unknown_child_are_refused(town: Any) -> None:
    assert (await put(town, 422, first_day="2026-12-02", last_day="2026-12-01"))["code"] == "invalid"
    assert (await put(town, 403, headers=town.parent()))["code"] == "forbidden"
    assert (await put(town, 403, headers=town.staff(Role.CASHIER)))["code"] == "forbidden"
    town.child = uuid4()
    assert (await put(town, 404))["code"] == "no_such_child"


async def test_an_enrolment_is_told_with_its_version(town: Any) -> None:
    first, last = str(today()), str(today() + timedelta(days=90))
    for _ in range(2):
        await put(town, first_day=first, last_day=last)
    told = [(await town.probe.next("planning.enrolment.changed")).data for _ in range(3)]
    assert [each["version"] for each in told] == [1, 2, 3]
    assert date.fromisoformat(told[2]["last_day"]) == today() + timedelta(days=90)
