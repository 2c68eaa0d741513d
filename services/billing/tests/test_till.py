"""The counter, credit notes, the journal, the accounting file, certificates, and the proof that all of it holds."""

import asyncio
import csv
import io
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from billing.__main__ import SERVICE
from chassis.clock import today

PRICE = 425


def cash(cents: int, **more: Any) -> dict[str, Any]:
    return {"means": "cash", "amount_cents": cents, "received_on": str(today()), **more}


async def pays(town: Any, household: UUID, body: dict[str, Any], key: str | None = None) -> Any:
    if "seen_balance_cents" not in body and await town.sql(
        "SELECT count(*) FROM household WHERE household_id = $1", household
    ):
        return await town.decides(household, "receipts", body, key)
    return await town.post(f"/households/{household}/receipts", {"seen_balance_cents": 0, **body}, key)


async def verify(town: Any, capsys: Any) -> tuple[int, str]:
    code = await SERVICE.commands["verify"](town.settings, [])
    return code, capsys.readouterr().out


async def test_money_at_the_counter_pays_the_oldest_invoice_first_and_once(town: Any) -> None:
    household, first = await town.invoiced(1, 2)
    await town.uses(household, 10)
    await town.run()
    body = cash(1_000, seen_balance_cents=3 * PRICE)
    answers = await asyncio.gather(*(pays(town, household, body, key="tap") for _ in range(4)))
    assert len({await answer.text() for answer in answers}) == 1
    receipt = await answers[0].json()
    assert receipt["number"] == f"R-{today().year}-000001"
    after = await town.invoices(household)
    assert [each["number"] for each in after["paid"]] == [first["number"]]
    assert after["to_pay"][0]["left_cents"] == 3 * PRICE - 1_000
    settled = await town.probe.next("billing.invoice.settled")
    assert settled.data["payment_id"] == receipt["receipt_id"]
    assert await town.sql("SELECT count(*) FROM receipt") == 1
    await town.balanced()


async def test_more_than_is_due_is_refused_unless_it_is_wanted(town: Any) -> None:
    household, _ = await town.invoiced(1)
    refused = await pays(town, household, cash(4_250))
    body = await refused.json(content_type=None)
    assert (refused.status, body["code"], body["due_cents"]) == (409, "more_than_due", PRICE)
    assert await town.sql("SELECT count(*) FROM receipt") == 0
    kept = await pays(town, household, {**cash(500, keep_surplus=True), "means": "cheque", "reference": "chèque 778"})
    assert (await kept.json())["surplus_cents"] == 75
    assert (await town.invoices(household))["credit_cents"] == 75
    too_much = await town.decides(household, "refunds", refund(76))
    assert (await too_much.json(content_type=None))["code"] == "more_than_credit"
    for _ in range(2):
        body = {**refund(75), "seen_balance_cents": -75}
        given = await town.post(f"/households/{household}/refunds", body, key="back")
        assert given.status == 201
    assert (await town.invoices(household))["credit_cents"] == 0
    told = (await town.probe.next("billing.credit.refunded")).data
    assert (told["amount_cents"], told["means"], told["reference"]) == (75, "transfer", "virement du 12")
    await town.probe.none("billing.credit.refunded")
    await town.balanced()


def refund(cents: int) -> dict[str, Any]:
    return {"means": "transfer", "amount_cents": cents, "reference": "virement du 12"}


async def test_what_was_decided_on_an_account_that_changed_meanwhile_is_not_done(town: Any) -> None:
    """Two at the counter enter the same cheque, give the same credit back, correct the same invoice: once each."""
    household, invoice = await town.invoiced(1, 2)
    shown = {"seen_balance_cents": 2 * PRICE}
    answers = [await pays(town, household, cash(200, **shown)) for _ in range(2)]
    assert [each.status for each in answers] == [201, 409]
    told = await answers[1].json(content_type=None)
    assert (told["code"], told["balance_cents"]) == ("account_changed", 2 * PRICE - 200)
    credit = {"amount_cents": 100, "reason": "repas froid", "seen_balance_cents": 2 * PRICE - 200}
    path = f"/households/{household}/invoices/{invoice['invoice_id']}/credit-notes"
    assert [(await town.post(path, credit, key=key)).status for key in ("a", "b")] == [201, 409]
    await pays(town, household, cash(2 * PRICE, keep_surplus=True))
    gives = {**refund(100), "seen_balance_cents": -300}
    assert [(await town.post(f"/households/{household}/refunds", gives, key=key)).status for key in ("c", "d")] == [
        201,
        409,
    ]
    assert (await town.invoices(household))["credit_cents"] == 200
    await town.balanced()


