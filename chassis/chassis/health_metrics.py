"""Health metrics: one declaration makes the Prometheus metric, its alert and the line of ``doctor``.

A health metric is a number from one SQL query with an alert threshold. The chassis has those of every service; a
service adds its own, and gauges without a threshold, in ``store/health_metrics.py``.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from chassis.database import Transaction


@dataclass(frozen=True)
class Gauge:
    """A number from a service's database; ``name`` is the metric's, without ``preau_`` and with its unit."""

    name: str
    description: str
    query: str


@dataclass(frozen=True)
class HealthMetric(Gauge):
    """A gauge that alerts above ``threshold`` for ``for_minutes``; ``remedy`` is for the person on call."""

    threshold: float
    for_minutes: int
    remedy: str


OUTBOX_AGE = HealthMetric(
    name="outbox_oldest_seconds",
    description="age of the oldest unpublished event",
    query="SELECT coalesce(extract(epoch FROM now() - min(occurred_at)), 0) FROM outbox WHERE published_at IS NULL",
    threshold=60,
    for_minutes=2,
    remedy="The broker is away or blocks publishers: see /health/ready and its log. No event is lost.",
)
DEAD_LETTERS = HealthMetric(
    name="dead_letter_messages",
    description="messages in dead-letter queues",
    query="",
    threshold=0,
    for_minutes=5,
    remedy="See `dead-letters list` and `dead-letters show QUEUE`; fix the cause, then `dead-letters replay QUEUE`.",
)


async def measure(tx: Transaction, gauges: Sequence[Gauge]) -> dict[str, float]:
    """The value of each gauge that has a query, by name."""
    return {each.name: float(await tx.fetchval(each.query)) for each in gauges if each.query}
