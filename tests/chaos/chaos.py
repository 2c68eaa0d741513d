"""A day of chaos: the crowd lives while the conductor breaks things; then quiet; then the laws, and a table."""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from local_stack import families
from local_stack.stack import SERVICES
from tests.chaos.conductor import Planned, conduct, draw
from tests.chaos.evidence import Evidence, gathered
from tests.chaos.invariants import INVARIANTS, every_event_is_heard_by_everybody_it_is_for, outboxes_are_empty
from tests.chaos.parents import Seen, live
from tests.chaos.tenant import Town

QUIET_SECONDS = 240
LOOK_EVERY_SECONDS = 2
SHOWN_MAX = 5
SOONER = "UPDATE payment SET look_up_at = now() WHERE look_up_at > now()"


@dataclass
class Day:
    """What a day came to."""

    seed: int
    parents: int
    planned: list[Planned]
    seen: Seen = field(default_factory=Seen)
    broken: dict[str, list[str]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    complaints: Counter[str] = field(default_factory=Counter)

    @property
    def is_right(self) -> bool:
        return not any(self.broken.values())


async def spend(town: Town, *, seed: int, seconds: float, many: int) -> Day:
    """Parents and faults for so many seconds, then quiet, then the laws."""
    day = Day(seed, len(town.households), draw(seed, seconds, many))
    began = time.monotonic()
    async with asyncio.TaskGroup() as everybody:
        everybody.create_task(live(town, seed, seconds, day.seen))
        everybody.create_task(conduct(town, seed, day.planned, say))
    day.seconds["chaos"] = time.monotonic() - began
    began = time.monotonic()
    day.broken["it_comes_to_rest"] = await rest(town)
    day.seconds["until quiet"] = time.monotonic() - began
    began = time.monotonic()
    async with gathered(town, day.seen) as evidence:
        day.broken |= await judge(evidence)
        day.counts = await count(evidence)
        day.complaints = Counter(evidence.complaints)
    day.seconds["checking"] = time.monotonic() - began
    return day


async def judge(evidence: Evidence) -> dict[str, list[str]]:
    """What breaks each law, by the law's name."""
    return {law.__name__: await law(evidence) for law in INVARIANTS}


async def rest(town: Town) -> list[str]:
    """Wait until nothing is on its way any more; what still is after minutes.

    Meanwhile the clock of the look-ups goes faster: a bank that did not notify is asked now, and not within the hour.
    """
    give_up = time.monotonic() + QUIET_SECONDS
    while still := await on_its_way(town):
        if time.monotonic() > give_up:
            return still
        for query in (SOONER, "SELECT pg_notify('look_up_due', '')"):
            await families.sql(town.stack, "payment-gateway", query)
        await asyncio.sleep(LOOK_EVERY_SECONDS)
    return []


async def on_its_way(town: Town) -> list[str]:
    """Events that have not left or are not heard, mails that wait, money that the bank took and we do not know of."""
    async with gathered(town, Seen()) as evidence:
        found = await outboxes_are_empty(evidence) + await every_event_is_heard_by_everybody_it_is_for(evidence)
        taken = {each.reference for each in evidence.book if each.took_money}
        query = "SELECT reference FROM payment WHERE ticket_number IS NOT NULL"
        known = {row["reference"] for row in await evidence.rows("payment-gateway", query)}
        waiting = await evidence.value("notifier", "SELECT count(*) FROM mail WHERE status = 'waiting'")
    mails = [f"{waiting} mails wait"] if waiting else []
    return found + mails + [f"{each} is not known to be paid" for each in sorted(taken - known)]


async def count(evidence: Evidence) -> dict[str, int]:
    """How much there was of everything."""
    copies = Counter(each.message_id for each in evidence.letters)
    tables = {
        "payments begun": ("payment-gateway", "SELECT count(*) FROM payment"),
        "words of the bank": ("payment-gateway", "SELECT count(*) FROM bank_word"),
        "days changed": ("planning", "SELECT count(*) FROM booking_change WHERE channel = 'internet'"),
        "places waited for": ("planning", "SELECT count(*) FROM waiting"),
        "ledger movements": ("billing", "SELECT count(*) FROM ledger_transaction"),
    }
    found = {name: await evidence.value(service, query) for name, (service, query) in tables.items()}
    events = [await evidence.value(service, "SELECT count(*) FROM outbox") for service in SERVICES]
    return found | {
        "payments that the bank took": sum(each.took_money for each in evidence.book),
        "payments that the bank refused": sum(each.is_decided and not each.took_money for each in evidence.book),
        "events": sum(events),
        "letters": len(evidence.letters),
        "letters that came twice, under one Message-ID": sum(times - 1 for times in copies.values()),
        "messages parked, as they should be": len(evidence.parked),
    }


def report(day: Day) -> str:
    """The table: faults by kind, what the parents met, what there was, each law."""
    kinds = Counter(each.fault.name for each in day.planned)
    parts: dict[str, Mapping[Any, int]] = {
        "faults": kinds,
        "what the parents did": day.seen.deeds,
        "what they met": day.seen.answers + day.seen.broken,
        "what there was": day.counts,
        "what the programs complained of": day.complaints,
    }
    lines = [f"seed {day.seed}, {day.parents} parents, {len(day.planned)} faults of {len(kinds)} kinds"]
    for title, numbers in parts.items():
        lines += ["", title, *(f"  {number:6}  {name}" for name, number in sorted(numbers.items()))]
    lines += ["", "seconds"] + [f"  {seconds:7.1f}  {name}" for name, seconds in day.seconds.items()]
    lines += ["", "laws"]
    for name, wrong in day.broken.items():
        lines.append(f"  {'BROKEN' if wrong else 'kept  '}  {name.replace('_', ' ')}")
        lines += [f"            {each}" for each in wrong[:SHOWN_MAX]]
        lines += [f"            and {len(wrong) - SHOWN_MAX} more"] if len(wrong) > SHOWN_MAX else []
    return "\n".join(lines)


def say(line: str) -> None:
    """A line as it happens."""
    sys.stdout.write(f"  {line}\n")
    sys.stdout.flush()
