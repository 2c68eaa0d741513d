"""payment-gateway over HTTP and RabbitMQ, with a real database, a real broker and the stand-in bank as a program."""

import asyncio
import json
import random
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import asyncpg
import pytest
from aiohttp.test_utils import TestClient, TestServer, unused_port
from pydantic import SecretStr

from chassis.clock import now
from chassis.command import set_up
from chassis.testing import Probe, Tokens, eventually
from contracts.events.billing import CheckoutInvoice, CheckoutOpened, PaymentUnmatched, UnmatchedReason
from contracts.identity import Role
from payment_gateway.__main__ import SERVICE
from payment_gateway.app import build
from payment_gateway.banks.checking import check
from payment_gateway.banks.lyra import Lyra
from payment_gateway.banks.payfip import PayFiP
from payment_gateway.settings import Settings

AUDIENCE = "payment-gateway"
SHOP = {"site_id": "12345678", "key": "a-key-for-tests-only", "rest_password": "testpassword_x"}
LYRA_TILL = "REGIE-L"
every_bank = pytest.mark.parametrize("till", ["payfip", "lyra-12345678"], indirect=True)


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

    async def shows(self, url: str, form: Any = None) -> None:
        """A page for the payer; 400 and 409 say that this payment has its result already."""
        async with self._http.request("POST" if form else "GET", url, data=form) as response:
            assert response.status in {200, 400, 409}, await response.text()

    async def act(self, id_op: str, action: str) -> None:
        async with self._http.post(f"{self.url}/api/operations/{id_op}/{action}") as response:
            assert response.status == 200, await response.text()


@pytest.fixture
async def bank(tmp_path: Path) -> AsyncIterator[Bank]:
    port = unused_port()
    environment = {"HTTP_PORT": str(port), "DATA_FOLDER": str(tmp_path / "bank"), "LYRA_SHOPS": json.dumps([SHOP])}
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
    bank_name: str = "payfip"
    forms: dict[str, Any] = field(default_factory=dict)

    @property
    def webhook(self) -> str:
        return f"/webhooks/{self.bank_name}"

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
                till="REGIE-1" if self.bank_name == "payfip" else LYRA_TILL,
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
        assert begun["bank"] == self.bank_name
        path = f"/payments/{begun['payment_id']}/form"
        form = await self.client.get(path, headers=self.parent())
        assert form.status == (404 if self.bank_name == "payfip" else 200)
        self.forms[begun["payment_id"]] = await form.json()
        return begun

    async def opens_page(self, payment: dict[str, Any]) -> None:
        """The parent's browser arrives at the bank; it may do so after the attempt was given up here."""
        form = self.forms[payment["payment_id"]]
        if self.bank_name == "payfip":
            await self.bank.shows(payment["payer_url"])
        else:
            await self.bank.shows(form["action"], dict(form["fields"]))

    def id_op(self, payment: dict[str, Any]) -> str:
        if self.bank_name == "payfip":
            return str(payment["payer_url"].partition("idop=")[2])
        fields = dict(self.forms[payment["payment_id"]]["fields"])
        return f"{fields['vads_site_id']}-{fields['vads_trans_date'][:8]}-{fields['vads_trans_id']}"

    async def at_bank(self, payment: dict[str, Any], action: str) -> None:
        if self.id_op(payment) not in {each["id_op"] for each in await self.bank.book()}:
            await self.opens_page(payment)
        await self.bank.act(self.id_op(payment), action)

    async def answered(self) -> str:
        """What the bank's first notification was answered."""

        async def ask() -> Any:
            (operation,) = await self.bank.book()
            return operation["notices"]

        return str((await eventually(ask))[0].split()[-1])

    def keeper(self, **more: str) -> dict[str, str]:
        return Tokens.headers(self.tokens.staff(Role.TILL_KEEPER, audience=AUDIENCE), **more)

    async def decides(self, payment: dict[str, Any], command: str, cents: int | None = None, key: str = "") -> Any:
        body = {"command": command, "reason": "relevé du 24", "evidence": "bordereau 12", "amount_cents": cents}
        headers = self.keeper(**{"Idempotency-Key": key or uuid4().hex})
        return await self.client.post(f"/payments/{payment['payment_id']}/decisions", json=body, headers=headers)

    async def staff_reads(self, path: str) -> Any:
        response = await self.client.get(path, headers=self.keeper())
        assert response.status == 200, await response.text()
        return await response.json()

    async def get(self, payment: dict[str, Any]) -> dict[str, Any]:
        """The payment as its parent sees it; a database that is busy is asked again, as a browser would."""

        async def ask() -> Any:
            response = await self.client.get(f"/payments/{payment['payment_id']}", headers=self.parent())
            assert response.status in {200, 503}, await response.text()
            return await response.json() if response.status == 200 else None

        shown: dict[str, Any] = await eventually(ask)
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
async def till(
    request: pytest.FixtureRequest, database_url: str, amqp_url: str, tokens: Tokens, probe: Probe, bank: Bank
) -> AsyncIterator[Till]:
    port = unused_port()
    lyra = {**SHOP, "mode": "TEST", "tills": [LYRA_TILL]}
    lyra |= {"form_url": f"{bank.url}/vads-payment/", "rest_url": bank.url}
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
        lyra_accounts=[lyra],
        parent_look_up_seconds=0,
        unknown_notices_kept_an_hour=5,
        notices_kept_a_payment=8,
    )
    await set_up(SERVICE, settings)
    async with TestClient(TestServer(build(settings), port=port)) as client:
        yield Till(client, tokens, probe, bank, settings, uuid4(), getattr(request, "param", "payfip"))


