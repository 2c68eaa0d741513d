"""What says whether a service is well: one declaration each for its metric, its alert and the doctor's line.

A vital is a number that one SQL query gives, and the most that is well. The chassis has those of every service; a
service adds its own in ``store/vitals.py``, and figures that are only looked at.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from chassis.database import Transaction


@dataclass(frozen=True)
class Figure:
    """A number of a service's database; ``name`` is the metric's, without ``preau_`` and with its unit."""

    name: str
    says: str
    query: str


@dataclass(frozen=True)
class Vital(Figure):
    """A figure, and what to do when it is above ``most`` for ``minutes``; ``remedy`` is for who is called at night."""

    most: float
    minutes: int
    remedy: str


OUTBOX = Vital(
    name="outbox_oldest_seconds",
    says="age of the oldest event that has not left",
    query="SELECT coalesce(extract(epoch FROM now() - min(occurred_at)), 0) FROM outbox WHERE published_at IS NULL",
    most=60,
    minutes=2,
    remedy="The broker is away or refuses: see /health/ready and its log. Nothing is lost, events leave by themselves.",
)
PARKED = Vital(
    name="parked_messages",
    says="messages that could not be handled and were put aside",
    query="",
    most=0,
    minutes=5,
    remedy="`parked list` and `parked show QUEUE` say why; mend the cause, then `parked replay QUEUE`.",
)


async def measure(tx: Transaction, figures: Sequence[Figure]) -> dict[str, float]:
    """The number of each figure that has a query."""
    return {each.name: float(await tx.fetchval(each.query)) for each in figures if each.query}
