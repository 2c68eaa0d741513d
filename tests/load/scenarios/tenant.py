"""The town that the days are played in: its families, its mail, and the bank's book."""

import asyncio
import random
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import aiohttp
from aiosmtpd.smtp import SMTP, Envelope, Session

from local_stack.families import sql
from local_stack.stack import Stack
from tests.load.harness.measuring import portal
from tests.load.harness.parents import Crowd, Parent, as_if_long_there, quiet, settle

DOMAINS = ("orange.example", "free.example", "gmail.example", "laposte.example", "sfr.example")
"""As many as a town's families have; each is sent so many mails a minute, and no more."""
LINK = re.compile(r"https?://[^\s>]+/factures\b")
HIDDEN = re.compile(r'name="(form_token|key|facture|idop|card)"(?: [a-z]+="[^"]*")*? value="([^"]*)"')
AWAY_SECONDS = 60


class Inhabitant(Parent):
    """A parent with an address for mails."""

    def payload(self) -> dict[str, Any]:
        """With the address of their guardian."""
        whole = super().payload()
        (guardian,) = whole["guardians"]
        return {**whole, "guardians": [{**guardian, "email": self.email}]}

    @property
    def email(self) -> str:
        return f"{self.identifier}@{DOMAINS[self.number % len(DOMAINS)]}"


@dataclass
class Post:
    """The mail server: takes every mail, and gives what it took to whoever waits for it."""

    tickets: list[str] = field(default_factory=list)
    arrived: Callable[[str, str], None] = lambda _email, _link: None

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content
        assert isinstance(content, bytes)
        mail = message_from_bytes(content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        body = mail.get_body(("plain",))
        text = body.get_content() if body else ""
        if any("justificatif" in str(part.get_filename()) for part in mail.iter_attachments()):
            self.tickets.append(str(mail["Message-ID"]))
        elif found := LINK.search(text):
            self.arrived(envelope.rcpt_tos[0], found[0])
        return "250 OK"


@dataclass
class Town:
    """A portal, its families, and who they are by their address."""

    stack: Stack
    http: aiohttp.ClientSession
    crowd: Crowd
    post: Post
    draw: random.Random

    @property
    def parents(self) -> list[Parent]:
        return list(self.crowd.parents)

    async def follow(self, parent: Parent, method: str, url: str, **more: Any) -> tuple[str, str]:
        """One request of a browser, to the portal or to the bank; the page, or where it leads."""
        cookies = f"preau={parent.session}; preau-appareil={parent.device}"
        headers = {"X-Forwarded-For": parent.address, "Cookie": cookies}
        async with self.http.request(method, url, headers=headers, allow_redirects=False, **more) as answer:
            text = await answer.text()
            assert answer.status in {200, 303}, f"{answer.status} {method} {url.partition('?')[0]}"
            return text, answer.headers.get("Location", "")


@asynccontextmanager
async def inhabited(count: int, owed: int) -> AsyncIterator[Town]:
    """A town of so many families, each with so many invoices to pay and a month to come; at rest."""
    parents = [Inhabitant(number) for number in range(count)]
    timeout, connector = aiohttp.ClientTimeout(total=AWAY_SECONDS), aiohttp.TCPConnector(limit=0)
    client = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), timeout=timeout)
    async with portal() as stack, client as http:
        post = Post()
        await stack.programs["mail"].stop()
        server = await asyncio.get_running_loop().create_server(lambda: SMTP(post), "127.0.0.1", stack.ports["smtp"])
        gateway = stack.programs["gateway"]
        await gateway.stop()
        more = {"PROXIES_IN_FRONT": "1", "API_REQUESTS_A_MINUTE": "100000"}  # each has an address of its own
        gateway.environment = {**gateway.environment, **more}
        await stack.restart("gateway")
        await settle(stack, http, parents, owed)
        crowd = Crowd(stack, http, parents)
        await crowd.sign_in_page(parents[0])
        await crowd.sign_in(parents[0])
        await crowd.choose_month(parents[0])
        parents[0].session = ""
        query = (
            "INSERT INTO preference (guardian_id, invoice_published, booking_recap, announcements, language, saved_at) "
            "SELECT guardian_id, true, false, true, 'fr', now() FROM guardian ON CONFLICT DO NOTHING"
        )
        await sql(stack, "notifier", query)
        await quiet(stack)
        await as_if_long_there(stack)
        yield Town(stack, http, crowd, post, random.Random(count))
        server.close()


def typed(page: str) -> dict[str, list[str]]:
    """The fields of a page that a browser sends back, by name."""
    found: dict[str, list[str]] = {}
    for name, value in HIDDEN.findall(page):
        found.setdefault(name, []).append(value)
    return found


async def money(town: Town) -> list[str]:
    """What the bank took against what every service says: everything that is not the same."""
    async with town.http.get(f"{town.stack.url('bank')}/api/book") as answer:
        paid = sum(each["result"] == "P" for each in await answer.json())

    async def count(service: str, query: str) -> int:
        return int((await sql(town.stack, service, query))[0][0])

    told = {
        "confirmed": await count("payment-gateway", "SELECT count(*) FROM payment WHERE status = 'confirmed'"),
        "numbered": await count("payment-gateway", "SELECT coalesce(sum(last_number), 0) FROM ticket_series"),
        "settled": await count("billing", "SELECT count(*) FROM ledger_transaction WHERE key LIKE 'payment/%'"),
        "mailed": await count("notifier", "SELECT count(*) FROM mail WHERE kind = 'ticket' AND status = 'sent'"),
        "taken by the mail server": len(town.post.tickets),
        "taken once": len(set(town.post.tickets)),
    }
    wrong = [f"the bank took {paid} payments, {many} are {what}" for what, many in told.items() if many != paid]
    balance = await count("billing", "SELECT coalesce(sum(amount_cents), 0) FROM ledger_entry")
    return wrong + ([f"the ledger is off by {balance} cents"] if balance else [])
