"""Reminders of unpaid invoices: each step once, in the morning, and never of what is paid, being paid or contested."""

import asyncio
from datetime import datetime, time, timedelta
from typing import Any
from uuid import uuid4

from billing.jobs import send_reminders
from chassis.clock import PARIS, today
from chassis.database import DATABASE
from contracts.events.payment import PaymentHeld, PaymentReturned, ReturnKind
from contracts.identity import Role

DUE_DAYS = 30
"""What the tests' runs give to pay."""


def morning(days_late: int, hour: int = 9) -> datetime:
    """An instant so many days after the invoices' last day."""
    return datetime.combine(today() + timedelta(days=DUE_DAYS + days_late), time(hour), PARIS)


async def remind(town: Any, days_late: int, hour: int = 9) -> None:
    await send_reminders(town.client.app[DATABASE], morning(days_late, hour))


async def has_rule(town: Any, *days: int) -> None:
    response = await town.client.put("/reminders/rule", json={"days": days}, headers=town.staff())
    assert response.status == 200, await response.text()
    assert (await response.json())["saved_at"]


async def steps(town: Any) -> list[int]:
    found: list[int] = await town.sql("SELECT coalesce(array_agg(step ORDER BY reminded_at, step), '{}') FROM reminder")
    return found


async def test_nobody_is_reminded_before_the_town_says_so(town: Any) -> None:
    await town.invoiced(1)
    await remind(town, 90)
    assert await steps(town) == []


async def test_each_step_is_told_once_in_the_morning_by_any_number_of_replicas(town: Any) -> None:
    household, invoice = await town.invoiced(1, 2)
    await has_rule(town, 7, 21)
    for days, hour in ((6, 9), (7, 0), (7, 8)):
        await remind(town, days, hour)
    assert await steps(town) == []
    await asyncio.gather(*(remind(town, 7) for _ in range(4)))
    await remind(town, 7, 18)
    await remind(town, 20)
    assert await steps(town) == [1]
    told = (await town.probe.next("billing.invoice.reminded")).data
    assert (told["invoice_id"], told["household_id"]) == (invoice["invoice_id"], str(household))
    assert (told["left_cents"], told["step"]) == (invoice["left_cents"], 1)
    await remind(town, 21)
    for later in (22, 60, 365):
        await remind(town, later)
    assert await steps(town) == [1, 2]
    assert (await town.probe.next("billing.invoice.reminded")).data["step"] == 2
    await town.probe.none("billing.invoice.reminded")


async def test_only_what_is_left_is_asked_for_and_what_is_paid_never(town: Any) -> None:
    household, invoice = await town.invoiced(1, 2)
    await has_rule(town, 7, 21)
    await town.pays(household, invoice, 500)
    await remind(town, 7)
    told = (await town.probe.next("billing.invoice.reminded")).data
    assert told["left_cents"] == invoice["left_cents"] - 500
    await town.pays(household, invoice, invoice["left_cents"] - 500)
    await remind(town, 21)
    assert await steps(town) == [1]


async def test_what_is_being_paid_or_looked_into_is_left_in_peace(town: Any) -> None:
    household, invoice = await town.invoiced(1)
    await has_rule(town, 7)
    checkout = await town.opened(household, invoice["invoice_id"])
    await remind(town, 7)
    held = PaymentHeld(held_at=morning(1), **town.over(household, checkout["checkout_id"]))
    await town.probe.publish(held)
    await town.until("SELECT count(*) FROM payment_hold", 1)
    await town.sql("UPDATE checkout_invoice SET open = false")
    await remind(town, 8)
    assert await steps(town) == []
    await town.sql("UPDATE payment_hold SET ended = true")
    await remind(town, 9)
    assert await steps(town) == [1]


async def test_nobody_is_reminded_of_what_the_town_owes_them(town: Any) -> None:
    household, invoice = await town.invoiced(1)
    other = await town.household()
    await town.uses(other, 2, 3)
    await town.run()
    await has_rule(town, 7)
    for who, cents in ((household, invoice["left_cents"]), (other, 25)):
        await town.probe.publish(town.confirmed(who, str(uuid4()), cents))
    await town.until("SELECT count(*) FROM ledger_entry WHERE account = 'credit'", 2)
    await remind(town, 7)
    reminded = (await town.probe.next("billing.invoice.reminded")).data
    assert (reminded["household_id"], reminded["left_cents"]) == (str(other), 2 * invoice["left_cents"] - 25)
    await town.probe.none("billing.invoice.reminded", seconds=0.3)
    found = await town.invoices(household)
    assert ([each["number"] for each in found["paid"]], found["credit_cents"]) == ([invoice["number"]], 0)
    assert await town.sql("SELECT count(*) FROM credit_use WHERE used_by IS NULL") == 2
    await town.balanced()


