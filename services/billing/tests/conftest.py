"""A billing service on a real database and broker, and the words to tell stories about it."""

import itertools
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from aiohttp.test_utils import TestClient

from billing.__main__ import SERVICE
from billing.app import build
from billing.settings import Settings
from chassis.clock import now, today
from chassis.command import set_up
from chassis.testing import Probe, Tokens, eventually
from contracts.events.auth import HouseholdChanged, HouseholdChild
from contracts.events.billing import CheckoutInvoice
from contracts.events.payment import Means, Mode, PaymentConfirmed, Ticket
from contracts.events.planning import AttendanceRecorded, BookedDay, BookingsChanged, Channel, Presence
from contracts.identity import Role
from local_stack.testing import owner_url

MONTH = date(2026, 11, 1)
PRICE = 425


@dataclass
class Town:
    """A billing service, the events it hears, and what a test needs to speak to it."""

    client: TestClient[Any, Any]
    tokens: Tokens
    probe: Probe
    settings: Settings
    activity: UUID = field(default_factory=uuid4)
    versions: Any = field(default_factory=lambda: itertools.count(1))

    def parent(self, household: UUID, **more: str) -> dict[str, str]:
        return Tokens.headers(self.tokens.parent(household, audience="billing"), **more)

    def staff(self, **more: str) -> dict[str, str]:
        return Tokens.headers(self.tokens.staff(Role.CASHIER, audience="billing"), **more)

    async def sql(self, query: str, *arguments: Any) -> Any:
        """One value, read or changed as the owner of the tables."""
        connection = await asyncpg.connect(owner_url(self.settings.database_url))
        try:
            return await connection.fetchval(query, *arguments)
        finally:
            await connection.close()

    async def until(self, query: str, expected: Any, *arguments: Any) -> None:
        async def ask() -> bool:
            return bool(await self.sql(query, *arguments) == expected)

        await eventually(ask)

    async def household(self, *children: HouseholdChild) -> UUID:
        household = uuid4()
        event = HouseholdChanged(
            household_id=household,
            version=1,
            reference=household.hex[:8],
            name="Famille Exemple",
            address=("1 rue de l'École",),
            active=True,
            children=children,
        )
        await self.probe.publish(event)
        await self.until("SELECT count(*) FROM household WHERE household_id = $1", 1, household)
        return household

    @staticmethod
    def child(first_name: str = "Léa") -> HouseholdChild:
        return HouseholdChild(
            child_id=uuid4(),
            first_name=first_name,
            last_name="Exemple",
            birth_date=date(2021, 3, 1),
            school="École Jacques-Prévert",
            class_name="PS",
        )

    def booked(
        self,
        household: UUID,
        *days: int,
        booked: bool = True,
        child: UUID | None = None,
        label: str = "Cantine",
    ) -> BookingsChanged:
        return BookingsChanged(
            household_id=household,
            child_id=child or household,
            child_first_name="Léa",
            version=next(self.versions),
            channel=Channel.INTERNET,
            changed_by=uuid4(),
            changed_at=now(),
            days=tuple(
                BookedDay(
                    activity_id=self.activity,
                    activity_label=label,
                    day=MONTH + timedelta(days=number),
                    booked=booked,
                )
                for number in days
            ),
        )

    def marked(
        self,
        household: UUID,
        day: int,
        presence: Presence,
        *,
        child: UUID | None = None,
        late: bool = False,
        version: int,
    ) -> AttendanceRecorded:
        return AttendanceRecorded(
            household_id=household,
            child_id=child or household,
            child_first_name="Léa",
            activity_id=self.activity,
            activity_label="Cantine",
            day=MONTH + timedelta(days=day),
            presence=presence,
            late_pickup=late,
            booked=True,
            version=version,
            recorded_by=uuid4(),
            recorded_at=now(),
        )

    async def marks(self, household: UUID, day: int, presence: Presence, **more: Any) -> None:
        event = self.marked(household, day, presence, version=next(self.versions), **more)
        await self.probe.publish(event)
        query = "SELECT presence || late_pickup FROM usage WHERE household_id = $1 AND day = $2"
        expected = f"{presence}{str(event.late_pickup).lower()}"
        await self.until(query, expected, household, event.day)

    async def uses(self, household: UUID, *days: int, child: UUID | None = None) -> None:
        await self.probe.publish(self.booked(household, *days, child=child))
        query = "SELECT count(*) FROM usage WHERE household_id = $1 AND booked AND day = ANY($2::date[])"
        await self.until(query, len(days), household, [MONTH + timedelta(days=number) for number in days])

    async def tariff(self, tariff_id: UUID | None = None, **more: Any) -> Any:
        """Keep a rule: the canteen's flat price, unless told otherwise."""
        payload = {
            "label": "Tarif unique",
            "activity_id": str(self.activity),
            "activity_label": "Cantine",
            "valid_from": "2026-01-01",
            "formula": {"kind": "flat", "unit_price_cents": PRICE},
        }
        path = f"/tariffs/{tariff_id or self.activity}"
        return await self.client.put(path, json={**payload, **more}, headers=self.staff())

    async def begin(self, *, straight: bool = False, key: str | None = None) -> Any:
        headers = self.staff(**{"Idempotency-Key": key or uuid4().hex})
        body = {"month": "2026-11", "due_on": str(today() + timedelta(days=30)), "straight": straight}
        return await self.client.post("/invoice-runs", json=body, headers=headers)

    async def reached(self, run_id: str, *statuses: str) -> dict[str, Any]:
        """The run, once it is in one of these statuses."""

        async def ask() -> dict[str, Any] | None:
            response = await self.client.get(f"/invoice-runs/{run_id}", headers=self.staff())
            found: dict[str, Any] = await response.json()
            return found if found["status"] in statuses else None

        return await eventually(ask)

    async def run(self) -> dict[str, Any]:
        response = await self.begin(straight=True)
        assert response.status == 201, await response.text()
        return await self.reached((await response.json())["run_id"], "done", "ready")

    async def post(self, path: str, body: Any, key: str | None = None, **more: Any) -> Any:
        headers = self.staff(**{"Idempotency-Key": key or uuid4().hex}, **more)
        return await self.client.post(path, json=body, headers=headers)

    async def balance(self, household: UUID) -> dict[str, int]:
        """What a household owes, less its credit, as the cashier's page has it now."""
        found = await self.invoices(household)
        owed = sum(each["left_cents"] for each in (*found["under_way"], *found["to_pay"]))
        return {"seen_balance_cents": owed - found["credit_cents"]}

    async def decides(self, household: UUID, path: str, body: dict[str, Any], key: str | None = None) -> Any:
        """A receipt, a refund or a credit note, decided on the account as it is now."""
        return await self.post(f"/households/{household}/{path}", {**await self.balance(household), **body}, key)

    async def pays(self, household: UUID, invoice: dict[str, Any], cents: int) -> None:
        """By card, whatever the amount."""
        checkout = await self.opened(household, invoice["invoice_id"])
        event = self.confirmed(household, checkout["checkout_id"], cents)
        await self.probe.publish(event)
        query = "SELECT count(*) FROM ledger_transaction WHERE key = $1"
        await self.until(query, 1, f"payment/{event.payment_id}")

    async def invoices(self, household: UUID) -> Any:
        response = await self.client.get(f"/households/{household}/invoices", headers=self.parent(household))
        assert response.status == 200, await response.text()
        return await response.json()

    async def invoiced(self, *days: int) -> tuple[UUID, dict[str, Any]]:
        household = await self.household()
        await self.uses(household, *days)
        await self.run()
        return household, (await self.invoices(household))["to_pay"][0]

    async def checkout(self, household: UUID, *invoices: str, key: str | None = None, **more: Any) -> Any:
        headers = self.parent(household, **{"Idempotency-Key": key or uuid4().hex})
        path = f"/households/{household}/checkouts"
        return await self.client.post(path, json={"invoice_ids": list(invoices), **more}, headers=headers)

    async def opened(self, household: UUID, *invoices: str, **more: Any) -> dict[str, Any]:
        response = await self.checkout(household, *invoices, **more)
        assert response.status == 201, await response.text()
        made: dict[str, Any] = await response.json()
        return made

    async def balanced(self) -> None:
        assert await self.sql("SELECT coalesce(sum(amount_cents), 0) FROM ledger_entry") == 0

    @staticmethod
    def confirmed(
        household: UUID, checkout: str, cents: int, payment: UUID | None = None, means: Means = Means.CARD
    ) -> PaymentConfirmed:
        invoice = CheckoutInvoice(invoice_id=uuid4(), number="2026-000001", month=MONTH, amount_cents=cents)
        ticket = Ticket(
            number="2026-000001",
            town="Ville",
            till="Régie",
            household_name="Famille",
            household_reference="F-1",
            invoices=(invoice,),
            amount_cents=cents,
            means=means,
            mode=Mode.TEST,
            bank_reference="x",
            authorisation=None,
            paid_at=now(),
        )
        return PaymentConfirmed(
            payment_id=payment or uuid4(),
            checkout_id=UUID(checkout),
            household_id=household,
            payer_id=uuid4(),
            bank="payfip",
            amount_cents=cents,
            confirmed_at=now(),
            ticket=ticket,
        )

    @staticmethod
    def over(household: UUID, checkout: str) -> dict[str, Any]:
        return {
            "payment_id": uuid4(),
            "checkout_id": UUID(checkout),
            "household_id": household,
            "payer_id": uuid4(),
            "amount_cents": 1,
        }


@pytest.fixture
async def town(
    request: pytest.FixtureRequest, aiohttp_client: Any, database_url: str, amqp_url: str, tokens: Tokens, probe: Probe
) -> Town:
    settings = Settings(
        database_url=database_url,
        amqp_url=amqp_url,
        auth_url=tokens.url,
        http_port=0,
        town_name="Ville de Saint-Aubin",
        town_siret="21560000100018",
        town_address="1 place de la Mairie, 56700 Saint-Aubin",
        town_contact="mairie@saint-aubin.example",
        till_reference="REGIE-SCOLAIRE",
        till_address="Régie enfance, 1 place de la Mairie, le mardi matin",
        **getattr(request, "param", {}),
    )
    await set_up(SERVICE, settings)
    made = Town(await aiohttp_client(build(settings)), tokens, probe, settings)
    assert (await made.tariff()).status == 200
    return made
