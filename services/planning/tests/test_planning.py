"""planning over HTTP, on a real database and broker."""

import asyncio
import random
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from aiohttp.test_utils import TestClient
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from chassis.clock import now, today
from chassis.command import set_up
from chassis.testing import Probe, Tokens, eventually
from contracts.events.auth import Custody, HouseholdChanged, HouseholdChild
from contracts.identity import Role
from planning.__main__ import SERVICE
from planning.app import build
from planning.settings import Settings

YEAR = {"first_day": str(today() - timedelta(days=60)), "last_day": str(today() + timedelta(days=120))}
DAYS = [str(today() + timedelta(days=number)) for number in range(-60, 121)]
"""Named one by one, so that no test depends on the season it runs in."""
NOTICE = {"days_before": 1, "counting": "calendar_days", "at": "18:00"}


@dataclass
class Town:
    """A planning service with one household, and what a test needs to speak to it."""

    client: TestClient[Any, Any]
    tokens: Tokens
    probe: Probe
    settings: Settings
    household: UUID
    child: UUID
    activity: UUID

    def parent(self, household: UUID | None = None, **more: str) -> dict[str, str]:
        return Tokens.headers(self.tokens.parent(household or self.household, audience="planning"), **more)

    def staff(self, role: Role = Role.ADMINISTRATOR, **more: str) -> dict[str, str]:
        return Tokens.headers(self.tokens.staff(role, audience="planning"), **more)

    async def announce(
        self, household: UUID, custody: Custody = Custody.FREE, version: int = 1, siblings: Sequence[UUID] = ()
    ) -> None:
        children = tuple(
            HouseholdChild(
                child_id=child_id,
                first_name="Léa",
                last_name="Dupont",
                birth_date=date(2018, 4, 17),
                school="Prévert",
                class_name="CE1",
                custody=custody,
            )
            for child_id in (self.child, *siblings)
        )
        event = HouseholdChanged(
            household_id=household,
            version=version,
            reference=household.hex[:8],
            name="Famille",
            address=("1 rue",),
            active=True,
            children=children,
        )
        await self.probe.publish(event)

        async def ask() -> Any:
            known = (await self.get(f"/households/{household}/children", household))["children"]
            return known if len(known) == len(children) else None

        await eventually(ask)

    async def get(self, path: str, household: UUID | None = None) -> Any:
        response = await self.client.get(path, headers=self.parent(household))
        assert response.status == 200, await response.text()
        return await response.json()

    async def put(self, path: str, body: Any) -> Any:
        response = await self.client.put(path, json=body, headers=self.staff())
        assert response.status == 200, await response.text()
        return await response.json()

    async def enrol(self, household: UUID, child: UUID | None = None) -> None:
        path = f"/households/{household}/children/{child or self.child}/enrolments/{self.activity}"
        await self.put(path, YEAR)

    async def neighbour(self, *siblings: UUID) -> "Town":
        """Another family whose child may book the same activity."""
        other = replace(self, household=uuid4(), child=uuid4())
        await other.announce(other.household, siblings=siblings)
        for child in (other.child, *siblings):
            await other.enrol(other.household, child)
        return other

    async def cell(self, day: date, child: UUID | None = None) -> dict[str, Any]:
        """How a day stands for the child."""
        view = await self.get(f"/households/{self.household}/children/{child or self.child}/months/{day:%Y-%m}")
        cells = [cell for row in view["days"] if row["day"] == str(day) for cell in row["cells"]]
        (found,) = [cell for cell in cells if cell["activity_id"] == str(self.activity)]
        return dict(found)

    async def history(self) -> list[tuple[Any, ...]]:
        """The changes of the activity, newest first."""
        told = await self.get(f"/households/{self.household}/children/{self.child}/changes")
        changes = told["activities"][0]["changes"]
        return [(each["day"], each["booked"], each["waiting"], each["channel"]) for each in changes]

    async def asks(self, *days: tuple[date, bool], seen: int = 10_000, wait: bool = True, **more: Any) -> Any:
        """Send some days and read the recap; full ones go to the waiting list."""
        body = self.wish(*days, seen=seen)
        for line in body["lines"]:
            line["or_wait"] = wait
        response = await self.book({**body, **more})
        assert response.status == 200, await response.text()
        return await response.json()

    async def post(self, path: str, body: Any, status: int = 200) -> Any:
        headers = self.parent(**{"Idempotency-Key": uuid4().hex})
        response = await self.client.post(f"/households/{self.household}/{path}", json=body, headers=headers)
        assert response.status == status, await response.text()
        return await response.json(content_type=None)

    async def open_days(self, household: UUID | None = None) -> list[tuple[date, dict[str, Any]]]:
        """The days of the next months that a parent may change now."""
        household, found = household or self.household, []
        month = today().replace(day=1)
        for _ in range(3):
            path = f"/households/{household}/children/{self.child}/months/{month:%Y-%m}"
            view = await self.get(path, household)
            found += [(date.fromisoformat(d["day"]), c) for d in view["days"] for c in d["cells"] if c["changeable"]]
            month = (month + timedelta(days=32)).replace(day=1)
        return found

    async def weekly(self, count: int) -> list[date]:
        """As many open days, a week apart: no public holiday among them."""
        days = {day for day, _ in await self.open_days()}
        series = ([first + timedelta(days=7 * number) for number in range(count)] for first in sorted(days))
        return next(each for each in series if days.issuperset(each))

    def wish(self, *days: tuple[date, bool], seen: int = 10_000) -> dict[str, Any]:
        lines = [{"activity_id": str(self.activity), "day": str(day), "booked": booked} for day, booked in days]
        return {"child_id": str(self.child), "seen_version": seen, "lines": lines}

    async def book(self, body: Any, headers: dict[str, str] | None = None, household: UUID | None = None) -> Any:
        keyed = {"Idempotency-Key": uuid4().hex, **(headers or self.parent(household))}
        return await self.client.post(f"/households/{household or self.household}/bookings", json=body, headers=keyed)


