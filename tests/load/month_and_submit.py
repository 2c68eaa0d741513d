"""Figures of planning: ``python -m tests.load.month_and_submit [CHILDREN] [CHANGES]``.

A town of 1,000 children by default, each with 200 canteen days booked and 2,000 changes in its history: ten years of
it. ``100000 20`` is a town of 20 million bookings. Prints, for the month of a child, for the submit of 20 changes and
for the history, what the service answers over HTTP, and how often the same statements go when pgbench sends them over
as many connections.
"""

import asyncio
import os
import sys
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from datetime import date, timedelta
from pathlib import Path
from statistics import median
from uuid import uuid4

import asyncpg

from chassis import outbox
from chassis.clock import now, today
from chassis.database import Database, Transaction, execute_together
from chassis.idempotency import IdempotencyKey, store_answers
from chassis.testing import Tokens
from contracts.events.planning import Channel
from planning.domain.booking_context import ContextQuery
from planning.domain.bookings import booked_day, changed_event
from planning.store import booking_contexts, bookings, history
from tests.load.harness.figures import note, say, say_spans
from tests.load.harness.measuring import NOTICE, Child, folder_aside, planning_alone, settle
from tests.load.harness.pgbench import Recorder, Sent, replayed
from tests.load.harness.wire import Asked, Wires

ACTIVITY, WORKERS, ROUNDS, LINES = uuid4(), 8, 400, 20
SLICES = 3
"""Ours and the floor are measured by turns, and the middle one of each is told: a machine changes by the minute."""
CHILDREN, CHANGES = 1000, 2000
DAYS_BOOKED = int(os.environ.get("DAYS", "200"))
FIRST = today() + timedelta(days=30)
MONTH, SUBMIT, HISTORY = "month of a child", f"submit of {LINES} changes", "history of a child"
WISH = b"x" * 3000
PLANS_ONCE = "-c%20plan_cache_mode%3Dforce_generic_plan"


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


async def measure(work: Callable[[int], Awaitable[None]], first: int) -> tuple[float, list[float]]:
    """Run ``work`` ROUNDS times over WORKERS at once; the rate a second, and how many seconds each took."""
    numbers, spans = iter(range(first, first + ROUNDS)), list[float]()

    async def worker() -> None:
        for number in numbers:
            began = time.perf_counter()
            await work(number)
            spans.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(WORKERS)))
    return ROUNDS / (time.perf_counter() - began), spans


def days_of(number: int, *, behind: int = 0) -> list[date]:
    """The days that a round changes, one of three stretches; no child has the same twice for as long as it can be."""
    return [FIRST + timedelta(days=n + LINES * (number % 3 + behind)) for n in range(LINES)]


async def over_http(
    url: str, tokens: Tokens, children: Sequence[Child], first: int
) -> dict[str, tuple[float, list[float]]]:
    """The rate of the service for each kind of request, from a round on, and how long each took."""
    wires = Wires()
    headers = {
        each[0]: Tokens.headers(tokens.parent(each[0], audience="planning"))
        for each in (children[number % len(children)] for number in range(first, first + ROUNDS))
    }

    async def call(number: int, method: str, path: str, body: object = None) -> None:
        household_id, child_id = children[number % len(children)]
        full = f"{url}/households/{household_id}{path.format(child=child_id)}"
        sent = {"Idempotency-Key": uuid4().hex, **headers[household_id]}
        asked = Asked.of_json(method, full, sent, body) if body else Asked.of(method, full, sent)
        status, told = await wires.ask(asked)
        assert status == 200, told

    async def submit(number: int) -> None:
        lines = [{"activity_id": str(ACTIVITY), "day": str(day), "booked": True} for day in days_of(number)]
        body = {"child_id": str(children[number % len(children)][1]), "seen_version": 10_000, "lines": lines}
        await call(number, "POST", "/bookings", body)

    month = f"/children/{{child}}/months/{today():%Y-%m}"
    return {
        MONTH: await measure(lambda number: call(number, "GET", month), first),
        SUBMIT: await measure(submit, first),
        HISTORY: await measure(lambda number: call(number, "GET", "/children/{child}/changes"), first),
    }


async def by_pgbench(database_url: str, children: Sequence[Child], first: int) -> dict[str, float]:
    """How often a second go the very same statements, from a round on, sent by pgbench over as many connections."""
    database = Database(database_url, connections_max=2, plans_once=True)
    await database.start()

    async def month(tx: Transaction, number: int) -> None:
        day = today().replace(day=1)
        await booking_contexts.booking_context(
            tx, "B", ContextQuery(*children[number % len(children)], day, day + timedelta(days=30))
        )

    async def submit(tx: Transaction, number: int) -> None:
        household_id, child_id = children[-1 - number % len(children)]
        days, key = days_of(number, behind=3), IdempotencyKey(f"bookings/{household_id}", uuid4().hex, WISH)
        await bookings.take_locks(tx, [(ACTIVITY, day) for day in days], [child_id])
        found = await booking_contexts.booking_context(tx, "B", ContextQuery(household_id, child_id, days[0], days[-1]))
        assert found is not None
        changed = tuple(booked_day(found.activities[ACTIVITY], day, booked=True) for day in days)
        event = changed_event(found, changed, found.version + 1, channel=Channel.INTERNET, by=child_id, at=now())
        await execute_together(tx, bookings.changes(event), outbox.insert_statement(event))
        await store_answers(tx, {key: WISH})

    async def changes(tx: Transaction, number: int) -> None:
        await history.changes(tx, *children[number % len(children)])

    rates = {}
    for name, work in ((MONTH, month), (SUBMIT, submit), (HISTORY, changes)):
        await recorded(database, work, 0)  # what is asked the first time only is kept by the program
        rounds = [await recorded(database, work, number) for number in range(first, first + ROUNDS)]
        rates[name] = await replayed(database_url, rounds, clients=WORKERS, settings=PLANS_ONCE)
    await database.stop()
    return rates


async def recorded(database: Database, work: Callable[[Transaction, int], Awaitable[None]], number: int) -> Sent:
    """What a round asks of the database; nothing of it stays."""
    async with database.reading() as connection:
        transaction = connection.transaction()
        await transaction.start()
        recorder = Recorder(connection)
        await work(recorder, number)  # type: ignore[arg-type]  # as much of a connection as the store wants
        await transaction.rollback()
    return recorder.sent


async def main(folder: Path, count: int = CHILDREN, changes: int = CHANGES) -> None:
    """Everything, in servers of its own."""
    async with planning_alone(folder) as ground:
        children = await fill(ground.database_url, count, changes)
        url = await ground.serve()
        bookings_count, changes_count = count * DAYS_BOOKED, count * changes
        note(f"planning, {bookings_count:,} bookings, {changes_count:,} changes, {WORKERS} at once; floor: pgbench")
        ours, floors, spans = (defaultdict[str, list[float]](list) for _ in range(3))
        for first in range(0, SLICES * ROUNDS, ROUNDS):
            for name, (rate, each) in (await over_http(url, ground.tokens, children, first)).items():
                ours[name].append(rate)
                spans[name] += each
            for name, rate in (await by_pgbench(ground.database_url, children, first)).items():
                floors[name].append(rate)
        for name, rates in ours.items():
            say(name, median(rates), "/s", floor=median(floors[name]), share=0.5 if name == SUBMIT else None)
            say_spans(name, spans[name])


if __name__ == "__main__":
    with folder_aside() as made:
        asyncio.run(main(made, *map(int, sys.argv[1:3])))
