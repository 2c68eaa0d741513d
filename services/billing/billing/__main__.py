"""``python -m billing [serve | migrate | parked … | publish-month YYYY-MM --due YYYY-MM-DD | verify]``"""

import argparse
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from uuid import UUID

from billing.api.runs import begin_run
from billing.app import build
from billing.jobs import work_off_runs
from billing.listeners import listeners
from billing.settings import MIGRATIONS, NAME, Settings
from billing.store import runs
from billing.store.proof import prove
from billing.store.vitals import VITALS
from chassis.command import Service, main
from chassis.database import Database
from contracts.api.billing import InvoiceRunWish

OPERATOR = UUID(int=0)


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Database]:
    """The database for a command."""
    database = Database(settings.database_url, connections_max=2)
    await database.start()
    try:
        yield database
    finally:
        await database.stop()


async def publish(settings: Settings, arguments: list[str]) -> int:
    """Publish a month's invoices from the command line; what is invoiced already stays as it is."""
    parser = argparse.ArgumentParser(prog="python -m billing publish-month", description=publish.__doc__)
    parser.add_argument("month", help="such as 2026-12")
    parser.add_argument("--due", required=True, type=date.fromisoformat)
    given = parser.parse_args(arguments)
    wish = InvoiceRunWish(month=given.month, due_on=given.due, straight=True)
    async with opened(settings) as database:
        async with database.transaction() as tx:
            run_id = await begin_run(tx, wish, by=OPERATOR)
        await work_off_runs(database, settings)
        async with database.transaction() as tx:
            run = await runs.run(tx, run_id)
    assert run is not None, "it was begun above"
    sys.stdout.write(run.model_dump_json() + "\n")
    return 0


async def verify(settings: Settings, arguments: list[str]) -> int:
    """Prove that published documents say what was published, that no number is missing and that the ledger balances."""
    argparse.ArgumentParser(prog="python -m billing verify", description=verify.__doc__).parse_args(arguments)
    async with opened(settings) as database:
        proof = await prove(database)
    for each in proof.wrong:
        sys.stdout.write(f"{each}\n")
    sys.stdout.write(f"{proof.documents} documents, {proof.movements} movements, {len(proof.wrong)} wrong\n")
    sys.stdout.write(f"last hash {proof.last_hash or '-'}\n")
    return 1 if proof.wrong else 0


SERVICE = Service(
    NAME, Settings, build, MIGRATIONS, listeners, vitals=VITALS, commands={"publish-month": publish, "verify": verify}
)

if __name__ == "__main__":
    main(SERVICE)
