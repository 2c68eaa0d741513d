"""Figures of planning: ``python tests/load/month_and_submit.py [CHILDREN] [CHANGES]``.

A town of 1,000 children by default, each with 200 canteen days booked and 2,000 changes in its history: ten years of
it. ``100000 20`` is a town of 20 million bookings. Prints, for the month of a child, for the submit of 20 changes and
for the history, what the service answers over HTTP, and what the same statements take when sent by asyncpg alone, with
as many connections.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import date, timedelta
from pathlib import Path
from uuid import uuid4

import asyncpg
from ground.measuring import NOTICE, Child, folder_aside, percentile, planning_alone, settle
from ground.wire import Asked, Wires

from chassis import outbox
from chassis.clock import now, today
from chassis.database import Database
from chassis.idempotency import recall, remember
from chassis.testing import Tokens
from contracts.events.planning import Channel
from planning.domain.bookings import booked_day, told
from planning.store import bookings, history, situations

ACTIVITY, WORKERS, ROUNDS, LINES = uuid4(), 8, 400, 20
DAYS_BOOKED, CHILDREN, CHANGES = 200, 1000, 2000
FIRST = today() + timedelta(days=30)
WISH = b"x" * 3000


async def fill(database_url: str, count: int, changes: int) -> list[Child]:
    """The town, written straight into the tables."""
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "INSERT INTO activity VALUES ($1, 'Cantine', 'explicit', '{1,2,3,4,5,6,7}', $2, $3, $4, $4, 10000, 0, "
        "(SELECT array_agg($2::date + n) FROM generate_series(0, 390) n), '{}', NULL, false)",
        ACTIVITY,
        today() - timedelta(days=210),
        today() + timedelta(days=180),
        NOTICE,
    )
    children = await settle(connection, count)
    await connection.execute(
        "INSERT INTO enrolment SELECT household_id, child_id, $1, $2, $3 FROM household_child",
        ACTIVITY,
        today() - timedelta(days=210),
        today() + timedelta(days=180),
    )
    await connection.execute(
        "ALTER TABLE booking DISABLE TRIGGER USER, DROP CONSTRAINT booking_activity_id_fkey, "
        "DROP CONSTRAINT booking_household_id_child_id_fkey"  # what is written here is right, and nothing is full
    )
    await connection.execute(
        "INSERT INTO booking SELECT household_id, child_id, $1, $2::date - n, true, 1 "
        "FROM household_child, generate_series(1, $3::int) n ORDER BY child_id, n",
        ACTIVITY,
        today(),
        DAYS_BOOKED,
    )
    await connection.execute(
        "INSERT INTO booking_change (household_id, child_id, activity_id, day, booked, version, channel, changed_by, "
        "changed_at) SELECT household_id, child_id, $1, $2::date - n / 10, n % 2 = 0, 1, 'internet', child_id, "
        "now() - n * interval '1 hour' FROM generate_series(1, $3::int) n, household_child",
        ACTIVITY,
        today(),
        changes,
    )
    await connection.execute(
        "ALTER TABLE booking ENABLE TRIGGER USER, ADD FOREIGN KEY (activity_id) REFERENCES activity NOT VALID, "
        "ADD FOREIGN KEY (household_id, child_id) REFERENCES household_child NOT VALID"
    )
    await connection.execute("VACUUM ANALYZE")
    await connection.close()
    return children


async def measure(name: str, work: Callable[[int], Awaitable[None]]) -> float:
    """Run ``work`` ROUNDS times over WORKERS at once and print how it went; the rate a second."""
    numbers, spans = iter(range(ROUNDS)), []

    async def worker() -> None:
        for number in numbers:
            began = time.perf_counter()
            await work(number)
            spans.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(WORKERS)))
    rate = ROUNDS / (time.perf_counter() - began)
    p50, p99 = (percentile(spans, part) * 1000 for part in (0.5, 0.99))
    sys.stdout.write(f"  {name:34} {rate:7.0f}/s   p50 {p50:6.1f} ms   p99 {p99:6.1f} ms\n")
    return rate


def days_of(number: int) -> list[date]:
    """The days that a round changes; each round has a child of its own for as long as there are enough."""
    return [FIRST + timedelta(days=n + LINES * (number % 3)) for n in range(LINES)]


async def over_http(url: str, tokens: Tokens, children: Sequence[Child]) -> list[float]:
    """The rates of the service."""
    wires = Wires()
    headers = [Tokens.headers(tokens.parent(each[0], audience="planning")) for each in children[:ROUNDS]]

    async def call(number: int, method: str, path: str, body: object = None) -> None:
        household_id, child_id = children[number % len(children)]
        full = f"{url}/households/{household_id}{path.format(child=child_id)}"
        sent = {"Idempotency-Key": uuid4().hex, **headers[number % len(headers)]}
        asked = Asked.of_json(method, full, sent, body) if body else Asked.of(method, full, sent)
        status, told = await wires.ask(asked)
        assert status == 200, told

    async def submit(number: int) -> None:
        lines = [{"activity_id": str(ACTIVITY), "day": str(day), "booked": True} for day in days_of(number)]
        body = {"child_id": str(children[number % len(children)][1]), "seen_version": 10_000, "lines": lines}
        await call(number, "POST", "/bookings", body)

    month = f"/children/{{child}}/months/{today():%Y-%m}"
    return [
        await measure("month of a child, HTTP", lambda number: call(number, "GET", month)),
        await measure(f"submit of {LINES} changes, HTTP", submit),
        await measure("history of a child, HTTP", lambda n: call(n, "GET", "/children/{child}/changes")),
    ]


async def by_sql(database: Database, children: Sequence[Child]) -> list[float]:
    """The rates of the same statements alone."""

    async def month(number: int) -> None:
        first = today().replace(day=1)
        async with database.reading() as look:
            child = children[number % len(children)]
            await situations.situation(look, "B", *child, first, first + timedelta(days=30))

    async def submit(number: int) -> None:
        household_id, child_id = children[-1 - number % len(children)]
        days, scope, key = days_of(number), f"bookings/{household_id}", uuid4().hex
        async with database.reading() as look:
            await situations.situation(look, "B", household_id, child_id, days[0], days[-1])
        async with database.transaction() as tx:
            await recall(tx, scope, key, WISH)
            await bookings.take_locks(tx, [(ACTIVITY, day) for day in days], [child_id])
            found = await situations.situation(tx, "B", household_id, child_id, days[0], days[-1])
            assert found is not None
            changed = tuple(booked_day(found.activities[ACTIVITY], day, booked=True) for day in days)
            event = told(found, changed, found.version + 1, channel=Channel.INTERNET, by=child_id, at=now())
            await bookings.save_changes(tx, event)
            await outbox.add(tx, event)
            await remember(tx, scope, key, WISH)

    async def changes(number: int) -> None:
        async with database.transaction() as tx:
            await history.changes(tx, *children[number % len(children)])

    return [
        await measure("month of a child, SQL", month),
        await measure(f"submit of {LINES} changes, SQL", submit),
        await measure("history of a child, SQL", changes),
    ]


async def main(folder: Path, count: int = CHILDREN, changes: int = CHANGES) -> None:
    """Everything, in servers of its own."""
    async with planning_alone(folder) as ground:
        children = await fill(ground.database_url, count, changes)
        url = await ground.serve()
        bookings_count, changes_count = count * DAYS_BOOKED, count * changes
        sys.stdout.write(f"planning, {bookings_count:,} bookings, {changes_count:,} changes, {WORKERS} at once\n")
        http = await over_http(url, ground.tokens, children)
        await ground.stop()
        database = Database(ground.database_url, connections_max=WORKERS, plans_once=True)
        await database.start()
        sql = await by_sql(database, children)
        await database.stop()
        shares = ", ".join(f"{ours / raw:.0%}" for ours, raw in zip(http, sql, strict=True))
        sys.stdout.write(f"  HTTP does this share of bare SQL: {shares}\n")


if __name__ == "__main__":
    with folder_aside() as made:
        asyncio.run(main(made, *map(int, sys.argv[1:3])))
