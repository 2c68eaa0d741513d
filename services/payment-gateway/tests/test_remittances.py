"""The bank's remittance beside what is confirmed here; the end of a payment's story; the journal, found and trimmed."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from chassis.clock import now, today
from chassis.testing import eventually
from contracts.events.billing import InvoiceSettled

HEAD = "Date;Montant;Référence;Référence bancaire;Autorisation;Sens\n"


async def paid(till: Any) -> dict[str, Any]:
    payment: dict[str, Any] = await till.begin()
    await till.at_bank(payment, "pay")
    return dict(await till.becomes(payment, "confirmed"))


async def reference(till: Any, payment: dict[str, Any]) -> str:
    return str(await till.sql("SELECT reference FROM payment WHERE payment_id = $1", UUID(payment["payment_id"])))


def row(ref: str, amount: str = "42,50", sense: str = "") -> str:
    return f"{today():%d/%m/%Y};{amount};{ref};;;{sense}\n"


async def sends(
    till: Any, content: str, *, bank: str = "", name: str = "releve.csv", source: str = "", status: int = 201
) -> Any:
    path = f"/remittances/{bank or till.bank_name}" + (f"?source={source}" if source else "")
    headers = till.keeper(**{"X-File-Name": name, "Content-Type": "application/octet-stream"})
    response = await till.client.post(path, data=content.encode(), headers=headers)
    assert response.status == status, await response.text()
    return await response.json()


async def differences(till: Any) -> list[tuple[str, int, int]]:
    found = (await till.staff_reads("/remittances"))["differences"]
    return [(each["kind"], each["ours_cents"], each["banks_cents"]) for each in found]


@pytest.mark.every_bank
async def test_a_remittance_that_agrees_leaves_nothing_to_do(till: Any) -> None:
    payment = await paid(till)
    content = HEAD + row(await reference(till, payment))
    first, again = await sends(till, content), await sends(till, content, name="%00autre.csv")
    assert first == again
    assert (first["new_lines"], first["unmatched"], first["taken_cents"]) == (1, 0, 4250)
    assert await differences(till) == []
    (day,) = (await till.staff_reads("/till"))["days"]
    assert (day["confirmed_cents"], day["remitted"], day["remitted_cents"]) == (4250, 1, 4250)
    path = f"/payments/{payment['payment_id']}/timeline"
    (line,) = (await till.staff_reads(path))["remitted"]
    assert (line["file_name"], line["line"], line["amount_cents"]) == ("releve.csv", 2, 4250)
    told = await (await till.client.get(path, headers=till.parent())).json()
    assert told["remitted"] == []


async def test_files_that_overlap_count_a_line_once(till: Any) -> None:
    line = row(await reference(till, await paid(till)))
    await sends(till, HEAD + line)
    second = await sends(till, HEAD + line + row(await reference(till, await paid(till))), name="suite.csv")
    assert (second["lines"], second["new_lines"]) == (2, 1)
    assert await differences(till) == []
    twice = await sends(till, HEAD + line + line, name="deux.csv")
    assert twice["new_lines"] == 1
    assert await differences(till) == [("twice", 4250, 8500)]


async def test_every_disagreement_has_its_kind(till: Any) -> None:
    wrong, unpaid, back = await paid(till), await till.begin(), await paid(till)
    lines = row(await reference(till, wrong), "42,00") + row(await reference(till, unpaid))
    lines += row(await reference(till, back)) + row(await reference(till, back), "10,00", "Remboursement")
    await sends(till, HEAD + lines + row("NEVERHEARDOF", "7,00"))
    assert sorted(await differences(till)) == [
        ("amount", 4250, 4200),
        ("taken_back", 0, 1000),
        ("unconfirmed", 0, 4250),
        ("unknown", 0, 700),
    ]
    await till.decides(back, "refund", 1000)
    assert "taken_back" not in {kind for kind, _, _ in await differences(till)}


async def test_what_the_bank_should_have_remitted_by_now_is_missed(till: Any) -> None:
    payment, other = await paid(till), await paid(till)
    await till.sql("ALTER TABLE payment_move DISABLE TRIGGER append_only")
    await till.sql("UPDATE payment_move SET at = at - interval '8 days'")
    assert await differences(till) == []  # the account has no file of that time
    days_ago = f"{today() - timedelta(days=20):%d/%m/%Y};1,00;OLD;;;\n"
    await sends(till, HEAD + days_ago + row(await reference(till, other)))
    assert await differences(till) == [("unknown", 0, 100), ("missing", 4250, 0)]
    await sends(till, HEAD + row(await reference(till, payment)), name="suite.csv")
    assert await differences(till) == [("unknown", 0, 100)]


async def test_a_payment_is_found_by_its_authorisation_alone(till: Any) -> None:
    payment = await paid(till)
    query = "SELECT ticket ->> 'authorisation' FROM payment WHERE payment_id = $1"
    authorisation = await till.sql(query, UUID(payment["payment_id"]))
    sent = await sends(till, HEAD + f"{today()};42,50;;;{authorisation};\n{today()};41,50;;;{authorisation};\n")
    assert sent["unmatched"] == 1


async def test_a_difference_that_was_explained_leaves_the_list_until_its_facts_change(till: Any) -> None:
    ref = await reference(till, await till.begin())
    await sends(till, HEAD + row(ref))
    (found,) = (await till.staff_reads("/remittances"))["differences"]
    payload = {"difference": found["difference"], "reason": "vu avec la banque"}
    assert (await till.client.post("/remittances/notes", json=payload, headers=till.keeper())).status == 204
    assert await differences(till) == []
    assert (await till.client.post("/remittances/notes", json=payload, headers=till.keeper())).status == 409
    await sends(till, HEAD + row(ref, "1,00"), name="suite.csv")
    assert await differences(till) == [("unconfirmed", 0, 4350)]


async def test_a_file_with_a_wrong_line_is_refused_whole(till: Any) -> None:
    refused = await sends(till, HEAD + row("A") + row("B", "douze"), status=422)
    assert [(each["line"], each["column"]) for each in refused["errors"]] == [(3, "Montant")]
    assert await till.sql("SELECT count(*) FROM remittance_line") == 0
    await sends(till, HEAD + row("A"), bank="nobank", status=404)
    response = await till.client.post(f"/remittances/{till.bank_name}", data=b"x", headers=till.parent())
    assert response.status == 403


@pytest.mark.every_bank
async def test_what_billing_settled_ends_the_story(till: Any) -> None:
    payment = await paid(till)
    settled = InvoiceSettled(
        invoice_id=uuid4(),
        household_id=till.household,
        number="2026-000042",
        payment_id=UUID(payment["payment_id"]),
        settled_at=now(),
    )
    await till.probe.publish(settled.model_copy(update={"payment_id": uuid4()}))  # cash: not one of ours
    await till.probe.publish(settled, times=3)

    async def told() -> Any:
        path = f"/payments/{payment['payment_id']}/timeline"
        return (await (await till.client.get(path, headers=till.parent())).json())["settled"]

    assert [each["number"] for each in await eventually(told)] == ["2026-000042"]
    assert await till.sql("SELECT count(*) FROM settlement") == 1


@pytest.mark.every_bank
async def test_the_journal_is_searched_by_reference_day_and_verdict(till: Any) -> None:
    payment, other = await paid(till), await paid(till)
    await till.client.post(till.webhook, data=b"idop=lost-and-found-1&signature=x")

    async def found(**query: str) -> list[dict[str, Any]]:
        filters = "&".join(f"{name}={value}" for name, value in query.items())
        return list((await till.staff_reads(f"/journal?{filters}"))["words"])

    mine = await found(reference=await reference(till, payment))
    assert {each["payment_id"] for each in mine} == {payment["payment_id"]}
    by_bank = await found(reference=mine[0]["bank_reference"])
    assert {each["word_id"] for each in by_bank} == {each["word_id"] for each in mine}
    assert {each["payment_id"] for each in await found(reference=other["payment_id"])} == {other["payment_id"]}
    (stray,) = await found(reference="lost-and-found")
    assert stray["verdict"] in {"forged", "unknown"}
    assert stray["payment_id"] is None
    assert len(await found(day=f"{today()}")) >= 3
    assert await found(day="2020-01-01") == []
    assert {each["verdict"] for each in await found(verdict=stray["verdict"])} == {stray["verdict"]}
    newest = (await found())[0]["word_id"]
    assert all(each["word_id"] < newest for each in await found(before=str(newest)))
    for wrong in ("day=soon", "verdict=maybe", "before=x", "day=9999-12-31"):
        assert (await till.client.get(f"/journal?{wrong}", headers=till.keeper())).status == 422
    assert await found(reference="%00%FFx%27--") == []
    assert (await till.client.get("/journal", headers=till.parent())).status == 403


async def test_after_the_retention_time_only_the_digest_is_left(till: Any) -> None:
    payment, fresh = await paid(till), await paid(till)
    (before, *_) = (await till.staff_reads(f"/journal?reference={payment['payment_id']}"))["words"]
    ago = "UPDATE {} SET {} = {} - interval '500 days' WHERE payment_id = $1"
    await till.sql("ALTER TABLE bank_word DISABLE TRIGGER trimmed_only")
    await till.sql(ago.format("bank_word", "received_at", "received_at"), UUID(payment["payment_id"]))
    await till.sql(ago.format("payment", "changed_at", "changed_at"), UUID(payment["payment_id"]))
    await till.sql("ALTER TABLE bank_word ENABLE TRIGGER trimmed_only")
    await till.run_job("trim")
    (after, *_) = (await till.staff_reads(f"/journal?reference={payment['payment_id']}"))["words"]
    assert (after["text"], after["source"], after["headers"]) == ("", "", {})
    assert after["digest"] == before["digest"]
    assert after["trimmed_at"]
    who = "SELECT payer_email || payer_name FROM payment WHERE payment_id = $1"
    assert await till.sql(who, UUID(payment["payment_id"])) == ""
    assert await till.sql(who, UUID(fresh["payment_id"])) != ""
    (kept, *_) = (await till.staff_reads(f"/journal?reference={fresh['payment_id']}"))["words"]
    assert kept["text"]
    assert kept["trimmed_at"] is None


@pytest.mark.every_bank
async def test_what_arrived_at_the_treasury_is_the_third_book(till: Any) -> None:
    payment = await paid(till)
    ref = await reference(till, payment)
    await sends(till, HEAD + row(ref))
    await sends(till, HEAD + row(ref, "42,50", "Crédit"), source="treasury", name="dft.csv")
    assert await differences(till) == []
    (day,) = (await till.staff_reads("/till"))["days"]
    assert (day["remitted_cents"], day["arrived"], day["arrived_cents"]) == (4250, 1, 4250)
    remitted = (await till.staff_reads(f"/payments/{payment['payment_id']}/timeline"))["remitted"]
    assert [each["source"] for each in remitted] == ["bank", "treasury"]


async def test_a_sum_at_the_treasury_is_that_of_a_banks_day(till: Any) -> None:
    payments = [await paid(till) for _ in range(2)]
    await sends(till, HEAD + "".join([row(await reference(till, each)) for each in payments]))
    statement = f"Date;Montant;Libellé;Sens\n{today():%d/%m/%Y};85,00;REMISE CB;Crédit\n"
    await sends(till, statement, source="treasury")
    assert await differences(till) == []
    (day,) = (await till.staff_reads("/till"))["days"]
    assert (day["arrived"], day["arrived_cents"]) == (2, 8500)
    await sends(till, statement.replace("85,00", "85,01"), source="treasury")
    ((kind, _, cents),) = await differences(till)
    assert (kind, cents) == ("unknown", 8501)


async def test_what_the_bank_remitted_and_did_not_arrive_is_missing_at_the_treasury_only(till: Any) -> None:
    payment, later = await paid(till), await paid(till)
    for each in (payment, later):
        await till.sql("ALTER TABLE payment_move DISABLE TRIGGER append_only")
        await till.sql(
            "UPDATE payment_move SET at = at - interval '10 days' WHERE payment_id = $1", UUID(each["payment_id"])
        )
    before, after = f"{today() - timedelta(days=20):%d/%m/%Y}", f"{today():%d/%m/%Y}"
    refs = [await reference(till, each) for each in (payment, later)]
    lines = [f"{before};1,00;AUTRE;;;\n", *(f"{after};42,50;{ref};;;\n" for ref in refs)]
    await sends(till, HEAD + "".join(lines))
    arrived = [f"{before};1,00;AUTRE;;;\n", f"{after};42,50;{refs[1]};;;\n"]
    await sends(till, HEAD + "".join(arrived), source="treasury")
    found = (await till.staff_reads("/remittances"))["differences"]
    missing = [(each["source"], each["payment_id"]) for each in found if each["kind"] == "missing"]
    assert missing == [("treasury", payment["payment_id"])]


async def test_a_debit_at_the_treasury_that_is_not_known_here(till: Any) -> None:
    payment = await paid(till)
    ref = await reference(till, payment)
    await sends(till, HEAD + row(ref, "42,50", "Crédit") + row(ref, "10,00", "Débit"), source="treasury")
    assert await differences(till) == [("taken_back", 0, 1000)]
    await till.decides(payment, "refund", 1000)
    assert await differences(till) == []
    await sends(till, HEAD + row(ref), source="moon", status=422)


async def test_where_a_household_lives_is_forgotten_once_its_checkout_is_over(till: Any) -> None:
    over, fresh = await till.checkout(minutes=-16), await till.checkout(minutes=-14)
    await till.run_job("trim")
    home = "SELECT opened ->> 'household_address' FROM checkout WHERE checkout_id = $1"
    assert await till.sql(home, over) == "[]"
    assert "Bourg" in await till.sql(home, fresh)


async def test_whoever_holds_the_bytes_can_prove_them_by_the_digest(till: Any) -> None:
    payment = await paid(till)
    recipe = "sha256(convert_to(payment_id::text, 'UTF8') || '\\x00' || convert_to(query, 'UTF8') || '\\x00' || body)"
    total = "SELECT count(*) FROM bank_word WHERE payment_id = $1"
    payment_id = UUID(payment["payment_id"])
    assert await till.sql(f"{total} AND digest = {recipe}", payment_id) == await till.sql(total, payment_id) > 0


async def test_the_journal_can_be_trimmed_and_never_rewritten(till: Any) -> None:
    await paid(till)
    trimmed = "body = '', query = '', headers = '{}', source = ''"
    for statement in (
        "UPDATE bank_word SET body = 'x'",
        "UPDATE bank_word SET trimmed_at = now()",
        f"UPDATE bank_word SET trimmed_at = now(), {trimmed}, verdict = 'forged'",
        f"UPDATE bank_word SET trimmed_at = now(), {trimmed}, digest = 'x'",
        "DELETE FROM bank_word",
    ):
        with pytest.raises(asyncpg.RaiseError):
            await till.sql(statement)