@pytest.fixture
async def settings(database_url: str, amqp_url: str, tokens: Tokens) -> Settings:
    settings = Settings(database_url=database_url, amqp_url=amqp_url, auth_url=tokens.url, http_port=0, school_zone="B")
    await set_up(SERVICE, settings)
    return settings


@pytest.fixture
async def town(aiohttp_client: Any, settings: Settings, tokens: Tokens, probe: Probe) -> Town:
    made = Town(await aiohttp_client(build(settings)), tokens, probe, settings, uuid4(), uuid4(), uuid4())
    await made.announce(made.household)
    every_day = every_day_activity()
    await made.put(f"/activities/{made.activity}", every_day)
    await made.enrol(made.household)
    return made


def every_day_activity(**more: Any) -> dict[str, Any]:
    return {
        "label": "Cantine",
        "period": "explicit",
        "days": DAYS,
        "weekdays": [1, 2, 3, 4, 5, 6, 7],
        "first_day": YEAR["first_day"],
        "last_day": YEAR["last_day"],
        "booking_notice": NOTICE,
        "cancelling_notice": NOTICE,
        "capacity": 2,
        **more,
    }


async def test_a_parent_books_sees_the_recap_and_the_history(town: Town) -> None:
    (first, _), (second, _), *_ = await town.open_days()
    response = await town.book(town.wish((first, True), (second, True)))
    assert response.status == 200, await response.text()
    recap = await response.json()
    assert [line["refusal"] for line in recap["lines"]] == [None, None]
    event = await town.probe.next("planning.bookings.changed")
    assert [day["day"] for day in event.data["days"]] == [str(first), str(second)]
    assert (event.data["channel"], event.data["version"]) == ("internet", recap["version"])
    await town.book(town.wish((first, False)))
    history = await town.get(f"/households/{town.household}/children/{town.child}/changes")
    shown = [(change["day"], change["booked"]) for change in history["activities"][0]["changes"]]
    assert shown == [(str(first), False), (str(second), True), (str(first), True)]


