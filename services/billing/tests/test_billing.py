"""billing over HTTP and RabbitMQ, on a real database and broker."""

import asyncio
import random
from datetime import date
from typing import Any, cast
from uuid import UUID, uuid4

import asyncpg
import pytest
from aiohttp import web

from billing.jobs import release_overdue_checkouts
from billing.store.health_metrics import HEALTH_METRICS
from chassis.clock import now, today
from contracts.events.payment import (
    Means,
    PaymentExpired,
    PaymentHeld,
    PaymentRefunded,
    PaymentRefundUndone,
    PaymentRefused,
    PaymentReturned,
    ReturnKind,
    UnpaidOutcome,
)

MONTH = date(2026, 11, 1)
PRICE = 425


async def test_a_month_is_invoiced_paid_and_settled(town: Any) -> None:
    household, invoice = await town.invoiced(1, 2, 3)
    assert invoice["total_cents"] == 3 * PRICE
    published = await town.probe.next("billing.invoice.published")
    assert published.data["number"] == invoice["number"]
    checkout = await town.opened(household, invoice["invoice_id"])
    told = await town.probe.next("billing.checkout.opened")
    assert told.data["amount_cents"] == checkout["amount_cents"] == 3 * PRICE
    assert told.data["household_address"] == ["1 rue de l'École"]
    event = town.confirmed(household, checkout["checkout_id"], 3 * PRICE)
    await town.probe.publish(event)
    settled = await town.probe.next("billing.invoice.settled")
    assert settled.data["payment_id"] == str(event.payment_id)
    after = await town.invoices(household)
    assert after["to_pay"] == []
    assert after["paid"][0]["left_cents"] == 0
    await town.balanced()


async def test_three_duplicates_and_a_second_event_settle_once(town: Any) -> None:
    household, invoice = await town.invoiced(1)
    checkout = await town.opened(household, invoice["invoice_id"])
    event = town.confirmed(household, checkout["checkout_id"], PRICE)
    await town.probe.publish(event, times=4)
    await town.probe.publish(event)  # the same payment under another event id
    await town.probe.next("billing.invoice.settled")
    await town.probe.none("billing.invoice.settled")
    await town.probe.none("billing.payment.unmatched", seconds=0.3)
    assert await town.sql("SELECT count(*) FROM ledger_transaction WHERE key LIKE 'payment/%'") == 1
    await town.balanced()


async def test_a_second_payment_becomes_a_visible_credit_used_on_the_next_invoice(town: Any) -> None:
    household, invoice = await town.invoiced(1)
    checkout = await town.opened(household, invoice["invoice_id"])
    for _ in range(2):
        await town.probe.publish(town.confirmed(household, checkout["checkout_id"], PRICE))
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


async def test_money_for_a_checkout_nobody_knows_is_kept_as_credit(town: Any) -> None:
    household = await town.household()
    await town.probe.publish(town.confirmed(household, str(uuid4()), 1_000))
    assert (await town.probe.next("billing.payment.unmatched")).data["reason"] == "unknown_checkout"
    assert (await town.invoices(household))["credit_cents"] == 1_000
    await town.balanced()


async def test_a_refused_payment_frees_the_invoice_and_a_late_success_still_settles(town: Any) -> None:
    household, invoice = await town.invoiced(1)
    first = await town.opened(household, invoice["invoice_id"])
    again = await town.checkout(household, invoice["invoice_id"])
    assert again.status == 409
    body = await again.json(content_type=None)
    assert (body["code"], body["checkout_id"]) == ("checkout_open", first["checkout_id"])
    refused = PaymentRefused(
        **town.over(household, first["checkout_id"]), outcome=UnpaidOutcome.REFUSED, refused_at=now()
    )
    await town.probe.publish(refused)
    await town.until("SELECT count(*) FROM checkout_invoice WHERE open", 0)
    second = await town.opened(household, invoice["invoice_id"])
    await town.probe.publish(PaymentExpired(**town.over(household, second["checkout_id"]), expired_at=now()))
    await town.until("SELECT count(*) FROM checkout_invoice WHERE open", 0)
    await town.probe.publish(town.confirmed(household, second["checkout_id"], PRICE))
    await town.probe.next("billing.invoice.settled")
    assert (await town.checkout(household, invoice["invoice_id"])).status == 409
    late = PaymentExpired(**town.over(household, second["checkout_id"]), expired_at=now())
    await town.probe.publish(late)
    await town.until("SELECT count(*) FROM inbox WHERE listener = 'billing.release-expired'", 2)
    assert (
        await town.sql("SELECT status FROM checkout WHERE checkout_id = $1", UUID(second["checkout_id"])) == "settled"
    )


