"""Many hands at once and a simple model: no place lost, none given twice."""

import asyncio
import random
from collections.abc import Coroutine
from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from chassis.clock import now
from chassis.testing import eventually
from contracts.events.billing import ResidenceChanged, ResidenceFrom
from planning.app import build
from planning.jobs import lapse_offers
from planning.store.health_metrics import HEALTH_METRICS

OUTSIDER = 0
"""Which of the families of the model lives elsewhere."""
NOTICE = {"days_before": 1, "counting": "calendar_days", "at": "18:00"}


@pytest.mark.timeout(600)
async def test_many_hands_at_once_never_lose_a_place_nor_leave_one_to_nobody(town: Any, aiohttp_client: Any) -> None:
    """Ten families on two replicas book, cancel and plan the same days while the town hall changes the capacity."""
    replica, dice = await aiohttp_client(build(town.settings)), random.Random(4)
    days = [day for day, _ in await town.open_days()][:4]
    sibling = uuid4()
    await town.announce(town.household, version=2, siblings=(sibling,))
    await town.enrol(town.household, sibling)
    families = [town, *[await town.neighbour() for _ in range(9)]]
    for number, family in enumerate(families):
        family.client = town.client if number % 2 else replica

    async def acts(family: Any) -> None:
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
            await town.put(f"/activities/{town.activity}", town.every_day_activity(capacity=dice.randint(1, 5)))

    await asyncio.gather(*(acts(family) for family in families), follows(), changes_capacity())
    await town.put(f"/activities/{town.activity}", town.every_day_activity(capacity=3))
    connection = await asyncpg.connect(town.settings.database_url)
    try:
        rows = await connection.fetch(
            "SELECT day, o.booked, (SELECT count(*) FROM booking b WHERE b.day = o.day AND b.booked) AS counted, "
            "(SELECT count(*) FROM waiting w WHERE w.day = o.day) AS waiting FROM occupation o"
        )
        misranked = await connection.fetchval(
            "SELECT count(*) FROM waiting WHERE has_sibling <> has_booked_sibling(household_id, child_id, activity_id, "
            "day)"
        )
        doubled = await connection.fetchval(
            "SELECT count(*) FROM waiting w JOIN booking b USING (child_id, activity_id, day) WHERE b.booked"
        )
    finally:
        await connection.close()
    assert [(row["day"], row["booked"]) for row in rows] == [(row["day"], row["counted"]) for row in rows]
    assert not [row["day"] for row in rows if row["booked"] < 3 and row["waiting"]]
    assert (doubled, misranked) == (0, 0)


async def let_pass(town: Any, activity: UUID, day: date) -> None:
    """Let the offers of a day be over, and the job find them."""
    connection = await asyncpg.connect(town.settings.database_url)
    try:
        query = "UPDATE waiting SET offered_until = $3 WHERE activity_id = $1 AND day = $2 AND offered_until > $3"
        await connection.execute(query, activity, day, now())
    finally:
        await connection.close()
    await lapse_offers(town.client.app)