async def test_the_same_key_gives_the_same_answer_and_one_change(town: Town) -> None:
    (day, _), *_ = await town.open_days()
    headers = town.parent(**{"Idempotency-Key": "tap-tap"})
    answers = await asyncio.gather(*(town.book(town.wish((day, True)), headers) for _ in range(5)))
    assert {answer.status for answer in answers} == {200}
    assert len({await answer.text() for answer in answers}) == 1
    await town.probe.next("planning.bookings.changed")
    await town.probe.none("planning.bookings.changed", seconds=0.5)
    other = await town.book(town.wish((day, False)), headers)
    assert other.status == 409


async def test_rules_hold_for_a_client_that_skips_the_page(town: Town) -> None:
    yesterday = today() - timedelta(days=1)
    recap = await (await town.book(town.wish((yesterday, True)))).json()
    assert recap["lines"][0]["refusal"] in {"past_deadline", "not_offered", "closed"}
    for body, status in (
        ({**town.wish((yesterday, True)), "price_cents": 0}, 422),
        ({**town.wish((yesterday, True)), "child_id": str(uuid4())}, 404),
        ({**town.wish(), "lines": []}, 422),
        ("nonsense", 422),
    ):
        assert (await town.book(body)).status == status
    assert (await town.book(town.wish((yesterday, True)), household=uuid4())).status == 404
    foreign = await town.book(town.wish((yesterday, True)), headers=town.parent(uuid4()))
    assert foreign.status == 404
    assert (await town.client.get(f"/households/{town.household}/children")).status == 401
    month = f"/households/{town.household}/children/{town.child}/months/2026-12"
    assert (await town.client.get(month, headers=town.parent(uuid4()))).status == 404


@pytest.mark.timeout(600)
async def test_the_last_places_are_never_sold_twice(town: Town, aiohttp_client: Any) -> None:
    """Forty children want two places, on two replicas at once."""
    replica = await aiohttp_client(build(town.settings))
    (day, _), *_ = await town.open_days()
    families = [await town.neighbour() for _ in range(40)]
    for number, family in enumerate(families):
        family.client = town.client if number % 2 else replica
    responses = await asyncio.gather(*(family.book(family.wish((day, True))) for family in families))
    refusals = [(await response.json())["lines"][0]["refusal"] for response in responses]
    assert sorted(refusals, key=str) == [None, None] + ["full"] * 38
    await asyncio.gather(*(f.book(f.wish((day, False))) for f, r in zip(families, refusals, strict=True) if r is None))
    late = await (
        await families[refusals.index("full")].book(families[refusals.index("full")].wish((day, True)))
    ).json()
    assert late["lines"][0]["refusal"] is None


async def test_two_tabs_are_told_of_each_other(town: Town) -> None:
    (day, _), *_ = await town.open_days()
    seen = (await (await town.book(town.wish((day, True), seen=0))).json())["version"]
    assert (await (await town.book(town.wish((day, False), seen=seen))).json())["lines"][0]["refusal"] is None
    stale = await (await town.book(town.wish((day, True), seen=seen))).json()
    assert stale["lines"][0]["refusal"] == "changed_elsewhere"
    assert stale["lines"][0]["booked"] is False


async def test_shared_custody_shows_the_other_days_without_details(town: Town) -> None:
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
    refused = await (await town.book(town.wish((min(theirs), True)))).json()
    assert refused["lines"][0]["refusal"] == "other_household"


