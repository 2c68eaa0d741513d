"""Many want the same day at once: who stands in line is served together with others, as if each were alone."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from chassis import outbox
from chassis.idempotency import IdempotencyKey
from contracts.api.bookings import BookingLine, BookingRequest
from contracts.events.planning import Channel
from planning.api.book_days import BookingCommand
from planning.api.booking_queue import AT_ONCE, LINES_MAX, Answers, BookingQueue, QueuedBooking


@contextlib.asynccontextmanager
async def held(town: Any, day: date) -> AsyncIterator[None]:
    """While somebody else has the places of the day."""
    connection = await asyncpg.connect(town.settings.database_url)
    holding = connection.transaction()
    await holding.start()
    await connection.execute("SELECT FROM occupation WHERE day = $1 FOR UPDATE", day)
    yield
    await holding.rollback()
    await connection.close()


class Crowd:
    """A family with many children, whose day is about to be fought for; the first wishes go by themselves."""

    def __init__(self, town: Any, day: date, children: list[Any]) -> None:
        self.town, self.day, self.children = town, day, children
        self.asked = list[asyncio.Task[Any]]()

    def asks(self, child: Any, *, booked: bool = True, wait: bool = False, **headers: str) -> asyncio.Task[Any]:
        body = {**self.town.payload((self.day, booked)), "child_id": str(child)}
        body["lines"][0]["or_wait"] = wait
        task = asyncio.create_task(self.town.book(body, self.town.parent(**headers)))
        self.asked.append(task)
        return task

    async def stands(self) -> None:
        """Until who asked waits for the places, or in line."""
        await asyncio.sleep(0.3)

    async def first(self) -> None:
        """As many as go by themselves."""
        for _ in range(AT_ONCE):
            self.asks(self.children.pop())
        await self.stands()


async def line_of(task: asyncio.Task[Any]) -> dict[str, Any]:
    response = await task
    assert response.status == 200, await response.text()
    return dict((await response.json())["lines"][0])


@pytest.fixture
async def crowd(town: Any) -> Crowd:
    (day, _), *_ = await town.open_days()
    await town.put(f"/activities/{town.activity}", town.every_day_activity(capacity=100))
    children = [uuid4() for _ in range(14)]
    family = await town.neighbour(*children)
    await family.asks((day, True))
    return Crowd(family, day, children)


async def places(crowd: Crowd, count: int) -> None:
    """So many places in all, of which the first child has one."""
    await crowd.town.put(f"/activities/{crowd.town.activity}", crowd.town.every_day_activity(capacity=count))


async def test_who_stands_in_line_is_served_in_one_transaction_and_no_place_is_given_twice(crowd: Crowd) -> None:
    await places(crowd, 1 + AT_ONCE + 3)
    async with held(crowd.town, crowd.day):
        await crowd.first()
        for child in crowd.children:
            crowd.asks(child, wait=True)
        await crowd.stands()
    lines = [await line_of(task) for task in crowd.asked]
    assert [line["refusal"] for line in lines] == [None] * 14
    assert sum(line["booked"] for line in lines) == AT_ONCE + 3
    assert sorted(line["rank"] for line in lines if not line["booked"]) == list(range(1, 8))
    connection = await asyncpg.connect(crowd.town.settings.database_url)
    transactions = "SELECT count(DISTINCT xmin::text) FROM booking WHERE child_id = ANY($1)"
    assert await connection.fetchval(transactions, crowd.children) == 2  # the first of the line, then all behind
    assert await connection.fetchval("SELECT count(DISTINCT xmin::text) FROM waiting") == 1
    assert await connection.fetchval("SELECT booked FROM occupation WHERE day = $1", crowd.day) == 1 + AT_ONCE + 3
    await connection.close()


async def test_each_event_goes_back_to_the_request_it_came_from(crowd: Crowd) -> None:
    async with held(crowd.town, crowd.day):
        await crowd.first()
        for child in crowd.children:
            crowd.asks(child, **{"X-Request-ID": f"of-{child}"})
        await crowd.stands()
    assert all([(await line_of(task))["booked"] for task in crowd.asked])
    connection = await asyncpg.connect(crowd.town.settings.database_url)
    said = await connection.fetch("SELECT data::jsonb ->> 'child_id' AS child, correlation_id FROM outbox")
    await connection.close()
    told = {row["child"]: row["correlation_id"] for row in said}
    assert {str(child): f"of-{child}" for child in crowd.children}.items() <= told.items()


async def test_what_is_wrong_with_one_wish_is_no_matter_of_the_others(crowd: Crowd) -> None:
    """A child that is not the family's, a day named twice, a key that another wish of the line has."""
    async with held(crowd.town, crowd.day):
        await crowd.first()
        *good, one, another, twice = crowd.children
        fine = [crowd.asks(child) for child in good]
        stranger = crowd.asks(uuid4())
        same_key = [crowd.asks(child, **{"Idempotency-Key": "ours"}) for child in (one, another)]
        body = crowd.town.payload((crowd.day, True), (crowd.day, False))
        doubled = asyncio.create_task(crowd.town.book({**body, "child_id": str(twice)}))
        await crowd.stands()
    assert all([(await line_of(task))["booked"] for task in fine])
    assert [(await task).status for task in (stranger, doubled)] == [404, 422]
    assert sorted([(await task).status for task in same_key]) == [200, 409]


