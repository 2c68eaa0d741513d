"""notifier on a real database, broker and SMTP server."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import date
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from aiohttp.test_utils import TestClient, TestServer
from aiosmtpd.smtp import SMTP, Envelope, Session
from pydantic import SecretStr

from chassis.clock import now
from chassis.command import set_up
from chassis.testing import Probe, Tokens, eventually
from contracts.events import Event
from contracts.events.auth import GuardianChanged
from contracts.events.billing import CheckoutInvoice, InvoicePublished
from contracts.events.payment import Means, Mode, PaymentConfirmed, Ticket
from contracts.identity import Identity, Role
from local_stack.ports import claim_any
from local_stack.testing import owner_url
from notifier.__main__ import SERVICE
from notifier.app import build
from notifier.settings import Settings

AUDIENCE = "notifier"
LINK_SECRET = "the secret of the links, long enough"
HOOK_SECRET = "the secret of the hook, long enough"


Behave = Callable[[SMTP], Awaitable[str]]


class MailServer:
    """A real SMTP server that keeps what it takes, answers as told, or misbehaves."""

    def __init__(self) -> None:
        self.port = claim_any()
        self.taken: list[EmailMessage] = []
        self.answer = "250 OK"
        self.recipient_answer = "250 OK"
        self.behave: Behave | None = None
        self.asked = 0
        self.connections = 0
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Answer on the port."""
        self._server = await asyncio.get_running_loop().create_server(self._connection, "127.0.0.1", self.port)

    async def close(self) -> None:
        """Be away: nobody answers any more."""
        if self._server:
            self._server.close()
            self._server = None

    def _connection(self) -> SMTP:
        self.connections += 1
        return SMTP(self)

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if self.recipient_answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.recipient_answer

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.asked += 1
        if self.behave:
            return await self.behave(server)
        if self.answer.startswith("250"):
            content = envelope.content
            assert isinstance(content, bytes)
            message = message_from_bytes(content, policy=policy.default)
            assert isinstance(message, EmailMessage)
            self.taken.append(message)
        return self.answer


@dataclass
class Post:
    """A notifier, its mail server and a guardian."""

    client: TestClient[Any, Any]
    settings: Settings
    tokens: Tokens
    probe: Probe
    mail_server: MailServer
    household: UUID
    guardian: UUID

    def parent(self) -> dict[str, str]:
        person = Identity(
            subject_id=self.guardian,
            session_id=uuid4(),
            name="Camille Dupont",
            roles=frozenset({Role.PARENT}),
            household_id=self.household,
        )
        return Tokens.headers(self.tokens.token(person, audience=AUDIENCE))

    def staff(self, role: Role = Role.CLERK) -> dict[str, str]:
        return Tokens.headers(self.tokens.staff(role, audience=AUDIENCE))

    async def known(self, email: str | None = "camille@example.org", version: int = 1) -> None:
        await self.probe.publish(
            GuardianChanged(
                guardian_id=self.guardian,
                household_id=self.household,
                version=version,
                first_name="Camille",
                last_name="Dupont",
                email=email,
                active=True,
            )
        )

        async def ask() -> bool:
            shown = await (await self.client.get("/preferences", headers=self.parent())).json()
            return bool(shown["email"] == email)

        await eventually(ask)

    async def hears(self, event: Event) -> None:
        """Publish an event and wait until its listener is done with it."""
        event_id = await self.probe.publish(event)
        await eventually(lambda: self.sql("SELECT EXISTS (SELECT FROM inbox WHERE event_id = $1)", event_id))

    async def sql(self, query: str, *arguments: Any) -> Any:
        connection = await asyncpg.connect(owner_url(self.settings.database_url))
        try:
            return await connection.fetchval(query, *arguments)
        finally:
            await connection.close()

    async def told(self, status: str, words: str) -> bool:
        """Whether a mail of that status has an answer with those words."""
        query = "SELECT EXISTS (SELECT FROM mail WHERE status = $1 AND strpos(last_answer, $2) > 0)"
        return bool(await self.sql(query, status, words))

    async def wants(self, **payload: Any) -> None:
        response = await self.client.put("/preferences", json=payload, headers=self.parent())
        assert response.status == 200
        assert (await response.json())["saved_at"]

    async def mails(self, count: int) -> list[EmailMessage]:
        async def ask() -> bool:
            return len(self.mail_server.taken) >= count

        await eventually(ask)
        await asyncio.sleep(0.5)
        assert len(self.mail_server.taken) == count
        return self.mail_server.taken

    async def log(self) -> list[dict[str, Any]]:
        response = await self.client.get("/mails", headers=self.staff())
        found: list[dict[str, Any]] = (await response.json())["mails"]
        return found

    async def line(self, status: str) -> dict[str, Any]:
        """The one line of the log, once it has that status."""

        async def ask() -> dict[str, Any] | None:
            lines = await self.log()
            return lines[0] if len(lines) == 1 and lines[0]["status"] == status else None

        return await eventually(ask)

    def confirmed(self) -> PaymentConfirmed:
        invoice = CheckoutInvoice(invoice_id=uuid4(), number="2026-000042", month=date(2026, 11, 1), amount_cents=4250)
        ticket = Ticket(
            number="T-2026-000001",
            town="Saint-Aubin",
            till="REGIE-1",
            household_name="Famille Dupont",
            household_reference="F001",
            invoices=(invoice,),
            amount_cents=4250,
            means=Means.CARD,
            mode=Mode.TEST,
            bank_reference="operation",
            authorisation="000123",
            paid_at=now(),
        )
        return PaymentConfirmed(
            payment_id=uuid4(),
            checkout_id=uuid4(),
            household_id=self.household,
            payer_id=self.guardian,
            bank="payfip",
            amount_cents=4250,
            confirmed_at=now(),
            ticket=ticket,
        )

    def published(self) -> InvoicePublished:
        return InvoicePublished(
            invoice_id=uuid4(),
            household_id=self.household,
            number="2026-000042",
            month=date(2026, 11, 1),
            total_cents=4250,
            due_on=date(2026, 12, 24),
            published_at=now(),
        )


@pytest.fixture
async def mail_server() -> AsyncIterator[MailServer]:
    kept = MailServer()
    await kept.open()
    yield kept
    await kept.close()


@pytest.fixture
async def post(
    database_url: str, amqp_url: str, tokens: Tokens, probe: Probe, mail_server: MailServer
) -> AsyncIterator[Post]:
    settings = Settings(
        database_url=database_url,
        amqp_url=amqp_url,
        auth_url=tokens.url,
        http_port=0,
        retry_delays_seconds=(0.5,),
        town_name="Saint-Aubin",
        public_url="http://portail.example",
        mail_from="portail@saint-aubin.example",
        smtp_host="127.0.0.1",
        smtp_port=mail_server.port,
        smtp_tls="none",
        smtp_seconds_max=2,
        mail_retry_seconds=0.2,
        link_secret=SecretStr(LINK_SECRET),
        bounce_secret=SecretStr(HOOK_SECRET),
    )
    await set_up(SERVICE, settings)
    async with TestClient(TestServer(build(settings))) as client:
        yield Post(client, settings, tokens, probe, mail_server, uuid4(), uuid4())
