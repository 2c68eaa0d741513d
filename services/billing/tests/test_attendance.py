"""Who came makes the price: before the invoice, after it, and when the town gave a day back by hand."""

import asyncio
import itertools
from datetime import date
from typing import Any
from uuid import UUID, uuid4

from billing.store import usages
from billing.store.certificates import childcare_paid
from chassis.clock import today
from chassis.database import DATABASE
from contracts.events.auth import Custody
from contracts.events.planning import Presence

PRICE = 425
RULES = {"unjustified_percent": 50, "free_absences": 1, "extra_cents": 200, "late_pickup_cents": 500}


async def by_attendance(town: Any, **more: Any) -> None:
    assert (await town.tariff(attendance={**RULES, **more})).status == 200


async def lines(town: Any, household: UUID, number: int = 0) -> list[tuple[int, int, str]]:
    """The lines of the household's newest invoice: count, unit price, and the end of the explanation."""
    found = await town.invoices(household)
    newest = sorted([*found["to_pay"], *found["paid"]], key=lambda each: each["number"])[-1 - number]
    path = f"/households/{household}/invoices/{newest['invoice_id']}"
    model = await (await town.client.get(path, headers=town.parent(household))).json()
    return [
        (each["count"], each["unit_price_cents"], each["explanation"].replace("\N{NO-BREAK SPACE}", " "))
        for each in model["lines"]
    ]


async def proposals(town: Any, household: UUID) -> list[dict[str, Any]]:
    terms = await (await town.client.get(f"/households/{household}/terms", headers=town.staff())).json()
    found: list[dict[str, Any]] = terms["repricings"]
    return found


async def test_an_invoice_by_attendance_says_on_each_line_what_became_of_the_days(town: Any) -> None:
    await by_attendance(town)
    household = await town.household()
    await town.uses(household, 1, 2, 3, 4, 5)
    await town.marks(household, 1, Presence.PRESENT)
    await town.marks(household, 2, Presence.ABSENT)
    await town.marks(household, 3, Presence.ABSENT)
    await town.marks(household, 4, Presence.JUSTIFIED)
    await town.marks(household, 5, Presence.PRESENT, late=True)
    await town.marks(household, 8, Presence.EXTRA)
    assert (await town.run())["total_cents"] == PRICE + 0 + 213 + 0 + 925 + 625
    rule = "Tarif unique"
    assert await lines(town, household) == [
        (1, 0, f"{rule} · absence justifiée : non facturée"),
        (1, 0, f"{rule} · absence non justifiée n° 1 du mois : non facturée"),
        (1, 213, f"{rule} · absence non justifiée : 50 % de 4,25 €"),
        (1, 425, rule),
        (1, 625, f"{rule} · présence sans réservation : +2 €"),
        (1, 925, f"{rule} · départ en retard : +5 €"),
    ]
    assert (await town.run())["invoices"] == 0


async def test_a_parent_reads_what_an_absence_would_cost_before_booking(town: Any) -> None:
    await by_attendance(town)
    household = await town.household()
    path = f"/households/{household}/prices"
    (price,) = (await (await town.client.get(path, headers=town.parent(household))).json())["prices"]
    assert price["attendance"] == {
        **{"justified_percent": 0, "unjustified_percent": 50, "free_absences": 1},
        **{"extra_cents": 200, "late_pickup_cents": 500},
    }


async def test_days_that_nobody_checked_are_named_before_publishing(town: Any) -> None:
    await by_attendance(town)
    household = await town.household()
    await town.uses(household, 1, 2, 3)
    await town.marks(household, 3, Presence.PRESENT)
    begun = await (await town.begin()).json()
    ready = await town.reached(begun["run_id"], "ready")
    assert [(each["kind"], each["detail"]) for each in ready["anomalies"]] == [
        ("attendance_unchecked", "Cantine : 2 jours")
    ]
    assert ready["total_cents"] == 3 * PRICE


async def test_attendance_is_the_same_in_any_order_and_number_in_both_households(town: Any) -> None:
    mother, father, child = await town.household(), await town.household(), uuid4()
    orders = list(itertools.permutations(range(3)))
    stories = [
        [
            town.marked(mother, day, Presence.PRESENT, child=child, version=1),
            town.marked(father, day, Presence.EXTRA, child=child, version=2, late=True),
            town.marked(father, day, Presence.ABSENT, child=child, version=3),
        ]
        for day in range(len(orders))
    ]
    for order, story in zip(orders, stories, strict=True):
        for number in (*order, *order):
            await town.probe.publish(story[number])
    await town.until("SELECT count(*) FROM inbox WHERE listener = 'billing.keep-attendance'", 2 * 3 * len(orders))
    query = "SELECT array_agg(presence || late_pickup) FROM usage WHERE household_id = $1 AND presence IS NOT NULL"
    assert await town.sql(query, father) == ["absentfalse"] * len(orders)
    assert await town.sql(query, mother) is None


