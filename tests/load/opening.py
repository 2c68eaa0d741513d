"""The opening of a season: ``python -m tests.load.opening [PARENTS] [PLACES]``.

2,500 parents by default ask for the same day at the instant it opens, and there are 300 places. Two replicas of
planning on this machine answer them. The parents are on it too, and send bytes made before, so that the cores are
planning's as far as can be. Prints how many got a place, were told that it is full, or anything else, and how long it
took; beside it what the same number of bare answers takes. Nothing here passes or fails but the count of places.
"""

import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import uvloop
from holidays import country_holidays

from chassis.clock import now, today
from chassis.testing import Tokens
from contracts.identity import Identity, Role
from tests.load.harness.figures import note, say, say_spans
from tests.load.harness.measuring import NOTICE, Child, folder_aside, planning_alone, settle
from tests.load.harness.wire import Asked, Wires

ACTIVITY = uuid4()
HOLIDAYS = country_holidays("FR")
DAY = next(day for day in (today() + timedelta(days=30 + n) for n in range(9)) if day not in HOLIDAYS)
REPLICAS, OPENS_IN_SECONDS = 2, 8


async def fill(database_url: str, parents: int, places: int) -> list[Child]:
    """The town, written straight into the tables; booking has not begun."""
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "INSERT INTO activity VALUES ($1, 'Séjour', 'explicit', '{1,2,3,4,5,6,7}', $2, $2, $3, $3, $4, 0, "
        "ARRAY[$2::date], '{}', NULL, false)",
        ACTIVITY,
        DAY,
        NOTICE,
        places,
    )
    children = await settle(connection, parents)
    await connection.execute(
        "INSERT INTO enrolment SELECT household_id, child_id, $1, $2, $2 FROM household_child", ACTIVITY, DAY
    )
    await connection.execute("VACUUM ANALYZE")
    await connection.close()
    return children


async def rush(name: str, asked: Sequence[Asked], *, p99_at_most: float | None = None) -> Counter[str]:
    """Everybody at once; what became of it, and how long each waited."""
    found, spans, wires = Counter[str](), list[float](), Wires(kept=False)

    async def one(each: Asked) -> None:
        began = time.perf_counter()
        status, answer = await wires.ask_json(each)
        spans.append(time.perf_counter() - began)
        line = answer["lines"][0] if status == 200 and "lines" in answer else {}
        found[line.get("refusal") or ("booked" if line.get("booked") else f"status {status}")] += 1

    async def everybody() -> None:
        await asyncio.gather(*map(one, asked))

    began = time.perf_counter()
    await asyncio.to_thread(uvloop.run, everybody())  # on the loop that costs least
    say(name, len(asked) / (time.perf_counter() - began), "/s")
    say_spans(name, spans, p99_at_most=p99_at_most)
    note(f"    {dict(found)}")
    return found


def _parent(household_id: UUID) -> Identity:
    roles = frozenset({Role.PARENT})
    return Identity(subject_id=uuid4(), session_id=uuid4(), name="A B", roles=roles, household_id=household_id)


async def main(folder: Path, parents: int, places: int) -> None:
    """Everything, in servers of its own."""
    async with planning_alone(folder) as ground:
        children = await fill(ground.database_url, parents, places)
        urls = [await ground.serve() for _ in range(REPLICAS)]
        note(f"opening, {parents:,} parents at once, {places} places, {REPLICAS} replicas, {os.cpu_count()} cores")
        asked, early, bare = list[Asked](), list[Asked](), list[Asked]()
        for number, (household_id, child_id) in enumerate(children):
            line = {"activity_id": str(ACTIVITY), "day": str(DAY), "booked": True}
            body = {"child_id": str(child_id), "seen_version": 0, "lines": [line]}
            token = ground.tokens.token(_parent(household_id), audience="planning", seconds=600)
            url = urls[number % REPLICAS]
            for wishes in (asked, early):
                headers = Tokens.headers(token, **{"Idempotency-Key": uuid4().hex, "Connection": "close"})
                wishes.append(Asked.of_json("POST", f"{url}/households/{household_id}/bookings", headers, body))
            bare.append(Asked.of("GET", f"{url}/health/live", headers))
        await rush("bare answers", bare)
        connection = await asyncpg.connect(ground.database_url)
        opens_at = now() + timedelta(seconds=OPENS_IN_SECONDS)
        await connection.execute("UPDATE activity SET opens_at = $1", opens_at)
        await rush("before the opening", early[: parents // 10])
        await asyncio.sleep(max(0.0, (opens_at - now()).total_seconds()))
        found = await rush("at the opening", asked, p99_at_most=2_000)
        booked = await connection.fetchval("SELECT count(*) FROM booking WHERE booked")
        await connection.close()
        say("booked past the places", booked - min(places, parents), at_most=0)
        say("answers that are neither a place nor « full »", parents - found["booked"] - found["full"], at_most=0)
        assert booked == found["booked"] == min(places, parents), f"{booked} places are taken, {places} there were"


if __name__ == "__main__":
    sizes = [int(each) for each in sys.argv[1:3]]
    with folder_aside() as made:
        asyncio.run(main(made, *(sizes + [2500, 300][len(sizes) :])))
