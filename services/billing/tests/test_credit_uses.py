"""A household's credit pays what is published: in one press, and before any payment."""

from typing import Any
from uuid import UUID, uuid4

from chassis.clock import now, today
from contracts.events.payment import PaymentHeld
from contracts.identity import Role

PRICE = 425
PATH = "/households/{}/credit-uses"


async def has_credit(town: Any, household: UUID, cents: int) -> None:
    """Money that no invoice was waiting for."""
    await town.probe.publish(town.confirmed(household, str(uuid4()), cents))
    await town.until("SELECT -sum(amount_cents) FROM ledger_entry WHERE account = 'credit'", cents)


async def uses(town: Any, household: UUID, key: str, *invoices: str, headers: dict[str, str] | None = None) -> Any:
    headers = {**(headers or town.parent(household)), "Idempotency-Key": key}
    return await town.client.post(PATH.format(household), json={"invoice_ids": list(invoices)}, headers=headers)


async def test_a_credit_pays_published_invoices_in_one_press_and_once(town: Any) -> None:
    household, first = await town.invoiced(1, 2)
    await town.uses(household, 10)
    await town.run()
    await has_credit(town, household, 2 * PRICE + 100)
    mine = town.parent(household)
    answers = [await (await uses(town, household, "one-form", headers=mine)).json() for _ in range(3)]
    assert answers == [{"used_cents": 2 * PRICE + 100, "credit_cents": 0}] * 3
    settled = (await town.probe.next("billing.invoice.settled")).data
    assert (settled["invoice_id"], settled["means"]) == (first["invoice_id"], "credit")
    after = await town.invoices(household)
    assert (after["credit_cents"], [each["left_cents"] for each in after["to_pay"]]) == (0, [PRICE - 100])
    assert await town.sql("SELECT amount_cents FROM credit_use") == 2 * PRICE + 100
    assert await town.sql("SELECT count(*) FROM credit_use WHERE used_by IS NOT NULL") == 1
    await town.balanced()


async def test_the_till_keeper_uses_a_credit_and_strangers_do_not(town: Any) -> None:
    household, invoice = await town.invoiced(1)
    await has_credit(town, household, 1_000)
    clerk = town.tokens.headers(town.tokens.staff(Role.CLERK, audience="billing"))
    assert (await uses(town, household, "a", headers=clerk)).status == 404
    assert (await uses(town, household, "b", headers=town.parent(uuid4()))).status == 404
    answer = await (await uses(town, household, "c", invoice["invoice_id"], headers=town.staff())).json()
    assert answer == {"used_cents": PRICE, "credit_cents": 1_000 - PRICE}
    assert await (await uses(town, household, "d", headers=town.staff())).json() == {
        "used_cents": 0,
        "credit_cents": 1_000 - PRICE,
    }
    await town.balanced()


async def test_a_payment_asks_the_bank_only_for_what_the_credit_does_not_pay(town: Any) -> None:
    household, invoice = await town.invoiced(1, 2)
    await has_credit(town, household, 100)
    opened = await town.opened(household, invoice["invoice_id"])
    assert opened["amount_cents"] == 2 * PRICE - 100
    told = (await town.probe.next("billing.checkout.opened")).data
    assert (told["amount_cents"], told["invoices"][0]["amount_cents"]) == (2 * PRICE - 100, 2 * PRICE - 100)
    await town.probe.publish(town.confirmed(household, opened["checkout_id"], 2 * PRICE - 100))
    await town.probe.next("billing.invoice.settled")
    after = await town.invoices(household)
    assert (after["to_pay"], after["under_way"], after["credit_cents"]) == ([], [], 0)
    await town.balanced()


async def test_what_the_credit_pays_whole_goes_to_no_bank(town: Any) -> None:
    household, invoice = await town.invoiced(1)
    await has_credit(town, household, 1_000)
    refused = await town.checkout(household, invoice["invoice_id"])
    assert (refused.status, (await refused.json(content_type=None))["code"]) == (409, "credit_suffices")
    assert await town.sql("SELECT count(*) FROM checkout") == 0
    assert (await town.invoices(household))["to_pay"][0]["left_cents"] == PRICE, "nothing is done by halves"


async def test_what_is_being_paid_or_under_review_is_under_way_and_nothing_else(town: Any) -> None:
    household, invoice = await town.invoiced(1)
    checkout = await town.opened(household, invoice["invoice_id"])
    found = await town.invoices(household)
    assert (found["to_pay"], [each["under_way"] for each in found["under_way"]]) == ([], ["being_paid"])
    await town.probe.publish(PaymentHeld(held_at=now(), **town.over(household, checkout["checkout_id"])))
    await town.until("SELECT count(*) FROM payment_hold", 1)
    found = await town.invoices(household)
    assert (found["to_pay"], [each["under_way"] for each in found["under_way"]]) == ([], ["under_review"])
    await has_credit(town, household, 50)
    assert (await (await uses(town, household, "a")).json())["used_cents"] == 0, "that payment may be for it"
    again = await town.checkout(household, invoice["invoice_id"])
    assert (await again.json(content_type=None))["code"] == "checkout_open"
    # As it is when another payment took the invoice first, and ended without money.
    await town.sql("UPDATE checkout_invoice SET open = false")
    assert [each["under_way"] for each in (await town.invoices(household))["under_way"]] == ["under_review"]
    refused = await town.checkout(household, invoice["invoice_id"])
    assert (refused.status, (await refused.json(content_type=None))["code"]) == (409, "payment_under_way")


async def test_the_counter_is_warned_while_a_payment_is_under_way(town: Any) -> None:
    household, invoice = await town.invoiced(1)
    checkout = await town.opened(household, invoice["invoice_id"])
    body = {"means": "cash", "amount_cents": PRICE, "received_on": str(today())}
    refused = await town.decides(household, "receipts", body)
    told = await refused.json(content_type=None)
    assert (refused.status, told["code"], told["numbers"]) == (409, "payment_under_way", [invoice["number"]])
    taken = await town.decides(household, "receipts", {**body, "despite_payment": True})
    assert taken.status == 201
    await town.probe.publish(town.confirmed(household, checkout["checkout_id"], PRICE))
    unmatched = (await town.probe.next("billing.payment.unmatched")).data
    assert (unmatched["surplus_cents"], unmatched["amount_cents"]) == (PRICE, PRICE)
    assert unmatched["invoices"] == [invoice["number"]]
    assert (await town.invoices(household))["credit_cents"] == PRICE
    await town.balanced()


async def test_of_a_doubled_payment_only_the_invoice_that_was_settled_before_is_said_to_be(town: Any) -> None:
    household, first = await town.invoiced(1)
    await town.uses(household, 10, 11)
    await town.run()
    (second,) = [each for each in (await town.invoices(household))["to_pay"] if each["number"] != first["number"]]
    checkout = await town.opened(household, first["invoice_id"], second["invoice_id"])
    body = {"means": "cash", "amount_cents": PRICE, "received_on": str(today()), "despite_payment": True}
    assert (await town.decides(household, "receipts", {**body, "invoice_ids": [first["invoice_id"]]})).status == 201
    await town.probe.publish(town.confirmed(household, checkout["checkout_id"], 3 * PRICE))
    told = (await town.probe.next("billing.payment.unmatched")).data
    assert (told["surplus_cents"], told["invoices"]) == (PRICE, [first["number"]])
    after = await town.invoices(household)
    assert (after["to_pay"], after["under_way"], after["credit_cents"]) == ([], [], PRICE)
