"""notifier's figures, on real servers of its own: ``python -m tests.load.notifier``.

Ten thousand invoice mails with a kill -9 in the middle, beside the same mail sent by a bare SMTP client; then the time
from ``payment.confirmed`` on the broker to the mail accepted, at twenty a second.
"""

import asyncio
import json
import os
import secrets
import shutil
import sys
import tempfile
import time
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import aiosmtplib
import asyncpg
from aiosmtpd.smtp import SMTP, Envelope, Session

from chassis.broker import Message, opened, publish_all
from chassis.broker_accounts import EVENTS_EXCHANGE
from chassis.clock import now
from chassis.envelope import Envelope as EventEnvelope
from contracts.events import Event
from contracts.events.billing import InvoicePublished
from contracts.events.payment import PaymentConfirmed
from local_stack.ports import claim_any
from local_stack.postgres import PostgresServer, ensure_running_role
from local_stack.processes import Program
from local_stack.rabbit import RabbitServer
from local_stack.unprivileged import reachable_folder, run_as
from tests.load.harness.figures import note, say, say_spans

MAILS = int(os.environ.get("MAILS", "10000"))
RATE, SECONDS = 20, 30
EXAMPLES = Path(__file__).parents[2] / "contracts" / "examples"


class Sink:
    """An SMTP server that notes what it takes, and when."""

    def __init__(self) -> None:
        self.port = claim_any()
        self.taken: Counter[str] = Counter()
        self.taken_at: dict[str, float] = {}
        self.bytes_of_one = b""

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content
        assert isinstance(content, bytes)
        self.bytes_of_one = content
        head = content[:2000].decode(errors="replace")
        name = next(line for line in head.splitlines() if line.startswith("Message-ID:"))
        self.taken[name] += 1
        self.taken_at[name] = time.monotonic()
        return "250 OK"

    async def open(self) -> None:
        await asyncio.get_running_loop().create_server(lambda: SMTP(self), "127.0.0.1", self.port)


def envelope_of(event: Event) -> Message:
    made = EventEnvelope(
        id=uuid4(),
        source="bench",
        type=event.type,
        subject=event.subject,
        time=now(),
        correlationid=uuid4().hex,
        data=event.model_dump(mode="json"),
    )
    return Message(made.model_dump_json().encode(), str(made.id), event.type, made.correlationid)


async def publish(amqp_url: str, events: list[Event]) -> None:
    async with opened(amqp_url) as channel:
        exchange = await channel.get_exchange(EVENTS_EXCHANGE)
        for start in range(0, len(events), 200):
            await publish_all(exchange, [envelope_of(event) for event in events[start : start + 200]])


async def families(database_url: str, count: int) -> list[UUID]:
    """So many guardians, each alone in a household, who asked for their invoices."""
    households = [uuid4() for _ in range(count)]
    connection = await asyncpg.connect(database_url)
    try:
        await connection.executemany(
            "INSERT INTO guardian (guardian_id, household_id, version, first_name, email, active) "
            "VALUES ($1, $1, 1, 'Camille', $2, true)",
            [(each, f"{each.hex}@d{number % 50}.example") for number, each in enumerate(households)],
        )
        await connection.execute(
            "INSERT INTO preference (guardian_id, invoice_published, booking_recap, announcements, language, saved_at) "
            "SELECT guardian_id, true, false, true, 'fr', now() FROM guardian"
        )
    finally:
        await connection.close()
    return households


def invoice(household: UUID) -> InvoicePublished:
    return InvoicePublished(
        invoice_id=uuid4(),
        household_id=household,
        number="2026-000123",
        month=date(2026, 11, 1),
        total_cents=4250,
        due_on=date(2026, 12, 31),
        published_at=now(),
    )


async def until(ask: Any, seconds: float) -> None:
    give_up = time.monotonic() + seconds
    while not ask():
        if time.monotonic() > give_up:
            raise TimeoutError("the mails do not come")
        await asyncio.sleep(0.05)


