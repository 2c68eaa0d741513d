"""billing over HTTP and RabbitMQ, on a real database and broker."""

import asyncio
import itertools
import random
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, cast
from uuid import UUID, uuid4

import asyncpg
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from billing.__main__ import SERVICE
from billing.app import build
from billing.jobs import release_overdue_checkouts
from billing.settings import Settings
from chassis.clock import now, today
from chassis.command import set_up
from chassis.testing import Probe, Tokens, eventually
from contracts.events.auth import HouseholdChanged
from contracts.events.billing import CheckoutInvoice
from contracts.events.payment import (
    Means,
    Mode,
    PaymentConfirmed,
    PaymentExpired,
    PaymentHeld,
    PaymentRefunded,
    PaymentRefused,
    PaymentReturned,
    Returned,
    Ticket,
    Unpaid,
)
from contracts.events.planning import BookedDay, BookingsChanged, Channel
from contracts.identity import Role

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
        return Tokens.headers(self.tokens.staff(Role.TILL_KEEPER, audience="billing"), **more)

    async def sql(self, query: str, *arguments: Any) -> Any:
        connection = await asyncpg.connect(self.settings.database_url)
        try:
            return await connection.fetchval(query, *arguments)
        finally:
            await connection.close()

    async def until(self, query: str, expected: Any, *arguments: Any) -> None:
        async def ask() -> bool:
            return bool(await self.sql(query, *arguments) == expected)

        await eventually(ask)

    async def household(self) -> UUID:
        household = uuid4()
        event = HouseholdChanged(
            household_id=household,
            version=1,
            reference=household.hex[:8],
            name="Famille Exemple",
            address=("1 rue de l'École",),
            active=True,
            children=(),
        )
        await self.probe.publish(event)
        await self.until("SELECT count(*) FROM household WHERE household_id = $1", 1, household)
        return household

    def booked(self, household: UUID, *days: int, booked: bool = True, child: UUID | None = None) -> BookingsChanged:
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
                    activity_label="Cantine",
                    day=MONTH + timedelta(days=number),
                    booked=booked,
                )
                for number in days
            ),
        )

    async def uses(self, household: UUID, *days: int) -> None:
        await self.probe.publish(self.booked(household, *days))
        query = "SELECT count(*) FROM usage WHERE household_id = $1 AND booked AND day = ANY($2::date[])"
        await self.until(query, len(days), household, [MONTH + timedelta(days=number) for number in days])

    async def run(self, key: str | None = None) -> dict[str, Any]:
        headers = self.staff(**{"Idempotency-Key": key or uuid4().hex})
        body = {"month": "2026-11", "due_on": str(today() + timedelta(days=30))}
        response = await self.client.post("/invoice-runs", json=body, headers=headers)
        assert response.status == 201, await response.text()
        done: dict[str, Any] = await response.json()
        return done

    async def invoices(self, household: UUID) -> Any:
        response = await self.client.get(f"/households/{household}/invoices", headers=self.parent(household))
        assert response.status == 200, await response.text()
        return await response.json()

    async def invoiced(self, *days: int) -> tuple[UUID, dict[str, Any]]:
        household = await self.household()
        await self.uses(household, *days)
        await self.run()
        return household, (await self.invoices(household))["to_pay"][0]

    async def checkout(self, household: UUID, *invoices: str, key: str | None = None) -> Any:
        headers = self.parent(household, **{"Idempotency-Key": key or uuid4().hex})
        path = f"/households/{household}/checkouts"
        return await self.client.post(path, json={"invoice_ids": list(invoices)}, headers=headers)

    async def opened(self, household: UUID, *invoices: str) -> dict[str, Any]:
        response = await self.checkout(household, *invoices)
        assert response.status == 201, await response.text()
        made: dict[str, Any] = await response.json()
        return made

    async def balanced(self) -> None:
        assert await self.sql("SELECT coalesce(sum(amount_cents), 0) FROM ledger_entry") == 0


