"""Draws which faults come when, from a seed, and carries them out while the parents are there."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from tests.chaos.faults import FAULTS, Fault
from tests.chaos.tenant import Town

Say = Callable[[str], None]


@dataclass(frozen=True)
class Planned:
    """A fault of the table, when it begins after the opening, its target and its length; ``number`` is its own."""

    number: int
    at: float
    fault: Fault
    target: str
    seconds: float

    def __str__(self) -> str:
        length = f" for {self.seconds:.1f} s" if self.seconds else ""
        return f"{self.at:6.1f} s  {self.fault.name}: {self.target}{length}"


def draw(seed: int, seconds: float, many: int) -> list[Planned]:
    """So many faults within so many seconds, the same for the same seed; every kind comes before one comes again."""
    chance, deck, found = Random(f"{seed}/faults"), list[Fault](), list[Planned]()
    for number, at in enumerate(sorted(chance.uniform(0, seconds) for _ in range(many))):
        if not deck:
            deck = list(FAULTS)
            chance.shuffle(deck)
        fault = deck.pop()
        found.append(Planned(number, at, fault, chance.choice(fault.targets), chance.uniform(*fault.seconds)))
    return found


async def conduct(town: Town, seed: int, planned: Sequence[Planned], say: Say) -> None:
    """Every fault at its time; one that hits the same thing as another waits for its end. All is mended afterwards."""
    began, busy = time.monotonic(), defaultdict[str, asyncio.Lock](asyncio.Lock)

    async def carry_out(each: Planned) -> None:
        await asyncio.sleep(each.at)
        async with busy[each.target]:
            did = await each.fault.harm(town, each.target, each.seconds, Random(f"{seed}/fault/{each.number}"))
        say(f"{each}{f' ({did})' if did else ''}, over at {time.monotonic() - began:.1f} s")

    async with asyncio.TaskGroup() as all_of_them:
        for each in planned:
            all_of_them.create_task(carry_out(each))
    await town.is_up()
