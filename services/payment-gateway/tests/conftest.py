"""payment-gateway with a real database, a real broker and the stand-in bank as a program."""

import functools
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import asyncpg
import pytest
from aiohttp.test_utils import TestClient, TestServer

from chassis.clock import now
from chassis.command import set_up
from chassis.testing import Probe, Tokens, eventually
from contracts.events.billing import CheckoutInvoice, CheckoutOpened
from contracts.identity import Role
from local_stack.ports import claim_any
from local_stack.testing import owner_url
from local_stack.wires import Wire, wired
from payment_gateway.__main__ import SERVICE
from payment_gateway.app import build
from payment_gateway.jobs import jobs
from payment_gateway.settings import Settings

AUDIENCE = "payment-gateway"
SHOP = {"site_id": "12345678", "key": "a-key-for-tests-only", "rest_password": "testpassword_x"}
SHOP_UNASKED = {"site_id": "23456789", "key": "another-key-for-tests"}
"""A shop without its REST password: its bank cannot be asked."""
CONTRACT = {"site": "1999888", "rank": "32", "identifier": "107904482", "key": "0123456789ABCDEF" * 8}
DOOR = "nobodyguessesthisaddress"
ACCOUNT = {"account": "acct_1PreauTest", "secret_key": "sk_test_for_tests", "webhook_secret": "whsec_for_tests_only"}
TILLS = {"payfip": "REGIE-1", "lyra-12345678": "REGIE-L", "paybox-1999888-32": "REGIE-P", "stripe-asso": "REGIE-S"}
BANKS = list(TILLS)
TILLS["lyra-23456789"] = "REGIE-U"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A story marked ``every_bank`` is told of each, ``but`` of those for whom it goes another way."""
    if mark := metafunc.definition.get_closest_marker("every_bank"):
        other = mark.kwargs.get("but", ())
        metafunc.parametrize("till", [each for each in BANKS if each.partition("-")[0] not in other], indirect=True)


@functools.cache
def bank_keys() -> tuple[str, str]:
    """The key with which the bank signs, and the public one that it gives away; by the openssl command."""
    made = subprocess.run(["openssl", "genrsa", "2048"], capture_output=True, check=True).stdout
    public = subprocess.run(["openssl", "rsa", "-pubout"], input=made, capture_output=True, check=True).stdout
    return made.decode(), public.decode()


@pytest.fixture
def bank_private_key() -> str:
    """What the stand-in bank signs with, for a test that signs in its place."""
    return bank_keys()[0]


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


@pytest.fixture(scope="session")
def portal_port() -> int:
    """Where payment-gateway will answer; two banks hold its address in their back office."""
    return claim_any()


@pytest.fixture(scope="session")
def bank_url(tmp_path_factory: pytest.TempPathFactory, portal_port: int) -> Iterator[str]:
    """The stand-in bank as a program, started once."""
    port, webhooks = claim_any(), f"http://127.0.0.1:{portal_port}/webhooks"
    contract = {**CONTRACT, "private_key": bank_keys()[0], "ipn_url": f"{webhooks}/paybox-1999888-32?door={DOOR}"}
    environment = {
        "HTTP_PORT": str(port),
        "DATA_FOLDER": str(tmp_path_factory.mktemp("bank")),
        "LYRA_SHOPS": json.dumps([SHOP, SHOP_UNASKED]),
        "PAYBOX_CONTRACTS": json.dumps([contract]),
        "STRIPE_ACCOUNTS": json.dumps([{**ACCOUNT, "webhook_url": f"{webhooks}/stripe-asso"}]),
    }
    program = subprocess.Popen([sys.executable, "-m", "bank_simulator"], env=environment)
    yield f"http://127.0.0.1:{port}"
    program.terminate()
    program.wait()


@pytest.fixture
async def bank(bank_url: str) -> AsyncIterator[Bank]:
    """The stand-in bank, as on its first day."""
    async with aiohttp.ClientSession() as http:

        async def is_as_new() -> bool:
            try:
                async with http.delete(f"{bank_url}/api/book") as response:
                    return response.status == 200
            except aiohttp.ClientError:
                return False

        await eventually(is_as_new)
        yield Bank(bank_url, http)


@dataclass
class Till:
    """A payment-gateway, its bank, and a household with something to pay."""

    client: TestClient[Any, Any]
    tokens: Tokens
    probe: Probe
    bank: Bank
    settings: Settings
    database: Wire
    broker: Wire
    database_url: str
    household: UUID
    bank_name: str = "payfip"
    door: str = DOOR
    forms: dict[str, Any] = field(default_factory=dict)

    @property
    def webhook(self) -> str:
        return f"/webhooks/{self.bank_name}"

    @property
    def has_form(self) -> bool:
        return self.bank_name.startswith(("lyra", "paybox"))

    @property
    def can_be_asked(self) -> bool:
        return not self.bank_name.startswith(("paybox", "lyra-23456789"))

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
                household_address=("12 rue de l'Œuvre", "01000 Bourg-en-Bresse"),
                till=TILLS[self.bank_name],
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

    async def begin(self, **more: Any) -> dict[str, Any]:
        response = await self.post(await self.checkout(), **more)
        assert response.status == 201, await response.text()
        begun: dict[str, Any] = await response.json()
        assert begun["bank"] == self.bank_name
        path = f"/payments/{begun['payment_id']}/form"
        form = await self.client.get(path, headers=self.parent())
        assert form.status == (200 if self.has_form else 404)
        self.forms[begun["payment_id"]] = await form.json()
        return begun

    async def opens_page(self, payment: dict[str, Any]) -> None:
        """The parent's browser arrives at the bank; it may do so after the attempt was given up here."""
        form = self.forms[payment["payment_id"]]
        if self.has_form:
            await self.bank.shows(form["action"], dict(form["fields"]))
        else:
            await self.bank.shows(payment["payer_url"])

    def id_op(self, payment: dict[str, Any]) -> str:
        if not self.has_form:
            return str(re.split(r"idop=|/pay/", payment["payer_url"])[1])
        fields = dict(self.forms[payment["payment_id"]]["fields"])
        if "PBX_CMD" in fields:
            return f"{fields['PBX_SITE']}-{fields['PBX_RANG']}-{fields['PBX_CMD']}"
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
        return Tokens.headers(self.tokens.staff(Role.CASHIER, audience=AUDIENCE), **more)

    async def version(self, payment: dict[str, Any]) -> str:
        """The state that the till keeper's page shows."""
        return str((await self.staff_reads(f"/payments/{payment['payment_id']}/file"))["version"])

    async def decides(
        self,
        payment: dict[str, Any],
        command: str,
        cents: int | None = None,
        key: str = "",
        seen: str = "",
        means: str | None = None,
    ) -> Any:
        body = {"command": command, "reason": "relevé du 24", "evidence": "bordereau 12", "amount_cents": cents}
        body |= {"seen_version": seen or await self.version(payment), "means": means}
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

    async def run_job(self, name: str) -> None:
        """Run a job of the clock's now."""
        app = self.client.app
        assert app is not None
        await next(job.run for job in jobs.all if job.run.__name__ == name)(app)

    async def sql(self, query: str, *arguments: Any) -> Any:
        connection = await asyncpg.connect(owner_url(self.database_url))
        try:
            return await connection.fetchval(query, *arguments)
        finally:
            await connection.close()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Wire]:
    """The service's way to its database; the test itself looks past it."""
    async with wired(database_url) as wire:
        yield wire