@every_bank
async def test_a_parent_pays_and_the_house_hears_of_it_once(till: Till) -> None:
    await till.bank.faults(notice="ten_times")
    payment = await till.begin()
    assert payment["status"] == "pending"
    await till.at_bank(payment, "pay")
    shown = await till.becomes(payment, "confirmed")
    assert shown["payer_url"] is None
    event = await till.probe.next("payment.confirmed")
    assert event.data["ticket"]["number"] == shown["ticket_number"]
    assert event.data["ticket"]["authorisation"]
    await till.at_bank(payment, "notify")
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


@every_bank
async def test_no_notification_and_the_return_looks_up(till: Till) -> None:
    await till.bank.faults(notice="never")
    payment = await till.begin()
    await till.at_bank(payment, "pay")
    assert (await till.act(payment, "look-up"))["status"] == "confirmed"


async def test_an_answer_in_many_pieces_is_read_to_its_end(till: Till) -> None:
    await till.bank.faults(answer_in_pieces=True, notice="never")
    payment = await till.begin()
    await till.at_bank(payment, "pay")
    assert (await till.act(payment, "look-up"))["status"] == "confirmed"


@every_bank
async def test_nobody_gives_up_while_somebody_is_on_the_banks_page(till: Till) -> None:
    payment = await till.begin()
    await till.opens_page(payment)
    refused = await till.act(payment, "abandon")
    assert (refused["code"], (await till.get(payment))["status"]) == ("payment_unresolved", "processing")
    await till.at_bank(payment, "abandon")
    assert (await till.act(payment, "abandon"))["status"] == "cancelled"
    keeper = Tokens.headers(till.tokens.staff(Role.TILL_KEEPER, audience=AUDIENCE))
    path = f"/payments/{payment['payment_id']}/abandon"
    assert (await till.client.post(path, headers=keeper)).status == 403


async def test_a_hint_that_comes_before_the_result_is_followed_up(till: Till) -> None:
    await till.bank.faults(notice="early", answer_delay_seconds=1)
    payment = await till.begin()
    await till.at_bank(payment, "pay")
    await till.becomes(payment, "processing")
    await asyncio.sleep(1)
    assert (await till.act(payment, "look-up"))["status"] == "confirmed"


@every_bank
async def test_a_refusal_ends_the_checkout(till: Till) -> None:
    payment = await till.begin()
    await till.at_bank(payment, "refuse")
    await till.becomes(payment, "refused")
    assert (await till.probe.next("payment.refused")).data["outcome"] == "refused"
    assert (await till.post(UUID(payment["checkout_id"]))).status == 409