async def test_an_older_household_never_overwrites_a_newer_one(town: Town) -> None:
    await town.announce(town.household, Custody.EVEN_WEEKS, version=5)
    await town.announce(town.household, Custody.ODD_WEEKS, version=4)
    last = uuid4()
    await town.announce(last)

    async def kept() -> bool:
        (child,) = (await town.get(f"/households/{town.household}/children"))["children"]
        return bool(child["custody"] == "even_weeks")

    await eventually(kept)


async def test_closing_a_booked_day_says_how_many_then_cancels_them(town: Town) -> None:
    (day, _), *_ = await town.open_days()
    await town.book(town.wish((day, True)))
    await town.probe.next("planning.bookings.changed")
    closure = {"day": str(day), "reason": "Grève du personnel"}
    asked = await town.client.post("/closures", json=closure, headers=town.staff(Role.CLERK))
    assert asked.status == 409
    assert (await asked.json(content_type=None))["bookings"] == 1
    done = await town.client.post("/closures", json={**closure, "cancel_bookings": True}, headers=town.staff())
    assert done.status == 201
    event = await town.probe.next("planning.bookings.changed")
    assert (event.data["channel"], event.data["days"][0]["booked"]) == ("automatic", False)
    assert event.data["reason"] == "Grève du personnel"
    recap = await (await town.book(town.wish((day, True)))).json()
    assert (recap["lines"][0]["refusal"], recap["lines"][0]["reason"]) == ("closed", "Grève du personnel")
    assert (await town.client.post("/closures", json=closure, headers=town.parent())).status == 403


async def test_the_town_hall_books_past_the_deadline_and_imports_by_name(town: Town) -> None:
    month = (today().replace(day=1) - timedelta(days=1)).replace(day=1)
    path = f"/households/{town.household}/children/{town.child}/months/{month:%Y-%m}"
    view = await (await town.client.get(path, headers=town.staff(Role.CLERK))).json()
    past = [date.fromisoformat(row["day"]) for row in view["days"] for cell in row["cells"] if cell["changeable"]]
    assert (await (await town.book(town.wish((past[0], True)))).json())["lines"][0]["refusal"] == "past_deadline"
    for day, headers, channel in (
        (past[0], town.staff(Role.CLERK), "town_hall"),
        (past[1], town.staff(**{"X-Channel": "import"}), "import"),
    ):
        assert (await (await town.book(town.wish((day, True)), headers)).json())["lines"][0]["refusal"] is None
        assert (await town.probe.next("planning.bookings.changed")).data["channel"] == channel
    forbidden = await town.book(town.wish((past[2], True)), town.staff(Role.CLERK, **{"X-Channel": "import"}))
    assert forbidden.status == 403


async def test_history_cannot_be_rewritten(town: Town) -> None:
    (day, _), *_ = await town.open_days()
    await town.book(town.wish((day, True)))
    connection = await asyncpg.connect(town.settings.database_url)
    try:
        for statement in ("UPDATE booking_change SET booked = false", "DELETE FROM booking_change"):
            with pytest.raises(asyncpg.RaiseError, match="append-only"):
                await connection.execute(statement)
    finally:
        await connection.close()


@pytest.mark.timeout(600)
async def test_two_hundred_ask_for_the_last_place_on_two_replicas(town: Town, aiohttp_client: Any) -> None:
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

    async def persist(family: Town) -> dict[str, Any]:
        """As a parent does: an overloaded service says 503 with Retry-After, and the same key is sent again."""
        body = family.wish((day, True))
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


async def test_a_freed_place_goes_to_who_waited_longest(town: Town) -> None:
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


async def test_who_may_no_longer_have_the_place_is_passed_over(town: Town) -> None:
    (day, _), *_ = await town.open_days()
    second, third, fourth = [await town.neighbour() for _ in range(3)]
    for family in (town, second, third, fourth):
        await family.asks((day, True))
    other = uuid4()
    await third.announce(other)
    given = {"household_id": str(other), "days": [str(day)]}
    await town.put(f"/children/{third.child}/custody-days", given)
    await town.asks((day, False))
    assert (await third.cell(day))["state"] == "other_household"
    assert (await fourth.cell(day))["state"] == "booked"


