"""The pages' figures, on a portal of its own: ``python -m tests.load.pages [PARENTS]``, 200 unless told.

Pages a second when that many parents, each of a household of its own, ask one after another without a pause; what one
planning page takes in each service; what each page weighs and when it is painted, in Chromium at the size of a phone.
The parents and the browser share this machine's processors with the portal. Nothing here passes or fails but what the
pages say and what is saved. ``SECONDS`` is how long each page is asked for.
"""

import asyncio
import json
import os
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from statistics import median
from typing import Any, NamedTuple

import aiohttp

from gateway.assets import asset_url
from local_stack.families import each_of, sql
from tests.load.harness.figures import note, say, say_spans
from tests.load.harness.measuring import hashes_a_second, portal
from tests.load.harness.parents import Crowd, NotServed, Parent, as_if_long_there, quiet, settle
from tests.load.harness.visits import weigh

SECONDS = float(os.environ.get("SECONDS", "5"))
HOP_PARENTS = 20
PARTS = {
    "gateway": "gateway alone: calls, reading, render",
    "planning children": "planning, the household's children",
    "planning month": "planning, the child's month",
    "billing": "billing, the prices",
    "auth": "auth, two tokens",
    "whole": "the page, until the gateway sends it",
    "parent": "the page, compressed and received",
}


class Answers(NamedTuple):
    """How many were served, how many not, and how many a second were."""

    served: int
    wrong: int
    rate: float


async def ask(crowd: Crowd, name: str, do: Callable[[Parent], Awaitable[Any]], floor: float | None = None) -> Answers:
    """Every parent asks again and again."""
    spans, wrong, until = list[float](), Counter[str](), time.perf_counter() + SECONDS

    async def one(parent: Parent) -> None:
        while (began := time.perf_counter()) < until:
            try:
                await do(parent)
                spans.append(time.perf_counter() - began)
            except (NotServed, TimeoutError, aiohttp.ClientError) as error:
                wrong[str(error) if isinstance(error, NotServed) else type(error).__name__] += 1

    began = time.perf_counter()
    await asyncio.gather(*(one(each) for each in crowd.parents))
    rate = len(spans) / (time.perf_counter() - began)
    say(name, rate, "/s", floor=floor)
    say_spans(name, spans)
    say(f"{name}, errors", wrong.total(), at_most=0)
    if wrong:
        note("    " + ", ".join(f"{count} × {what}" for what, count in wrong.most_common()))
    return Answers(len(spans), wrong.total(), rate)


async def under_load(crowd: Crowd) -> None:
    """Floors first, then the pages, one after the other."""
    style = asset_url("style.css")
    bare = await ask(crowd, "floor: a bare answer, /health/live", lambda each: crowd.open(each, "/health/live", ""))
    await ask(crowd, "floor: a file, style.css", lambda each: crowd.open(each, style, "--town"), bare.rate)
    await ask(crowd, "sign-in, the page", crowd.sign_in_page, bare.rate)
    hashes = hashes_a_second()
    await ask(crowd, "sign-in, the two codes (floor: argon2id on one core)", crowd.sign_in, hashes)
    await each_of(crowd.parents, crowd.open_month)
    await ask(crowd, "home", crowd.home, bare.rate)
    await ask(crowd, "planning, a month", crowd.planning, bare.rate)
    internet = "SELECT count(*) FROM booking_change WHERE channel = 'internet'"
    before = (await sql(crowd.stack, "planning", internet))[0]["count"]
    recaps = await ask(crowd, "recap, one day changed", crowd.recap, bare.rate)
    saved = (await sql(crowd.stack, "planning", internet))[0]["count"] - before
    assert recaps.served <= saved <= recaps.served + recaps.wrong, f"{saved} changes are saved, {recaps} told"
    await quiet(crowd.stack)
    await ask(crowd, "invoices", crowd.invoices, bare.rate)


async def hops(crowd: Crowd) -> None:
    """One planning page after another with nobody else there; the times are those of the services' own logs."""
    chosen, waited = crowd.parents[:HOP_PARENTS], dict[str, float]()
    await each_of(chosen, crowd.sign_in)
    for turn in ("asked", "kept"):
        for each in chosen:
            name, began = f"hop-{turn}-{each.number:04d}", time.perf_counter()
            await crowd.planning(each, {"X-Request-ID": name})
            waited[name] = (time.perf_counter() - began) * 1000
    await asyncio.sleep(0.5)
    spans: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for service in ("gateway", "planning", "billing", "auth"):
        for line in crowd.stack.programs[service].log.read_text(encoding="utf-8").splitlines():
            said = json.loads(line) if '"hop-' in line else {}
            if said.get("event") == "request":
                part = " month" if "/months/" in said["path"] else " children" if service == "planning" else ""
                spans[said["correlation_id"]][service + part] += said["milliseconds"]
    for name, found in spans.items():
        whole, others = found["gateway"], sum(ms for part, ms in found.items() if part != "gateway")
        found.update(gateway=whole - others, whole=whole, parent=waited[name])
    for part, what in PARTS.items():
        asked, kept = (median(each[part] for name, each in spans.items() if turn in name) for turn in ("asked", "kept"))
        say(f"{what}, tokens asked for", asked, "ms", at_most=100 if part == "whole" else None)
        say(f"{what}, tokens kept", kept, "ms")


async def main(parents_count: int) -> None:
    parents = [Parent(number) for number in range(parents_count)]
    client = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=60),
    )
    async with portal() as stack, client as http:
        gateway = stack.programs["gateway"]
        await gateway.stop()
        gateway.environment = {**gateway.environment, "PROXIES_IN_FRONT": "1"}  # so that each has an address
        await stack.restart("gateway")
        await settle(stack, http, parents)
        crowd = Crowd(stack, http, parents)
        await crowd.sign_in_page(parents[0])
        await crowd.sign_in(parents[0])
        await crowd.choose_month(parents[0])
        await each_of(parents, crowd.prepare)
        await quiet(stack)
        await as_if_long_there(stack)
        note(f"  {parents_count} parents at once, on the portal's own {os.cpu_count()} cores; floor: bare answers")
        await under_load(crowd)
        note(f"  one planning page, median of {min(HOP_PARENTS, parents_count)}, nobody else there, from the logs")
        await hops(crowd)
        await weigh(stack.gateway_url, parents[0].session, crowd.planning_path(parents[0]))


if __name__ == "__main__":
    note("pages")
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200))