@pytest.fixture
async def broker(amqp_url: str) -> AsyncIterator[Wire]:
    """The service's way to the broker; the probe goes past it."""
    async with wired(amqp_url) as wire:
        yield wire


@pytest.fixture
async def till(
    request: pytest.FixtureRequest,
    database_url: str,
    database: Wire,
    broker: Wire,
    tokens: Tokens,
    probe: Probe,
    bank: Bank,
    portal_port: int,
) -> AsyncIterator[Till]:
    port, announced = portal_port, request.node.get_closest_marker("announced")
    sources = list(announced.args) if announced else []
    lyra = {**SHOP, "mode": "TEST", "tills": ["REGIE-L"], "sources": sources}
    lyra |= {"form_url": f"{bank.url}/vads-payment/", "rest_url": bank.url}
    paybox = {
        **CONTRACT,
        "mode": "TEST",
        "tills": ["REGIE-P"],
        "sources": sources,
        "public_key": bank_keys()[1],
        "door": DOOR,
    }
    paybox |= {"zip_code": "01999", "city": "Saint-Aubin"}
    paybox |= {"form_url": f"{bank.url}/cgi/FramepagepaiementRWD.cgi", "status_url": f"{bank.url}/load.html"}
    unasked = {**SHOP_UNASKED, "mode": "TEST", "tills": ["REGIE-U"], "form_url": f"{bank.url}/vads-payment/"}
    settings = Settings(
        database_url=database.url,
        amqp_url=broker.url,
        auth_url=tokens.url,
        http_port=port,
        public_url=f"http://127.0.0.1:{port}",
        town_name="Saint-Aubin",
        payfip_service_url=f"{bank.url}/tpa/services/securite",
        payfip_payer_url=f"{bank.url}/tpa/paiementws.web",
        payfip_numcli="123456",
        payfip_saisie="T",
        lyra_accounts=[lyra, unasked],
        paybox_accounts=[paybox],
        stripe_accounts=[{**ACCOUNT, "label": "asso", "api_url": bank.url, "tills": ["REGIE-S"], "sources": sources}],
        payfip_sources=sources,
        parent_look_up_seconds=0,
        unknown_notices_kept_an_hour=5,
        signed_notices_kept_an_hour=20,
        notices_kept_a_payment=8,
    )
    await set_up(SERVICE, settings)
    async with TestClient(TestServer(build(settings), port=port)) as client:
        name = getattr(request, "param", "payfip")
        yield Till(client, tokens, probe, bank, settings, database, broker, database_url, uuid4(), name)