async def test_a_payment_under_review_holds_its_invoices_until_the_till_keeper_decides(town: Any) -> None:
    household, invoice = await town.invoiced(1, 2)
    checkout = (await town.opened(household, invoice["invoice_id"]))["checkout_id"]
    who = {**town.over(household, checkout), "amount_cents": 2 * PRICE}
    await town.probe.publish(PaymentHeld(**who, held_at=now()))
    await town.until("SELECT count(*) FROM payment_hold WHERE NOT ended", 1)
    ago = "UPDATE checkout SET opened_at = now() - interval '3 days', expires_at = now() - interval '2 days'"
    await town.sql(ago)
    await release_overdue_checkouts(cast("web.Application", town.client.app))
    (overdue,) = (each.query for each in HEALTH_METRICS if each.name == "checkouts_overdue")
    assert await town.sql(overdue) == 0, "it is held on purpose: nobody is to be called for it"
    await town.probe.publish(PaymentExpired(**town.over(household, checkout), expired_at=now()))
    await town.until("SELECT count(*) FROM inbox WHERE listener = 'billing.release-expired'", 1)
    assert (await town.checkout(household, invoice["invoice_id"])).status == 409
    back = {**who, "refund_id": uuid4(), "refunded_cents": 2 * PRICE, "was_confirmed": False, "refunded_at": now()}
    await town.probe.publish(PaymentRefunded(**back))
    await town.until("SELECT count(*) FROM checkout_invoice WHERE open", 0)
    assert await town.sql("SELECT count(*) FROM ledger_transaction WHERE key LIKE 'refund/%'") == 0
    await town.probe.publish(PaymentHeld(**who, held_at=now()))
    await town.until("SELECT count(*) FROM inbox WHERE listener = 'billing.hold-reviewed'", 2)
    assert (await town.checkout(household, invoice["invoice_id"])).status == 201


async def test_a_review_that_finds_that_nothing_was_taken_lets_go_of_its_invoices(town: Any) -> None:
    household, invoice = await town.invoiced(1)
    checkout = (await town.opened(household, invoice["invoice_id"]))["checkout_id"]
    who = {**town.over(household, checkout), "amount_cents": PRICE}
    await town.probe.publish(PaymentHeld(**who, held_at=now()))
    await town.until("SELECT count(*) FROM payment_hold WHERE NOT ended", 1)
    await town.probe.publish(PaymentRefused(**who, outcome=UnpaidOutcome.REFUSED, was_held=True, refused_at=now()))
    await town.until("SELECT count(*) FROM checkout_invoice WHERE open", 0)
    assert (await town.checkout(household, invoice["invoice_id"])).status == 201


async def test_a_review_of_a_payment_that_was_given_up_takes_its_invoices_again(town: Any) -> None:
    household, invoice = await town.invoiced(1)
    checkout = (await town.opened(household, invoice["invoice_id"]))["checkout_id"]
    who = {**town.over(household, checkout), "amount_cents": PRICE}
    await town.probe.publish(PaymentRefused(**who, outcome=UnpaidOutcome.CANCELLED, refused_at=now()))
    await town.until("SELECT count(*) FROM checkout_invoice WHERE open", 0)
    await town.probe.publish(PaymentHeld(**who, held_at=now()))
    await town.until("SELECT count(*) FROM checkout_invoice WHERE open", 1)
    assert (await town.checkout(household, invoice["invoice_id"])).status == 409
    await town.probe.publish(town.confirmed(household, checkout, PRICE - 1, who["payment_id"]))
    await town.until("SELECT count(*) FROM payment_hold WHERE ended", 1)
    assert [each["left_cents"] for each in (await town.invoices(household))["to_pay"]] == [1]
    await town.balanced()


