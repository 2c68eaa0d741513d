"""How many attempts to prove something may be made, and how fast."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Backoff:
    """``attempts`` may be made at once; then one after each of ``pauses``, the last of them again and again.

    Forgotten once nothing was attempted for ``forgotten_after``.
    """

    attempts: int
    pauses: tuple[timedelta, ...]
    forgotten_after: timedelta

    def attempts_within(self, span: timedelta) -> int:
        """How many attempts fit into ``span`` from the first one on, made as early as each may be."""
        made, waited = self.attempts, timedelta(0)
        while (waited := waited + self.pauses[min(made - self.attempts, len(self.pauses) - 1)]) < span:
            made += 1
        return made


@dataclass(frozen=True)
class Rate:
    """``attempts`` may be made at once, and one more after each ``interval``; waiting never grows."""

    attempts: int
    interval: timedelta


Limit = Backoff | Rate

OF_ACCOUNT = Backoff(
    attempts=5,
    pauses=tuple(timedelta(minutes=each) for each in (1, 2, 4, 8, 16, 32, 64, 120)),
    forgotten_after=timedelta(days=1),
)
"""For one account: at most 25 attempts in 24 hours, as CNIL's délibération 2022-100 wants it where access is slowed."""

OF_ADDRESS = Rate(attempts=200, interval=timedelta(seconds=30))
"""For browsers that are not known yet behind one address. A carrier's or a town's network has thousands of people
there: what they mistype is given back as soon as they succeed, so that only what never succeeds is counted for long."""

RESETS_OF_ADDRESS = Rate(attempts=60, interval=timedelta(minutes=1))
RESETS_OF_DEVICE = Rate(attempts=5, interval=timedelta(minutes=10))
