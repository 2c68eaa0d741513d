"""What visitors did, step by step: how long each step took, and everything that went wrong."""

import sys
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

import aiohttp

from tests.load.harness.figures import percentile
from tests.load.harness.parents import NotServed

Answer = TypeVar("Answer")


def row(name: str, text: str) -> None:
    """A line of the table."""
    sys.stdout.write(f"  {name:<36}{text}\n")
    sys.stdout.flush()


class VisitOver(Exception):  # noqa: N818 - an end
    """Something went wrong, was noted, and the visitor leaves."""


class Steps:
    """The steps of one scene."""

    def __init__(self, scene: str) -> None:
        self.scene, self.visits = scene, 0
        self.spans: dict[str, list[float]] = defaultdict(list)
        self.wrong = Counter[str]()

    async def take(self, name: str, doing: Awaitable[Answer]) -> Answer:
        """Do a step; ``VisitOver`` when it was not served as it should."""
        began = time.perf_counter()
        try:
            answer = await doing
        except (NotServed, TimeoutError, aiohttp.ClientError, AssertionError) as error:
            self.wrong[f"{name}: {type(error).__name__} {str(error)[:120]}"] += 1
            raise VisitOver from error
        self.spans[name].append(time.perf_counter() - began)
        return answer

    def visit(self, path: Callable[..., Coroutine[Any, Any, None]], town: Any, *who: Any) -> Coroutine[Any, Any, None]:
        """A visit from its first step to its last, or to the one that failed."""

        async def whole() -> None:
            with suppress(VisitOver):
                await path(town, self, *who)
                self.visits += 1

        return whole()

    def show(self) -> None:
        """A line a step, and one for each kind of error."""
        row(self.scene, f"{self.visits:,} visits, {sum(map(len, self.spans.values())):,} steps")
        for name, spans in self.spans.items():
            p50, p99, worst = (percentile(spans, part) * 1000 for part in (0.5, 0.99, 1))
            row(f"  {name}", f"{len(spans):6,} ×   p50 {p50:6.0f} ms   p99 {p99:6.0f} ms   worst {worst:6.0f} ms")
        for what, count in self.wrong.most_common():
            row("  ERROR", f"{count} × {what}")