async def test_a_refund_that_failed_settles_again_what_it_had_made_due(town: Any) -> None:
    household, invoice = await town.invoiced(1, 2)
    checkout = (await town.opened(household, invoice["invoice_id"]))["checkout_id"]
    event = town.confirmed(household, checkout, 2 * PRICE)
    await town.probe.publish(event)
    await town.probe.next("billing.invoice.settled")
    who = {**town.over(household, checkout), "payment_id": event.payment_id, "amount_cents": PRICE}
    back = {"refund_id": uuid4(), "refunded_cents": PRICE, "was_confirmed": True, "refunded_at": now()}
    await town.probe.publish(PaymentRefunded(**who, **back))
    await town.until("SELECT count(*) FROM ledger_transaction WHERE key LIKE 'refund/%'", 1)
    assert [each["left_cents"] for each in (await town.invoices(household))["to_pay"]] == [PRICE]
    undone = PaymentRefundUndone(**who, decision_id=uuid4(), refunded_cents=0, undone_at=now())
    for _ in range(2):
        await town.probe.publish(undone)
    assert (await town.probe.next("billing.invoice.settled")).data["invoice_id"] == invoice["invoice_id"]
    await town.probe.none("billing.invoice.settled")
    assert (await town.invoices(household))["to_pay"] == []
    await town.balanced()


async def test_a_refund_makes_the_invoice_due_again_(town: Any) -> None:
    household, invoice = await town.invoiced(1, 2)
    checkout = (await town.opened(household, invoice["invoice_id"]))["checkout_id"]
    event = town.confirmed(household, checkout, 2 * PRICE, means=Means.DEBIT)
    who = {**town.over(household, checkout), "payment_id": event.payment_id}
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
    taken = PaymentReturned(**{**who, "amount_cents": 550}, how=ReturnKind.CHARGED_BACK, returned_at=now())
    await town.probe.publish(taken)
    await town.until("SELECT count(*) FROM ledger_transaction WHERE key LIKE 'returned/%'", 1)
    (due,) = (await town.invoices(household))["to_pay"]
    assert due["left_cents"] == 2 * PRICE
    journal = await (await town.client.get("/journal", headers=town.staff())).json()
    assert [(each["means"], each["count"], each["amount_cents"]) for each in journal["takings"]] == [("debit", 3, 0)]
    assert sorted(each["amount_cents"] for each in journal["entries"]) == [-550, -300, 850]
    assert await town.sql("SELECT array_agg(DISTINCT till) FROM ledger_entry WHERE account = 'bank'") == ["Régie"]
    await town.balanced()


async def test_money_taken_back_makes_due_what_it_paid_in_the_end_and_never_what_was_credited(town: Any) -> None:
    household, invoice = await town.invoiced(1, 2)
    checkout = (await town.opened(household, invoice["invoice_id"]))["checkout_id"]
    event = town.confirmed(household, checkout, 2 * PRICE)
    await town.probe.publish(event)
    await town.until("SELECT count(*) FROM ledger_transaction WHERE key LIKE 'payment/%'", 1)
    path = f"invoices/{invoice['invoice_id']}/credit-notes"
    assert (await town.decides(household, path, {"amount_cents": 2 * PRICE, "reason": "Geste"})).status == 201
    await town.uses(household, 8, 9)
    await town.run()  # the credit pays it
    who = {**town.over(household, checkout), "payment_id": event.payment_id, "amount_cents": 2 * PRICE}
    await town.probe.publish(PaymentReturned(**who, how=ReturnKind.CHARGED_BACK, returned_at=now()))
    await town.until("SELECT count(*) FROM ledger_transaction WHERE key LIKE 'returned/%'", 1)
    (due,) = (await town.invoices(household))["to_pay"]
    assert (due["left_cents"], due["invoice_id"] != invoice["invoice_id"]) == (2 * PRICE, True)
    await town.balanced()


