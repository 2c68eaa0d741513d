"""Tariffs by school, residence and quotient; the price shown before booking; the credit that a late quotient opens."""

import asyncio
from datetime import date
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from billing.__main__ import republish
from contracts.events.auth import HouseholdChild

BRACKETS = {
    "kind": "brackets",
    "brackets": [
        {"up_to_cents": 40_000, "unit_price_cents": 100},
        {"up_to_cents": 90_000, "unit_price_cents": 250},
        {"up_to_cents": None, "unit_price_cents": 480},
    ],
    "without_quotient_cents": 480,
}


def a_child(number: int, school: str = "École Jacques-Prévert") -> HouseholdChild:
    return HouseholdChild(
        child_id=uuid4(),
        first_name=("Léa", "Tom", "Zoé")[number],
        last_name="Exemple",
        birth_date=date(2018 + number, 3, 1),
        school=school,
        class_name="CP",
    )


async def prices(town: Any, household: UUID, **query: str) -> Any:
    response = await town.client.get(f"/households/{household}/prices", params=query, headers=town.parent(household))
    assert response.status == 200, await response.text()
    return (await response.json())["prices"]


async def knows(town: Any, household: UUID, quotient: int | None, day: str = "2026-11-01", **more: Any) -> Any:
    body = {"quotient_cents": quotient, **more}
    path = f"/households/{household}/terms/{day}"
    response = await town.client.put(path, json=body, headers=town.staff())
    assert response.status == 200, await response.text()
    return await response.json()


async def test_two_rules_that_both_apply_are_a_named_error_at_save_time(town: Any) -> None:
    refused = await town.tariff(uuid4(), label="Un autre", school="École Jules-Ferry")
    body = await refused.json(content_type=None)
    assert (refused.status, body["code"], body["label"]) == (409, "tariffs_overlap", "Tarif unique")
    assert (await town.tariff(valid_until="2026-12-31")).status == 200
    assert (await town.tariff(uuid4(), label="Suite", valid_from="2026-12-31")).status == 409
    assert (await town.tariff(uuid4(), label="Suite", valid_from="2027-01-01")).status == 200
    racing = [{"activity_id": str(uuid4()), "label": "Course"}] * 5
    answers = await asyncio.gather(*(town.tariff(uuid4(), **each) for each in racing))
    assert sorted(answer.status for answer in answers) == [200] + [409] * 4


async def test_the_database_itself_refuses_rules_that_overlap(town: Any) -> None:
    with pytest.raises(asyncpg.ExclusionViolationError):
        await town.sql(
            "INSERT INTO tariff SELECT gen_random_uuid(), label, activity_id, activity_label, "
            "'École Jules-Ferry', true, '2030-01-01', NULL, formula, sibling_percents, childcare FROM tariff"
        )


async def test_a_rule_that_makes_no_sense_is_refused_and_not_kept(town: Any) -> None:
    for wrong in (
        {"formula": {**BRACKETS, "brackets": BRACKETS["brackets"][:2]}},
        {"formula": {"kind": "proportional", "rate_percent": "0.43751", "floor_cents": 1, "ceiling_cents": 2}},
        {"formula": {"kind": "flat", "unit_price_cents": 4.5}},
        {"formula": {"kind": "flat", "unit_price_cents": -1}},
        {"formula": {"kind": "magic"}},
        {"valid_until": "2025-01-01"},
        {"sibling_percents": [101]},
        {"label": ""},
        {"surprise": 1},
    ):
        refused = await town.tariff(uuid4(), **{"activity_id": str(uuid4()), **wrong})
        assert refused.status == 422, wrong
        assert (await refused.json(content_type=None))["errors"]
    assert await town.sql("SELECT count(*) FROM tariff") == 1


