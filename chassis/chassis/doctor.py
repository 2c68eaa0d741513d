"""Diagnosis of a program: ``doctor`` prints what is wrong and how to fix it, ``doctor all`` also what is well."""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import aiohttp
import asyncpg

from chassis.broker import AWAY as BROKER_AWAY
from chassis.broker import Message, dead_letter_queue, opened, publish, queue_depth
from chassis.broker_accounts import PROBE
from chassis.database import AWAY as DATABASE_AWAY
from chassis.database import opened as opened_database
from chassis.database_roles import excess_rights
from chassis.health_metrics import DEAD_LETTERS, HealthMetric, measure
from chassis.migrations import MigrationError, pending
from chassis.settings import EdgeSettings
from contracts.failures import Unavailable

ALL = "all"
ANSWER_SECONDS = 6
DISK_FREE_PERCENT_MIN = 10
TOO_MANY = "PostgreSQL grants no more connections: raise its max_connections, or run fewer replicas."

TOO_MANY_RIGHTS = (
    "Let DATABASE_URL name a role that does not own the tables: docs/runbook.md, « The two roles of a database »."
)


class Report:
    """The report: one line when all is well, else two lines for each problem."""

    def __init__(self) -> None:
        self._lines: list[tuple[str, str]] = []

    def line(self, what: str, remedy: str = "") -> None:
        """Add a check, with its remedy if it failed."""
        self._lines.append((what, remedy))

    def print(self, name: str, *, is_long: bool) -> bool:
        """Print the report; whether all checks passed."""
        wrong = [each for each in self._lines if each[1]]
        summary = f"{len(wrong)} of {len(self._lines)} not well" if wrong else f"well, {len(self._lines)} looked at"
        sys.stdout.write(f"{name}: {summary}\n")
        for what, remedy in self._lines if is_long else wrong:
            sys.stdout.write(f"  {'!!' if remedy else 'ok'}  {what}\n" + (f"      {remedy}\n" if remedy else ""))
        return not wrong


async def doctor(
    name: str,
    settings: EdgeSettings,
    words: Sequence[str] = (),
    *,
    database: tuple[str, Path] | None = None,
    queues: Sequence[str] = (),
    health_metrics: Sequence[HealthMetric] = (),
) -> int:
    """Print the problems of a program; 0 when there are none. The program may be down.

    ``database`` is its URL and the folder of its migrations, if it has one.
    """
    if list(words) not in ([], [ALL]):
        sys.stderr.write(f"usage: doctor [{ALL}]\n")
        return 2
    report = Report()
    await _examine_program(report, settings.http_port)
    _examine_disk(report)
    if database:
        await _examine_database(report, *database, health_metrics)
    await _examine_broker(report, settings.amqp_url, queues)
    return 0 if report.print(name, is_long=bool(words)) else 1


async def _examine_program(report: Report, port: int) -> None:
    """The program running in the same container; skipped if its port is 0."""
    if not port:
        return
    start = "Start it; the last lines of its log say why it ended or what it waits for."
    try:
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        url = f"http://127.0.0.1:{port}/health/ready"
        async with aiohttp.ClientSession(timeout=timeout) as http, http.get(url) as response:
            checks = (await response.json())["checks"]
    except (OSError, TimeoutError, aiohttp.ClientError) as error:
        report.line(f"the program does not answer: {str(error) or type(error).__name__}", start)
        return
    for what, found in checks.items():
        report.line(f"it says of its {what}: {found}", "" if found == "ok" else "See below; it goes on by itself.")


def _examine_disk(report: Report) -> None:
    usage = shutil.disk_usage("/")
    free = 100 * usage.free // usage.total
    remedy = "Make room: old images and logs first, never a volume. RabbitMQ and PostgreSQL stop when it is full."
    report.line(f"disk: {free} % free", "" if free >= DISK_FREE_PERCENT_MIN else remedy)


async def _examine_database(report: Report, url: str, migrations: Path, health_metrics: Sequence[HealthMetric]) -> None:
    try:
        if missing := await pending(url, migrations):
            report.line(f"migrations missing: {', '.join(missing)}", "Run `migrate`.")
            return
        report.line("migrations")
        async with opened_database(url) as database, database.transaction() as tx:
            excess = await excess_rights(tx)
            found = await measure(tx, health_metrics)
    except MigrationError as error:
        report.line(f"migrations: {error}", "This is not the code that made the tables: run the version that did.")
    except asyncpg.TooManyConnectionsError as error:
        report.line(f"database: {error}", TOO_MANY)
    except (*DATABASE_AWAY, Unavailable) as error:
        report.line(f"database: {str(error) or type(error).__name__}", "Start PostgreSQL, or correct DATABASE_URL.")
    except asyncpg.PostgresError as error:
        report.line(
            f"database: {error}", "PostgreSQL is there and refuses: correct DATABASE_URL, or the role's rights."
        )
    else:
        report.line(
            f"its database role {'; '.join(excess) or 'has the rights it needs'}", TOO_MANY_RIGHTS if excess else ""
        )
        for metric in health_metrics:
            if metric.name in found:
                is_well = found[metric.name] <= metric.threshold
                report.line(f"{metric.description}: {found[metric.name]:g}", "" if is_well else metric.remedy)


async def _examine_broker(report: Report, url: str, queues: Sequence[str]) -> None:
    remedy = "Start RabbitMQ, or correct AMQP_URL."
    try:
        async with opened(url) as channel:
            remedy = (
                "RabbitMQ is there and takes nothing: `rabbitmq-diagnostics alarms` says whether its disk or memory is "
                "full; else run `migrate`, which declares what it has to know."
            )
            await publish(await channel.get_exchange(PROBE, ensure=False), Message(b"", "probe", PROBE))
        report.line("broker: a message was confirmed")
        for queue in queues:
            await _examine_queue(report, url, queue)
    except BROKER_AWAY as error:
        report.line(f"broker: {str(error) or type(error).__name__}", remedy)


async def _examine_queue(report: Report, url: str, queue: str) -> None:
    try:
        async with opened(url) as channel:  # a channel for each queue: asking for a missing one closes the channel
            waiting, listening = await queue_depth(channel, queue)
            aside, _ = await queue_depth(channel, dead_letter_queue(queue))
    except LookupError as error:
        report.line(str(error), "Run `migrate`; what was said meanwhile is said again by `republish` where it began.")
        return
    nobody = (
        "Nobody listens: start the program. Nothing is lost, it takes them up." if waiting and not listening else ""
    )
    report.line(f"{queue}: {waiting} waiting, {aside} aside", DEAD_LETTERS.remedy if aside else nobody)
