"""planning over HTTP, on a real database and broker."""

import asyncio
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from aiohttp.test_utils import TestClient

from chassis.clock import today
from chassis.command import set_up
from chassis.testing import Probe, Tokens, eventually
from contracts.events.auth import Custody, HouseholdChanged, HouseholdChild
from contracts.identity import Role
from planning.__main__ import SERVICE
from planning.app import build
from planning.settings import Settings

YEAR = {"first_day": str(today() - timedelta(days=60)), "last_day": str(today() + timedelta(days=120))}
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

    async def announce(self, household: UUID, custody: Custody = Custody.FREE, version: int = 1) -> None:
        child = HouseholdChild(
            child_id=self.child,
            first_name="Léa",
            last_name="Dupont",
            birth_date=date(2018, 4, 17),
            school="Prévert",
            class_name="CE1",
            custody=custody,
        )
        event = HouseholdChanged(
            household_id=household,
            version=version,
            reference=household.hex[:8],
            name="Famille",
            address=("1 rue",),
            active=True,
            children=(child,),
        )
        await self.probe.publish(event)

        async def ask() -> Any:
            return (await self.get(f"/households/{household}/children", household))["children"]

        await eventually(ask)

    async def get(self, path: str, household: UUID | None = None) -> Any:
        response = await self.client.get(path, headers=self.parent(household))
        assert response.status == 200, await response.text()
        return await response.json()

    async def put(self, path: str, body: Any) -> Any:
        response = await self.client.put(path, json=body, headers=self.staff())
        assert response.status == 200, await response.text()
        return await response.json()

    async def enrol(self, household: UUID) -> None:
        path = f"/households/{household}/children/{self.child}/enrolments/{self.activity}"
        await self.put(path, YEAR)

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
    every_day = {
        "label": "Cantine",
        "period": "school_days",
        "weekdays": [1, 2, 3, 4, 5, 6, 7],
        "first_day": YEAR["first_day"],
        "last_day": YEAR["last_day"],
        "booking_notice": NOTICE,
        "cancelling_notice": NOTICE,
        "capacity": 2,
    }
    await made.put(f"/activities/{made.activity}", every_day)
    await made.enrol(made.household)
    return made


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


async def test_the_last_places_are_never_sold_twice(town: Town, aiohttp_client: Any) -> None:
    """Forty children want two places, on two replicas at once."""
    replica = await aiohttp_client(build(town.settings))
    (day, _), *_ = await town.open_days()
    families = []
    for _ in range(40):
        other = Town(town.client, town.tokens, town.probe, town.settings, uuid4(), uuid4(), town.activity)
        await other.announce(other.household)
        await other.enrol(other.household)
        families.append(other)
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