def memory_mib(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(next(line for line in text.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


async def all_noted(database_url: str) -> None:
    """Until no mail waits: those in flight at the kill go out once more when their lease is over, a minute later."""
    connection = await asyncpg.connect(database_url)
    try:
        while await connection.fetchval("SELECT count(*) FROM mail WHERE status = 'waiting'"):
            await asyncio.sleep(0.5)
    finally:
        await connection.close()


async def many(program: Program, database_url: str, amqp_url: str, sink: Sink, households: list[UUID]) -> None:
    """The invoice evening, with a kill -9 in the middle."""
    begun = time.monotonic()
    publishing = asyncio.create_task(publish(amqp_url, [invoice(each) for each in households]))
    await until(lambda: len(sink.taken) >= MAILS // 2, 600)
    rate = MAILS / 2 / (time.monotonic() - begun)
    assert program.pid is not None
    peak = memory_mib(program.pid)
    await program.kill()
    await program.start()
    await publishing
    await until(lambda: len(sink.taken) >= MAILS, 600)
    seconds = time.monotonic() - begun
    async with asyncio.timeout(120):
        await all_noted(database_url)
    peak = max(peak, memory_mib(program.pid or 0))
    doubled = sum(count - 1 for count in sink.taken.values())
    floor = await bare(sink, 2_000)
    say(f"{MAILS:,} invoice mails, a kill -9 in the middle", seconds, "s")
    say("… missing", MAILS - len(sink.taken), at_most=0)
    say("… doubled (in flight at the kill)", doubled)
    say("mails while events come in (floor: a client that only sends)", rate, "/s", floor=floor)
    say("peak memory", peak, "MiB")


async def bare(sink: Sink, count: int) -> float:
    """Mails a second of a client that only sends the same bytes, over as many connections."""
    raw, left = sink.bytes_of_one, [count]

    async def send() -> None:
        async with aiosmtplib.SMTP(hostname="127.0.0.1", port=sink.port, start_tls=False) as client:
            while left[0] > 0:
                left[0] -= 1
                await client.sendmail("a@b.example", ["c@d.example"], raw)

    begun = time.monotonic()
    await asyncio.gather(*(send() for _ in range(4)))
    return count / (time.monotonic() - begun)


async def promptly(amqp_url: str, sink: Sink, households: list[UUID]) -> None:
    """Tickets at a steady rate, and how long each takes to be accepted."""
    told = json.loads((EXAMPLES / "payment.confirmed.json").read_text(encoding="utf-8"))
    example = PaymentConfirmed.model_validate(told)
    sink.taken.clear()
    sink.taken_at.clear()
    sent: list[float] = []
    async with opened(amqp_url) as channel:
        exchange = await channel.get_exchange(EVENTS_EXCHANGE)
        for number in range(RATE * SECONDS):
            who = households[number % len(households)]
            facts = {"payment_id": uuid4(), "household_id": who, "payer_id": who}
            sent.append(time.monotonic())
            await publish_all(exchange, [envelope_of(example.model_copy(update=facts))])
            await asyncio.sleep(max(0.0, sent[0] + (number + 1) / RATE - time.monotonic()))
    await until(lambda: len(sink.taken) >= len(sent), 60)
    waits = [after - before for before, after in zip(sent, sorted(sink.taken_at.values()), strict=True)]
    say_spans(f"confirmed to accepted with its PDF, {RATE} a second", waits)


async def main(folder: Path) -> None:
    place = reachable_folder(folder, run_as("postgres"))
    postgres = PostgresServer(place / "postgresql", password="bench")
    rabbit = RabbitServer(place / "rabbitmq", password="bench")
    sink = Sink()
    try:
        await asyncio.gather(postgres.start(), rabbit.start(), sink.open())
        database_url = await postgres.ensure_database("preau_notifier", password="bench")
        running_url = await ensure_running_role(postgres.dsn(), "preau_notifier", password="bench")
        environment = {
            **{"PATH": os.environ["PATH"], "MALLOC_ARENA_MAX": "1", "LOG_LEVEL": "WARNING"},
            **{"DATABASE_URL": running_url, "AMQP_URL": rabbit.url(), "AUTH_URL": "http://127.0.0.1:9"},
            **{"HTTP_PORT": str(claim_any()), "TOWN_NAME": "Saint-Aubin", "PUBLIC_URL": "http://127.0.0.1:9"},
            **{"MAIL_FROM": "portail@ville.example", "SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(sink.port)},
            "LINK_SECRET": secrets.token_hex(32),
            **{"SMTP_TLS": "none", "MAILS_A_MINUTE_A_DOMAIN": "100000"},
        }
        command = [sys.executable, "-m", "notifier"]
        of_owner = {**environment, "MIGRATION_DATABASE_URL": database_url}
        set_up = Program("migrate", [*command, "migrate"], of_owner, folder / "notifier.log")
        await set_up.start()
        assert set_up.process is not None
        assert await set_up.process.wait() == 0, set_up.tail()
        households = await families(database_url, MAILS)
        program = Program("notifier", command, environment, folder / "notifier.log")
        await program.start()
        await many(program, database_url, rabbit.url(), sink, households)
        await promptly(rabbit.url(), sink, households)
        await program.stop()
    finally:
        await rabbit.stop()
        await postgres.stop()


if __name__ == "__main__":
    note("notifier")
    made = Path(tempfile.mkdtemp(prefix="preau-bench-"))
    made.chmod(0o711)
    asyncio.run(main(made))
    shutil.rmtree(made)