class Days(RuleBasedStateMachine):
    """Three families and two days of an activity, beside a model that fits in a few lines."""

    def __init__(self, families: list[Any], days: list[date], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self.activity, self.loop = uuid4(), loop
        self.families = [replace(each, activity=self.activity) for each in families]
        self.days = days
        self.capacity, self.is_over, self.residents_first, self.offers = 1, False, False, False
        self.booked: dict[date, list[int]] = {day: [] for day in self.days}
        self.waiting: dict[date, list[int]] = {day: [] for day in self.days}
        self.offered: dict[date, list[int]] = {day: [] for day in self.days}
        self.closed: set[date] = set()
        self.save()
        for family in self.families:
            path = f"/households/{family.household}/children/{family.child}/enrolments/{self.activity}"
            self.wait(family.put(path, {"first_day": str(self.days[0]), "last_day": str(self.days[1])}))

    def wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    def save(self) -> None:
        notice = {"until": str(now() - timedelta(minutes=1))} if self.is_over else NOTICE
        payload = self.families[0].every_day_activity(
            capacity=self.capacity,
            days=[str(day) for day in self.days],
            first_day=str(self.days[0]),
            last_day=str(self.days[1]),
            booking_notice=notice,
            residents_first=self.residents_first,
            offer_hours=24 if self.offers else None,
        )
        self.wait(self.families[0].put(f"/activities/{self.activity}", payload))
        self.promote()

    def is_full(self, day: date) -> bool:
        return len(self.booked[day]) + len(self.offered[day]) >= self.capacity

    def promote(self) -> None:
        for day in self.days:
            while not self.is_over and not self.is_full(day):
                following = [who for who in self.line(day) if who not in self.offered[day]]
                if not following:
                    break
                if self.offers:
                    self.offered[day].append(following[0])
                else:
                    self.waiting[day].remove(following[0])
                    self.booked[day].append(following[0])

    def forget(self, who: int, day: date) -> None:
        for some in (self.booked[day], self.waiting[day], self.offered[day]):
            if who in some:
                some.remove(who)

    def line(self, day: date) -> list[int]:
        """Who waits, in order: by arrival, but the outsider after the others where the town wants it."""
        return sorted(self.waiting[day], key=lambda who: self.residents_first and who == OUTSIDER)

    def asked(self, who: int, day: int, payload: bool, *, or_wait: bool) -> str | None:
        recap = self.wait(self.families[who].asks((self.days[day], payload), wait=or_wait))
        refusal: str | None = recap["lines"][0]["refusal"]
        return refusal

    @rule(who=st.integers(0, 2), day=st.integers(0, 1), or_wait=st.booleans())
    def book(self, who: int, day: int, or_wait: bool) -> None:
        refusal, key = self.asked(who, day, True, or_wait=or_wait), self.days[day]
        is_full, has_offer = self.is_full(key), who in self.offered[key]
        if key in self.closed:
            assert refusal == "closed"
        elif who in self.booked[key] or (who in self.waiting[key] and is_full and not has_offer):
            assert refusal is None
        elif self.is_over:
            assert refusal == "past_deadline"
        elif has_offer or not is_full:
            assert refusal is None
            self.forget(who, key)
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
        self.forget(who, key)
        self.promote()

    @rule(day=st.integers(0, 1))
    def let_offers_pass(self, day: int) -> None:
        key = self.days[day]
        self.wait(let_pass(self.families[0], self.activity, key))
        for who in list(self.offered[key]):
            self.forget(who, key)
        self.promote()

    @rule(day=st.integers(0, 1))
    def close(self, day: int) -> None:
        payload = {"day": str(self.days[day]), "reason": "Grève", "activity_id": str(self.activity)}
        family, key = self.families[0], self.days[day]
        done = self.wait(
            family.client.post("/closures", json={**payload, "cancel_bookings": True}, headers=family.staff())
        )
        assert done.status in {200, 201}
        self.closed.add(key)
        self.booked[key], self.waiting[key], self.offered[key] = [], [], []

    @rule(capacity=st.integers(1, 3), is_over=st.booleans(), residents_first=st.booleans(), offers=st.booleans())
    def change_the_rules(self, capacity: int, is_over: bool, residents_first: bool, offers: bool) -> None:
        self.capacity, self.is_over = capacity, is_over
        self.residents_first, self.offers = residents_first, offers
        self.save()

    @invariant()
    def agrees(self) -> None:
        for who, family in enumerate(self.families):
            for day in self.days:
                cell = self.wait(family.cell(day))
                waits = self.line(day)
                if day in self.closed:
                    assert cell["state"] == "closed"
                elif who in self.booked[day]:
                    assert cell["state"] == "booked"
                elif who in waits:
                    assert (cell["state"], cell["rank"]) == ("waiting", waits.index(who) + 1)
                    assert bool(cell["offered_until"]) is (who in self.offered[day])
                else:
                    assert cell["state"] == ("full" if self.is_full(day) else "free")


@pytest.mark.timeout(600)
async def test_whatever_is_booked_cancelled_closed_and_changed_the_days_agree_with_a_simple_model(town: Any) -> None:
    families, loop = [town, await town.neighbour(), await town.neighbour()], asyncio.get_running_loop()
    days = await town.weekly(2)
    elsewhere = (ResidenceFrom(first_day=days[0], resident=False),)
    await town.probe.publish(
        ResidenceChanged(household_id=families[OUTSIDER].household, version=1, residences=elsewhere)
    )
    connection = await asyncpg.connect(town.settings.database_url)
    await eventually(lambda: connection.fetchval("SELECT true FROM residence_from"))
    await connection.close()
    limits = hypothesis_settings(max_examples=12, stateful_step_count=15, derandomize=True)
    await asyncio.to_thread(run_state_machine_as_test, lambda: Days(families, days, loop), settings=limits)
    connection = await asyncpg.connect(town.settings.database_url)
    counted = await connection.fetchval(HEALTH_METRICS[0].query)
    await connection.close()
    assert counted == 0
