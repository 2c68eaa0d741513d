"""planning over HTTP: a parent books, the rules hold, the town hall has its say."""

import asyncio
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from chassis.clock import now, today
from chassis.event_file import read
from chassis.testing import eventually
from contracts.events.auth import Custody
from contracts.identity import Role
from local_stack.testing import owner_url
from planning.__main__ import replay
from planning.app import build


async def test_a_parent_books_sees_the_recap_and_the_history(town: Any) -> None:
    (first, _), (second, _), *_ = await town.open_days()
    response = await town.book(town.payload((first, True), (second, True)))
    assert response.status == 200, await response.text()
    recap = await response.json()
    assert [line["refusal"] for line in recap["lines"]] == [None, None]
    event = await town.probe.next("planning.bookings.changed")
    assert [day["day"] for day in event.data["days"]] == [str(first), str(second)]
    assert (event.data["channel"], event.data["version"]) == ("internet", recap["version"])
    await town.book(town.payload((first, False)))
    history = await town.get(f"/households/{town.household}/children/{town.child}/changes")
    shown = [(change["day"], change["booked"]) for change in history["activities"][0]["changes"]]
    assert shown == [(str(first), False), (str(second), True), (str(first), True)]


async def test_the_same_key_gives_the_same_answer_and_one_change(town: Any) -> None:
    (day, _), *_ = await town.open_days()
    headers = town.parent(**{"Idempotency-Key": "tap-tap"})
    answers = await asyncio.gather(*(town.book(town.payload((day, True)), headers) for _ in range(5)))
    assert {answer.status for answer in answers} == {200}
    assert len({await answer.text() for answer in answers}) == 1
    await town.probe.next("planning.bookings.changed")
    await town.probe.none("planning.bookings.changed", seconds=0.5)
    other = await town.book(town.payload((day, False)), headers)
    assert other.status == 409


async def test_what_changed_nothing_may_be_sent_again_with_its_key_and_is_weighed_again(town: Any) -> None:
    (day, _), *_ = await town.open_days()
    await town.put(f"/activities/{town.activity}", town.every_day_activity(capacity=0))
    headers = town.parent(**{"Idempotency-Key": "once-more"})
    refused = await (await town.book(town.payload((day, True)), headers)).json()
    assert (refused["lines"][0]["refusal"], refused["version"], refused["undoable"]) == ("full", 0, False)
    await town.put(f"/activities/{town.activity}", town.every_day_activity(capacity=1))
    saved = [await (await town.book(town.payload((day, True)), headers)).text() for _ in range(2)]
    assert '"booked":true' in saved[0]
    assert saved[1] == saved[0]


async def test_a_day_that_many_want_keeps_nobody_from_another_day(town: Any) -> None:
    """A dozen children want a day whose places are locked: their parents wait without a connection each."""
    (wanted, _), (other, _), *_ = await town.open_days()
    await town.put(f"/activities/{town.activity}", town.every_day_activity(capacity=100))
    siblings = [uuid4() for _ in range(12)]
    crowd = await town.neighbour(*siblings)
    await crowd.asks((wanted, True))
    lock = await asyncpg.connect(town.settings.database_url)
    holding = lock.transaction()
    await holding.start()
    await lock.execute("SELECT FROM occupation WHERE day = $1 FOR UPDATE", wanted)
    waiting = [asyncio.create_task(crowd.asks((wanted, True), child_id=str(child))) for child in siblings]
    await asyncio.sleep(0.5)
    async with asyncio.timeout(4):
        assert (await town.asks((other, True)))["lines"][0]["booked"]
        assert (await town.cell(other))["state"] == "booked"
    await holding.rollback()
    await lock.close()
    assert all([(await each)["lines"][0]["booked"] for each in waiting])


async def test_rules_hold_for_a_client_that_skips_the_page(town: Any) -> None:
    yesterday = today() - timedelta(days=1)
    recap = await (await town.book(town.payload((yesterday, True)))).json()
    assert recap["lines"][0]["refusal"] in {"past_deadline", "not_offered", "closed"}
    for body, status in (
        ({**town.payload((yesterday, True)), "price_cents": 0}, 422),
        ({**town.payload((yesterday, True)), "child_id": str(uuid4())}, 404),
        ({**town.payload(), "lines": []}, 422),
        ("nonsense", 422),
    ):
        assert (await town.book(body)).status == status
    assert (await town.book(town.payload((yesterday, True)), household=uuid4())).status == 404
    foreign = await town.book(town.payload((yesterday, True)), headers=town.parent(uuid4()))
    assert foreign.status == 404
    assert (await town.client.get(f"/households/{town.household}/children")).status == 401
    month = f"/households/{town.household}/children/{town.child}/months/2026-12"
    assert (await town.client.get(month, headers=town.parent(uuid4()))).status == 404