async def test_a_wrong_amount_is_reviewed(till: Till) -> None:
    await till.bank.faults(amount_offset_cents=-1)
    payment = await till.begin()
    await till.at_bank(payment, "pay")
    await till.becomes(payment, "review")
    await till.probe.none("payment.confirmed")


@every_bank
async def test_given_up_then_paid_after_all(till: Till) -> None:
    await till.bank.faults(notice="never")
    payment = await till.begin()
    assert (await till.act(payment, "abandon"))["status"] == "cancelled"
    assert (await till.probe.next("payment.refused")).data["outcome"] == "cancelled"
    await till.at_bank(payment, "pay")
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
        ("/webhooks/lyra-12345678", b"idop=abcdef", 400),
        ("/webhooks/lyra-12345678", b"vads_order_id=A&signature=AAAA", 400),
    ],
)
async def test_bad_notifications(till: Till, path: str, body: bytes, status: int) -> None:
    assert (await till.client.post(path, data=body)).status == status


@pytest.mark.parametrize(
    ("query", "agent"), [(b"", b"\xff\xfe"), (b"?idop=\xff\xfe\xfd\xfc\xfb\xfa", b"x"), (b"?a=%00%ff", b"\xc3\xa9")]
)
async def test_bytes_that_are_no_text_get_an_answer(till: Till, query: bytes, agent: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", till.settings.http_port)
    lines = [b"POST " + till.webhook.encode() + query + b" HTTP/1.1", b"Host: x", b"User-Agent: " + agent]
    writer.write(b"\r\n".join([*lines, b"Content-Length: 3", b"Connection: close", b"", b"a=b"]))
    status = int((await reader.readline()).split()[1])
    writer.close()
    assert status in {400, 404}


async def test_a_hint_while_the_bank_is_answering_is_not_forgotten(till: Till) -> None:
    await till.bank.faults(notice="never")
    payment = await till.begin()
    await till.opens_page(payment)
    patient = till.settings.model_copy(update={"parent_look_up_seconds": 30.0})
    async with TestClient(TestServer(build(patient))) as replica:
        await till.bank.faults(notice="never", slow_seconds=2)
        path = f"/payments/{payment['payment_id']}/look-up"
        asking = asyncio.create_task(replica.post(path, headers=till.parent()))
        await asyncio.sleep(0.5)
        await till.at_bank(payment, "pay")
        hint = await replica.post(till.webhook, data=f"idop={till.id_op(payment)}".encode())
        assert hint.status == 200
        assert (await (await asking).json())["status"] == "processing"
        await till.becomes(payment, "confirmed")


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


@every_bank
async def test_a_late_success_after_we_gave_up_waiting_is_confirmed(till: Till) -> None:
    await till.bank.faults(notice="never")
    payment = await till.begin()
    await till.opens_page(payment)
    ago = "UPDATE payment SET created_at = now() - interval '61 minutes' WHERE payment_id = $1"
    await till.sql(ago, UUID(payment["payment_id"]))
    assert (await till.act(payment, "look-up"))["status"] == "expired"
    await till.probe.next("payment.expired")
    await till.at_bank(payment, "pay")
    await till.at_bank(payment, "notify")
    await till.becomes(payment, "confirmed")
    await till.probe.next("payment.confirmed")


@every_bank
async def test_notification_return_and_clock_race_to_one_confirmation(till: Till) -> None:
    await till.bank.faults(notice="ten_times")
    payment = await till.begin()
    await till.at_bank(payment, "pay")
    await till.sql("UPDATE payment SET look_up_at = now()")
    await till.sql("SELECT pg_notify('look_up_due', '')")
    await asyncio.gather(*(till.act(payment, "look-up") for _ in range(5)))
    await till.becomes(payment, "confirmed")
    await till.probe.next("payment.confirmed")
    await till.probe.none("payment.confirmed")
    assert await till.sql("SELECT count(*) FROM payment_move WHERE to_status = 'confirmed'") == 1
    assert await till.sql("SELECT last_number FROM ticket_series") == 1


@every_bank
async def test_a_refusal_after_the_confirmation_is_journalled_only(till: Till) -> None:
    payment = await till.begin()
    await till.at_bank(payment, "pay")
    await till.becomes(payment, "confirmed")
    words = await till.sql("SELECT count(*) FROM bank_word")
    await till.bank.faults(amount_offset_cents=-100)
    await till.at_bank(payment, "notify")
    await till.client.post(f"/payments/{payment['payment_id']}/look-up", headers=till.keeper())
    assert (await till.get(payment))["status"] == "confirmed"
    assert await till.sql("SELECT count(*) FROM bank_word") > words


@every_bank
@pytest.mark.parametrize("differs", ["mode", "account", "reference", "currency"])
async def test_what_differs_is_held_and_never_confirmed(till: Till, differs: str) -> None:
    if differs == "currency" and till.bank_name == "payfip":
        return  # PayFiP knows euros only
    await till.bank.faults(notice="never", differs=differs)
    payment = await till.begin()
    await till.at_bank(payment, "pay")
    assert (await till.act(payment, "look-up"))["status"] == "review"
    assert (await till.probe.next("payment.held")).data["checkout_id"] == payment["checkout_id"]
    file = await till.staff_reads(f"/payments/{payment['payment_id']}/file")
    assert [each["name"] for each in file["differences"]] == [differs]
    assert ("confirm" in file["commands"]) == (differs in {"account", "reference"})
    ((kind, held),) = [(each["kind"], each["payment_id"]) for each in (await till.staff_reads("/till"))["exceptions"]]
    assert (kind, held) == ("review", payment["payment_id"])


@pytest.mark.parametrize("till", ["lyra-12345678"], indirect=True)
@pytest.mark.parametrize("fault", [{"forged": True}, {"differs": "mode"}, {"differs": "account"}])
async def test_a_forged_or_misdirected_notification_changes_nothing(till: Till, fault: dict[str, Any]) -> None:
    await till.bank.faults(**fault)
    payment = await till.begin()
    await till.at_bank(payment, "pay")

    async def refused() -> Any:
        return await till.sql("SELECT count(*) FROM bank_word WHERE verdict = 'forged' AND payment_id IS NULL")

    await eventually(refused)
    assert (await till.get(payment))["status"] == "pending"
    assert await till.answered() == "400"


@pytest.mark.parametrize("till", ["lyra-12345678"], indirect=True)
async def test_a_signed_notification_about_nothing_known_is_kept_and_asked_again(till: Till) -> None:
    await till.bank.faults(differs="reference")
    payment = await till.begin()
    await till.at_bank(payment, "pay")

    async def kept() -> Any:
        return await till.sql("SELECT count(*) FROM bank_word WHERE verdict = 'unknown'")

    await eventually(kept)
    assert await till.answered() == "503"
    assert (await till.staff_reads("/till"))["unknown_notices"][0]["bank"] == till.bank_name


async def test_forged_notifications_fill_no_journal(till: Till) -> None:
    payment = await till.begin()
    for number in range(12):
        unknown = f"idop=00000000-0000-0000-0000-0000000000{number:02d}".encode()
        assert (await till.client.post(till.webhook, data=unknown)).status == 404
        assert (await till.client.post(till.webhook, data=b"\xff%d" % number)).status == 400
    hours = await till.sql("SELECT count(*) FROM unknown_notice")  # two, when the test runs across a full hour
    assert await till.sql("SELECT count(*) FROM bank_word WHERE payment_id IS NULL") <= 5 * hours
    assert await till.sql("SELECT sum(seen)::int FROM unknown_notice") == 24
    for number in range(12):
        more = f"idop={till.id_op(payment)}&n={number}".encode()
        assert (await till.client.post(till.webhook, data=more)).status == 200
    assert await till.sql("SELECT count(*) FROM bank_word WHERE kind = 'notice' AND payment_id IS NOT NULL") == 8


async def test_two_replicas_ask_about_an_attempt_once(till: Till) -> None:
    await till.bank.faults(notice="never")
    payments = [await till.begin() for _ in range(6)]
    for payment in payments:
        await till.at_bank(payment, "pay")
    async with TestClient(TestServer(build(till.settings))):
        await till.sql("UPDATE payment SET look_up_at = now()")
        await till.sql("SELECT pg_notify('look_up_due', '')")
        for payment in payments:
            await till.becomes(payment, "confirmed")
    assert await till.sql("SELECT count(*) FROM payment_move WHERE to_status = 'confirmed'") == 6


async def test_an_attempt_without_its_account_stops_no_other(till: Till) -> None:
    await till.bank.faults(notice="never")
    lost, payment = await till.begin(), await till.begin()
    await till.at_bank(payment, "pay")
    await till.sql("ALTER TABLE payment DISABLE TRIGGER frozen")
    await till.sql("UPDATE payment SET bank = 'gone' WHERE payment_id = $1", UUID(lost["payment_id"]))
    await till.sql("UPDATE payment SET look_up_at = now()")
    await till.sql("SELECT pg_notify('look_up_due', '')")
    await till.becomes(payment, "confirmed")


async def test_a_bank_that_never_answers_well_comes_to_the_list(till: Till) -> None:
    payment = await till.begin()
    await till.bank.faults(service_down=True)
    for _ in range(5):
        assert (await till.act(payment, "look-up"))["code"] == "bank_unreachable"
    (line,) = (await till.staff_reads("/till"))["exceptions"]
    assert line["kind"] == "unanswered"
    await till.bank.faults(service_down=False)
    await till.act(payment, "look-up")
    assert (await till.staff_reads("/till"))["exceptions"] == []


@every_bank
async def test_the_till_keeper_confirms_what_the_bank_took(till: Till) -> None:
    await till.bank.faults(notice="never", amount_offset_cents=-1)
    payment = await till.begin()
    await till.at_bank(payment, "pay")
    assert (await till.act(payment, "look-up"))["status"] == "review"
    key = uuid4().hex
    first, again = await till.decides(payment, "confirm", key=key), await till.decides(payment, "confirm", key=key)
    assert (first.status, again.status) == (201, 201)
    assert await first.json() == await again.json()
    event = await till.probe.next("payment.confirmed")
    assert (event.data["amount_cents"], event.data["ticket"]["amount_cents"]) == (4249, 4249)
    await till.probe.none("payment.confirmed")
    parent = await till.client.get(f"/payments/{payment['payment_id']}/timeline", headers=till.parent())
    told = await parent.json()
    assert [each["to_status"] for each in told["moves"]] == ["pending", "review", "confirmed"]
    assert {each["decided_by"] for each in told["moves"]} | {each["evidence"] for each in told["moves"]} == {None}
    staff = await till.staff_reads(f"/payments/{payment['payment_id']}/timeline")
    assert staff["moves"][-1]["evidence"] == "bordereau 12"
    (day,) = (await till.staff_reads("/till"))["days"]
    assert (day["bank"], day["confirmed"], day["confirmed_cents"], day["returned"]) == (till.bank_name, 1, 4249, 0)


async def test_the_till_keeper_gives_back_what_is_under_review(till: Till) -> None:
    await till.bank.faults(notice="never", amount_offset_cents=5)
    payment = await till.begin()
    await till.at_bank(payment, "pay")
    await till.act(payment, "look-up")
    assert (await till.decides(payment, "refund")).status == 201
    event = await till.probe.next("payment.refunded")
    assert (event.data["amount_cents"], event.data["was_confirmed"]) == (4255, False)
    shown = await till.get(payment)
    assert (shown["status"], shown["ticket_number"]) == ("refunded", None)
    assert (await till.staff_reads("/till"))["days"] == []


async def test_refund_in_parts_dispute_and_charge_back(till: Till) -> None:
    payment = await till.begin()
    await till.at_bank(payment, "pay")
    await till.becomes(payment, "confirmed")
    assert (await till.decides(payment, "charge_back")).status == 409
    assert (await (await till.decides(payment, "refund", 1250)).json())["status"] == "partially_refunded"
    refused = await (await till.decides(payment, "refund", 3001)).json()
    assert (refused["code"], refused["left_cents"]) == ("refund_too_high", 3000)
    assert (await (await till.decides(payment, "dispute")).json())["status"] == "disputed"
    assert (await (await till.decides(payment, "win")).json())["status"] == "partially_refunded"
    await till.decides(payment, "dispute")
    assert (await (await till.decides(payment, "charge_back")).json())["status"] == "charged_back"
    assert (await till.probe.next("payment.refunded")).data["refunded_cents"] == 1250
    assert (await till.probe.next("payment.returned")).data["amount_cents"] == 3000
    (day,) = (await till.staff_reads("/till"))["days"]
    assert (day["confirmed"], day["returned"], day["confirmed_cents"] - day["returned_cents"]) == (1, 2, 0)
    assert (await till.client.get(f"/payments/{payment['payment_id']}/ticket", headers=till.parent())).status == 200


async def test_a_surplus_comes_to_the_list_and_leaves_it_by_a_decision(till: Till) -> None:
    payment = await till.begin()
    await till.at_bank(payment, "pay")
    await till.becomes(payment, "confirmed")
    reason = UnmatchedReason.ALREADY_SETTLED
    await till.probe.publish(
        PaymentUnmatched(
            payment_id=UUID(payment["payment_id"]),
            household_id=till.household,
            surplus_cents=4250,
            reason=reason,
            recorded_at=now(),
        )
    )

    async def listed() -> Any:
        return (await till.staff_reads("/till"))["exceptions"]

    ((kind, cents),) = [(each["kind"], each["amount_cents"]) for each in await eventually(listed)]
    assert (kind, cents) == ("surplus", 4250)
    assert (await till.decides(payment, "acknowledge")).status == 201
    assert (await listed()) == []
    assert await till.sql("SELECT count(*) FROM till_decision WHERE command = 'acknowledge'") == 1


async def test_only_the_till_keeper_decides_and_reads_the_file(till: Till) -> None:
    payment = await till.begin()
    path = f"/payments/{payment['payment_id']}"
    body = {"command": "confirm", "reason": "parce que", "evidence": "bordereau 12"}
    operator = till.tokens.staff(Role.OPERATOR, audience=AUDIENCE)
    for headers in (till.parent(), Tokens.headers(operator)):
        more = {**headers, "Idempotency-Key": "k"}
        assert (await till.client.post(f"{path}/decisions", json=body, headers=more)).status == 403
    assert (await till.client.get(f"{path}/file", headers=till.parent())).status == 403
    assert (await till.client.get("/till", headers=till.parent())).status == 403
    assert (await till.client.get("/till?day=soon", headers=till.keeper())).status == 422
    empty = {**body, "evidence": " "}
    keeper = till.keeper(**{"Idempotency-Key": "k"})
    assert (await till.client.post(f"{path}/decisions", json=empty, headers=keeper)).status == 422
    assert (await till.client.post(f"{path}/decisions", json=body, headers=keeper)).status == 409


async def test_what_was_frozen_never_thaws(till: Till) -> None:
    await till.begin()
    for change in ("amount_cents = 1", "account = 'x'", "mode = 'production'", "reference = 'x'"):
        with pytest.raises(asyncpg.RaiseError):
            await till.sql(f"UPDATE payment SET {change}")
    with pytest.raises(asyncpg.CheckViolationError):
        await till.sql("UPDATE payment SET status = 'confirmed'")
    with pytest.raises(asyncpg.CheckViolationError):
        await till.sql("UPDATE payment SET refunded_cents = 4251")


async def test_a_card_refused_then_another_accepted_on_the_banks_page(till: Till) -> None:
    payment = await till.begin()
    await till.at_bank(payment, "refuse")
    await till.becomes(payment, "refused")
    query = "SELECT look_up_at IS NOT NULL FROM payment WHERE payment_id = $1"

    async def asked_again_later() -> Any:
        return await till.sql(query, UUID(payment["payment_id"]))

    await eventually(asked_again_later)


async def test_the_bank_corrects_itself_and_the_evidence_follows(till: Till) -> None:
    await till.bank.faults(notice="never", amount_offset_cents=-1)
    payment = await till.begin()
    await till.at_bank(payment, "pay")
    assert (await till.act(payment, "look-up"))["status"] == "review"
    await till.bank.faults(amount_offset_cents=0)
    path = f"/payments/{payment['payment_id']}"
    await till.client.post(f"{path}/look-up", headers=till.keeper())
    file = await till.staff_reads(f"{path}/file")
    assert (file["timeline"]["payment"]["status"], file["differences"], file["taken_cents"]) == ("review", [], 4250)
    await till.decides(payment, "confirm")
    assert (await till.get(payment))["taken_cents"] == 4250


@every_bank
async def test_the_self_test_says_what_is_wrong(till: Till) -> None:
    settings = till.settings.model_copy(update={"webhook_check": True})
    (account,) = settings.lyra_accounts
    bank = PayFiP(settings) if till.bank_name == "payfip" else Lyra(settings, account)
    await bank.start()
    assert await check(settings, bank) == []
    await till.bank.faults(service_down=True)
    assert await check(settings, bank) == ["account"]
    await bank.stop()
    assert await till.sql("SELECT count(*) FROM unknown_notice") == 0
    await till.bank.faults(service_down=False)
    stranger = Lyra(settings, account.model_copy(update={"rest_password": SecretStr("wrong")}))
    await stranger.start()
    assert await check(settings, stranger) == ["account"]
    await stranger.stop()


class Story:
    """One payment through whatever happens, in an order drawn from a seed."""

    DEEDS = ("page", "pay", "refuse", "abandon", "notify", "return", "sweep", "give_up", "forge", "nothing_known")

    def __init__(self, till: Till, payment: dict[str, Any]) -> None:
        self.till, self.payment = till, payment

    async def does(self, deed: str) -> None:
        till, payment = self.till, self.payment
        path = f"/payments/{payment['payment_id']}"
        match deed:
            case "page":
                if not await self._has_result():
                    await till.opens_page(payment)
            case "pay" | "refuse" | "abandon":
                await till.at_bank(payment, deed)
            case "notify":
                if await self._has_result():
                    await till.at_bank(payment, "notify")
            case "return":
                assert (await till.client.post(f"{path}/look-up", headers=till.parent())).status in {200, 503}
            case "sweep":
                await till.sql("UPDATE payment SET look_up_at = now() WHERE look_up_at IS NOT NULL")
                await till.sql("SELECT pg_notify('look_up_due', '')")
            case "give_up":
                answer = await till.client.post(f"{path}/abandon", headers=till.parent())
                assert answer.status in {200, 409, 503}
            case "forge":
                forged = f"idop={till.id_op(payment)}&vads_order_id=X&signature=AAAA".encode()
                assert (await till.client.post(till.webhook, data=forged)).status in {200, 400, 503}
            case "nothing_known":
                assert (await till.client.post(till.webhook, data=b"idop=never-heard-of")).status in {400, 404, 503}

    async def _has_result(self) -> bool:
        book = await self.till.bank.book()
        return any(each["id_op"] == self.till.id_op(self.payment) and each["result"] for each in book)

    async def is_asked_about(self) -> bool:
        path = f"/payments/{self.payment['payment_id']}/look-up"
        return (await self.till.client.post(path, headers=self.till.keeper())).status == 200

    async def took_money(self) -> bool:
        book = await self.till.bank.book()
        return any(each["id_op"] == self.till.id_op(self.payment) and each["result"] == "P" for each in book)


@every_bank
@pytest.mark.parametrize("seed", range(3))
async def test_whatever_happens_in_whatever_order_the_money_is_right(till: Till, seed: int) -> None:
    draw = random.Random(seed)
    await till.bank.faults(notice="never")
    stories = [Story(till, await till.begin()) for _ in range(6)]
    for _ in range(14):
        deeds = [(story, draw.choice(Story.DEEDS)) for story in stories for _ in range(draw.randint(0, 2))]
        await asyncio.gather(*(story.does(deed) for story, deed in deeds))
    paid = 0
    for story in stories:
        await eventually(story.is_asked_about)
        took = await story.took_money()
        paid += took
        assert ((await till.get(story.payment))["status"] == "confirmed") == took, f"seed {seed}"
    assert await till.sql("SELECT count(*) FROM payment_move WHERE to_status = 'confirmed'") == paid
    assert await till.sql("SELECT coalesce(max(last_number), 0) FROM ticket_series") == paid
    for _ in range(paid):
        await till.probe.next("payment.confirmed")
    await till.probe.none("payment.confirmed")
