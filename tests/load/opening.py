"""The opening of a season: ``python tests/load/opening.py [PARENTS] [PLACES]``.

2,500 parents by default ask for the same day at the instant it opens, and there are 300 places. Two replicas of
planning on this machine answer them, and the parents are on it too. Prints how many got a place, were told that it is
full, or anything else, and how long it took; beside it what the same number of bare answers takes. Nothing here
passes or fails but the count of places.
"""

import asyncio
import os
import secrets
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import aiohttp
import asyncpg
from aiohttp import web
from aiohttp.test_utils import TestServer
from holidays import country_holidays

from chassis.clock import now, today
from chassis.identity import JWKS_PATH
from chassis.migrations import migrate
from chassis.testing import Tokens
from contracts.identity import Identity, Role
from local_stack.ports import any_free
from local_stack.postgres import PostgresServer
from local_stack.rabbit import RabbitServer
from planning.settings import MIGRATIONS

ACTIVITY = uuid4()
HOLIDAYS = country_holidays("FR")
DAY = next(day for day in (today() + timedelta(days=30 + n) for n in range(9)) if day not in HOLIDAYS)
REPLICAS, OPENS_IN_SECONDS = 2, 8
NOTICE = '{"days_before": 1, "counting": "calendar_days", "at": "18:00:00", "weekday_before": null, "until": null}'


async def fill(database_url: str, parents: int, places: int) -> list[tuple[UUID, UUID]]:
    """The town, written straight into the tables; booking has not begun."""
    connection = await asyncpg.connect(database_url)
    children = [(uuid4(), uuid4()) for _ in range(parents)]
    await connection.execute(
        "INSERT INTO activity VALUES ($1, 'Séjour', 'explicit', '{1,2,3,4,5,6,7}', $2, $2, $3, $3, $4, 0, "
        "ARRAY[$2::date], '{}', NULL, false)",
        ACTIVITY,
        DAY,
        NOTICE,
        places,
    )
    await connection.executemany("INSERT INTO household VALUES ($1, 1)", [(each[0],) for each in children])
    await connection.executemany(
        "INSERT INTO household_child (household_id, child_id, first_name, last_name, school, class_name, custody, "
        "position) VALUES ($1, $2, 'Léa', 'Exemple', 'Prévert', 'CE1', 'free', 0)",
        children,
    )
    await connection.execute(
        "INSERT INTO enrolment SELECT household_id, child_id, $1, $2, $2 FROM household_child", ACTIVITY, DAY
    )
    await connection.execute("VACUUM ANALYZE")
    await connection.close()
    return children


async def serve(database_url: str, amqp_url: str, auth_url: str) -> tuple[asyncio.subprocess.Process, str]:
    """A replica with the limits it has by default."""
    port = any_free()
    own = {"DATABASE_URL": database_url, "AMQP_URL": amqp_url, "AUTH_URL": auth_url, "HTTP_PORT": str(port)}
    environment = {**os.environ, **own, "SCHOOL_ZONE": "B", "LOG_LEVEL": "ERROR"}
    set_up = await asyncio.create_subprocess_exec(sys.executable, "-m", "planning", "migrate", env=environment)
    assert await set_up.wait() == 0
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "planning", env=environment)
    url = f"http://127.0.0.1:{port}"
    async with aiohttp.ClientSession() as http:
        for _ in range(600):
            try:
                async with http.get(f"{url}/health/ready") as response:
                    if response.status == 200:
                        break
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)
    return process, url


