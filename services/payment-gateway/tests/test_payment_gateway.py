"""payment-gateway over HTTP and RabbitMQ, with a real database, a real broker and the stand-in bank as a program."""

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import asyncpg
import pytest
from aiohttp.test_utils import TestClient, TestServer, unused_port

from chassis.clock import now
from chassis.command import set_up
from chassis.testing import Probe, Tokens, eventually
from contracts.events.billing import CheckoutInvoice, CheckoutOpened
from contracts.identity import Role
from payment_gateway.__main__ import SERVICE
from payment_gateway.app import build
from payment_gateway.settings import Settings

AUDIENCE = "payment-gateway"


class Bank:
    """The stand-in bank, spoken to over HTTP as a payer or a test would."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self.url, self._http = url, http

    async def faults(self, **switches: Any) -> None:
        async with self._http.put(f"{self.url}/api/faults", json=switches) as response:
            assert response.status == 200, await response.text()

    async def book(self) -> list[dict[str, Any]]:
        async with self._http.get(f"{self.url}/api/book") as response:
            found: list[dict[str, Any]] = await response.json()
            return found

    async def opens_page(self, payment: dict[str, Any]) -> None:
        async with self._http.get(payment["payer_url"]) as response:
            assert response.status == 200, await response.text()

    async def act(self, payment: dict[str, Any], action: str) -> None:
        id_op = payment["payer_url"].partition("idop=")[2]
        async with self._http.post(f"{self.url}/api/operations/{id_op}/{action}") as response:
            assert response.status == 200, await response.text()


@pytest.fixture
async def bank(tmp_path: Path) -> AsyncIterator[Bank]:
    port = unused_port()
    environment = {"HTTP_PORT": str(port), "DATA_FOLDER": str(tmp_path / "bank")}
    program = await asyncio.create_subprocess_exec(sys.executable, "-m", "bank_simulator", env=environment)
    async with aiohttp.ClientSession() as http:

        async def is_ready() -> bool:
            try:
                async with http.get(f"http://127.0.0.1:{port}/health/ready") as response:
                    return response.status == 200
            except aiohttp.ClientError:
                return False

        await eventually(is_ready)
        yield Bank(f"http://127.0.0.1:{port}", http)
    program.terminate()
    await program.wait()


@dataclass
class Till:
    """A payment-gateway, its bank, and a household with something to pay."""

    client: TestClient[Any, Any]
    tokens: Tokens
    probe: Probe
    bank: Bank
    settings: Settings
    household: UUID

    def parent(self, household: UUID | None = None, **more: Any) -> dict[str, str]:
        return Tokens.headers(self.tokens.parent(household or self.household, audience=AUDIENCE, **more))

    async def checkout(self, *, minutes: int = 30) -> UUID:
        checkout_id = uuid4()
        invoice = CheckoutInvoice(invoice_id=uuid4(), number="2026-000042", month=date(2026, 11, 1), amount_cents=4250)
        await self.probe.publish(
            CheckoutOpened(
                checkout_id=checkout_id,
                household_id=self.household,
                household_name="Famille Exemple",
                household_reference="F001",
                till="REGIE-1",
                amount_cents=4250,
                invoices=(invoice,),
                opened_at=now(),
                expires_at=now() + timedelta(minutes=minutes),
            )
        )
        await eventually(lambda: self.sql("SELECT count(*) FROM checkout WHERE checkout_id = $1", checkout_id))
        return checkout_id

    async def post(self, checkout_id: UUID, **more: Any) -> Any:
        return await self.client.post("/payments", json={"checkout_id": str(checkout_id)}, headers=self.parent(**more))

    async def begin(self) -> dict[str, Any]:
        response = await self.post(await self.checkout())
        assert response.status == 201, await response.text()
        begun: dict[str, Any] = await response.json()
        return begun

    async def get(self, payment: dict[str, Any]) -> dict[str, Any]:
        response = await self.client.get(f"/payments/{payment['payment_id']}", headers=self.parent())
        assert response.status == 200, await response.text()
        shown: dict[str, Any] = await response.json()
        return shown

    async def becomes(self, payment: dict[str, Any], status: str) -> dict[str, Any]:
        async def ask() -> dict[str, Any] | None:
            shown = await self.get(payment)
            return shown if shown["status"] == status else None

        return await eventually(ask)

    async def act(self, payment: dict[str, Any], action: str) -> dict[str, Any]:
        response = await self.client.post(f"/payments/{payment['payment_id']}/{action}", headers=self.parent())
        answer: dict[str, Any] = await response.json()
        return answer

    async def sql(self, query: str, *arguments: Any) -> Any:
        connection = await asyncpg.connect(self.settings.database_url)
        try:
            return await connection.fetchval(query, *arguments)
        finally:
            await connection.close()


@pytest.fixture
async def till(database_url: str, amqp_url: str, tokens: Tokens, probe: Probe, bank: Bank) -> AsyncIterator[Till]:
    port = unused_port()
    settings = Settings(
        database_url=database_url,
        amqp_url=amqp_url,
        auth_url=tokens.url,
        http_port=port,
        public_url=f"http://127.0.0.1:{port}",
        town_name="Saint-Aubin",
        payfip_service_url=f"{bank.url}/tpa/services/securite",
        payfip_payer_url=f"{bank.url}/tpa/paiementws.web",
        payfip_numcli="123456",
        payfip_saisie="T",
        parent_look_up_seconds=0,
    )
    await set_up(SERVICE, settings)
    async with TestClient(TestServer(build(settings), port=port)) as client:
        yield Till(client, tokens, probe, bank, settings, uuid4())


async def test_a_parent_pays_and_the_house_hears_of_it_once(till: Till) -> None:
    await till.bank.faults(notice="ten_times")
    payment = await till.begin()
    assert payment["status"] == "pending"
    await till.bank.act(payment, "pay")
    shown = await till.becomes(payment, "confirmed")
    assert shown["payer_url"] is None
    event = await till.probe.next("payment.confirmed")
    assert event.data["ticket"]["number"] == shown["ticket_number"]
    assert event.data["ticket"]["authorisation"]
    await till.bank.act(payment, "notify")
    await till.probe.none("payment.confirmed")
    (operation,) = await till.bank.book()
    assert all(notice.endswith(" 200") for notice in operation["notices"])
    ticket = await till.client.get(f"/payments/{payment['payment_id']}/ticket", headers=till.parent())
    assert (await ticket.read()).startswith(b"%PDF")


async def test_a_double_tap_opens_one_attempt(till: Till) -> None:
    checkout_id = await till.checkout()
    answers = await asyncio.gather(*(till.post(checkout_id) for _ in range(5)))
    assert sorted(answer.status for answer in answers) == [200, 200, 200, 200, 201]
    assert len({(await answer.json())["payment_id"] for answer in answers}) == 1
    assert len(await till.bank.book()) == 1
    again = await (await till.post(checkout_id)).json()
    assert again["payer_url"].startswith(till.bank.url)


async def test_no_notification_and_the_return_looks_up(till: Till) -> None:
    await till.bank.faults(notice="never")
    payment = await till.begin()
    await till.bank.act(payment, "pay")
    assert (await till.act(payment, "look-up"))["status"] == "confirmed"


async def test_an_answer_in_many_pieces_is_read_to_its_end(till: Till) -> None:
    await till.bank.faults(answer_in_pieces=True, notice="never")
    payment = await till.begin()
    await till.bank.act(payment, "pay")
    assert (await till.act(payment, "look-up"))["status"] == "confirmed"


async def test_nobody_gives_up_while_somebody_is_on_the_banks_page(till: Till) -> None:
    payment = await till.begin()
    await till.bank.opens_page(payment)
    refused = await till.act(payment, "abandon")
    assert (refused["code"], (await till.get(payment))["status"]) == ("payment_unresolved", "processing")
    await till.bank.act(payment, "abandon")
    assert (await till.act(payment, "abandon"))["status"] == "cancelled"
    keeper = Tokens.headers(till.tokens.staff(Role.TILL_KEEPER, audience=AUDIENCE))
    path = f"/payments/{payment['payment_id']}/abandon"
    assert (await till.client.post(path, headers=keeper)).status == 403


async def test_a_hint_that_comes_before_the_result_is_followed_up(till: Till) -> None:
    await till.bank.faults(notice="early", answer_delay_seconds=1)
    payment = await till.begin()
    await till.bank.act(payment, "pay")
    await till.becomes(payment, "processing")
    await asyncio.sleep(1)
    assert (await till.act(payment, "look-up"))["status"] == "confirmed"


async def test_a_refusal_ends_the_checkout(till: Till) -> None:
    payment = await till.begin()
    await till.bank.act(payment, "refuse")
    await till.becomes(payment, "refused")
    assert (await till.probe.next("payment.refused")).data["outcome"] == "refused"
    assert (await till.post(UUID(payment["checkout_id"]))).status == 409


async def test_a_wrong_amount_is_reviewed(till: Till) -> None:
    await till.bank.faults(amount_offset_cents=-1)
    payment = await till.begin()
    await till.bank.act(payment, "pay")
    await till.becomes(payment, "review")
    await till.probe.none("payment.confirmed")


async def test_given_up_then_paid_after_all(till: Till) -> None:
    await till.bank.faults(notice="never")
    payment = await till.begin()
    assert (await till.act(payment, "abandon"))["status"] == "cancelled"
    assert (await till.probe.next("payment.refused")).data["outcome"] == "cancelled"
    await till.bank.act(payment, "pay")
    assert (await till.act(payment, "look-up"))["status"] == "confirmed"
    await till.probe.next("payment.confirmed")


async def test_the_bank_is_down(till: Till) -> None:
    await till.bank.faults(service_down=True)
    response = await till.post(await till.checkout())
    assert response.status == 503
    assert (await response.json())["code"] == "bank_unreachable"
    assert (await till.probe.next("payment.refused")).data["outcome"] == "failed"
    await till.bank.faults(service_down=False)
    payment = await till.begin()
    await till.bank.faults(service_down=True)
    assert (await till.act(payment, "abandon"))["code"] == "bank_unreachable"
    assert (await till.get(payment))["status"] == "pending"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/webhooks/nobank", b"idop=abcdef", 404),
        ("/webhooks/payfip", b"idop=00000000-0000-0000-0000-000000000000", 404),
        ("/webhooks/payfip", b"", 400),
        ("/webhooks/payfip", b"idop=a'--", 400),
        ("/webhooks/payfip", b"\xff\xfe", 400),
        ("/webhooks/payfip", b"idop=" + b"a" * 70_000, 413),
        ("/webhooks/payfip?idop=abcdef&idop=ghijkl", b"", 400),
    ],
)
async def test_bad_notifications(till: Till, path: str, body: bytes, status: int) -> None:
    assert (await till.client.post(path, data=body)).status == status


async def test_who_may_see_and_begin(till: Till) -> None:
    payment = await till.begin()
    stranger = till.parent(uuid4())
    path = f"/payments/{payment['payment_id']}"
    assert (await till.client.get(path, headers=stranger)).status == 404
    assert (await till.client.get(path)).status == 401
    assert (await till.client.get("/payments", headers=stranger)).status == 403
    keeper = Tokens.headers(till.tokens.staff(Role.TILL_KEEPER, audience=AUDIENCE))
    listed = await (await till.client.get("/payments", headers=keeper)).json()
    assert [each["payment_id"] for each in listed["payments"]] == [payment["payment_id"]]
    theirs = await till.client.get(f"/checkouts/{payment['checkout_id']}/payments", headers=stranger)
    assert (await theirs.json())["payments"] == []
    assert (await till.client.get(f"{path}/ticket", headers=till.parent())).status == 404
    assert (
        await till.client.post("/payments", json={"checkout_id": payment["checkout_id"]}, headers=keeper)
    ).status == 403


async def test_what_cannot_be_paid(till: Till) -> None:
    assert (await (await till.post(uuid4())).json())["code"] == "checkout_not_ready"
    assert (await (await till.post(await till.checkout(), email=None)).json())["code"] == "payer_email_missing"


async def test_a_checkout_nobody_paid_in_time_is_let_go_when_it_is_tried(till: Till) -> None:
    response = await till.post(await till.checkout(minutes=-1))
    assert (await response.json())["status"] == "failed"
    assert (await till.probe.next("payment.refused")).data["outcome"] == "failed"
    assert await till.bank.book() == []


async def test_an_attempt_that_never_reached_the_bank_is_closed(till: Till) -> None:
    await till.bank.faults(service_down=False)
    checkout_id, payment_id = await till.checkout(), uuid4()
    await till.sql(
        "INSERT INTO payment (payment_id, checkout_id, household_id, payer_id, payer_email, bank, account, mode, "
        "reference, amount_cents, status, created_at, changed_at, look_up_at, day, number) VALUES ($1, $2, $3, $1, "
        "'a@b.fr', 'payfip', '123456', 'test', 'LOST000001', 4250, 'created', "
        "now() - interval '2 minutes', now(), now(), '2026-01-01', 1)",
        payment_id,
        checkout_id,
        till.household,
    )
    await till.sql("SELECT pg_notify('look_up_due', '')")
    assert (await till.probe.next("payment.refused")).data["outcome"] == "failed"


async def test_history_is_never_rewritten(till: Till) -> None:
    await till.begin()
    for statement in ("UPDATE payment_move SET reason = 'x'", "DELETE FROM bank_word", "TRUNCATE payment_move"):
        with pytest.raises(asyncpg.RaiseError):
            await till.sql(statement)