@pytest.mark.timeout(600)
async def test_the_last_places_are_never_sold_twice(town: Any, aiohttp_client: Any) -> None:
    """Forty children want two places, on two replicas at once."""
    replica = await aiohttp_client(build(town.settings))
    (day, _), *_ = await town.open_days()
    families = [await town.neighbour() for _ in range(40)]
    for number, family in enumerate(families):
        family.client = town.client if number % 2 else replica
    responses = await asyncio.gather(*(family.book(family.payload((day, True))) for family in families))
    refusals = [(await response.json())["lines"][0]["refusal"] for response in responses]
    assert sorted(refusals, key=str) == [None, None] + ["full"] * 38
    await asyncio.gather(
        *(f.book(f.payload((day, False))) for f, r in zip(families, refusals, strict=True) if r is None)
    )
    late = await (
        await families[refusals.index("full")].book(families[refusals.index("full")].payload((day, True)))
    ).json()
    assert late["lines"][0]["refusal"] is None


async def test_two_tabs_are_told_of_each_other(town: Any) -> None:
    (day, _), *_ = await town.open_days()
    seen = (await (await town.book(town.payload((day, True), seen=0))).json())["version"]
    assert (await (await town.book(town.payload((day, False), seen=seen))).json())["lines"][0]["refusal"] is None
    stale = await (await town.book(town.payload((day, True), seen=seen))).json()
    assert stale["lines"][0]["refusal"] == "changed_elsewhere"
    assert stale["lines"][0]["booked"] is False


async def test_shared_custody_shows_the_other_days_without_details(town: Any) -> None:
    other = uuid4()
    await town.announce(town.household, Custody.EVEN_WEEKS, version=2)
    await town.announce(other, Custody.ODD_WEEKS)
    await town.enrol(other)

    async def own_weeks_only() -> set[date]:
        days = {day for day, _ in await town.open_days()}
        return set() if any(day.isocalendar().week % 2 for day in days) else days

    own = await eventually(own_weeks_only)
    theirs = {day for day, _ in await town.open_days(other)}
    assert own
    assert theirs
    assert not own & theirs
    refused = await (await town.book(town.payload((min(theirs), True)))).json()
    assert refused["lines"][0]["refusal"] == "other_household"


async def test_an_older_household_never_overwrites_a_newer_one(town: Any) -> None:
    await town.announce(town.household, Custody.EVEN_WEEKS, version=5)
    await town.announce(town.household, Custody.ODD_WEEKS, version=4)
    last = uuid4()
    await town.announce(last)

    async def kept() -> bool:
        (child,) = (await town.get(f"/households/{town.household}/children"))["children"]
        return bool(child["custody"] == "even_weeks")

    await eventually(kept)


async def test_closing_a_booked_day_says_how_many_then_cancels_them(town: Any) -> None:
    (day, _), *_ = await town.open_days()
    await town.book(town.payload((day, True)))
    await town.probe.next("planning.bookings.changed")
    closure = {"day": str(day), "reason": "Grève du personnel"}
    asked = await town.client.post("/closures", json=closure, headers=town.staff(Role.CLERK))
    assert asked.status == 409
    assert (await asked.json(content_type=None))["bookings"] == 1
    another = {**closure, "cancel_bookings": True, "cancel_seen": 3}
    assert (await town.client.post("/closures", json=another, headers=town.staff())).status == 409
    headers = {**town.staff(), "Idempotency-Key": "one-form-1"}
    confirmed = {**closure, "cancel_bookings": True, "cancel_seen": 1}
    done = [await town.client.post("/closures", json=confirmed, headers=headers) for _ in range(3)]
    assert [each.status for each in done] == [201, 201, 201]
    assert [(await each.json())["cancelled"] for each in done] == [1, 1, 1]
    event = await town.probe.next("planning.bookings.changed")
    assert (event.data["channel"], event.data["days"][0]["booked"]) == ("automatic", False)
    assert event.data["reason"] == "Grève du personnel"
    recap = await (await town.book(town.payload((day, True)))).json()
    assert (recap["lines"][0]["refusal"], recap["lines"][0]["reason"]) == ("closed", "Grève du personnel")
    assert (await town.client.post("/closures", json=closure, headers=town.parent())).status == 403