async def test_a_refund_that_is_heard_before_its_payment_waits_for_it(town: Any) -> None:
    household, invoice = await town.invoiced(1)
    checkout = (await town.opened(household, invoice["invoice_id"]))["checkout_id"]
    event = town.confirmed(household, checkout, PRICE)
    who = {**town.over(household, checkout), "payment_id": event.payment_id, "amount_cents": PRICE}
    back = {"refund_id": uuid4(), "refunded_cents": PRICE, "was_confirmed": True, "refunded_at": now()}
    await town.probe.publish(PaymentRefunded(**who, **back))
    await town.probe.publish(event)
    await town.until("SELECT count(*) FROM ledger_transaction WHERE key LIKE 'payment/%'", 1)
    await town.until("SELECT count(*) FROM ledger_transaction WHERE key LIKE 'refund/%'", 1)
    assert (await town.invoices(household))["to_pay"][0]["left_cents"] == PRICE
    await town.balanced()


async def test_a_refund_of_a_second_payment_takes_back_the_credit(town: Any) -> None:
    household, invoice = await town.invoiced(1)
    checkout = (await town.opened(household, invoice["invoice_id"]))["checkout_id"]
    await town.probe.publish(town.confirmed(household, checkout, PRICE))
    second = town.confirmed(household, checkout, PRICE)
    await town.probe.publish(second)
    await town.until("SELECT count(*) FROM ledger_entry WHERE account = 'credit'", 1)
    who = {**town.over(household, checkout), "payment_id": second.payment_id, "amount_cents": PRICE}
    back = {"refund_id": uuid4(), "refunded_cents": PRICE, "was_confirmed": True, "refunded_at": now()}
    await town.probe.publish(PaymentRefunded(**who, **back))
    await town.until("SELECT count(*) FROM ledger_transaction WHERE key LIKE 'refund/%'", 1)
    found = await town.invoices(household)
    assert (found["to_pay"], found["credit_cents"]) == ([], 0)
    await town.balanced()


async def test_two_parents_and_a_double_tap_open_one_checkout(town: Any) -> None:
    household, invoice = await town.invoiced(1)
    responses = await asyncio.gather(*(town.checkout(household, invoice["invoice_id"]) for _ in range(8)))
    assert sorted(response.status for response in responses) == [201] + [409] * 7
    other, bill = await town.invoiced(2)
    taps = await asyncio.gather(*(town.checkout(other, bill["invoice_id"], key="tap") for _ in range(5)))
    assert len({await tap.text() for tap in taps}) == 1
    assert await town.sql("SELECT count(*) FROM checkout") == 2


async def test_usage_is_the_same_in_any_order_and_number(town: Any) -> None:
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


async def test_runs_at_once_never_invoice_twice_and_numbers_have_no_gap(town: Any) -> None:
    households = [await town.household() for _ in range(6)]
    for household in households:
        await town.uses(household, 1, 2)
    answers = await asyncio.gather(
        *(town.begin(straight=True) for _ in range(4)), *(town.begin(straight=True, key="same") for _ in range(3))
    )
    begun = {(await answer.json())["run_id"] for answer in answers if answer.status == 201}
    assert {answer.status for answer in answers} <= {201, 409}
    (run_id,) = begun
    assert (await town.reached(run_id, "done"))["invoices"] == 6
    numbers = await town.sql("SELECT array_agg(number ORDER BY number) FROM invoice")
    assert numbers == [f"{today().year}-{number:06d}" for number in range(1, 7)]
    await town.uses(households[0], 8)
    assert (await town.run())["total_cents"] == PRICE
    await town.balanced()


