"""A part of what is due, where the town allows it."""

import asyncio
from typing import Any

import pytest

from chassis.testing import eventually

PRICE = 425
ALLOWED = pytest.mark.parametrize("town", [{"part_cents_min": 100}], indirect=True)


async def two_invoices(town: Any) -> tuple[Any, str, str]:
    """A household with an older invoice of 8,50 and a newer one of 4,25."""
    household, older = await town.invoiced(1, 2)
    await town.uses(household, 9)
    await town.run()
    newer = next(each for each in (await town.invoices(household))["to_pay"] if each["number"] != older["number"])
    return household, older["invoice_id"], newer["invoice_id"]


@ALLOWED
async def test_a_part_pays_the_oldest_invoice_first_and_the_rest_stays_due(town: Any) -> None:
    household, older, newer = await two_invoices(town)
    assert (await town.invoices(household))["part_cents_min"] == 100
    opened = await town.opened(household, newer, older, amount_cents=1_000)
    assert (opened["amount_cents"], [each["invoice_id"] for each in opened["invoices"]]) == (1_000, [older, newer])
    told = (await town.probe.next("billing.checkout.opened")).data
    assert [(each["amount_cents"], each["left_cents"]) for each in told["invoices"]] == [(850, 0), (150, 275)]
    await town.probe.publish(town.confirmed(household, opened["checkout_id"], 1_000))

    async def settled() -> Any:
        found = await town.invoices(household)
        return found if found["paid"] else None

    found = await eventually(settled)
    assert [(each["invoice_id"], each["left_cents"], each["status"]) for each in found["to_pay"]] == [
        (newer, 275, "partially_paid")
    ]
    rest = await town.opened(household, newer)
    assert rest["amount_cents"] == 275
    await town.balanced()


@ALLOWED
async def test_an_invoice_that_a_part_does_not_reach_stays_free(town: Any) -> None:
    household, older, newer = await two_invoices(town)
    first = await town.opened(household, older, newer, amount_cents=300)
    assert [each["invoice_id"] for each in first["invoices"]] == [older]
    taps = await asyncio.gather(*(town.checkout(household, newer) for _ in range(3)))
    assert sorted(tap.status for tap in taps) == [201, 409, 409]
    again = await town.checkout(household, older, amount_cents=300)
    assert (await again.json(content_type=None))["checkout_id"] == first["checkout_id"]


@ALLOWED
async def test_a_part_that_is_too_small_or_too_large_is_refused_with_what_could_be_paid(town: Any) -> None:
    household, older, newer = await two_invoices(town)
    for cents in (99, 1_176, 1_274, 1_276, 99_999):
        told = await (await town.checkout(household, older, newer, amount_cents=cents)).json(content_type=None)
        assert (told["code"], told["minimum_cents"], told["maximum_cents"]) == ("part_refused", 100, 1_175)
    for wrong in (0, -5, 1.5, "12"):
        assert (await town.checkout(household, older, amount_cents=wrong)).status == 422
    assert await town.sql("SELECT count(*) FROM checkout") == 0
    assert (await town.opened(household, older, newer, amount_cents=1_275))["amount_cents"] == 3 * PRICE


@ALLOWED
async def test_a_key_that_comes_back_with_another_amount_is_refused(town: Any) -> None:
    household, invoice = await town.invoiced(1, 2)
    first = await town.opened(household, invoice["invoice_id"], amount_cents=300, key="one")
    again = await town.opened(household, invoice["invoice_id"], amount_cents=300, key="one")
    assert first == again
    other = await town.checkout(household, invoice["invoice_id"], amount_cents=400, key="one")
    assert other.status in {409, 422}
    assert await town.sql("SELECT count(*) FROM checkout") == 1


async def test_a_town_that_wants_invoices_paid_whole_says_so(town: Any) -> None:
    household, older, newer = await two_invoices(town)
    assert (await town.invoices(household))["part_cents_min"] is None
    refused = await town.checkout(household, older, newer, amount_cents=500)
    told = await refused.json(content_type=None)
    assert (refused.status, told["code"], told["due_cents"]) == (409, "part_refused", 1_275)
    assert "minimum_cents" not in told