async def test_the_town_hall_books_past_the_deadline_and_imports_by_name(town: Any) -> None:
    month = (today().replace(day=1) - timedelta(days=1)).replace(day=1)
    path = f"/households/{town.household}/children/{town.child}/months/{month:%Y-%m}"
    view = await (await town.client.get(path, headers=town.staff(Role.CLERK))).json()
    past = [date.fromisoformat(row["day"]) for row in view["days"] for cell in row["cells"] if cell["changeable"]]
    assert (await (await town.book(town.payload((past[0], True)))).json())["lines"][0]["refusal"] == "past_deadline"
    for day, headers, channel in (
        (past[0], town.staff(Role.CLERK), "town_hall"),
        (past[1], town.staff(**{"X-Channel": "import"}), "import"),
    ):
        assert (await (await town.book(town.payload((day, True)), headers)).json())["lines"][0]["refusal"] is None
        assert (await town.probe.next("planning.bookings.changed")).data["channel"] == channel
    forbidden = await town.book(town.payload((past[2], True)), town.staff(Role.CLERK, **{"X-Channel": "import"}))
    assert forbidden.status == 403


async def test_history_cannot_be_rewritten(town: Any) -> None:
    (day, _), *_ = await town.open_days()
    await town.book(town.payload((day, True)))
    connection = await asyncpg.connect(owner_url(town.settings.database_url))
    try:
        for statement in ("UPDATE booking_change SET booked = false", "DELETE FROM booking_change"):
            with pytest.raises(asyncpg.RaiseError, match="append-only"):
                await connection.execute(statement)
    finally:
        await connection.close()


async def test_booking_opens_for_everyone_at_one_instant(town: Any) -> None:
    later, ((day, _), *_) = now() + timedelta(days=1), await town.open_days()
    await town.put(f"/activities/{town.activity}", town.every_day_activity(opens_at=later.isoformat()))
    cell = await town.cell(day)
    assert (cell["changeable"], cell["state"]) == (False, "free")
    assert cell["opens_at"] is not None
    assert (await town.asks((day, True)))["lines"][0]["refusal"] == "not_yet_open"
    await town.put(f"/activities/{town.activity}", town.every_day_activity(opens_at=now().isoformat()))
    assert (await town.asks((day, True)))["lines"][0]["refusal"] is None


async def test_a_deadline_that_passes_while_the_page_is_open_counts(town: Any) -> None:
    (day, cell), *_ = await town.open_days()
    assert cell["changeable"]
    over = now() - timedelta(seconds=1)
    await town.put(f"/activities/{town.activity}", town.every_day_activity(booking_notice={"until": over.isoformat()}))
    line = (await town.asks((day, True)))["lines"][0]
    assert (line["refusal"], line["booked"]) == ("past_deadline", False)
    assert datetime.fromisoformat(line["until"]) == over


async def test_a_deadline_that_passes_while_somebody_else_holds_the_child_counts(town: Any) -> None:
    (day, cell), *_ = await town.open_days()
    assert cell["changeable"]
    until = now() + timedelta(seconds=3)
    notice = {"until": until.isoformat()}
    await town.put(f"/activities/{town.activity}", town.every_day_activity(booking_notice=notice))
    holding = await asyncpg.connect(owner_url(town.settings.database_url))
    try:
        held = holding.transaction()
        await held.start()
        await holding.execute("SELECT FROM household_child WHERE child_id = $1 FOR UPDATE", town.child)
        asked = asyncio.create_task(town.asks((day, True)))

        async def waits() -> bool:
            query = "SELECT count(*) FROM pg_locks WHERE NOT granted AND transactionid = pg_current_xact_id()::xid"
            return bool(await holding.fetchval(query))

        await eventually(waits)
        assert now() < until, "it was asked in time"

        async def is_over() -> bool:
            return now() > until

        await eventually(is_over)
        await held.rollback()
    finally:
        await holding.close()
    assert (await asked)["lines"][0]["refusal"] == "past_deadline"


async def test_two_households_that_choose_the_same_key_do_not_meet(town: Any) -> None:
    (day, _), *_ = await town.open_days()
    other, key = await town.neighbour(), uuid4().hex
    for each in (town, other):
        response = await each.book(each.payload((day, True)), each.parent(**{"Idempotency-Key": key}))
        assert response.status == 200, await response.text()
        assert (await each.cell(day))["state"] == "booked"


