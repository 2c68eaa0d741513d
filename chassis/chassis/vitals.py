"""What says whether a service is well: one declaration each for its metric, its alert and the doctor's line.

A vital is a number that one SQL query gives, and the most that is well. The chassis has those of every service; a
service adds its own in ``store/vitals.py``, and figures that are only looked at.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from chassis.broker import AWAY as BROKER_AWAY
from chassis.broker import Message, QueueWish, opened, parked_name, publish, waiting
from chassis.broker_accounts import PROBE
from chassis.database import AWAY as DATABASE_AWAY
from chassis.database import Transaction
from chassis.database import opened as opened_database
from chassis.migrations import pending
from chassis.settings import ServiceSettings
from contracts.failures import Unavailable


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


class Report:
    """The doctor's page: a line for what is well, two for what is not."""

    def __init__(self) -> None:
        self.is_well = True

    def line(self, what: str, remedy: str = "") -> None:
        self.is_well &= not remedy
        sys.stdout.write(f"  {'!!' if remedy else 'ok'}  {what}\n" + (f"      {remedy}\n" if remedy else ""))


async def doctor(
    name: str, settings: ServiceSettings, migrations: Path, queues: Sequence[QueueWish], vitals: Sequence[Vital]
) -> int:
    """Say in one screen what is wrong with a service and what to do; 0 when all is well. The service may be down."""
    sys.stdout.write(f"{name}\n")
    report = Report()
    await _examine_database(report, settings.database_url, migrations, vitals)
    await _examine_broker(report, settings.amqp_url, [queue.name for queue in queues])
    return 0 if report.is_well else 1


async def _examine_database(report: Report, url: str, migrations: Path, vitals: Sequence[Vital]) -> None:
    try:
        if missing := await pending(url, migrations):
            report.line(f"migrations missing: {', '.join(missing)}", "Run `migrate`.")
            return
        report.line("migrations")
        async with opened_database(url) as database, database.transaction() as tx:
            found = await measure(tx, vitals)
    except (*DATABASE_AWAY, Unavailable) as error:
        report.line(f"database: {error or type(error).__name__}", "Start PostgreSQL, or correct DATABASE_URL.")
        return
    for vital in vitals:
        if vital.name in found:
            is_well = found[vital.name] <= vital.most
            report.line(f"{vital.says}: {found[vital.name]:g}", "" if is_well else vital.remedy)


async def _examine_broker(report: Report, url: str, queues: Sequence[str]) -> None:
    try:
        async with opened(url) as channel:
            await publish(await channel.get_exchange(PROBE, ensure=False), Message(b"", "probe", PROBE))
            report.line("broker: a message was confirmed")
            for queue in queues:
                depth, aside = await waiting(channel, queue), await waiting(channel, parked_name(queue))
                report.line(f"{queue}: {depth} waiting, {aside} aside", PARKED.remedy if aside else "")
    except (*BROKER_AWAY, LookupError) as error:
        report.line(f"broker: {error or type(error).__name__}", "Start RabbitMQ, correct AMQP_URL, or run `migrate`.")