async def test_a_late_pickup_marked_after_the_invoice_is_asked_on_the_next_run_once(town: Any) -> None:
    await by_attendance(town)
    household = await town.household()
    await town.uses(household, 1, 2)
    assert (await town.run())["total_cents"] == 2 * PRICE
    await town.marks(household, 1, Presence.PRESENT)
    await town.marks(household, 2, Presence.PRESENT, late=True)
    assert await proposals(town, household) == []
    assert (await town.run())["total_cents"] == 500
    assert await lines(town, household) == [
        (-1, 425, "régularisation"),
        (1, 925, "régularisation · Tarif unique · départ en retard : +5 €"),
    ]
    assert (await town.run())["invoices"] == 0
    assert await town.sql("SELECT count(*) FROM usage WHERE basis IS DISTINCT FROM seen_as") == 0


async def test_an_absence_excused_after_the_invoice_is_given_back_once_by_whichever_comes_first(town: Any) -> None:
    await by_attendance(town)
    households = [await town.household() for _ in range(2)]
    for household in households:
        await town.uses(household, 1, 2)
    assert (await town.run())["total_cents"] == 4 * PRICE
    for household in households:
        await town.marks(household, 1, Presence.JUSTIFIED)
        await town.uses(household, 10, 11)
    credited, waits = households
    (proposed,) = await proposals(town, credited)
    assert (proposed["days"], proposed["credit_cents"]) == (1, PRICE)
    path = f"/households/{credited}/invoices/{proposed['invoice_id']}/repricing"
    payload = {"credit_cents": PRICE, **await town.balance(credited)}
    answers = await asyncio.gather(*(town.post(path, payload) for _ in range(3)))
    assert sorted(answer.status for answer in answers) == [201, 409, 409]
    assert (await town.run())["total_cents"] == 2 * PRICE + PRICE
    assert await proposals(town, waits) == []
    assert (-1, 425, "régularisation") in await lines(town, waits)
    assert await lines(town, credited) == [(2, 425, "Tarif unique")]
    assert (await town.run())["invoices"] == 0
    await town.balanced()


async def test_an_earlier_absence_takes_the_free_one_of_its_month(town: Any) -> None:
    await by_attendance(town)
    household = await town.household()
    await town.uses(household, 5, 9)
    await town.marks(household, 5, Presence.PRESENT)
    await town.marks(household, 9, Presence.ABSENT)
    assert (await town.run())["total_cents"] == PRICE  # the absence is the first
    await town.marks(household, 5, Presence.ABSENT)
    assert (await town.run())["invoices"] == 0  # 4,25 comes back and 2,13 is due: less than nothing
    await town.uses(household, 12)
    await town.marks(household, 12, Presence.PRESENT)
    assert (await town.run())["total_cents"] == PRICE - PRICE + 213
    assert await town.sql("SELECT sum(invoiced_price_cents)::integer FROM usage") == 213 + PRICE


async def test_attendance_that_changes_no_price_leaves_nothing_to_invoice(town: Any) -> None:
    household, _ = await town.invoiced(1, 2)
    await town.marks(household, 1, Presence.ABSENT)
    await town.marks(household, 9, Presence.EXTRA)
    done = await town.run()
    assert (done["invoices"], done["anomalies"]) == (0, [])
    assert await town.sql("SELECT count(*) FROM usage WHERE basis IS DISTINCT FROM seen_as") == 0


async def give_back(town: Any, household: UUID, invoice: dict[str, Any], *days: int, **more: Any) -> Any:
    keys = [
        {"child_id": str(household), "activity_id": str(town.activity), "day": str(date(2026, 11, 1 + number))}
        for number in days
    ]
    path = f"invoices/{invoice['invoice_id']}/credit-notes"
    return await town.decides(household, path, {"days": keys, "reason": "Repas non servi", **more})


async def test_days_given_back_by_hand_are_neither_given_back_again_nor_charged_again(town: Any) -> None:
    await by_attendance(town)
    household = await town.household()
    await town.uses(household, 1, 2, 3)
    await town.run()
    (invoice,) = (await town.invoices(household))["to_pay"]
    path = f"/households/{household}/invoices/{invoice['invoice_id']}/days"
    listed = (await (await town.client.get(path, headers=town.staff())).json())["days"]
    assert [(each["day"], each["amount_cents"]) for each in listed] == [
        ("2026-11-02", 425),
        ("2026-11-03", 425),
        ("2026-11-04", 425),
    ]
    answers = await asyncio.gather(*(give_back(town, household, invoice, 1, 2) for _ in range(3)))
    assert sorted(answer.status for answer in answers) == [201, 409, 409]
    (note,) = [await answer.json() for answer in answers if answer.status == 201]
    assert note["summary"]["total_cents"] == 2 * PRICE
    assert [line["label"] for line in note["lines"]] == ["Cantine · le 02/11/2026", "Cantine · le 03/11/2026"]
    await town.marks(household, 1, Presence.PRESENT, late=True)
    await town.probe.publish(town.booked(household, 2, booked=False))
    await town.until("SELECT count(*) FROM usage WHERE NOT booked", 1)
    assert await proposals(town, household) == []
    assert (await town.run())["invoices"] == 0
    await town.uses(household, 2)
    assert (await town.run())["total_cents"] == PRICE  # booked anew after it was given back and cancelled
    assert (await town.run())["invoices"] == 0
    await town.balanced()