async def test_what_was_contested_at_the_bank_waits_for_the_town_hall(town: Any) -> None:
    household, invoice = await town.invoiced(1)
    await has_rule(town, 7)
    checkout = await town.opened(household, invoice["invoice_id"])
    paid = town.confirmed(household, checkout["checkout_id"], invoice["left_cents"])
    await town.probe.publish(paid)
    returned = PaymentReturned(
        payment_id=paid.payment_id,
        checkout_id=paid.checkout_id,
        household_id=household,
        payer_id=paid.payer_id,
        amount_cents=paid.amount_cents,
        how=ReturnKind.CHARGED_BACK,
        returned_at=morning(1),
    )
    await town.probe.publish(returned, times=2)
    await town.probe.publish(returned)
    await town.until("SELECT count(*) FROM reminder_pause", 1)
    await remind(town, 7)
    assert await steps(town) == []
    path = f"/reminders/{invoice['invoice_id']}/resume"
    assert (await town.client.post(path, headers=town.staff())).status == 204
    await remind(town, 8)
    assert await steps(town) == [1]


async def test_staff_pause_an_invoice_and_see_why(town: Any) -> None:
    _, invoice = await town.invoiced(1)
    await has_rule(town, 7)
    path = f"/reminders/{invoice['invoice_id']}/pause"
    body = {"reason": "conteste les jours de novembre"}
    assert (await town.client.post(path, json=body, headers=town.staff())).status == 204
    await remind(town, 7)
    assert await steps(town) == []
    assert (await town.client.post(f"/reminders/{uuid4()}/pause", json=body, headers=town.staff())).status == 404


async def test_a_rule_shows_what_it_would_do_before_it_is_saved(town: Any) -> None:
    await town.invoiced(1)
    # An invoice never changes: this one is made overdue as a year would make it.
    await town.sql("ALTER TABLE invoice DISABLE TRIGGER immutable")
    await town.sql("UPDATE invoice SET due_on = $1", today() - timedelta(days=10))
    tried = await (await town.client.get("/reminders?days=7&days=21", headers=town.staff())).json()
    assert (tried["saved_at"], tried["today_count"], tried["overdue_count"]) == (None, 1, 1)
    assert tried["overdue"][0]["next_on"] == str(today())
    later = await (await town.client.get("/reminders?days=15", headers=town.staff())).json()
    assert (later["today_count"], later["overdue"][0]["next_on"]) == (0, str(today() + timedelta(days=5)))
    await has_rule(town, 7)
    never = await (await town.client.get("/reminders?days=", headers=town.staff())).json()
    assert (never["rule"]["days"], never["today_count"]) == ([], 0)
    await has_rule(town)
    now_ = await (await town.client.get("/reminders", headers=town.staff())).json()
    assert (now_["rule"]["days"], now_["overdue"][0]["next_on"]) == ([], None)


async def test_what_cannot_be_a_rule_and_who_may_not_write_one(town: Any) -> None:
    for days in ([7, 7], [21, 7], [0], [181], [1, 2, 3, 4], ["soon"]):
        response = await town.client.put("/reminders/rule", json={"days": days}, headers=town.staff())
        assert response.status == 422, days
        tried = await town.client.get("/reminders", params=[("days", str(each)) for each in days], headers=town.staff())
        assert tried.status == 422, days
    clerk = town.tokens.headers(town.tokens.staff(Role.CLERK, audience="billing"))
    assert (await town.client.get("/reminders", headers=clerk)).status == 403
    assert (await town.client.put("/reminders/rule", json={"days": [7]}, headers=clerk)).status == 403
    for word in ("pause", "resume"):
        assert (await town.client.post(f"/reminders/{uuid4()}/{word}", headers=clerk)).status == 403
    assert await town.sql("SELECT count(*) FROM reminder_rule") == 0
