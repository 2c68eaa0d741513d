"""What services keep of others' events, built anew from those events in another order, and compared; nothing stays."""

import importlib
from dataclasses import dataclass
from random import Random
from typing import Any

from billing.store.rebuild import rebuild_usage
from contracts.events import EVENTS, Event
from local_stack.stack import SERVICES
from planning.store.replay import told
from tests.chaos.evidence import Connection, Evidence, undone

ORDER = 7


@dataclass(frozen=True)
class Projection:
    """Rows that listeners keep: ``columns`` are those that come from events alone."""

    service: str
    table: str
    columns: str


PROJECTIONS = (
    Projection("planning", "household", "household_id, version, erased, active"),
    Projection(
        "planning",
        "household_child",
        "household_id, child_id, first_name, last_name, school, class_name, custody, position, present",
    ),
    Projection("planning", "guardian", "*"),
    Projection("planning", "residence", "*"),
    Projection("planning", "residence_from", "*"),
    Projection("billing", "household", "*"),
    Projection("billing", "child", "*"),
    Projection("payment-gateway", "checkout", "*"),
    Projection("payment-gateway", "settlement", "*"),
    Projection("notifier", "guardian", "guardian_id, household_id, version, first_name, email, active, erased"),
    Projection("notifier", "household", "*"),
    Projection("notifier", "enrolment", "*"),
)
KEEPERS = {
    "planning": ("keep_children", "keep_guardians", "keep_residences"),
    "billing": ("keep_households",),
    "payment-gateway": ("keep_checkouts", "note_settlements"),
    "notifier": ("keep_guardians", "keep_schools", "keep_enrolments", "keep_bookings"),
}
"""The listeners that keep those rows, and nothing else."""


async def projections(evidence: Evidence) -> list[str]:
    """What differs, row by row."""
    events, wrong = await _events(evidence), await _usage(evidence)
    for service, keepers in KEEPERS.items():
        mine = [each for each in PROJECTIONS if each.service == service]
        all_of_them = importlib.import_module(f"{service.replace('-', '_')}.consumers").consumers.all
        consumers = [each for each in all_of_them if each.handle.__name__ in keepers]
        async with undone(evidence.connections[service]) as tx:
            before = [await _read(tx, each) for each in mine]
            for each in mine:
                await tx.execute(f"DELETE FROM {each.table}")
            for event in events:
                for consumer in consumers:
                    if consumer.event is type(event):
                        await consumer.handle(event, tx)
            anew = [await _read(tx, each) for each in mine]
        for each, was, made in zip(mine, before, anew, strict=True):
            where = f"{service}'s {each.table}"
            wrong += [f"{where}: {row} is not what the events make" for row in sorted(was - made)]
            wrong += [f"{where}: the events make {row}" for row in sorted(made - was)]
    return wrong


async def _events(evidence: Evidence) -> list[Event]:
    """Every event that was said, in an order in which nobody said them."""
    found = [
        EVENTS[row["type"]].model_validate_json(row["data"])
        for service in SERVICES
        for row in await evidence.rows(service, "SELECT type, data FROM outbox")
    ]
    Random(ORDER).shuffle(found)
    return found


async def _read(tx: Connection, projection: Projection) -> set[str]:
    rows = await tx.fetch(f"SELECT {projection.columns} FROM {projection.table}")
    return {str(dict(row)) for row in rows}


async def _usage(evidence: Evidence) -> list[str]:
    """The runbook's own way: `python -m planning replay`, `python -m billing rebuild --check`."""
    async with evidence.connections["planning"].transaction():
        events: list[Any] = [each async for each in told(evidence.connections["planning"])]
    async with undone(evidence.connections["billing"]) as tx:
        done = await rebuild_usage(tx, events)
    return [f"billing's usage: {done.different} of {done.days} days differ"] if done.different or done.newer else []
