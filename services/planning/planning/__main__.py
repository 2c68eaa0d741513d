"""``python -m planning [serve | migrate | parked … | replay]``"""

import argparse
import sys

from chassis.command import OwnCommand, Service, main
from chassis.database import Database
from chassis.event_file import written
from planning.app import build
from planning.consumers import consumers
from planning.jobs import prepare
from planning.settings import MIGRATIONS, NAME, Settings
from planning.store.health_metrics import GAUGES, HEALTH_METRICS
from planning.store.replay import told


async def replay(settings: Settings, arguments: list[str]) -> int:
    """Write everything that was told of bookings and attendance, one event a line, for `python -m billing rebuild`.

    Nothing is published: nobody gets a mail again.
    """
    argparse.ArgumentParser(prog="python -m planning replay", description=replay.__doc__).parse_args(arguments)
    database = Database(settings.database_url, connections_max=2)
    await database.start()
    try:
        async with database.transaction() as tx:
            await tx.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            async for event in told(tx):
                sys.stdout.write(written(event))
    finally:
        await database.stop()
    return 0


COMMANDS: dict[str, OwnCommand] = {"replay": replay}
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