async def test_what_changes_nothing_leaves_nothing_to_take_back(town: Town) -> None:
    (day, _), *_ = await town.open_days()
    assert (await town.asks((day, True)))["undoable"]
    assert not (await town.asks((day, True)))["undoable"]


async def test_no_place_is_granted_once_the_kitchen_has_counted(town: Town) -> None:
    (day, _), *_ = await town.open_days()
    second, third = await town.neighbour(), await town.neighbour()
    await town.asks((day, True))
    await second.asks((day, True))
    await third.asks((day, True))
    over = {"until": str(now() - timedelta(minutes=1))}
    await town.put(f"/activities/{town.activity}", every_day_activity(booking_notice=over))
    await town.asks((day, False))
    assert (await third.cell(day))["state"] == "waiting"
    assert not (await third.cell(day))["changeable"]
    await town.put(f"/activities/{town.activity}", every_day_activity())
    assert (await third.cell(day))["state"] == "booked"  # the rule was put right: whoever waited is served


async def test_a_larger_capacity_serves_who_waits_and_a_smaller_one_takes_nothing_back(town: Town) -> None:
    (day, _), *_ = await town.open_days()
    families = [town, *[await town.neighbour() for _ in range(4)]]
    for family in families:
        await family.asks((day, True))
    await town.put(f"/activities/{town.activity}", every_day_activity(capacity=4))
    states = [(await family.cell(day))["state"] for family in families]
    assert states == ["booked"] * 4 + ["waiting"]
    await town.put(f"/activities/{town.activity}", every_day_activity(capacity=1))
    await town.asks((day, False))
    assert (await families[4].cell(day))["state"] == "waiting"
    connection = await asyncpg.connect(town.settings.database_url)
    try:
        with pytest.raises(asyncpg.CheckViolationError, match="full"):
            await connection.execute("UPDATE occupation SET booked = booked + 1 WHERE day = $1", day)
    finally:
        await connection.close()


async def test_siblings_of_a_booked_child_wait_before_the_others_where_the_town_wants_it(town: Town) -> None:
    await town.put(f"/activities/{town.activity}", every_day_activity(capacity=1, siblings_first=True))
    (day, _), *_ = await town.open_days()
    sibling = uuid4()
    await town.announce(town.household, version=2, siblings=(sibling,))
    await town.enrol(town.household, sibling)
    other = await town.neighbour()
    await town.asks((day, True))
    assert (await other.asks((day, True)))["lines"][0]["rank"] == 1
    assert (await town.asks((day, True), child_id=str(sibling)))["lines"][0]["rank"] == 1
    assert (await other.cell(day))["rank"] == 2


async def test_a_closed_day_has_no_waiting_list_left(town: Town) -> None:
    (day, _), *_ = await town.open_days()
    families = [town, await town.neighbour(), await town.neighbour()]
    for family in families:
        await family.asks((day, True))
    closure = {"day": str(day), "reason": "Chauffage en panne", "school": "Prévert", "cancel_bookings": True}
    done = await town.client.post("/closures", json=closure, headers=town.staff())
    assert (await done.json())["cancelled"] == 2
    assert {(await family.cell(day))["state"] for family in families} == {"closed"}
    assert (await families[2].asks((day, True)))["lines"][0]["refusal"] == "closed"


async def test_booking_opens_for_everyone_at_one_instant(town: Town) -> None:
    later, ((day, _), *_) = now() + timedelta(days=1), await town.open_days()
    await town.put(f"/activities/{town.activity}", every_day_activity(opens_at=later.isoformat()))
    cell = await town.cell(day)
    assert (cell["changeable"], cell["state"]) == (False, "free")
    assert cell["opens_at"] is not None
    assert (await town.asks((day, True)))["lines"][0]["refusal"] == "not_yet_open"
    await town.put(f"/activities/{town.activity}", every_day_activity(opens_at=now().isoformat()))
    assert (await town.asks((day, True)))["lines"][0]["refusal"] is None


