"""The money path's figures, on a portal of its own: ``python -m tests.load.payments``. A few minutes.

Notifications at a steady rate, and how long until billing settled, the mail server took the ticket, and the waiting
page was told; ten thousand copies of one; then as many as go through gateway and payment-gateway, one of each and two
of each, beside pgbench with the same statements. ``AT`` says at which bank: ``payfip``, ``lyra`` (unless told),
``paybox`` or ``stripe``. PayFiP's are hints: the stand-in bank is asked before anything is confirmed. ``SECONDS``,
``NOTICES`` and ``COPIES`` make it shorter.
"""

import asyncio
import itertools
import os
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import aiohttp
from aiosmtpd.smtp import SMTP, Envelope, Session

from chassis.broker import opened
from chassis.broker_accounts import EVENTS_EXCHANGE
from local_stack import demo
from local_stack.families import sql
from local_stack.ports import claim_any
from local_stack.processes import Program
from local_stack.stack import Stack
from tests.load.harness.due import AT, BANK, TILL, Due, Notice, begin, invoices, strangers, written_at_bank
from tests.load.harness.figures import note, say, say_spans
from tests.load.harness.measuring import portal, ready
from tests.load.harness.pgbench import pgbench
from tests.load.harness.wire import Asked, Wires

RATE = 20
SECONDS = int(os.environ.get("SECONDS", "12"))
NOTICES = int(os.environ.get("NOTICES", "6000"))
COPIES = int(os.environ.get("COPIES", "10000"))
AT_ONCE, FAMILIES = 16, 12
STATEMENTS = Path(__file__).with_name("payments_hint.sql" if AT == "payfip" else "payments.sql")

Post = Callable[[Notice], Awaitable[None]]


class Sink:
    """An SMTP server that notes when it takes which mail."""

    def __init__(self) -> None:
        self.taken: dict[str, float] = {}

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content
        assert isinstance(content, bytes)
        found = re.search(rb"^Message-ID: <([\w-]{36})", content[:4000], re.MULTILINE | re.IGNORECASE)
        self.taken.setdefault(found[1].decode() if found else "", time.monotonic())
        return "250 OK"


class Families:
    """The demo's parents, signed in, waiting on their pages."""

    def __init__(self, stack: Stack) -> None:
        self.stack, self.browsers = stack, list[aiohttp.ClientSession]()
        self.told: dict[UUID, float] = {}

    async def sign_in(self) -> None:
        for number in range(1, FAMILIES + 1):
            http = aiohttp.ClientSession(
                cookie_jar=aiohttp.CookieJar(unsafe=True),
                connector=aiohttp.TCPConnector(limit=0),
                timeout=aiohttp.ClientTimeout(total=None),
            )
            self.browsers.append(http)
            async with http.get(f"{self.stack.gateway_url}/connexion") as response:
                token = re.findall(r'name="form_token" value="(\w+)"', await response.text())[0]
            form = {"form_token": token, "identifier": f"demo{number:02d}", "secret": demo.SECRET}
            url = f"{self.stack.gateway_url}/connexion"
            async with http.post(url, data=form, allow_redirects=False) as response:
                assert response.status == 303, response.status

    async def wait(self, due: Due, ready: Callable[[], None]) -> None:
        """The waiting page: what it hears first, and when it hears of the confirmation."""
        url = f"{self.stack.gateway_url}/paiements/{due.payment_id}/flux"
        async with self.browsers[due.family].get(url) as response:
            assert response.status == 200, await response.text()
            async for line in response.content:
                if line == b"data: pending\n":
                    ready()
                elif line == b"data: confirmed\n":
                    self.told[due.payment_id] = time.monotonic()
                    return

    async def close(self) -> None:
        for http in self.browsers:
            await http.close()


