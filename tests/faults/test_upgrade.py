"""A new version by day: `make upgrade-drill`.

Two replicas of every program stand behind a balancer, as on Kubernetes. While parents sign in, change days and pay, the
next version comes: the set-up of every service adds to the tables that the old replicas are using and a backup that has
just begun is reading, and then the replicas are replaced one by one. No request fails, no waiting page is cut, and
every event is heard by everybody whom it is for. ``ROUNDS`` is how often one replica of every program is replaced: 1
unless told.
"""

import asyncio
import contextlib
import importlib
import os
import re
import shutil
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import asyncpg
import pytest

from chassis.clock import today
from chassis.testing import eventually
from gateway.clients.services import UNUSED_SECONDS
from local_stack import demo
from local_stack.replicas import Replicas
from local_stack.stack import PROGRAMS, SERVICES, Stack

pytestmark = [pytest.mark.drill, pytest.mark.faults, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(900)]

ROUNDS = int(os.environ.get("ROUNDS", "1"))
DRAIN_SECONDS = UNUSED_SECONDS + 1
INVOICES_A_ROUND = 2
PAUSE_SECONDS = 1.0
PAYS_EVERY = 4
"""Of how many visits a parent pays in one, so that somebody pays all day long."""
WAITING_ALL_DAY = 3
"""So many parents sit before the waiting page from morning to evening, whatever is replaced meanwhile."""
TURNED_AWAY = 429
CANTEEN = str(demo.id_of(demo.CANTEEN))
LISTENING = ("planning", "billing", "payment_gateway", "notifier")
CHILD = re.compile(r'href="/planning/([\w-]{36})"')
AWAY = "momentanément indisponible"
SILENT = "a service does not answer"
"""What the gateway's log says when a page is shown without a part of it."""
IN_USE, AGAIN = "migration waits for a table that is in use", "tables changed under a request"
SHOWN = re.compile(r'name="shown" value="([\w-]{36}\|[\d-]{10})\|(\d)\|0"')
EXPANDED = {
    "auth": ("account", "session", "outbox"),
    "planning": ("booking", "household_child", "outbox"),
    "billing": ("usage", "invoice", "checkout", "ledger_entry"),
    "payment-gateway": ("payment", "checkout", "bank_word"),
    "notifier": ("guardian", "mail", "inbox"),
}
"""The tables that the next version adds to: those that parents keep busy."""
BACKUP_SECONDS_MAX = 60.0
SOURCES = Path(__file__).parents[2] / "services"
MIGRATION = "9999_the_next_version.sql"
SHARING = {demo.SHARED_FROM, demo.SHARED_WITH}
"""Two families of one child: what one books, the other finds taken."""


@dataclass
class Seen:
    """What the parents met at the portal's door, and what they were told is done."""

    seconds: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    streams_resumed: int = 0
    paid: list[UUID] = field(default_factory=list)
    sign_ins: int = 0
    changes: int = 0
    days: dict[tuple[str, str], bool] = field(default_factory=dict)

    def tracing(self, gateway_url: str) -> aiohttp.TraceConfig:
        """Note each request to the gateway: its seconds, and what is wrong with its answer."""
        config = aiohttp.TraceConfig()

        async def begins(_http: Any, context: SimpleNamespace, _params: Any) -> None:
            context.began = time.monotonic()

        async def ends(_http: Any, context: SimpleNamespace, params: Any) -> None:
            if str(params.url).startswith(gateway_url):
                self.seconds.append(time.monotonic() - context.began)
                if params.response.status >= 500 or params.response.status == TURNED_AWAY:
                    self.failed.append(f"{params.response.status} {params.method} {params.url.path}")

        async def breaks(_http: Any, _context: SimpleNamespace, params: Any) -> None:
            if str(params.url).startswith(gateway_url):
                self.failed.append(f"{type(params.exception).__name__} {params.method} {params.url.path}")

        config.on_request_start.append(begins)
        config.on_request_end.append(ends)
        config.on_request_exception.append(breaks)
        return config


