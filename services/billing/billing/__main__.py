"""``python -m billing [serve | migrate | parked … | publish-month YYYY-MM --due YYYY-MM-DD]``"""

import argparse
import sys
from datetime import date
from uuid import UUID

from billing.api.runs import publish_month
from billing.app import build
from billing.listeners import listeners
from billing.settings import MIGRATIONS, NAME, Settings
from chassis.command import Service, main
from chassis.database import Database
from contracts.api.billing import InvoiceRunWish

OPERATOR = UUID(int=0)


async def publish(settings: Settings, arguments: list[str]) -> int:
    """Publish a month's invoices from the command line; what is invoiced already stays as it is."""
    parser = argparse.ArgumentParser(prog="python -m billing publish-month", description=publish.__doc__)
    parser.add_argument("month", help="such as 2026-12")
    parser.add_argument("--due", required=True, type=date.fromisoformat)
    given = parser.parse_args(arguments)
    wish = InvoiceRunWish(month=given.month, due_on=given.due)
    database = Database(settings.database_url, connections_max=2)
    await database.start()
    try:
        async with database.transaction() as tx:
            run = await publish_month(tx, settings, wish, by=OPERATOR)
    finally:
        await database.stop()
    sys.stdout.write(run.model_dump_json() + "\n")
    return 0


SERVICE = Service(NAME, Settings, build, MIGRATIONS, listeners, commands={"publish-month": publish})

if __name__ == "__main__":
    main(SERVICE)