def confirmed(household: UUID, checkout: str, cents: int, payment: UUID | None = None) -> PaymentConfirmed:
    invoice = CheckoutInvoice(invoice_id=uuid4(), number="2026-000001", month=MONTH, amount_cents=cents)
    ticket = Ticket(
        number="2026-000001",
        town="Ville",
        till="Régie",
        household_name="Famille",
        household_reference="F-1",
        invoices=(invoice,),
        amount_cents=cents,
        means=Means.CARD,
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


def over(household: UUID, checkout: str) -> dict[str, Any]:
    return {
        "payment_id": uuid4(),
        "checkout_id": UUID(checkout),
        "household_id": household,
        "payer_id": uuid4(),
        "amount_cents": 1,
    }


@pytest.fixture
async def town(aiohttp_client: Any, database_url: str, amqp_url: str, tokens: Tokens, probe: Probe) -> Town:
    settings = Settings(
        database_url=database_url,
        amqp_url=amqp_url,
        auth_url=tokens.url,
        http_port=0,
        town_name="Ville de Saint-Aubin",
        till_reference="REGIE-SCOLAIRE",
    )
    await set_up(SERVICE, settings)
    made = Town(await aiohttp_client(build(settings)), tokens, probe, settings)
    wish = {"activity_label": "Cantine", "unit_price_cents": PRICE, "valid_from": "2026-01-01"}
    assert (await made.client.put(f"/tariffs/{made.activity}", json=wish, headers=made.staff())).status == 200
    return made


async def test_a_month_is_invoiced_paid_and_settled(town: Town) -> None:
    household, invoice = await town.invoiced(1, 2, 3)
    assert invoice["total_cents"] == 3 * PRICE
    published = await town.probe.next("billing.invoice.published")
    assert published.data["number"] == invoice["number"]
    checkout = await town.opened(household, invoice["invoice_id"])
    told = await town.probe.next("billing.checkout.opened")
    assert told.data["amount_cents"] == checkout["amount_cents"] == 3 * PRICE
    event = confirmed(household, checkout["checkout_id"], 3 * PRICE)
    await town.probe.publish(event)
    settled = await town.probe.next("billing.invoice.settled")
    assert settled.data["payment_id"] == str(event.payment_id)
    after = await town.invoices(household)
    assert after["to_pay"] == []
    assert after["paid"][0]["left_cents"] == 0
    await town.balanced()


async def test_three_duplicates_and_a_second_event_settle_once(town: Town) -> None:
    household, invoice = await town.invoiced(1)
    checkout = await town.opened(household, invoice["invoice_id"])
    event = confirmed(household, checkout["checkout_id"], PRICE)
    await town.probe.publish(event, times=4)
    await town.probe.publish(event)  # the same payment under another event id
    await town.probe.next("billing.invoice.settled")
    await town.probe.none("billing.invoice.settled")
    await town.probe.none("billing.payment.unmatched", seconds=0.3)
    assert await town.sql("SELECT count(*) FROM ledger_transaction WHERE key LIKE 'payment/%'") == 1
    await town.balanced()


async def test_a_second_payment_becomes_a_visible_credit_used_on_the_next_invoice(town: Town) -> None:
    household, invoice = await town.invoiced(1)
    checkout = await town.opened(household, invoice["invoice_id"])
    for _ in range(2):
        await town.probe.publish(confirmed(household, checkout["checkout_id"], PRICE))
    unmatched = await town.probe.next("billing.payment.unmatched")
    assert (unmatched.data["surplus_cents"], unmatched.data["reason"]) == (PRICE, "already_settled")
    assert (await town.invoices(household))["credit_cents"] == PRICE
    await town.uses(household, 4, 5)
    await town.run()
    after = await town.invoices(household)
    assert after["credit_cents"] == 0
    assert after["to_pay"][0]["left_cents"] == PRICE
    assert after["to_pay"][0]["status"] == "partially_paid"
    await town.balanced()


async def test_money_for_a_checkout_nobody_knows_is_kept_as_credit(town: Town) -> None:
    household = await town.household()
    await town.probe.publish(confirmed(household, str(uuid4()), 1_000))
    assert (await town.probe.next("billing.payment.unmatched")).data["reason"] == "unknown_checkout"
    assert (await town.invoices(household))["credit_cents"] == 1_000
    await town.balanced()


async def test_a_refused_payment_frees_the_invoice_and_a_late_success_still_settles(town: Town) -> None:
    household, invoice = await town.invoiced(1)
    first = await town.opened(household, invoice["invoice_id"])
    again = await town.checkout(household, invoice["invoice_id"])
    assert again.status == 409
    body = await again.json(content_type=None)
    assert (body["code"], body["checkout_id"]) == ("checkout_open", first["checkout_id"])
    refused = PaymentRefused(**over(household, first["checkout_id"]), outcome=Unpaid.REFUSED, refused_at=now())
    await town.probe.publish(refused)
    await town.until("SELECT count(*) FROM checkout_invoice WHERE open", 0)
    second = await town.opened(household, invoice["invoice_id"])
    await town.probe.publish(PaymentExpired(**over(household, second["checkout_id"]), expired_at=now()))
    await town.until("SELECT count(*) FROM checkout_invoice WHERE open", 0)
    await town.probe.publish(confirmed(household, second["checkout_id"], PRICE))
    await town.probe.next("billing.invoice.settled")
    assert (await town.checkout(household, invoice["invoice_id"])).status == 409
    late = PaymentExpired(**over(household, second["checkout_id"]), expired_at=now())
    await town.probe.publish(late)
    await town.until("SELECT count(*) FROM inbox WHERE listener = 'billing.release-expired'", 2)
    assert (
        await town.sql("SELECT status FROM checkout WHERE checkout_id = $1", UUID(second["checkout_id"])) == "settled"
    )


async def test_a_payment_under_review_holds_its_invoices_until_the_till_keeper_decides(town: Town) -> None:
    household, invoice = await town.invoiced(1, 2)
    checkout = (await town.opened(household, invoice["invoice_id"]))["checkout_id"]
    who = {**over(household, checkout), "amount_cents": 2 * PRICE}
    await town.probe.publish(PaymentHeld(**who, held_at=now()))
    await town.until("SELECT count(*) FROM payment_hold WHERE NOT ended", 1)
    ago = "UPDATE checkout SET opened_at = now() - interval '3 days', expires_at = now() - interval '2 days'"
    await town.sql(ago)
    await release_overdue_checkouts(cast("web.Application", town.client.app))
    await town.probe.publish(PaymentExpired(**over(household, checkout), expired_at=now()))
    await town.until("SELECT count(*) FROM inbox WHERE listener = 'billing.release-expired'", 1)
    assert (await town.checkout(household, invoice["invoice_id"])).status == 409
    back = {**who, "refund_id": uuid4(), "refunded_cents": 2 * PRICE, "was_confirmed": False, "refunded_at": now()}
    await town.probe.publish(PaymentRefunded(**back))
    await town.until("SELECT count(*) FROM checkout_invoice WHERE open", 0)
    assert await town.sql("SELECT count(*) FROM ledger_transaction WHERE key LIKE 'refund/%'") == 0
    await town.probe.publish(PaymentHeld(**who, held_at=now()))
    await town.until("SELECT count(*) FROM inbox WHERE listener = 'billing.hold-reviewed'", 2)
    assert (await town.checkout(household, invoice["invoice_id"])).status == 201


async def test_a_review_of_a_payment_that_was_given_up_takes_its_invoices_again(town: Town) -> None:
    household, invoice = await town.invoiced(1)
    checkout = (await town.opened(household, invoice["invoice_id"]))["checkout_id"]
    who = {**over(household, checkout), "amount_cents": PRICE}
    await town.probe.publish(PaymentRefused(**who, outcome=Unpaid.CANCELLED, refused_at=now()))
    await town.until("SELECT count(*) FROM checkout_invoice WHERE open", 0)
    await town.probe.publish(PaymentHeld(**who, held_at=now()))
    await town.until("SELECT count(*) FROM checkout_invoice WHERE open", 1)
    assert (await town.checkout(household, invoice["invoice_id"])).status == 409
    await town.probe.publish(confirmed(household, checkout, PRICE - 1, who["payment_id"]))
    await town.until("SELECT count(*) FROM payment_hold WHERE ended", 1)
    assert [each["left_cents"] for each in (await town.invoices(household))["to_pay"]] == [1]
    await town.balanced()


async def test_a_refund_makes_the_invoice_due_again_(town: Town) -> None:
    household, invoice = await town.invoiced(1, 2)
    checkout = (await town.opened(household, invoice["invoice_id"]))["checkout_id"]
    event = confirmed(household, checkout, 2 * PRICE)
    who = {**over(household, checkout), "payment_id": event.payment_id}
    refund = PaymentRefunded(
        **{**who, "amount_cents": 300},
        refund_id=uuid4(),
        refunded_cents=300,
        was_confirmed=True,
        refunded_at=now(),
    )
    await town.probe.publish(event)
    await town.until("SELECT count(*) FROM ledger_transaction WHERE key LIKE 'payment/%'", 1)
    await town.probe.publish(refund)
    await town.probe.publish(refund)
    await town.until("SELECT count(*) FROM inbox WHERE listener = 'billing.book-refunds'", 2)
    (due,) = (await town.invoices(household))["to_pay"]
    assert (due["left_cents"], due["status"]) == (300, "partially_paid")
    taken = PaymentReturned(**{**who, "amount_cents": 550}, how=Returned.CHARGED_BACK, returned_at=now())
    await town.probe.publish(taken)
    await town.until("SELECT count(*) FROM ledger_transaction WHERE key LIKE 'returned/%'", 1)
    (due,) = (await town.invoices(household))["to_pay"]
    assert due["left_cents"] == 2 * PRICE
    assert await town.sql("SELECT coalesce(sum(amount_cents), 0) FROM ledger_entry WHERE account = 'bank'") == 0
    await town.balanced()


async def test_a_refund_that_is_heard_before_its_payment_waits_for_it(town: Town) -> None:
    household, invoice = await town.invoiced(1)
    checkout = (await town.opened(household, invoice["invoice_id"]))["checkout_id"]
    event = confirmed(household, checkout, PRICE)
    who = {**over(household, checkout), "payment_id": event.payment_id, "amount_cents": PRICE}
    back = {"refund_id": uuid4(), "refunded_cents": PRICE, "was_confirmed": True, "refunded_at": now()}
    await town.probe.publish(PaymentRefunded(**who, **back))
    await town.probe.publish(event)
    await town.until("SELECT count(*) FROM ledger_transaction WHERE key LIKE 'payment/%'", 1)
    await town.until("SELECT count(*) FROM ledger_transaction WHERE key LIKE 'refund/%'", 1)
    assert (await town.invoices(household))["to_pay"][0]["left_cents"] == PRICE
    await town.balanced()


async def test_a_refund_of_a_second_payment_takes_back_the_credit(town: Town) -> None:
    household, invoice = await town.invoiced(1)
    checkout = (await town.opened(household, invoice["invoice_id"]))["checkout_id"]
    await town.probe.publish(confirmed(household, checkout, PRICE))
    second = confirmed(household, checkout, PRICE)
    await town.probe.publish(second)
    await town.until("SELECT count(*) FROM ledger_entry WHERE account = 'credit'", 1)
    who = {**over(household, checkout), "payment_id": second.payment_id, "amount_cents": PRICE}
    back = {"refund_id": uuid4(), "refunded_cents": PRICE, "was_confirmed": True, "refunded_at": now()}
    await town.probe.publish(PaymentRefunded(**who, **back))
    await town.until("SELECT count(*) FROM ledger_transaction WHERE key LIKE 'refund/%'", 1)
    found = await town.invoices(household)
    assert (found["to_pay"], found["credit_cents"]) == ([], 0)
    await town.balanced()


async def test_two_parents_and_a_double_tap_open_one_checkout(town: Town) -> None:
    household, invoice = await town.invoiced(1)
    responses = await asyncio.gather(*(town.checkout(household, invoice["invoice_id"]) for _ in range(8)))
    assert sorted(response.status for response in responses) == [201] + [409] * 7
    other, bill = await town.invoiced(2)
    taps = await asyncio.gather(*(town.checkout(other, bill["invoice_id"], key="tap") for _ in range(5)))
    assert len({await tap.text() for tap in taps}) == 1
    assert await town.sql("SELECT count(*) FROM checkout") == 2


async def test_usage_is_the_same_in_any_order_and_number(town: Town) -> None:
    household = await town.household()
    events = [town.booked(household, 1, 2, 3), town.booked(household, 2, booked=False), town.booked(household, 3, 4)]
    events += [town.booked(household, 4, booked=False), town.booked(household, 5)]
    shuffled = events * 3
    random.Random(11).shuffle(shuffled)
    for event in shuffled:
        await town.probe.publish(event)
    await town.until("SELECT count(*) FROM inbox WHERE listener = 'billing.keep-usage'", len(shuffled))
    query = "SELECT array_agg(extract(day FROM day)::int ORDER BY day) FROM usage WHERE booked"
    assert await town.sql(query) == [2, 4, 6]


async def test_runs_at_once_never_invoice_twice_and_numbers_have_no_gap(town: Town) -> None:
    households = [await town.household() for _ in range(6)]
    for household in households:
        await town.uses(household, 1, 2)
    runs = await asyncio.gather(*(town.run() for _ in range(4)), *(town.run(key="same") for _ in range(3)))
    assert sum(run["invoices"] for run in {run["run_id"]: run for run in runs}.values()) == 6
    assert len({run["run_id"] for run in runs}) == 5
    numbers = await town.sql("SELECT array_agg(number ORDER BY number) FROM invoice")
    assert numbers == [f"{today().year}-{number:06d}" for number in range(1, 7)]
    await town.uses(households[0], 8)
    assert (await town.run())["total_cents"] == PRICE
    await town.balanced()


async def test_a_cancelled_day_comes_back_on_the_next_invoice(town: Town) -> None:
    household, _ = await town.invoiced(1, 2)
    await town.probe.publish(town.booked(household, 2, booked=False))
    await town.until("SELECT count(*) FROM usage WHERE booked <> invoiced", 1)
    assert (await town.run())["invoices"] == 0  # a negative invoice is nobody's wish; nothing is lost
    await town.uses(household, 10, 11)
    run = await town.run()
    assert (run["invoices"], run["total_cents"]) == (1, PRICE)


async def test_a_missing_price_stops_the_run_by_name(town: Town) -> None:
    household = await town.household()
    town.activity = uuid4()
    await town.uses(household, 1)
    body = {"month": "2026-11", "due_on": "2026-12-31"}
    response = await town.client.post("/invoice-runs", json=body, headers=town.staff(**{"Idempotency-Key": "a"}))
    assert response.status == 409
    assert (await response.json(content_type=None))["activities"] == ["Cantine"]
    assert await town.sql("SELECT count(*) FROM invoice_run") == 0


async def test_the_pdf_is_the_same_for_ever_and_only_its_household_s(town: Town) -> None:
    household, invoice = await town.invoiced(1, 2)
    path = f"/households/{household}/invoices/{invoice['invoice_id']}"
    first = await town.client.get(f"{path}/pdf", headers=town.parent(household))
    assert first.content_type == "application/pdf"
    again = await town.client.get(f"{path}/pdf", headers=town.staff())
    assert await first.read() == await again.read()
    model = await (await town.client.get(path, headers=town.parent(household))).json()
    assert model["lines"][0]["count"] == 2
    stranger = town.parent(uuid4())
    foreign = await town.household()
    for url in (path, f"{path}/pdf", f"/households/{household}/invoices"):
        assert (await town.client.get(url, headers=stranger)).status == 404
    mixed = f"/households/{foreign}/invoices/{invoice['invoice_id']}"
    assert (await town.client.get(mixed, headers=town.parent(foreign))).status == 404
    assert (await town.checkout(foreign, invoice["invoice_id"])).status == 404


async def test_roles(town: Town) -> None:
    household = await town.household()
    body = {"month": "2026-11", "due_on": "2026-12-31"}
    parent = town.parent(household, **{"Idempotency-Key": "a"})
    assert (await town.client.post("/invoice-runs", json=body, headers=parent)).status == 403
    tariff = {"activity_label": "Cantine", "unit_price_cents": 1, "valid_from": "2026-01-01"}
    assert (await town.client.put(f"/tariffs/{town.activity}", json=tariff, headers=parent)).status == 403
    staff = town.staff(**{"Idempotency-Key": "a"})
    path = f"/households/{household}/checkouts"
    assert (await town.client.post(path, json={"invoice_ids": [str(uuid4())]}, headers=staff)).status == 403


@pytest.mark.parametrize("table", ["invoice", "invoice_line", "ledger_transaction", "ledger_entry"])
async def test_what_is_published_never_changes(town: Town, table: str) -> None:
    await town.invoiced(1)
    column = {"invoice": "town", "invoice_line": "explanation", "ledger_transaction": "key"}.get(table, "account")
    for statement in (f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}"):
        with pytest.raises(asyncpg.RaiseError, match="never changes"):
            await town.sql(statement)


async def test_the_database_refuses_what_does_not_balance(town: Town) -> None:
    household = await town.household()
    with pytest.raises(asyncpg.RaiseError, match="does not balance"):
        await town.sql(
            "WITH t AS (INSERT INTO ledger_transaction (key, at) VALUES ('x', now()) RETURNING transaction_id) "
            "INSERT INTO ledger_entry (transaction_id, account, household_id, amount_cents) "
            "SELECT transaction_id, 'bank', $1, 100 FROM t",
            household,
        )