async def test_the_sheet_of_a_day_is_marked_once_however_often_it_is_sent(town: Any) -> None:
    other = await town.neighbour()
    day = today()
    while not (await (await town.book(town.payload((day, True)), town.staff(Role.CLERK))).json())["lines"][0]["booked"]:
        day -= timedelta(days=1)  # a public holiday
    path = f"/activities/{town.activity}/attendance/{day}"

    async def put(*marks: tuple[Any, str]) -> Any:
        body = [
            {"household_id": str(t.household), "child_id": str(t.child), "presence": presence} for t, presence in marks
        ]
        return await town.client.put(path, json={"marks": body}, headers=town.staff(Role.CLERK))

    sheet = await (await town.client.get(path, headers=town.staff(Role.CLERK))).json()
    assert [row["child_id"] for row in sheet["rows"]] == [str(town.child)]
    assert str(other.child) in {row["child_id"] for row in sheet["others"]}
    for _ in range(3):
        assert (await put((town, "absent"), (other, "extra"))).status == 200
    told = [(await town.probe.next("planning.attendance.recorded")).data for _ in range(2)]
    assert {(each["child_id"], each["presence"], each["booked"], each["version"]) for each in told} == {
        (str(town.child), "absent", True, 1),
        (str(other.child), "extra", False, 1),
    }
    await town.probe.none("planning.attendance.recorded", seconds=0.5)
    marked = await (await put((town, "justified"))).json()
    presences = {row["child_id"]: row["presence"] for row in marked["rows"]}
    assert presences == {str(town.child): "justified", str(other.child): "extra"}
    assert (await town.probe.next("planning.attendance.recorded")).data["version"] == 2
    late = {"household_id": str(other.household), "child_id": str(other.child), "late_pickup": True}
    for presence, status in (("extra", 200), ("absent", 422)):
        body = {"marks": [{**late, "presence": presence}]}
        assert (await town.client.put(path, json=body, headers=town.staff(Role.CLERK))).status == status
    told_late = (await town.probe.next("planning.attendance.recorded")).data
    assert (told_late["version"], told_late["presence"], told_late["late_pickup"]) == (2, "extra", True)
    for mark, code in (((town, "extra"), "is_booked"), ((replace(other, child=uuid4()), "extra"), "no_such_child")):
        refused = await put(mark)
        assert (await refused.json(content_type=None))["code"] == code
    tomorrow = await town.client.put(
        f"/activities/{town.activity}/attendance/{today() + timedelta(days=1)}",
        json={"marks": [{"household_id": str(town.household), "child_id": str(town.child), "presence": "extra"}]},
        headers=town.staff(Role.CLERK),
    )
    assert (await tomorrow.json(content_type=None))["code"] == "day_to_come"
    assert (await town.client.get(path, headers=town.parent())).status == 403


async def test_a_replay_tells_again_what_was_told_and_publishes_nothing(town: Any, capsys: Any) -> None:
    days = [today() - timedelta(days=number) for number in range(7)]
    await town.book(town.payload(*((day, True) for day in days)), town.staff(Role.CLERK))
    booked = (await town.probe.next("planning.bookings.changed")).data
    open_day = date.fromisoformat(booked["days"][0]["day"])
    await town.book(town.payload((open_day, False)), town.staff(Role.CLERK))
    await town.book(town.payload((open_day, True)), town.staff(Role.CLERK))
    heard = [booked, *[(await town.probe.next("planning.bookings.changed")).data for _ in range(2)]]
    mark = {"household_id": str(town.household), "child_id": str(town.child), "presence": "present"}
    for late in (False, True):
        body = {"marks": [{**mark, "late_pickup": late}]}
        path = f"/activities/{town.activity}/attendance/{open_day}"
        assert (await town.client.put(path, json=body, headers=town.staff(Role.CLERK))).status == 200
    heard.append([(await town.probe.next("planning.attendance.recorded")).data for _ in range(2)][-1])
    capsys.readouterr()
    assert await replay(town.settings, []) == 0
    told = list(read(capsys.readouterr().out.splitlines()))
    assert [each.model_dump(mode="json") for each in told] == heard
    await town.probe.none("planning.bookings.changed", seconds=0.5)


async def test_a_closure_of_a_school_holds_however_its_name_is_written(town: Any) -> None:
    """And says when nobody goes there."""
    (first, _), (second, _), *_ = await town.open_days()
    await town.book(town.payload((first, True)))
    path = f"/households/{town.household}/children"
    (child,) = (await (await town.client.get(path, headers=town.parent())).json())["children"]
    closure = {"day": str(first), "reason": "Fuite d'eau", "school": f" {child['school'].upper().replace('-', '  ')}"}
    answer = await town.client.post("/closures", json=closure, headers=town.staff())
    assert (answer.status, (await answer.json(content_type=None))["bookings"]) == (409, 1)
    done = await town.client.post("/closures", json={**closure, "cancel_bookings": True}, headers=town.staff())
    assert (await done.json())["nobody_attends"] is False
    assert (await town.cell(first))["state"] == "closed"
    elsewhere = {"day": str(second), "reason": "Travaux", "school": "École où personne ne va"}
    told = await (await town.client.post("/closures", json=elsewhere, headers=town.staff())).json()
    assert told["nobody_attends"] is True
    assert (await town.cell(second))["state"] == "free"