async def test_a_deadline_that_passes_while_the_page_is_open_counts(town: Town) -> None:
    (day, cell), *_ = await town.open_days()
    assert cell["changeable"]
    over = now() - timedelta(seconds=1)
    await town.put(f"/activities/{town.activity}", every_day_activity(booking_notice={"until": over.isoformat()}))
    line = (await town.asks((day, True)))["lines"][0]
    assert (line["refusal"], line["booked"]) == ("past_deadline", False)
    assert datetime.fromisoformat(line["until"]) == over


async def test_a_week_is_planned_after_a_preview_then_taken_back(town: Town) -> None:
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


async def test_a_plan_copies_a_month_and_a_sibling(town: Town) -> None:
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


async def test_days_given_to_a_household_by_name_outrank_the_parity(town: Town) -> None:
    other, ((day, _), *_) = uuid4(), await town.open_days()
    await town.announce(town.household, Custody.EVEN_WEEKS, version=2)
    await town.announce(other, Custody.ODD_WEEKS)
    await town.enrol(other)
    owner, guest = (town.household, other) if day.isocalendar().week % 2 == 0 else (other, town.household)
    assert (await replace(town, household=owner).cell(day))["state"] == "free"
    given = {"household_id": str(guest), "days": [str(day)]}
    await town.put(f"/children/{town.child}/custody-days", given)
    assert (await replace(town, household=owner).cell(day))["state"] == "other_household"
    assert (await replace(town, household=guest).asks((day, True)))["lines"][0]["refusal"] is None
    refused = await town.client.put(f"/children/{town.child}/custody-days", json=given, headers=town.parent())
    assert refused.status == 403


async def test_a_decree_outranks_the_published_calendar_and_staff_see_it_first(town: Town) -> None:
    friday = date(today().year, 6, 1)
    friday += timedelta(days=(5 - friday.isoweekday()) % 7)
    wish = every_day_activity(
        period="school_days", days=[], weekdays=[5], first_day=str(friday), last_day=str(friday + timedelta(days=7))
    )

    async def preview() -> list[str]:
        response = await town.client.post("/activities/preview", json=wish, headers=town.staff(Role.CLERK))
        assert response.status == 200, await response.text()
        return [each["day"] for each in (await response.json())["days"]]

    assert str(friday) in await preview()
    await town.put(f"/school-days/{friday}", {"holiday": "Pont"})
    assert str(friday) not in await preview()
    await town.put(f"/school-days/{friday}", {"holiday": None})
    assert str(friday) in await preview()
    assert (await town.client.post("/activities/preview", json=wish, headers=town.parent())).status == 403


async def test_no_change_of_the_calendar_leaves_a_booking_behind(town: Town) -> None:
    """A day that would no longer be offered is closed first, which cancels and tells; then it can go."""
    (day, _), *_ = await town.open_days()
    await town.asks((day, True))
    fewer = every_day_activity(days=[each for each in DAYS if each != str(day)])
    refused = await town.client.put(f"/activities/{town.activity}", json=fewer, headers=town.staff())
    assert refused.status == 409
    told = await refused.json(content_type=None)
    assert (told["code"], told["bookings"], told["day"]) == ("day_has_bookings", 1, str(day))
    assert (await town.cell(day))["state"] == "booked"
    closure = {"day": str(day), "reason": "Grève", "cancel_bookings": True}
    assert (await town.client.post("/closures", json=closure, headers=town.staff())).status == 201
    await town.put(f"/activities/{town.activity}", fewer)