async def test_a_cancelled_day_comes_back_on_the_next_invoice(town: Any) -> None:
    household, _ = await town.invoiced(1, 2)
    await town.probe.publish(town.booked(household, 2, booked=False))
    await town.until("SELECT count(*) FROM usage WHERE basis IS DISTINCT FROM seen_as", 1)
    assert (await town.run())["invoices"] == 0  # a negative invoice is nobody's wish; nothing is lost
    await town.uses(household, 10, 11)
    run = await town.run()
    assert (run["invoices"], run["total_cents"]) == (1, PRICE)


async def test_a_missing_price_is_an_anomaly_that_stops_the_run_by_name(town: Any) -> None:
    household = await town.household()
    town.activity = uuid4()
    await town.uses(household, 1)
    run = await town.run()
    assert (run["status"], run["invoices"]) == ("ready", 0)
    assert [(each["kind"], each["detail"]) for each in run["anomalies"]] == [("tariff_missing", "Cantine")]
    refused = await town.client.post(f"/invoice-runs/{run['run_id']}/publish", headers=town.staff())
    assert refused.status == 409
    assert (await refused.json(content_type=None))["activities"] == ["Cantine"]
    cancelled = await town.client.post(f"/invoice-runs/{run['run_id']}/cancel", headers=town.staff())
    assert (await cancelled.json())["status"] == "cancelled"
    assert (await town.tariff()).status == 200
    assert (await town.run())["total_cents"] == PRICE


async def test_the_pdf_is_the_same_for_ever_and_only_its_household_s(town: Any) -> None:
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


async def test_roles(town: Any) -> None:
    household = await town.household()
    body = {"month": "2026-11", "due_on": "2026-12-31"}
    parent = town.parent(household, **{"Idempotency-Key": "a"})
    assert (await town.client.post("/invoice-runs", json=body, headers=parent)).status == 403
    assert (await town.client.get("/tariffs", headers=parent)).status == 403
    assert (await town.client.get("/journal", headers=parent)).status == 403
    receipt = {"means": "cash", "amount_cents": 1, "received_on": str(today()), "seen_balance_cents": 0}
    assert (await town.client.post(f"/households/{household}/receipts", json=receipt, headers=parent)).status == 403
    terms = {"quotient_cents": 100}
    path = f"/households/{household}/terms/2026-01-01"
    assert (await town.client.put(path, json=terms, headers=parent)).status == 403
    staff = town.staff(**{"Idempotency-Key": "a"})
    path = f"/households/{household}/checkouts"
    assert (await town.client.post(path, json={"invoice_ids": [str(uuid4())]}, headers=staff)).status == 403


async def test_what_is_published_never_changes(town: Any) -> None:
    await town.invoiced(1)
    columns = {"invoice_line": "explanation", "ledger_transaction": "key", "ledger_entry": "account"}
    for table in ("invoice", "invoice_line", "document_chain", "ledger_transaction", "ledger_entry"):
        column = columns.get(table, "number")
        for statement in (f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}"):
            with pytest.raises(asyncpg.RaiseError, match="never changes"):
                await town.sql(statement)


async def test_the_database_refuses_what_does_not_balance(town: Any) -> None:
    household = await town.household()
    entry = (
        "WITH t AS (INSERT INTO ledger_transaction (key, at, day) VALUES ('x', now(), now()) RETURNING transaction_id) "
        "INSERT INTO ledger_entry (transaction_id, account, means, till, household_id, amount_cents) "
        "VALUES ((SELECT transaction_id FROM t),"
    )
    with pytest.raises(asyncpg.RaiseError, match="does not balance"):
        await town.sql(f"{entry} 'bank', 'card', 'REGIE', $1::uuid, 100)", household)
    for account in ("'bank', NULL, 'REGIE'", "'bank', 'card', NULL", "'credit', 'card', NULL"):
        with pytest.raises(asyncpg.CheckViolationError):  # money says how it came, and nothing else does
            await town.sql(f"{entry} {account}, $1::uuid, 100)", household)