class Parent:
    """A family of the demo town that goes on using the portal."""

    def __init__(self, number: int, family: Any, seen: Seen) -> None:
        self.number, self.family, self.seen = number, family, seen

    async def live(self, evening: asyncio.Event) -> None:
        """Sign in, change a day, now and then pay an invoice, sign out; and again."""
        visits = self.number
        while not evening.is_set():
            await self._sign_in()
            await self._change_a_day()
            if visits % PAYS_EVERY == 0:
                await self._pay()
            await self.family.sign_out()
            visits += 1
            await asyncio.sleep(PAUSE_SECONDS)  # a reader's pause

    async def wait(self, evening: asyncio.Event) -> None:
        """Go to the bank in the morning, pay there in the evening."""
        await self._sign_in()
        await self._pay(at=evening)

    async def _sign_in(self) -> None:
        await self.family.sign_in()
        self.seen.sign_ins += 1

    async def _change_a_day(self) -> None:
        """The first day of the canteen that can be changed still, of the family's first child."""
        _, home = await self.family.get("/")
        assert AWAY not in home, home
        child, month, cells = CHILD.findall(home)[0], today(), list[tuple[str, str]]()
        while not cells:
            path = f"/planning/{child}/{month:%Y-%m}"
            _, page = await self.family.get(path)
            cells = [each for each in SHOWN.findall(page) if each[0].startswith(CANTEEN)]
            month = (month.replace(day=1) + timedelta(days=32)).replace(day=1)
        cell, was = cells[0]
        version = re.findall(r'name="version" value="(\d+)"', page)[0]
        fields = [("version", version), ("key", uuid4().hex), ("shown", f"{cell}|{was}|0")]
        fields += [] if int(was) else [("booked", cell)]
        status, recap, _ = await self.family.post(path, page, fields)
        assert status == 200, recap
        assert "Enregistré</h2>" in recap, recap
        self.seen.changes += 1
        self.seen.days[(child, cell)] = not int(was)

    async def _pay(self, at: asyncio.Event | None = None) -> None:
        _, invoices = await self.family.get("/factures")
        if 'name="facture"' not in invoices:
            return
        id_op = await self.family.begin(most=1)
        payment_id = await self.family.payment_id(id_op)
        waiting = asyncio.create_task(self._is_told(payment_id))
        try:
            if at:
                await at.wait()
            await self.family.bank(id_op, "pay")
            await waiting
        finally:
            waiting.cancel()
        _, page = await self.family.get(f"/paiements/{payment_id}")
        assert "Confirmation de paiement" in page, page
        self.seen.paid.append(payment_id)

    async def _is_told(self, payment_id: UUID) -> None:
        """Wait on the page's stream; a stream that ends is opened again, as browsers do."""
        while True:
            async with self.family.http.get(f"{self.family.stack.gateway_url}/paiements/{payment_id}/flux") as response:
                async for line in response.content:
                    if line == b"data: confirmed\n":
                        return
            self.seen.streams_resumed += 1


@contextlib.asynccontextmanager
async def replicated(stack: Stack) -> AsyncIterator[list[Replicas]]:
    """Two replicas in the place of each program."""
    made = [Replicas(stack, name, drain_seconds=DRAIN_SECONDS) for name in PROGRAMS]
    try:
        await asyncio.gather(*(each.start() for each in made))
        yield made
    finally:
        await asyncio.gather(*(each.stop() for each in made))


@contextlib.asynccontextmanager
async def parents(stack: Stack, family_of: Any, seen: Seen) -> AsyncIterator[list[Parent]]:
    """The parents of the demo town; connections without use are let go of sooner than a replica ends."""
    async with contextlib.AsyncExitStack() as clients:
        made = []
        for number, (name, *_rest) in enumerate(demo.FAMILIES, 1):
            client = aiohttp.ClientSession(
                cookie_jar=aiohttp.CookieJar(unsafe=True),
                connector=aiohttp.TCPConnector(keepalive_timeout=UNUSED_SECONDS),
                trace_configs=[seen.tracing(stack.gateway_url)],
            )
            http = await clients.enter_async_context(client)
            if name not in SHARING:
                made.append(Parent(number, family_of(stack, http, f"demo{number:02d}"), seen))
        yield made


