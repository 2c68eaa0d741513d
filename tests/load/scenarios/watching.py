"""What the portal takes while something goes on: memory of each program, connections, what waits in queues."""

import asyncio
import contextlib
import importlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from chassis.broker import dead_letter_queue, opened, waiting_messages
from local_stack.stack import PROGRAMS, SERVICES, Stack
from tests.load.scenarios.steps import row

EVERY_SECONDS = 2.0
LISTENING = ("planning", "billing", "payment_gateway", "notifier")
SETTLED_SHARE = 1 / 3
"""Of a scene, when what is filled once is filled: pools, prepared statements, kept tokens, compiled templates."""
GROWTH_MIB_MAX = 6.0
"""What a program may grow by from then to the end. The 3,600 visits of an hour leave 2,400 after the first third: a
leak of 2.5 KiB a visit is found, which is less than any request object is, and some 60 MiB in a day of 24,000 visits.
Less cannot be told from the allocator's own steps, which are of 1 to 2 MiB: two samples, before and after, would show
whichever step they fall on, so a straight line is fitted. An hour of visits is played in a quarter of one."""


@dataclass(frozen=True)
class Sample:
    """One look: seconds of the clock, MiB by program, connections by database, messages by queue."""

    at: float
    memory: dict[str, float]
    connections: dict[str, int]
    queues: dict[str, int]


class Watch:
    """Looks again and again at a portal."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.samples: list[Sample] = []
        self._queues = [
            queue.name
            for package in LISTENING
            for queue in importlib.import_module(f"{package}.consumers").consumers.queues()
        ]

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Look every two seconds meanwhile."""
        over = asyncio.Event()
        task = asyncio.create_task(self._run(over))
        try:
            yield
        finally:
            over.set()
            await task

    async def _run(self, over: asyncio.Event) -> None:
        connection = await asyncpg.connect(self.stack.postgres.dsn())
        try:
            async with opened(self.stack.amqp_url) as channel:
                while not over.is_set():
                    depths = {name: await waiting_messages(channel, name) for name in self._queues}
                    found = await connection.fetch(
                        "SELECT datname, count(*) AS many FROM pg_stat_activity WHERE datname LIKE 'preau%' GROUP BY 1"
                    )
                    many = {each["datname"]: each["many"] for each in found}
                    self.samples.append(Sample(time.monotonic(), self._memory(), many, depths))
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(over.wait(), EVERY_SECONDS)
        finally:
            await connection.close()

    def _memory(self) -> dict[str, float]:
        return {name: resident_mib(self.stack.programs[name].pid) for name in PROGRAMS}

    async def parked(self) -> dict[str, int]:
        """Messages that could not be handled, by queue."""
        async with opened(self.stack.amqp_url) as channel:
            found = {name: await waiting_messages(channel, dead_letter_queue(name)) for name in self._queues}
        return {name: count for name, count in found.items() if count}

    async def undelivered(self) -> dict[str, int]:
        """Events that have not left, by service."""
        left = {}
        for service in SERVICES:
            connection = await asyncpg.connect(self.stack.databases[service])
            left[service] = await connection.fetchval("SELECT count(*) FROM outbox WHERE published_at IS NULL")
            await connection.close()
        return {name: count for name, count in left.items() if count}

    def growth(self) -> dict[str, float]:
        """MiB that each program grew by after its first third, by a line through what was seen then."""
        seen = self.samples[int(len(self.samples) * SETTLED_SHARE) :]
        times = [each.at for each in seen]
        return {name: slope(times, [each.memory[name] for each in seen]) * (times[-1] - times[0]) for name in PROGRAMS}

    def show(self) -> None:
        """Lines of the table; what was seen at most, and at the end."""
        first, last, grown = self.samples[0], self.samples[-1], self.growth()
        for name in PROGRAMS:
            most = max(each.memory[name] for each in self.samples)
            text = f"{first.memory[name]:5.0f} MiB, at most {most:5.0f}, at the end {last.memory[name]:5.0f}"
            row(f"  memory of {name}", f"{text}   after the first third {grown[name]:+5.1f}")
        many = {name: max(each.connections.get(name, 0) for each in self.samples) for name in first.connections}
        row("  connections, at most", ", ".join(f"{name.removeprefix('preau_')} {most}" for name, most in many.items()))
        deepest = {name: max(each.queues[name] for each in self.samples) for name in self._queues}
        busy = sorted(((depth, name) for name, depth in deepest.items() if depth), reverse=True)
        told = ", ".join(f"{name} {depth}" for depth, name in busy) or "none in any queue"
        row("  messages waiting, at most", f"{told}; at the end {sum(last.queues.values())}")

    def too_large(self) -> list[str]:
        """Programs that grew beyond the limit."""
        return [f"{name} grew by {mib:.1f} MiB" for name, mib in self.growth().items() if mib > GROWTH_MIB_MAX]


def resident_mib(pid: int | None) -> float:
    """Resident memory of a process that runs."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def slope(times: Sequence[float], values: Sequence[float]) -> float:
    """Of the line that fits best (least squares), in units of the values a second."""
    middle, mean = sum(times) / len(times), sum(values) / len(values)
    spread = sum((at - middle) ** 2 for at in times)
    return sum((at - middle) * (value - mean) for at, value in zip(times, values, strict=True)) / (spread or 1.0)
