"""planning on a real database and broker, and the words to tell stories about it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from aiohttp.test_utils import TestClient

from chassis.clock import today
from chassis.command import set_up
from chassis.testing import Probe, Tokens, eventually
from contracts.events.auth import Custody, HouseholdChanged, HouseholdChild, Span
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
        self,
        household: UUID,
        custody: Custody = Custody.FREE,
        version: int = 1,
        siblings: Sequence[UUID] = (),
        own: Sequence[date] = (),
        school: str = "Prévert",
        active: bool = True,
        gone: Sequence[UUID] = (),
    ) -> None:
        children = tuple(
            HouseholdChild(
                child_id=child_id,
                first_name="Léa",
                last_name="Dupont",
                birth_date=date(2018, 4, 17),
                school=school,
                class_name="CE1",
                custody=custody,
                custody_days=tuple(Span(first_day=day, last_day=day) for day in own),
            )
            for child_id in (self.child, *siblings)
            if child_id not in gone
        )
        event = HouseholdChanged(
            household_id=household,
            version=version,
            reference=household.hex[:8],
            name="Famille",
            address=("1 rue",),
            active=active,
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

    async def neighbour(self, *siblings: UUID, school: str = "Prévert") -> "Town":
        """Another family whose child may book the same activity."""
        other = replace(self, household=uuid4(), child=uuid4())
        await other.announce(other.household, siblings=siblings, school=school)
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
        body = self.payload(*days, seen=seen)
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

    def payload(self, *days: tuple[date, bool], seen: int = 10_000) -> dict[str, Any]:
        lines = [{"activity_id": str(self.activity), "day": str(day), "booked": booked} for day, booked in days]
        return {"child_id": str(self.child), "seen_version": seen, "lines": lines}

    async def book(self, body: Any, headers: dict[str, str] | None = None, household: UUID | None = None) -> Any:
        keyed = {"Idempotency-Key": uuid4().hex, **(headers or self.parent(household))}
        return await self.client.post(f"/households/{household or self.household}/bookings", json=body, headers=keyed)

    @staticmethod
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


@pytest.fixture
async def settings(database_url: str, amqp_url: str, tokens: Tokens) -> Settings:
    settings = Settings(database_url=database_url, amqp_url=amqp_url, auth_url=tokens.url, http_port=0, school_zone="B")
    await set_up(SERVICE, settings)
    return settings


@pytest.fixture
async def town(aiohttp_client: Any, settings: Settings, tokens: Tokens, probe: Probe) -> Town:
    made = Town(await aiohttp_client(build(settings)), tokens, probe, settings, uuid4(), uuid4(), uuid4())
    await made.announce(made.household)
    every_day = made.every_day_activity()
    await made.put(f"/activities/{made.activity}", every_day)
    await made.enrol(made.household)
    return made