async def test_a_rule_that_made_an_invoice_only_ends(town: Any) -> None:
    await town.invoiced(1)
    refused = await town.tariff(formula={"kind": "flat", "unit_price_cents": 1})
    assert (await refused.json(content_type=None))["code"] == "tariff_used"
    assert (await town.client.delete(f"/tariffs/{town.activity}", headers=town.staff())).status == 409
    with pytest.raises(asyncpg.RaiseError, match="only ever ends"):
        await town.sql("UPDATE tariff SET label = 'x'")
    assert (await town.tariff(valid_until="2027-07-05")).status == 200
    unused = uuid4()
    assert (await town.tariff(unused, activity_id=str(uuid4()))).status == 200
    assert (await town.client.delete(f"/tariffs/{unused}", headers=town.staff())).status == 200
    assert (await town.client.delete(f"/tariffs/{unused}", headers=town.staff())).status == 404


async def test_a_parent_sees_the_price_and_why_before_booking(town: Any) -> None:
    lea, tom = a_child(0), a_child(1)
    household = await town.household(tom, lea)
    assert (await town.tariff(label="Cantine 2026", formula=BRACKETS, sibling_percents=[10])).status == 200
    (unknown,) = await prices(town, household)
    assert unknown["unit_price_cents"] == 480
    assert "QF non connu" in unknown["explanation"]
    await knows(town, household, 84_500, "2026-09-01")
    (eldest,) = await prices(town, household, day="2026-11-10")
    assert (eldest["unit_price_cents"], eldest["quotient_cents"]) == (250, 84_500)
    assert eldest["explanation"] == "Cantine 2026 · QF 845 depuis le 01/09/2026 · tranche jusqu'à 900"
    (second,) = await prices(town, household, child_id=str(tom.child_id), day="2026-11-10")
    assert second["unit_price_cents"] == 225
    days = [{"activity_id": str(town.activity), "day": day} for day in ("2026-08-31", "2026-11-10")]
    days.append({"activity_id": str(uuid4()), "day": "2026-11-10"})
    body = {"child_id": str(tom.child_id), "days": days}
    response = await town.client.post(f"/households/{household}/quotes", json=body, headers=town.parent(household))
    quote = await response.json()
    assert [each["price"] and each["price"]["unit_price_cents"] for each in quote["days"]] == [432, 225, None]
    assert quote["total_cents"] == 657
    stranger = await town.client.post(f"/households/{household}/quotes", json=body, headers=town.parent(uuid4()))
    assert stranger.status == 404


async def test_a_school_s_and_an_outsider_s_price(town: Any) -> None:
    prevert, ferry = a_child(0), a_child(1, "École Jules-Ferry")
    household = await town.household(prevert, ferry)
    assert (await town.tariff(school="École Jacques-Prévert", resident=True)).status == 200
    outside = {"resident": False, "formula": {"kind": "flat", "unit_price_cents": 900}}
    assert (await town.tariff(uuid4(), **outside)).status == 200
    assert [each["unit_price_cents"] for each in await prices(town, household)] == [425]
    assert await prices(town, household, child_id=str(ferry.child_id)) == []
    await knows(town, household, None, "2026-01-01", resident=False)
    (price,) = await prices(town, household, child_id=str(ferry.child_id))
    assert (price["unit_price_cents"], "hors commune" in price["explanation"]) == (900, True)


