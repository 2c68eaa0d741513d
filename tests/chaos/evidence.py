"""What is left of a day of chaos: the bank's book, the mail server, the databases, the queues."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import aiohttp
import asyncpg

from chassis.broker import Delivery, dead_letter_queue, opened, take, waiting_messages
from chassis.inbox import REASON
from local_stack.stack import SERVICES
from tests.chaos.messages import queues
from tests.chaos.parents import Seen
from tests.chaos.tenant import Town

PARKED_MAX, LINE_MAX = 1000, 80
DEFECTS = ("request failed", "listener failed", "task failed", "cannot be written")
"""Events of our logs that say that something broke which nobody foresaw."""
OURS = str(Path(__file__).parents[2])
COMPLAINT = re.compile(r'"level": "(?:warning|error|critical)"|^Traceback')
REFERENCES = ("refdet", "vads_order_id", "PBX_CMD", "client_reference_id")
"""What each bank calls our own reference of a payment."""
AMOUNTS = ("montant", "vads_amount", "PBX_TOTAL", "line_items[0][price_data][unit_amount]")
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


@dataclass(frozen=True)
class Operation:
    """A line of the bank's book: our reference, the amount asked, and whether the money was taken."""

    id_op: str
    reference: str
    cents: int
    took_money: bool
    is_decided: bool


@dataclass(frozen=True)
class Letter:
    """A mail as the mail server took it."""

    message_id: str
    to: str
    subject: str
    attachments: tuple[str, ...]


@dataclass
class Evidence:
    """What the laws are held against; every connection is an administrator's, so that any table can be read."""

    town: Town
    seen: Seen
    connections: dict[str, Connection] = field(default_factory=dict)
    book: list[Operation] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)
    parked: list[tuple[str, str, str]] = field(default_factory=list)
    """Queue, message id and reason."""
    waiting: dict[str, int] = field(default_factory=dict)
    """How many messages wait in each queue."""
    complaints: list[str] = field(default_factory=list)
    """What the programs' logs warn of, or worse: program, event, and the exception with where it was raised."""

    async def rows(self, service: str, query: str, *arguments: Any) -> list[Any]:
        return list(await self.connections[service].fetch(query, *arguments))

    async def each(self, service: str, query: str, says: str) -> list[str]:
        """A sentence for every row, with its columns."""
        return [says.format(**row) for row in await self.rows(service, query)]

    async def value(self, service: str, query: str, *arguments: Any) -> Any:
        return await self.connections[service].fetchval(query, *arguments)

    async def look_outside(self) -> None:
        """Read what is not in a database of ours."""
        async with aiohttp.ClientSession() as http:
            async with http.get(f"{self.town.stack.url('bank')}/api/book") as response:
                self.book = [_operation(each) for each in await response.json()]
            async with http.get(f"{self.town.stack.url('mail')}/api/mails") as response:
                self.letters = [_letter(each) for each in await response.json()]
        for log in sorted((self.town.stack.folder / "log").glob("*.log")):
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
            self.complaints += [f"{log.stem}: {_complaint(each)}" for each in lines if COMPLAINT.search(each)]
        async with opened(self.town.stack.rabbit.url()) as channel:
            self.waiting = {each: await waiting_messages(channel, each) for each in queues()}
            self.parked = [
                (queue, each.message.message_id, _reason(each))
                for queue in queues()
                for each in await take(channel, dead_letter_queue(queue), PARKED_MAX)
            ]


def _operation(told: dict[str, Any]) -> Operation:
    asked, result = told["asked"], told["result"]
    reference = next(asked[name] for name in REFERENCES if name in asked)
    cents = int(next(asked[name] for name in AMOUNTS if name in asked))
    return Operation(told["id_op"], reference, cents, result in {"P", "V"}, result is not None)


def _letter(told: dict[str, Any]) -> Letter:
    return Letter(told["message_id"], told["to"], told["subject"], tuple(map(str, told["attachments"])))


def _complaint(line: str) -> str:
    """The event of a line of a log, and its exception; of a defect with its causes, and where in our code they were."""
    if not line.startswith("{"):
        return line[:LINE_MAX]
    told = json.loads(line)
    is_defect, chain = any(each in told["event"] for each in DEFECTS), told.get("exception", [])
    parts = [str(told["event"])[:LINE_MAX]]
    for each in chain if is_defect else chain[:1]:
        ours = [f"{Path(at['filename']).name}:{at['name']}" for at in each["frames"] if OURS in at["filename"]]
        where = f" in {' > '.join(ours[-3:])}" if is_defect else ""
        parts.append(f"{each['exc_type']} {each['exc_value'][:LINE_MAX]}{where}")
    return "; ".join(parts)


def _reason(delivery: Delivery) -> str:
    return str(delivery.message.headers.get(REASON, "the worker died on it"))


@asynccontextmanager
async def gathered(town: Town, seen: Seen) -> AsyncIterator[Evidence]:
    """The evidence as it is now, with a connection to each database."""
    found = Evidence(town, seen)
    try:
        for service in SERVICES:
            found.connections[service] = await _administrator(town, service)
        await found.look_outside()
        yield found
    finally:
        for connection in found.connections.values():
            await connection.close()


async def _administrator(town: Town, service: str) -> Connection:
    connection: Connection = await asyncpg.connect(town.stack.postgres.dsn(f"preau_{service.replace('-', '_')}"))
    for name in ("json", "jsonb"):
        await connection.set_type_codec(name, encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
    return connection


@asynccontextmanager
async def undone(connection: Connection) -> AsyncIterator[Connection]:
    """Do anything in there, whatever the triggers and foreign keys say; nothing of it stays."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute("SET LOCAL session_replication_role = replica")
        yield connection
    finally:
        await transaction.rollback()