@asynccontextmanager
async def hearing(amqp_url: str, event_type: str) -> AsyncIterator[dict[UUID, float]]:
    """When an event of that type passed, by its payment; later ones of a payment are counted in ``repeated``."""
    heard: dict[UUID, float] = {}

    async def on_message(incoming: Any) -> None:
        found = re.search(rb'"payment_id":\s*"([\w-]{36})"', incoming.body)
        assert found is not None
        payment_id = UUID(found[1].decode())
        heard[uuid4() if payment_id in heard else payment_id] = time.monotonic()

    async with opened(amqp_url) as channel:
        queue = await channel.declare_queue(exclusive=True, auto_delete=True)
        await queue.bind(await channel.get_exchange(EVENTS_EXCHANGE), event_type)
        await queue.consume(on_message, no_ack=True)
        yield heard


async def until(is_done: Callable[[], bool], what: str, seconds: float = 120) -> None:
    give_up = time.monotonic() + seconds
    while not is_done():
        if time.monotonic() > give_up:
            raise TimeoutError(what)
        await asyncio.sleep(0.02)


def poster(*gateways: str) -> Post:
    """Send a notification to each gateway in turn; every answer is a 200."""
    turns, wires = itertools.cycle(gateways), Wires()

    async def post(notice: Notice) -> None:
        url = f"{next(turns)}/webhooks/{BANK}{notice.query}"
        status, told = await wires.ask(Asked.of("POST", url, notice.headers, notice.body))
        assert status == 200, told

    return post


async def steadily(stack: Stack, sink: Sink, post: Post, due: Sequence[Due]) -> None:
    """Notifications at a steady rate, and what comes of each."""
    families, sent, open_pages = Families(stack), dict[UUID, float](), [0]

    def ready() -> None:
        open_pages[0] += 1

    await families.sign_in()
    async with hearing(stack.amqp_url, "billing.invoice.settled") as settled:
        pages = [asyncio.create_task(families.wait(each, ready)) for each in due]
        await until(lambda: open_pages[0] == len(due), "the waiting pages do not open")
        began, posts = time.monotonic(), list[asyncio.Task[None]]()
        for number, each in enumerate(due):
            await asyncio.sleep(max(0.0, began + number / RATE - time.monotonic()))
            sent[each.payment_id] = time.monotonic()
            posts.append(asyncio.create_task(post(each.notice(stack.secrets))))
        await asyncio.gather(*posts, *pages)
        await until(lambda: len(settled) == len(due), "not everything is settled")
        await until(lambda: len(sink.taken) >= len(due), "not every ticket is mailed")
    await families.close()
    query = "SELECT mail_id::text AS mail_id, event ->> 'payment_id' AS payment_id FROM mail WHERE kind = 'ticket'"
    mails = {each["mail_id"]: UUID(each["payment_id"]) for each in await sql(stack, "notifier", query)}
    mailed = {mails[mail_id]: at for mail_id, at in sink.taken.items() if mail_id in mails}
    note(f"  {len(due)} notifications at {RATE} a second, a waiting page open for each")
    for name, at in (("settled in billing", settled), ("mail accepted", mailed), ("waiting page", families.told)):
        say_spans(f"notification to {name}", [at[each] - sent[each] for each in sent])


async def copies(stack: Stack, post: Post, due: Due) -> None:
    """One notification again and again: one event, and memory that stays."""
    notice, left = due.notice(stack.secrets), [COPIES]

    async def send() -> None:
        while left[0] > 0:
            left[0] -= 1
            await post(notice)

    async with hearing(stack.amqp_url, "payment.confirmed") as heard:
        await post(notice)
        before, began = memory(stack), time.monotonic()
        await asyncio.gather(*(send() for _ in range(AT_ONCE)))
        seconds, after = time.monotonic() - began, memory(stack)
        await asyncio.sleep(2)
    kept = "SELECT count(*)::int AS many FROM bank_word WHERE payment_id = $1"
    (words,) = await sql(stack, "payment-gateway", kept, due.payment_id)
    say(f"{COPIES:,} copies of one notification", seconds, "s", at_most=60)
    say("… events", len(heard), at_most=1)
    say("… words kept in the journal", words["many"])
    for name in before:
        say(f"… memory of {name} (floor: before)", after[name], "MiB", floor=before[name])