async def test_a_quotient_that_comes_late_opens_a_credit_that_is_published_once(town: Any) -> None:
    assert (await town.tariff(label="Cantine 2026", formula=BRACKETS)).status == 200
    household, invoice = await town.invoiced(1, 2, 3)
    assert invoice["total_cents"] == 3 * 480
    told = await knows(town, household, 50_000, "2026-11-03")
    (proposed,) = told["repricings"]
    assert (proposed["number"], proposed["days"], proposed["credit_cents"]) == (invoice["number"], 2, 460)
    path = f"/households/{household}/invoices/{invoice['invoice_id']}/repricing"
    payload = {"credit_cents": 460, "seen_balance_cents": 3 * 480}
    for other in ({"credit_cents": 461}, {"seen_balance_cents": 3 * 480 - 1}):
        told = await (await town.post(path, {**payload, **other})).json(content_type=None)
        assert (told["code"], told["balance_cents"]) == ("account_changed", 3 * 480)
    first, again = await asyncio.gather(*(town.post(path, payload, key="late") for _ in range(2)))
    assert await first.text() == await again.text()
    note = await first.json()
    assert note["summary"]["number"].startswith("A-")
    assert note["summary"]["invoice_number"] == invoice["number"]
    assert [(line["count"], line["unit_credit_cents"]) for line in note["lines"]] == [(2, 230)]
    refused = await town.post(path, {**payload, **await town.balance(household)})
    assert (await refused.json(content_type=None))["code"] == "nothing_to_credit"
    after = await town.invoices(household)
    assert after["to_pay"][0]["left_cents"] == 3 * 480 - 460
    assert after["credit_notes"][0]["total_cents"] == 460
    assert (await town.probe.next("billing.invoice.credited")).data["total_cents"] == 460
    dearer = await knows(town, household, 5_000_00, "2026-11-03")
    assert dearer["repricings"] == []
    assert [each["quotient_cents"] for each in dearer["terms"]] == [5_000_00]
    await town.balanced()


async def test_a_day_taken_back_after_a_credit_comes_back_at_what_it_cost_in_the_end(town: Any) -> None:
    assert (await town.tariff(formula=BRACKETS)).status == 200
    household, invoice = await town.invoiced(1, 2)
    await knows(town, household, 50_000)
    path = f"/households/{household}/invoices/{invoice['invoice_id']}/repricing"
    credit = {"credit_cents": 460, **await town.balance(household)}
    assert (await town.post(path, credit)).status == 201
    await town.probe.publish(town.booked(household, 2, booked=False))
    await town.until("SELECT count(*) FROM usage WHERE basis IS DISTINCT FROM seen_as", 1)
    await town.uses(household, 10, 11)
    assert (await town.run())["total_cents"] == 250


async def test_a_quotient_that_cannot_be_is_refused(town: Any) -> None:
    household = await town.household()
    path = f"/households/{household}/terms/2026-11-01"
    for quotient in (-1, "845", 1.5):
        refused = await town.client.put(path, json={"quotient_cents": quotient}, headers=town.staff())
        assert refused.status == 422, quotient
    assert await town.sql("SELECT count(*) FROM household_terms") == 0
    unknown = f"/households/{uuid4()}/terms/2026-11-01"
    assert (await town.client.put(unknown, json={"quotient_cents": 1}, headers=town.staff())).status == 404


async def test_where_a_household_lives_is_told_when_it_changes_and_nothing_of_its_quotient(town: Any) -> None:
    household = await town.household(a_child(0))
    await knows(town, household, 84_500, "2026-09-01")
    await knows(town, household, 50_000, "2026-10-01", resident=False)
    await knows(town, household, 61_000, "2026-11-01", resident=False)
    await knows(town, household, 61_000, "2027-01-01", resident=True)
    told = [(await town.probe.next("billing.residence.changed")).data for _ in range(2)]
    assert [each["residences"] for each in told] == [
        [{"first_day": "2026-10-01", "resident": False}],
        [{"first_day": "2026-10-01", "resident": False}, {"first_day": "2027-01-01", "resident": True}],
    ]
    assert told[0]["version"] < told[1]["version"]
    assert set(told[0]) == {"household_id", "version", "residences"}


async def test_a_planning_that_starts_empty_is_told_again_by_a_command(town: Any) -> None:
    resident, outsider = await town.household(a_child(0)), await town.household(a_child(0))
    await knows(town, resident, 84_500)
    await knows(town, outsider, None, resident=False)
    first = (await town.probe.next("billing.residence.changed")).data
    assert await republish(town.settings, []) == 0
    again = [(await town.probe.next("billing.residence.changed")).data for _ in range(2)]
    assert {each["household_id"]: each["residences"] for each in again} == {
        str(resident): [],
        str(outsider): first["residences"],
    }
    assert first in again