@pytest.mark.parametrize("seen", [{}, {"seen_balance_cents": None}, {"seen_balance_cents": "x"}])
async def test_a_decision_that_does_not_say_which_account_it_saw_is_refused(town: Any, seen: dict[str, Any]) -> None:
    household, invoice = await town.invoiced(1)
    path = f"/households/{household}"
    for what, body in (
        ("receipts", cash(PRICE)),
        ("refunds", refund(1)),
        (f"invoices/{invoice['invoice_id']}/credit-notes", {"amount_cents": 1, "reason": "Erreur"}),
        (f"invoices/{invoice['invoice_id']}/repricing", {"credit_cents": 1}),
    ):
        refused = await town.post(f"{path}/{what}", {**body, **seen})
        told = await refused.json(content_type=None)
        assert (refused.status, [each["field"] for each in told["errors"]]) == (422, ["seen_balance_cents"]), what
    assert await town.sql("SELECT count(*) FROM receipt") == 0


async def test_a_wrong_receipt_is_refused(town: Any) -> None:
    household, _ = await town.invoiced(1)
    for wrong in (
        {"means": "shells"},
        {"amount_cents": 0},
        {"amount_cents": 4.5},
        {"received_on": str(today() + timedelta(days=1))},
        {"received_on": str(today() - timedelta(days=400))},
        {"reference": ""},
    ):
        assert (await pays(town, household, {**cash(PRICE), **wrong})).status == 422, wrong
    assert await town.sql("SELECT count(*) FROM receipt") == 0


async def test_a_receipt_for_somebody_elses_invoice_is_refused(town: Any) -> None:
    _, invoice = await town.invoiced(1)
    other = await town.household()
    assert (await pays(town, other, cash(PRICE, invoice_ids=[invoice["invoice_id"]]))).status == 404
    assert (await pays(town, uuid4(), cash(PRICE))).status == 404


async def test_a_credit_note_names_its_invoice_and_what_was_paid_too_much_becomes_a_credit(town: Any) -> None:
    household, invoice = await town.invoiced(1, 2)
    assert (await pays(town, household, cash(PRICE + 100))).status == 201
    path = f"/households/{household}/invoices/{invoice['invoice_id']}/credit-notes"
    shown = {"seen_balance_cents": PRICE - 100}
    refused = await town.post(path, {"amount_cents": 2 * PRICE + 1, "reason": "Erreur", **shown})
    assert (await refused.json(content_type=None))["creditable_cents"] == 2 * PRICE
    assert await town.sql("SELECT count(*) FROM document_counter WHERE series = 'A-'") == 0
    payload = {"amount_cents": PRICE, "reason": "Repas non servi"}
    balances = (("a", PRICE - 100), ("a", PRICE - 100), ("b", -100))
    notes = [
        await (await town.post(path, {**payload, "seen_balance_cents": cents}, key=key)).json()
        for key, cents in balances
    ]
    assert [note["summary"]["number"][-6:] for note in notes] == ["000001", "000001", "000002"]
    after = await town.invoices(household)
    assert (after["paid"][0]["left_cents"], after["credit_cents"]) == (0, PRICE + 100)
    more = await town.decides(household, path.removeprefix(f"/households/{household}/"), {**payload, "amount_cents": 1})
    assert (more.status, (await more.json(content_type=None))["code"]) == (409, "more_than_invoiced")
    note_id = notes[0]["summary"]["credit_note_id"]
    pdf = await town.client.get(f"/households/{household}/credit-notes/{note_id}/pdf", headers=town.parent(household))
    assert (await pdf.read()).startswith(b"%PDF")
    foreign = f"/households/{uuid4()}/credit-notes/{note_id}/pdf"
    assert (await town.client.get(foreign, headers=town.staff())).status == 404
    with pytest.raises(asyncpg.RaiseError, match="never changes"):
        await town.sql("UPDATE credit_note SET reason = 'x'")
    await town.balanced()


async def test_credit_notes_at_once_never_credit_more_than_the_invoice_said(town: Any) -> None:
    household, invoice = await town.invoiced(1)
    path = f"/households/{household}/invoices/{invoice['invoice_id']}/credit-notes"
    payload = {"amount_cents": 300, "reason": "Erreur", "seen_balance_cents": PRICE}
    answers = await asyncio.gather(*(town.post(path, payload) for _ in range(5)))
    assert sorted(answer.status for answer in answers) == [201] + [409] * 4
    assert await town.sql("SELECT last FROM document_counter WHERE series = 'A-'") == 1