def memory(stack: Stack) -> dict[str, float]:
    """Resident memory in MiB of the programs on the way."""
    found = {}
    for name in ("gateway", "payment-gateway"):
        text = Path(f"/proc/{stack.programs[name].pid}/status").read_text(encoding="utf-8")
        found[name] = int(next(line for line in text.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024
    return found


async def as_many_as_go(post: Post, notices: Sequence[Notice]) -> tuple[float, list[float]]:
    """Notifications one after the other over AT_ONCE connections; how many a second, and how long each took."""
    spans, waiting = list[float](), iter(notices)

    async def send() -> None:
        for notice in waiting:
            began = time.monotonic()
            await post(notice)
            spans.append(time.monotonic() - began)

    began = time.monotonic()
    await asyncio.gather(*(send() for _ in range(AT_ONCE)))
    return len(spans) / (time.monotonic() - began), spans


async def another(stack: Stack) -> tuple[list[Program], str]:
    """A second payment-gateway, and a second gateway that leads to it, as two pods do."""
    programs, ports = [], {name: claim_any() for name in ("payment-gateway", "gateway")}
    for name, port in ports.items():
        inner = f"http://127.0.0.1:{ports['payment-gateway']}"
        made = stack.another(name, HTTP_PORT=str(port), PAYMENT_GATEWAY_URL=inner)
        await made.start()
        programs.append(made)
    url = f"http://127.0.0.1:{ports['gateway']}"
    for port in ports.values():
        await ready(f"http://127.0.0.1:{port}")
    return programs, url


async def measure(stack: Stack) -> None:
    """Every figure, one after the other."""
    day = datetime.now(UTC).date()
    await demo.owe(stack, -(-RATE * SECONDS // FAMILIES))
    await stack.programs["mail"].stop()
    sink = Sink()
    await asyncio.get_running_loop().create_server(lambda: SMTP(sink), "127.0.0.1", stack.ports["smtp"])
    due = (await invoices(stack, day))[: RATE * SECONDS]
    one, *rest = strangers(1, day + timedelta(days=1))
    await begin(stack, [*due, one, *rest])
    await written_at_bank(stack, [*due, one])
    post = poster(stack.gateway_url)
    await steadily(stack, sink, post, due)
    for name in ("billing", "notifier", "planning", "auth"):
        await stack.programs[name].stop()
    await copies(stack, post, one)
    rates = []
    for number in (1, 2):
        others, gateways = list[Program](), [stack.gateway_url]
        if number == 2:
            others, second = await another(stack)
            gateways.append(second)
        chosen = strangers(NOTICES, day + timedelta(days=1 + number))
        await begin(stack, chosen)
        await written_at_bank(stack, chosen)
        notices = [each.notice(stack.secrets) for each in chosen]
        rates.append(await as_many_as_go(poster(*gateways), notices))
        for program in others:
            await program.stop()
    await stack.programs["payment-gateway"].stop()
    await begin(stack, strangers(NOTICES, day + timedelta(days=5)))
    floor = await pgbench(
        stack.databases["payment-gateway"],
        STATEMENTS,
        clients=AT_ONCE,
        each=NOTICES // AT_ONCE,
        bank=BANK,
        day=day + timedelta(days=5),
    )
    for number, (rate, spans) in enumerate(rates, start=1):
        name = f"notifications, {number} of gateway and payment-gateway"
        say(name, rate, "/s", floor=floor, share=0.4)
        say_spans(name, spans)


async def main() -> None:
    async with portal(till=TILL) as stack:
        await measure(stack)


if __name__ == "__main__":
    note(f"payments at {BANK}, {AT_ONCE} connections; floor: pgbench with the same statements")
    asyncio.run(main())
