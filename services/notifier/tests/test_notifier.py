"""notifier on a real database, broker and SMTP server."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any
from uuid import UUID, uuid4

import pytest
from aiohttp.test_utils import TestClient, TestServer, unused_port
from aiosmtpd.smtp import SMTP, Envelope, Session

from chassis.clock import now
from chassis.command import set_up
from chassis.database import DATABASE
from chassis.testing import Probe, Tokens, eventually
from contracts.events import Event
from contracts.events.auth import EmailGiven, GuardianChanged, ResetRequested
from contracts.events.billing import CheckoutInvoice, InvoicePublished
from contracts.events.payment import Means, Mode, PaymentConfirmed, Ticket
from contracts.events.planning import BookedDay, BookingsChanged, Channel
from contracts.identity import Identity, Role
from notifier.__main__ import SERVICE
from notifier.app import build
from notifier.settings import Settings

AUDIENCE = "notifier"


class MailServer:
    """A real SMTP server that keeps what it takes, or answers as told."""

    def __init__(self) -> None:
        self.port = unused_port()
        self.taken: list[EmailMessage] = []
        self.answer = "250 OK"
        self.asked = 0

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.asked += 1
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
        app = self.client.app
        assert app is not None

        async def ask() -> bool:
            async with app[DATABASE].transaction() as tx:
                return bool(await tx.fetchval("SELECT EXISTS (SELECT FROM inbox WHERE event_id = $1)", event_id))

        await eventually(ask)

    async def wants(self, **wish: bool) -> None:
        response = await self.client.put("/preferences", json=wish, headers=self.parent())
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
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(kept), "127.0.0.1", kept.port)
    yield kept
    server.close()


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
        mail_retry_seconds=0.5,
    )
    await set_up(SERVICE, settings)
    async with TestClient(TestServer(build(settings))) as client:
        yield Post(client, tokens, probe, mail_server, uuid4(), uuid4())


async def test_the_ticket_goes_out_once_with_its_pdf(post: Post) -> None:
    await post.known()
    event = post.confirmed()
    event_id = await post.probe.publish(event, times=3)
    await post.probe.publish(event)  # the same fact as another message
    await post.probe.publish(event, event_id=event_id)
    (mail,) = await post.mails(1)
    assert mail["To"] == "camille@example.org"
    assert "T-2026-000001" in mail["Subject"]
    (attached,) = mail.iter_attachments()
    assert attached.get_filename() == "justificatif-T-2026-000001.pdf"
    assert attached.get_content().startswith(b"%PDF")
    text = mail.get_body(("plain",))
    assert text is not None
    assert "000123" in text.get_content()
    line = await post.line("sent")
    assert line["attempts"] == 1


async def test_a_ticket_waits_for_its_payer_to_be_known(post: Post) -> None:
    await post.probe.publish(post.confirmed())
    await asyncio.sleep(0.7)
    assert post.mail_server.taken == []
    await post.known()
    await post.mails(1)


async def test_a_dead_mail_server_delays_and_loses_nothing(post: Post) -> None:
    await post.known()
    post.mail_server.answer = "451 not now"
    await post.probe.publish(post.confirmed())

    async def asked_twice() -> bool:
        return post.mail_server.asked >= 1 and "451" in ((await post.log())[0]["last_answer"] or "")

    await eventually(asked_twice)
    post.mail_server.answer = "250 OK"
    await post.mails(1)


async def test_a_mail_refused_for_good_is_shown_as_failed(post: Post) -> None:
    await post.known()
    post.mail_server.answer = "550 no such person"
    await post.probe.publish(post.confirmed())
    assert "550" in (await post.line("failed"))["last_answer"]


async def test_an_invoice_is_told_only_to_who_asked(post: Post) -> None:
    await post.known()
    await post.hears(post.published())
    await post.wants(invoice_published=True)
    event = post.published()
    await post.probe.publish(event, times=2)
    (mail,) = await post.mails(1)
    assert "novembre 2026" in mail["Subject"]


async def test_a_recap_lists_each_day(post: Post) -> None:
    await post.known()
    await post.wants(booking_recap=True)
    days = tuple(
        BookedDay(activity_id=uuid4(), activity_label="Petites Vac. Matin", day=date(2026, 12, 22 + n), booked=n == 0)
        for n in range(2)
    )
    await post.probe.publish(
        BookingsChanged(
            household_id=post.household,
            child_id=uuid4(),
            child_first_name="Léa",
            version=1,
            channel=Channel.INTERNET,
            changed_by=post.guardian,
            changed_at=now(),
            days=days,
        )
    )
    (mail,) = await post.mails(1)
    text = mail.get_body(("plain",))
    assert text is not None
    assert "☑ Ma 22-12-2026, Petites Vac. Matin : inscrit" in text.get_content()
    assert "☐ Me 23-12-2026, Petites Vac. Matin : annulé" in text.get_content()


async def test_an_older_address_never_replaces_a_newer_one(post: Post) -> None:
    await post.known("new@example.org", version=2)
    await post.hears(
        GuardianChanged(
            guardian_id=post.guardian,
            household_id=post.household,
            version=1,
            first_name="Camille",
            last_name="Dupont",
            email="old@example.org",
            active=True,
        )
    )
    await post.probe.publish(post.confirmed())
    (mail,) = await post.mails(1)
    assert mail["To"] == "new@example.org"


async def test_the_message_of_the_town_hall(post: Post) -> None:
    async def shown() -> str:
        text: str = (await (await post.client.get("/announcement")).json())["markdown"]
        return text

    async def put(markdown: str, starts_in_hours: float, role: Role = Role.CLERK) -> int:
        body = {"markdown": markdown, "starts_at": (now() + timedelta(hours=starts_in_hours)).isoformat()}
        response = await post.client.put("/announcement", json=body, headers=post.staff(role))
        return response.status

    assert await shown() == ""
    assert await put("**Bonjour**", -1) == 200
    assert await put("Demain", 24) == 200
    assert await shown() == "**Bonjour**"
    assert await put("Non", -1, Role.TILL_KEEPER) == 403
    assert await put("x" * 10_001, -1) == 422


async def test_who_may(post: Post) -> None:
    assert (await post.client.get("/mails", headers=post.parent())).status == 403
    assert (await post.client.get("/preferences")).status == 401
    assert (await post.client.put("/preferences", json={}, headers=post.staff())).status == 403
    wrong = await post.client.put("/preferences", json={"invoice_published": "often"}, headers=post.parent())
    assert wrong.status == 422


async def test_a_link_goes_to_its_address_once_and_its_secret_is_forgotten_here(post: Post) -> None:
    common = {"account_id": post.guardian, "first_name": "Camille", "expires_at": now() + timedelta(minutes=30)}
    token = "an-opaque-token-of-the-tests"
    reset = ResetRequested(link_id=uuid4(), identifier="k7mqx2pd", email="camille@example.org", token=token, **common)
    given = EmailGiven(link_id=uuid4(), email="new@example.org", token=token, **common)
    for event in (reset, reset, given):
        await post.hears(event)
    by_recipient = {str(each["To"]): each for each in await post.mails(2)}
    body = by_recipient["camille@example.org"].get_body(("plain",))
    assert body is not None
    assert f"/codes-oublies/nouveau?jeton={token}" in body.get_content()
    assert "k7mqx2pd" in body.get_content()
    body = by_recipient["new@example.org"].get_body(("html",))
    assert body is not None
    assert f"/email/confirmation?jeton={token}" in body.get_content()
    app = post.client.app
    assert app is not None

    async def is_forgotten() -> bool:
        async with app[DATABASE].transaction() as tx:
            return bool(await tx.fetchval("SELECT bool_and(event::text NOT LIKE '%opaque%') FROM mail"))

    await eventually(is_forgotten)