async def rush(name: str, asked: Sequence[tuple[str, dict[str, str], object]], *, method: str = "POST") -> Counter[str]:
    """Everybody at once; what became of it, and how long each waited."""
    found, spans = Counter[str](), list[float]()

    async def one(http: aiohttp.ClientSession, url: str, headers: dict[str, str], body: object) -> None:
        began = time.perf_counter()
        async with http.request(method, url, json=body, headers=headers) as response:
            answer = await response.json(content_type=None)
            spans.append(time.perf_counter() - began)
        line = answer["lines"][0] if response.status == 200 and "lines" in answer else {}
        found[line.get("refusal") or ("booked" if line.get("booked") else f"status {response.status}")] += 1

    connector, timeout = aiohttp.TCPConnector(limit=0), aiohttp.ClientTimeout(total=120)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as http:
        began = time.perf_counter()
        await asyncio.gather(*(one(http, *each) for each in asked))
        took = time.perf_counter() - began
    spans.sort()
    p50, p99 = (spans[int(len(spans) * part)] for part in (0.5, 0.99))
    sys.stdout.write(f"  {name:26} {len(asked) / took:6.0f}/s   p50 {p50:5.2f} s   p99 {p99:5.2f} s   {dict(found)}\n")
    return found


def _parent(household_id: UUID) -> Identity:
    roles = frozenset({Role.PARENT})
    return Identity(subject_id=uuid4(), session_id=uuid4(), name="A B", roles=roles, household_id=household_id)


async def main(folder: Path, parents: int, places: int) -> None:
    """Everything, in servers of its own."""
    postgres = PostgresServer(folder / "postgresql", password=secrets.token_hex(16))
    rabbit = RabbitServer(folder / "rabbitmq", password=secrets.token_hex(16), vhosts=["bench"])
    tokens, replicas = Tokens(), list[tuple[asyncio.subprocess.Process, str]]()

    async def keys(_request: web.Request) -> web.Response:
        return web.json_response(tokens.jwks())

    authority = web.Application()
    authority.router.add_get(JWKS_PATH, keys)
    try:
        await asyncio.gather(postgres.start(), rabbit.start())
        database_url = await postgres.ensure_database("planning_bench", password=secrets.token_hex(16))
        await migrate(database_url, MIGRATIONS)
        children = await fill(database_url, parents, places)
        async with TestServer(authority) as server:
            auth_url = str(server.make_url("")).rstrip("/")
            for _ in range(REPLICAS):
                replicas.append(await serve(database_url, rabbit.url("bench"), auth_url))
            sys.stdout.write(
                f"opening, {parents:,} parents at once, {places} places, {REPLICAS} replicas, {os.cpu_count()} cores\n"
            )
            asked, bare = [], []
            for number, (household_id, child_id) in enumerate(children):
                line = {"activity_id": str(ACTIVITY), "day": str(DAY), "booked": True}
                body = {"child_id": str(child_id), "seen_version": 0, "lines": [line]}
                token = tokens.token(_parent(household_id), audience="planning", seconds=600)
                headers = Tokens.headers(token, **{"Idempotency-Key": uuid4().hex})
                url = replicas[number % REPLICAS][1]
                asked.append((f"{url}/households/{household_id}/bookings", headers, body))
                bare.append((f"{url}/health/live", headers, None))
            await rush("bare answers", bare, method="GET")
            connection = await asyncpg.connect(database_url)
            opens_at = now() + timedelta(seconds=OPENS_IN_SECONDS)
            await connection.execute("UPDATE activity SET opens_at = $1", opens_at)
            await rush(
                "before the opening",
                [(u, {**h, "Idempotency-Key": uuid4().hex}, b) for u, h, b in asked[: parents // 10]],
            )
            await asyncio.sleep(max(0.0, (opens_at - now()).total_seconds()))
            found = await rush("at the opening", asked)
            booked = await connection.fetchval("SELECT count(*) FROM booking WHERE booked")
            await connection.close()
        assert booked == found["booked"] == min(places, parents), f"{booked} places are taken, {places} there were"
    finally:
        for process, _ in replicas:
            process.terminate()
            await process.wait()
        await asyncio.gather(postgres.stop(), rabbit.stop())


if __name__ == "__main__":
    made = Path(tempfile.mkdtemp(prefix="preau-bench-"))
    made.chmod(0o711)
    sizes = [int(each) for each in sys.argv[1:3]]
    try:
        asyncio.run(main(made, *(sizes + [2500, 300][len(sizes) :])))
    finally:
        shutil.rmtree(made, ignore_errors=True)