async def test_two_taps_in_a_crowd_are_one_change_and_have_one_answer(crowd: Crowd) -> None:
    async with held(crowd.town, crowd.day):
        await crowd.first()
        taps = [crowd.asks(crowd.children[0], **{"Idempotency-Key": "tap"}) for _ in range(3)]
        await crowd.stands()
    answers = {await (await task).text() for task in taps}
    assert len(answers) == 1
    assert '"booked":true' in answers.pop()
    child = replace(crowd.town, child=crowd.children[0])
    assert [booked for _, booked, _, _ in await child.history()] == [True]


async def test_a_place_given_back_in_a_crowd_goes_to_who_waits_and_not_to_who_stands_behind(
    town: Any, crowd: Crowd
) -> None:
    await places(crowd, 1 + AT_ONCE)
    async with held(crowd.town, crowd.day):
        await crowd.first()
    assert all([(await line_of(task))["booked"] for task in crowd.asked])
    assert not (await town.asks((crowd.day, True)))["lines"][0]["booked"]
    async with held(crowd.town, crowd.day):
        for child in crowd.children[: AT_ONCE + 2]:
            crowd.asks(child, wait=True)  # the last two stand in line
        await crowd.stands()
        given_back = crowd.asks(crowd.town.child, booked=False, **{"X-Request-ID": "given-back"})
        await crowd.stands()
        behind = [crowd.asks(child) for child in crowd.children[AT_ONCE + 2 :]]
        await crowd.stands()
    assert not (await line_of(given_back))["booked"]
    assert (await town.cell(crowd.day))["state"] == "booked"
    assert {(await line_of(task))["refusal"] for task in behind} == {"full"}
    connection = await asyncpg.connect(crowd.town.settings.database_url)
    told = await connection.fetch("SELECT type FROM outbox WHERE correlation_id = 'given-back' ORDER BY position")
    await connection.close()
    assert [row["type"] for row in told] == [*["planning.bookings.changed"] * 2, "planning.place.granted"]


async def test_who_waits_no_longer_is_not_served_and_a_child_has_one_wish_at_a_time() -> None:
    """The first as when a request ran out of time in the line."""
    again = asked()
    requests = [*(asked() for _ in range(AT_ONCE + 3)), again, again, asked()]
    wanted = [
        QueuedBooking(payload, IdempotencyKey("scope", str(number), b"")) for number, payload in enumerate(requests)
    ]
    served, over = list[list[str]](), asyncio.Event()

    async def alone(each: QueuedBooking) -> bytes:
        await over.wait()
        return each.key.key.encode()

    async def many(some: Sequence[QueuedBooking]) -> AsyncIterator[Answers]:
        served.append([each.key.key for each in some])
        await over.wait()
        yield {each.key: each.key.key.encode() for each in some}

    turns = BookingQueue(alone, many)
    waiting = [asyncio.create_task(turns.of(each)) for each in wanted]
    await asyncio.sleep(0)
    waiting[AT_ONCE + 1].cancel()
    await asyncio.sleep(0)
    over.set()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert [each for each in answers if isinstance(each, bytes)] == [b"0", b"1", b"2", b"3", b"4", *b"6 7 8 9".split()]
    assert served == [["4", "6", "7"], ["8", "9"]]
    await turns.stop()


async def test_so_many_days_are_served_together_and_no_more() -> None:
    wanted = [
        QueuedBooking(asked(LINES_MAX // 2), IdempotencyKey("scope", str(number), b"")) for number in range(AT_ONCE + 4)
    ]
    served = list[list[str]]()

    async def alone(each: QueuedBooking) -> bytes:
        await asyncio.sleep(0.05)
        return each.key.key.encode()

    async def many(some: Sequence[QueuedBooking]) -> AsyncIterator[Answers]:
        served.append([each.key.key for each in some])
        yield {each.key: each.key.key.encode() for each in some}

    turns = BookingQueue(alone, many)
    assert await asyncio.gather(*map(turns.of, wanted)) == [each.key.key.encode() for each in wanted]
    assert served == [["4", "5"], ["6", "7"]]
    await turns.stop()


def asked(days: int = 1) -> BookingCommand:
    """A wish for a child of its own, for the same days as any other."""
    first = date(2026, 12, 1)
    lines = [BookingLine(activity_id=UUID(int=1), day=first + timedelta(days=n), booked=True) for n in range(days)]
    payload = BookingRequest(child_id=uuid4(), seen_version=0, lines=tuple(lines))
    return BookingCommand(uuid4(), payload, uuid4(), on_behalf=False, channel=Channel.INTERNET, origin=outbox.origin())
