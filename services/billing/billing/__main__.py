"""``python -m billing``: serve, migrate, parked, publish-month YYYY-MM --due DAY, verify, rebuild FILE, republish."""

import argparse
import sys
from collections.abc import Iterable
from uuid import UUID

from billing.api.runs import begin_run
from billing.app import build
from billing.consumers import consumers
from billing.domain.residence import told
from billing.jobs import prepare, work_off_runs
from billing.settings import MIGRATIONS, NAME, Settings
from billing.store import runs, tariffs
from billing.store.health_metrics import GAUGES, HEALTH_METRICS
from billing.store.proof import prove
from billing.store.rebuild import rebuild_usage
from chassis import outbox
from chassis.command import OwnCommand, Service, main
from chassis.database import Database, Transaction, opened
from chassis.event_file import read
from contracts.api.billing import InvoiceRunRequest
from contracts.model import parse_day

OPERATOR = UUID(int=0)
BATCH = 500


async def publish(settings: Settings, arguments: list[str]) -> int:
    """Publish a month's invoices from the command line; what is invoiced already stays as it is."""
    parser = argparse.ArgumentParser(prog="python -m billing publish-month", description=publish.__doc__)
    parser.add_argument("month", help="such as 2026-12")
    parser.add_argument("--due", required=True, type=parse_day)
    given = parser.parse_args(arguments)
    run_request = InvoiceRunRequest(month=given.month, due_on=given.due, straight=True)
    async with opened(settings.database_url) as database:
        async with database.transaction() as tx:
            run_id = await begin_run(tx, run_request, by=OPERATOR)
        await work_off_runs(database, settings)
        async with database.transaction() as tx:
            run = await runs.run(tx, run_id)
    assert run is not None, "it was begun above"
    sys.stdout.write(run.model_dump_json() + "\n")
    return 0


async def verify(settings: Settings, arguments: list[str]) -> int:
    """Prove that published documents and the ledger say what they said, that no number is missing, that all adds up."""
    argparse.ArgumentParser(prog="python -m billing verify", description=verify.__doc__).parse_args(arguments)
    async with opened(settings.database_url) as database:
        proof = await prove(database)
    for each in proof.wrong:
        sys.stdout.write(f"{each}\n")
    sys.stdout.write(f"{proof.documents} documents, {proof.movements} movements, {len(proof.wrong)} wrong\n")
    sys.stdout.write(f"last hash {proof.last_hash or '-'}, of the ledger {proof.last_ledger_hash or '-'}\n")
    return 1 if proof.wrong else 0


class Undone(Exception):  # noqa: N818 - an answer
    """Nothing was changed, for this reason; the command ends with this status."""

    def __init__(self, reason: str, status: int) -> None:
        super().__init__(f"{reason}: nothing was changed")
        self.status = status


async def rebuild(settings: Settings, arguments: list[str]) -> int:
    """Build usage anew from the file of `python -m planning replay`, and say how many days are not as they were.

    What was invoiced stays; days that differ wait for the next run. Nothing changes with --check, nor when billing
    knows something newer than the file: make the file again then.
    """
    parser = argparse.ArgumentParser(prog="python -m billing rebuild", description=rebuild.__doc__)
    parser.add_argument("file", type=argparse.FileType(encoding="utf-8"), help="- reads the standard input")
    parser.add_argument("--check", action="store_true", help="only say what would change")
    given = parser.parse_args(arguments)
    try:
        with given.file as lines:
            async with opened(settings.database_url) as database, database.transaction() as tx:
                await _rebuild(tx, lines, is_check=given.check)
    except Undone as undone:
        sys.stdout.write(f"{undone}\n")
        return undone.status
    return 0


async def _rebuild(tx: Transaction, lines: Iterable[str], *, is_check: bool) -> None:
    try:
        done = await rebuild_usage(tx, read(lines))
    except ValueError as error:
        raise Undone(str(error), 1) from error
    sys.stdout.write(f"{done.events} events, {done.days} days, {done.different} not as they were\n")
    if done.newer:
        raise Undone(f"{done.newer} days are known by newer news than the file holds", 1)
    if is_check:
        raise Undone("checked", 0)


async def republish(settings: Settings, arguments: list[str]) -> int:
    """Tell every household's residence again, as known now; a listener that knows it changes nothing."""
    argparse.ArgumentParser(prog="python -m billing republish", description=republish.__doc__).parse_args(arguments)
    async with opened(settings.database_url) as database:
        after: UUID | None = None
        while found := await _tell_again(database, after):
            after = found
    return 0


async def _tell_again(database: Database, after: UUID | None) -> UUID | None:
    """Tell the households that come after an id; the last of them, None when there are none."""
    async with database.transaction() as tx:
        versions = await tariffs.versions(tx, after, BATCH)
        known = await tariffs.households(tx, list(versions))
        events = [told(each, version, known[each].terms) for each, version in versions.items()]
        await outbox.add(tx, *events)
    return max(versions, default=None)


COMMANDS: dict[str, OwnCommand] = {
    "publish-month": publish,
    "verify": verify,
    "rebuild": rebuild,
    "republish": republish,
}
SERVICE = Service(
    NAME,
    Settings,
    build,
    MIGRATIONS,
    consumers,
    health_metrics=HEALTH_METRICS,
    gauges=GAUGES,
    commands=COMMANDS,
    prepare=prepare,
)

if __name__ == "__main__":
    main(SERVICE)