async def test_a_credit_note_is_of_days_of_its_invoice_or_of_an_amount(town: Any) -> None:
    household, invoice = await town.invoiced(1)
    unknown = await give_back(town, household, invoice, 7)
    assert (unknown.status, (await unknown.json(content_type=None))["code"]) == (409, "nothing_to_credit")
    for wrong in ({"amount_cents": 5}, {"days": []}):
        assert (await give_back(town, household, invoice, 1, **wrong)).status == 422
    assert (await give_back(town, household, invoice, 1, 1)).status == 422
    path = f"/households/{household}/invoices/{invoice['invoice_id']}/days"
    assert (await town.client.get(path, headers=town.parent(household))).status == 403
    assert (await town.client.get(path.replace(str(household), str(uuid4())), headers=town.staff())).status == 404


async def test_a_day_that_was_credited_while_a_run_looked_at_it_stays_credited(town: Any) -> None:
    """A preview reads without locks; what it found in the meantime is not written over what is newer."""
    household, invoice = await town.invoiced(1, 2)
    database = town.client.app[DATABASE]
    async with database.transaction() as tx:
        looked_at = await usages.account(tx, household)
    assert (await give_back(town, household, invoice, 1)).status == 201
    async with database.transaction() as tx:
        await usages.mark(tx, [(each, each.invoiced) for each in looked_at])
    query = "SELECT array_agg((invoiced_price_cents, waived)::text ORDER BY day) FROM usage"
    assert await town.sql(query) == ["(0,t)", "(425,f)"]


async def test_the_tax_certificate_counts_care_alone(town: Any) -> None:
    """Food, surcharges and absences are paid, and open no tax credit; nor does a child of six."""
    young = town.child()
    elder = young.model_copy(update={"child_id": uuid4(), "first_name": "Tom", "birth_date": date(2015, 5, 5)})
    household = await town.household(young, elder.model_copy(update={"custody": Custody.EVEN_WEEKS}))
    flat = {"kind": "flat", "unit_price_cents": 1_000}
    rules = {"unjustified_percent": 100, "justified_percent": 50, "extra_cents": 300, "late_pickup_cents": 500}
    more = {"formula": flat, "childcare": True, "attendance": rules}
    assert (await town.tariff(**more)).status == 200
    await town.uses(household, 1, 2, 3, 4, 6, child=young.child_id)
    await town.uses(household, 5, child=elder.child_id)
    await town.marks(household, 1, Presence.PRESENT, child=young.child_id, late=True)
    await town.marks(household, 2, Presence.ABSENT, child=young.child_id)
    await town.marks(household, 3, Presence.PRESENT, child=young.child_id)
    await town.marks(household, 6, Presence.JUSTIFIED, child=young.child_id)
    await town.run()
    (invoice,) = (await town.invoices(household))["to_pay"]
    assert invoice["total_cents"] == 1_500 + 1_000 + 1_000 + 1_000 + 500 + 1_000
    await town.pays(household, invoice, invoice["total_cents"])
    async with town.client.app[DATABASE].transaction() as tx:
        paid = await childcare_paid(tx, household, today().year)
    assert paid == {(young.child_id, "Cantine"): 3_000, (elder.child_id, "Cantine"): 1_000}
    (key,) = (await town.invoices(household))["certificates"]
    assert key["child_id"] == str(young.child_id), "offered for the child under six alone"
    path = "/households/{}/certificates/{}/{}/pdf".format(household, today().year, "{}")
    headers = town.parent(household)
    assert (await town.client.get(path.format(young.child_id), headers=headers)).status == 200
    assert (await town.client.get(path.format(elder.child_id), headers=headers)).status == 404
    assert await town.sql("SELECT alternating FROM child WHERE child_id = $1", elder.child_id)


async def test_the_invoice_says_the_part_of_a_meal_that_is_care_and_the_certificate_counts_that_alone(
    town: Any,
) -> None:
    child = town.child()
    household = await town.household(child)
    flat = {"kind": "flat", "unit_price_cents": 425}
    assert (await town.tariff(formula=flat, childcare=True, childcare_cents=120)).status == 200
    await town.uses(household, 1, 2, child=child.child_id)
    await town.run()
    (invoice,) = (await town.invoices(household))["to_pay"]
    query = "SELECT explanation FROM invoice_line"
    assert await town.sql(query) == "Tarif unique · dont garde 1,20\N{NO-BREAK SPACE}€"
    await town.pays(household, invoice, invoice["total_cents"])
    async with town.client.app[DATABASE].transaction() as tx:
        assert await childcare_paid(tx, household, today().year) == {(child.child_id, "Cantine"): 240}
    await town.probe.publish(town.booked(household, 2, booked=False, child=child.child_id))
    await town.until("SELECT count(*) FROM usage WHERE basis IS DISTINCT FROM seen_as", 1)
    await town.uses(household, 3, 4, child=child.child_id)
    await town.run()
    care = "SELECT sum(childcare_cents)::int FROM invoice_line"
    assert await town.sql(care) == 3 * 120, "a day that is taken back takes its part back"