async def test_what_stays_booked_after_an_enrolment_ended_is_seen_and_can_be_cancelled(town: Town) -> None:
    (day, _), *_ = await town.open_days()
    await town.asks((day, True))
    path = f"/households/{town.household}/children/{town.child}/enrolments/{town.activity}"
    await town.put(path, {"first_day": YEAR["first_day"], "last_day": str(today() - timedelta(days=1))})
    cell = await town.cell(day)
    assert (cell["state"], cell["changeable"]) == ("booked", True)
    assert (await town.asks((day, False)))["lines"][0]["refusal"] is None
    assert (await town.asks((day, True)))["lines"][0]["refusal"] == "not_enrolled"


async def test_the_sheet_of_a_day_is_marked_once_however_often_it_is_sent(town: Town) -> None:
    other = await town.neighbour()
    day = today()
    while not (await (await town.book(town.wish((day, True)), town.staff(Role.CLERK))).json())["lines"][0]["booked"]:
        day -= timedelta(days=1)  # a public holiday
    path = f"/activities/{town.activity}/attendance/{day}"

    async def put(*marks: tuple[Town, str]) -> Any:
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


@pytest.mark.timeout(600)
async def test_many_hands_at_once_never_lose_a_place_nor_leave_one_to_nobody(town: Town, aiohttp_client: Any) -> None:
    """Ten families on two replicas book, cancel and plan the same days while the town hall changes the capacity."""
    replica, dice = await aiohttp_client(build(town.settings)), random.Random(4)
    days = [day for day, _ in await town.open_days()][:4]
    sibling = uuid4()
    await town.announce(town.household, version=2, siblings=(sibling,))
    await town.enrol(town.household, sibling)
    families = [town, *[await town.neighbour() for _ in range(9)]]
    for number, family in enumerate(families):
        family.client = town.client if number % 2 else replica

    async def acts(family: Town) -> None:
        for _ in range(12):
            some = dice.sample(days, dice.randint(1, 4))
            await family.asks(*[(day, dice.random() < 0.6) for day in some])

    async def follows() -> None:
        for _ in range(10):
            plan = {
                "children": [{"child_id": str(sibling)}],
                "first_day": str(days[0]),
                "last_day": str(days[-1]),
                "like_child_id": str(town.child),
                "or_wait": True,
            }
            await town.post("plans", plan)

    async def changes_capacity() -> None:
        for _ in range(6):
            await town.put(f"/activities/{town.activity}", every_day_activity(capacity=dice.randint(1, 5)))

    await asyncio.gather(*(acts(family) for family in families), follows(), changes_capacity())
    await town.put(f"/activities/{town.activity}", every_day_activity(capacity=3))
    connection = await asyncpg.connect(town.settings.database_url)
    try:
        rows = await connection.fetch(
            "SELECT day, o.booked, (SELECT count(*) FROM booking b WHERE b.day = o.day AND b.booked) AS counted, "
            "(SELECT count(*) FROM waiting w WHERE w.day = o.day) AS waiting FROM occupation o"
        )
        doubled = await connection.fetchval(
            "SELECT count(*) FROM waiting w JOIN booking b USING (child_id, activity_id, day) WHERE b.booked"
        )
    finally:
        await connection.close()
    assert [(row["day"], row["booked"]) for row in rows] == [(row["day"], row["counted"]) for row in rows]
    assert not [row["day"] for row in rows if row["booked"] < 3 and row["waiting"]]
    assert doubled == 0


