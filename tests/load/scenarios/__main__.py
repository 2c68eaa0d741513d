"""Three days of a town, against a whole portal of its own: `make load`.

``PARENTS`` families (150 unless told; 2,500 are the town that is meant), ``MINUTES`` of a normal day (3 unless told; in
15 come the visits of an hour), ``SCENES`` of ``opening``, ``evening`` and ``day``, all unless told. The parents are on
this machine too, as are the mail server and the bank. Prints what each step took and what the portal took meanwhile.
Fails on any error, any payment or mail that is not in every book, anything left in a queue, and on memory that grows.
"""

import asyncio
import os
import sys
import time
from collections.abc import Awaitable

from tests.load.harness.parents import quiet
from tests.load.scenarios import scenes
from tests.load.scenarios.steps import Steps, row
from tests.load.scenarios.tenant import Town, inhabited, money
from tests.load.scenarios.watching import Watch

PARENTS = int(os.environ.get("PARENTS", "150"))
MINUTES = float(os.environ.get("MINUTES", "3"))
SCENES = os.environ.get("SCENES", "opening,evening,day").split(",")
OWED = 2
"""Invoices that each family has from before, for those who pay on a normal day."""
VISITS_A_SECOND = 4.0
"""3,600 visits, an hour of a busy town at one a second, in fifteen minutes."""


async def play(town: Town, scene: Awaitable[Steps], wrong: list[str]) -> Watch:
    """A scene from its beginning until nothing of it is left to do, its lines of the table, and what was wrong."""
    watch, began = Watch(town.stack), time.perf_counter()
    async with watch.watching():
        steps = await scene
        played = time.perf_counter() - began
        await quiet(town.stack)
    steps.show()
    row(
        "  all done after", f"{played:.0f} s; mails, PDFs and events {time.perf_counter() - began - played:.0f} s later"
    )
    watch.show()
    wrong += [f"{steps.scene}: {count} × {what}" for what, count in steps.wrong.items()]
    wrong += [f"{steps.scene}: parked in {name}: {count}" for name, count in (await watch.parked()).items()]
    wrong += [
        f"{steps.scene}: {count} events of {name} have not left" for name, count in (await watch.undelivered()).items()
    ]
    return watch


async def main() -> int:
    """All three; how much was wrong."""
    load = f"load {os.getloadavg()[0]:.1f}"
    row(
        f"{PARENTS:,} parents",
        f"on the portal's own {os.cpu_count()} cores ({load}), {MINUTES:g} minutes of a normal day",
    )
    wrong: list[str] = []
    async with inhabited(PARENTS, OWED if "day" in SCENES else 0) as town:
        if "opening" in SCENES:
            await play(town, scenes.opening(town), wrong)
        if "evening" in SCENES:
            await play(town, scenes.evening(town), wrong)
        if "day" in SCENES:
            watch = await play(town, scenes.normal(town, MINUTES, visits_a_second=VISITS_A_SECOND), wrong)
            wrong += watch.too_large()
        wrong += await money(town)
    row("wrong", "; ".join(wrong) or "nothing")
    return len(wrong)


if __name__ == "__main__":
    sys.exit(min(asyncio.run(main()), 1))