async def test_the_journal_sums_by_day_and_means_and_the_file_balances(town: Any) -> None:
    household, invoice = await town.invoiced(1, 2)
    yesterday = str(today() - timedelta(days=1))
    assert (await pays(town, household, {**cash(100), "received_on": yesterday})).status == 201
    assert (await pays(town, household, cash(100))).status == 201
    assert (await pays(town, household, {**cash(150), "reference": "=1+1", "means": "cheque"})).status == 201
    await town.pays(household, invoice, 500)
    query = {"first": yesterday, "last": str(today())}
    journal = await (await town.client.get("/journal", params=query, headers=town.staff())).json()
    sums = {(each["day"], each["means"]): each["amount_cents"] for each in journal["takings"]}
    assert sums == {
        (yesterday, "cash"): 100,
        (str(today()), "cash"): 100,
        (str(today()), "cheque"): 150,
        (str(today()), "card"): 500,
    }
    assert journal["total_cents"] == 850
    response = await town.client.get("/exports/accounting", params=query, headers=town.staff())
    text = (await response.read()).decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text), delimiter=";"))

    def cents(value: str) -> int:
        return int(value.replace(",", "") or 0)

    assert sum(cents(row["debit"]) for row in rows) == sum(cents(row["credit"]) for row in rows) == 1_700
    assert {row["moyen"] for row in rows if row["compte"] == "encaissements"} == {"card", "cash", "cheque"}
    assert {row["produit"] for row in rows if row["compte"] == "produits"} == {"Cantine"}
    for wrong in ({"first": "2026-02-01", "last": "2026-01-01"}, {"first": "x"}, {"first": "2001-01-01"}):
        assert (await town.client.get("/exports/accounting", params=wrong, headers=town.staff())).status == 422


async def test_the_till_keeper_finds_a_household_by_name_or_reference(town: Any) -> None:
    household, invoice = await town.invoiced(1)
    reference = household.hex[:8]
    for search in (reference, "exemple", ""):
        response = await town.client.get("/accounts", params={"search": search}, headers=town.staff())
        (found,) = (await response.json())["accounts"]
        assert (found["reference"], found["due_cents"]) == (reference, invoice["total_cents"])
    response = await town.client.get("/accounts", params={"search": "%"}, headers=town.staff())
    assert (await response.json())["accounts"] == []


async def test_a_certificate_says_what_was_paid_for_childcare_in_the_year(town: Any) -> None:
    household = await town.household(town.child())
    child = await town.sql("SELECT child_id FROM child")
    canteen, club = town.activity, uuid4()
    await town.uses(household, 1, child=child)
    town.activity = club
    flat = {"kind": "flat", "unit_price_cents": 1_000}
    more = {"activity_id": str(club), "activity_label": "Mercredi", "formula": flat, "childcare": True}
    assert (await town.tariff(**more)).status == 200
    await town.probe.publish(town.booked(household, 4, child=child, label="Mercredi"))
    await town.until("SELECT count(*) FROM usage", 2)
    await town.run()
    path = f"/households/{household}/certificates/{today().year}/{child}/pdf"
    assert (await town.client.get(path, headers=town.parent(household))).status == 404
    assert (await pays(town, household, cash(1_425))).status == 201
    (key,) = (await town.invoices(household))["certificates"]
    assert (key["year"], key["child_id"], key["child_first_name"]) == (today().year, str(child), "Léa")
    response = await town.client.get(path, headers=town.parent(household))
    assert (await response.read()).startswith(b"%PDF")
    assert canteen != club
    assert (await town.client.get(path, headers=town.parent(uuid4()))).status == 404
    for year in ("1999", "x", "99999", "٢٠٢٦"):
        wrong = path.replace(f"/{today().year}/", f"/{year}/")
        assert (await town.client.get(wrong, headers=town.parent(household))).status == 404


async def test_verify_proves_the_documents_and_finds_what_was_changed_behind_its_back(town: Any, capsys: Any) -> None:
    household, invoice = await town.invoiced(1, 2)
    await town.invoiced(3)
    path = f"invoices/{invoice['invoice_id']}/credit-notes"
    assert (await town.decides(household, path, {"amount_cents": 25, "reason": "Erreur"})).status == 201
    code, said = await verify(town, capsys)
    assert (code, "3 documents" in said, "0 wrong" in said) == (0, True, True)
    await town.sql("ALTER TABLE invoice_line DISABLE TRIGGER USER")
    await town.sql("UPDATE invoice_line SET explanation = 'autre' WHERE invoice_id = $1", UUID(invoice["invoice_id"]))
    code, said = await verify(town, capsys)
    assert (code, f"{invoice['number']}: the document does not say what was published" in said) == (1, True)
    await town.sql("ALTER TABLE document_chain DISABLE TRIGGER USER")
    with pytest.raises(asyncpg.CheckViolationError):
        await town.sql("UPDATE document_chain SET digest = sha256('x') WHERE position = 2")