class NextVersion:
    """The code as it is, and one migration more of each service: the expanding half of a change."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.seconds = folder, dict[str, float]()
        for service, tables in EXPANDED.items():
            shutil.copytree(SOURCES / service, folder / service, ignore=shutil.ignore_patterns("tests", "__pycache__"))
            added = "text NOT NULL DEFAULT 'none' CHECK (next_version <> '')"
            sql = "".join(f"ALTER TABLE {table} ADD COLUMN next_version {added};\n" for table in tables)
            (folder / service / "migrations" / MIGRATION).write_text(sql, encoding="utf-8")

    def environment(self, program: str) -> dict[str, str]:
        """Where a program finds its code."""
        return {"PYTHONPATH": str(self.folder / program)} if program in EXPANDED else {}

    async def set_up(self, stack: Stack) -> None:
        """Migrations and queues of every service, one after the other as the chart has them, each beside a backup."""
        for service in EXPANDED:
            began, is_reading = time.monotonic(), asyncio.Event()
            async with asyncio.TaskGroup() as both:
                both.create_task(self._back_up(stack, service, is_reading))
                await is_reading.wait()
                await stack.command(service, "migrate", AMQP_URL=stack.amqp_url, **self.environment(service))
            self.seconds[service] = time.monotonic() - began

    async def _back_up(self, stack: Stack, service: str, is_reading: asyncio.Event) -> None:
        """Read every table that will change, in one transaction as pg_dump does, until the migration has given way."""

        async def gave_way() -> bool:
            return IN_USE in stack.programs[service].log.read_text(encoding="utf-8")

        connection = await asyncpg.connect(stack.databases[service])
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            for table in EXPANDED[service]:
                await connection.fetchval(f"SELECT count(*) FROM {table}")
            is_reading.set()
            await eventually(gave_way, seconds=BACKUP_SECONDS_MAX)
        await connection.close()


async def rows(stack: Stack, service: str, query: str, *arguments: Any) -> list[Any]:
    connection = await asyncpg.connect(stack.databases[service])
    try:
        return list(await connection.fetch(query, *arguments))
    finally:
        await connection.close()


async def heard_of(stack: Stack) -> tuple[int, set[tuple[str, UUID]]]:
    """How often an event was heard, and which queue has not heard which one that is for it."""
    said: dict[str, set[UUID]] = defaultdict(set)
    for service in SERVICES:
        for row in await rows(stack, service, "SELECT event_id, type FROM outbox"):
            said[row["type"]].add(row["event_id"])
    heard, wanted = set[tuple[str, UUID]](), set[tuple[str, UUID]]()
    for package in LISTENING:
        for row in await rows(stack, package.replace("_", "-"), "SELECT listener, event_id FROM inbox"):
            heard.add((row["listener"], row["event_id"]))
        for queue in importlib.import_module(f"{package}.consumers").consumers.queues():
            wanted |= {(queue.name, each) for event_type in queue.routing_keys for each in said[event_type]}
    return len(heard), wanted - heard


async def all_is_told(stack: Stack, seen: Seen) -> int:
    """What the parents were told is everywhere, once; how often an event was heard."""

    async def nothing_is_missing() -> bool:
        waiting = "SELECT count(*) FROM mail WHERE status = 'waiting'"
        return not (await heard_of(stack))[1] and not (await rows(stack, "notifier", waiting))[0]["count"]

    await eventually(nothing_is_missing)
    confirmed = "SELECT payment_id FROM payment WHERE status = 'confirmed'"
    assert {row["payment_id"] for row in await rows(stack, "payment-gateway", confirmed)} == set(seen.paid)
    settled = await rows(stack, "billing", "SELECT key FROM ledger_transaction WHERE key LIKE 'payment/%'")
    assert sorted(row["key"] for row in settled) == sorted(f"payment/{each}" for each in seen.paid)
    mailed = "SELECT event ->> 'payment_id' AS id FROM mail WHERE kind = 'ticket' AND status = 'sent'"
    assert sorted(row["id"] for row in await rows(stack, "notifier", mailed)) == sorted(map(str, seen.paid))
    async with aiohttp.ClientSession() as http, http.get(f"{stack.url('mail')}/api/mails") as response:
        left = [each["message_id"] for each in await response.json()]
    assert len(left) == len(set(left)), "a mail left twice"
    usage = "SELECT child_id::text || ' ' || activity_id || '|' || day AS place, booked FROM usage"
    counted = {row["place"]: row["booked"] for row in await rows(stack, "billing", usage)}
    told = {f"{child} {cell}": is_booked for (child, cell), is_booked in seen.days.items()}
    assert {place: counted.get(place, False) for place in told} == told
    return (await heard_of(stack))[0]


def part(spans: Sequence[float], share: float) -> str:
    return f"{sorted(spans)[int(len(spans) * share)] * 1000:.0f} ms"


async def test_every_program_is_replaced_while_parents_use_the_portal_and_nobody_notices(
    stack: Stack, family_of: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen, evening, took = Seen(), asyncio.Event(), defaultdict[str, list[float]](list)
    following = NextVersion(tmp_path)
    await demo.owe(stack, INVOICES_A_ROUND * ROUNDS)

    async def replace(programs: list[Replicas]) -> None:
        await following.set_up(stack)
        for program in programs:
            program.version = following.environment(program.name)
        for program in (*programs * ROUNDS, programs[-1]):  # both replicas of the gateway at least
            took[program.name].append(await program.replace_oldest())
        evening.set()

    async with replicated(stack) as programs, parents(stack, family_of, seen) as everybody:
        async with asyncio.TaskGroup() as day:
            for each in everybody[WAITING_ALL_DAY:]:
                day.create_task(each.live(evening))
            for each in everybody[:WAITING_ALL_DAY]:
                day.create_task(each.wait(evening))
            day.create_task(replace(programs))
        assert seen.failed == []
        assert SILENT not in stack.programs["gateway"].log.read_text(encoding="utf-8")
        heard = await all_is_told(stack, seen)
    assert seen.streams_resumed >= WAITING_ALL_DAY
    logs = "".join(stack.programs[name].log.read_text(encoding="utf-8") for name in EXPANDED)
    with capsys.disabled():
        migrated = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in following.seconds.items())
        slowest = ", ".join(f"{name} {max(seconds):.1f} s" for name, seconds in took.items())
        sys.stdout.write(
            f"\n{sum(map(len, took.values()))} replicas replaced (at most: {slowest}) under {len(everybody)} parents\n"
            f"{len(seen.seconds)} requests, {len(seen.failed)} failed (p50 {part(seen.seconds, 0.5)}, "
            f"p99 {part(seen.seconds, 0.99)}): {seen.sign_ins} sign-ins, {seen.changes} days changed, "
            f"{len(seen.paid)} payments; {seen.streams_resumed} waiting pages went on elsewhere\n"
            f"{len(EXPANDED)} services migrated meanwhile, each beside a backup ({migrated}); "
            f"migrations gave way {logs.count(IN_USE)} times, {logs.count(AGAIN)} requests met changing tables\n"
            f"events heard {heard} times, 0 lost; every payment settled and mailed once\n"
        )