class Days(RuleBasedStateMachine):
    """Three families and two days of an activity, beside a model that fits in a few lines."""

    def __init__(self, families: list[Town], days: list[date], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self.activity, self.loop = uuid4(), loop
        self.families = [replace(each, activity=self.activity) for each in families]
        self.days = days
        self.capacity, self.is_over = 1, False
        self.booked: dict[date, list[int]] = {day: [] for day in self.days}
        self.waiting: dict[date, list[int]] = {day: [] for day in self.days}
        self.closed: set[date] = set()
        self.save()
        for family in self.families:
            path = f"/households/{family.household}/children/{family.child}/enrolments/{self.activity}"
            self.wait(family.put(path, {"first_day": str(self.days[0]), "last_day": str(self.days[1])}))

    def wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    def save(self) -> None:
        notice = {"until": str(now() - timedelta(minutes=1))} if self.is_over else NOTICE
        wish = every_day_activity(
            capacity=self.capacity,
            days=[str(day) for day in self.days],
            first_day=str(self.days[0]),
            last_day=str(self.days[1]),
            booking_notice=notice,
        )
        self.wait(self.families[0].put(f"/activities/{self.activity}", wish))
        self.promote()

    def promote(self) -> None:
        for day in self.days:
            while not self.is_over and self.waiting[day] and len(self.booked[day]) < self.capacity:
                self.booked[day].append(self.waiting[day].pop(0))

    def asked(self, who: int, day: int, wish: bool, *, or_wait: bool) -> str | None:
        recap = self.wait(self.families[who].asks((self.days[day], wish), wait=or_wait))
        refusal: str | None = recap["lines"][0]["refusal"]
        return refusal

    @rule(who=st.integers(0, 2), day=st.integers(0, 1), or_wait=st.booleans())
    def book(self, who: int, day: int, or_wait: bool) -> None:
        refusal, key = self.asked(who, day, True, or_wait=or_wait), self.days[day]
        is_full = len(self.booked[key]) >= self.capacity
        if key in self.closed:
            assert refusal == "closed"
        elif who in self.booked[key] or (who in self.waiting[key] and is_full):
            assert refusal is None
        elif self.is_over:
            assert refusal == "past_deadline"
        elif not is_full:
            assert refusal is None
            self.booked[key].append(who)
        elif or_wait:
            assert refusal is None
            self.waiting[key].append(who)
        else:
            assert refusal == "full"

    @rule(who=st.integers(0, 2), day=st.integers(0, 1))
    def cancel(self, who: int, day: int) -> None:
        refusal, key = self.asked(who, day, False, or_wait=False), self.days[day]
        assert refusal == ("closed" if key in self.closed else None)
        for some in (self.booked[key], self.waiting[key]):
            if who in some:
                some.remove(who)
        self.promote()

    @rule(day=st.integers(0, 1))
    def close(self, day: int) -> None:
        wish = {"day": str(self.days[day]), "reason": "Grève", "activity_id": str(self.activity)}
        family, key = self.families[0], self.days[day]
        done = self.wait(
            family.client.post("/closures", json={**wish, "cancel_bookings": True}, headers=family.staff())
        )
        assert done.status in {200, 201}
        self.closed.add(key)
        self.booked[key], self.waiting[key] = [], []

    @rule(capacity=st.integers(1, 3), is_over=st.booleans())
    def change_the_rules(self, capacity: int, is_over: bool) -> None:
        self.capacity, self.is_over = capacity, is_over
        self.save()

    @invariant()
    def agrees(self) -> None:
        for who, family in enumerate(self.families):
            for day in self.days:
                cell = self.wait(family.cell(day))
                waits = self.waiting[day]
                if day in self.closed:
                    assert cell["state"] == "closed"
                elif who in self.booked[day]:
                    assert cell["state"] == "booked"
                elif who in waits:
                    assert (cell["state"], cell["rank"]) == ("waiting", waits.index(who) + 1)
                else:
                    assert cell["state"] == ("full" if len(self.booked[day]) >= self.capacity else "free")


@pytest.mark.timeout(600)
async def test_whatever_is_booked_cancelled_closed_and_changed_the_days_agree_with_a_simple_model(town: Town) -> None:
    families, loop = [town, await town.neighbour(), await town.neighbour()], asyncio.get_running_loop()
    days = await town.weekly(2)
    limits = hypothesis_settings(max_examples=8, stateful_step_count=12, deadline=None, derandomize=True)
    await asyncio.to_thread(run_state_machine_as_test, lambda: Days(families, days, loop), settings=limits)
