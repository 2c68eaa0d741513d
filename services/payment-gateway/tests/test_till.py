"""What the till keeper decides, and what the bank corrects afterwards."""

from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from chassis.clock import now
from chassis.testing import Tokens, eventually
from contracts.events.billing import PaymentUnmatched, UnmatchedReason
from contracts.identity import Role

AUDIENCE = "payment-gateway"


@pytest.mark.every_bank
async def test_the_till_keeper_confirms_what_the_bank_took(till: Any) -> None:
    await till.bank.faults(amount_offset_cents=-1)
    payment = await till.begin()
    await till.at_bank(payment, "pay")
    await till.becomes(payment, "review")
    key, seen = uuid4().hex, await till.version(payment)
    first, again = [await till.decides(payment, "confirm", key=key, seen=seen) for _ in range(2)]
    assert (first.status, again.status) == (201, 201)
    assert await first.json() == await again.json()
    event = await till.probe.next("payment.confirmed")
    assert (event.data["amount_cents"], event.data["ticket"]["amount_cents"]) == (4249, 4249)
    await till.probe.none("payment.confirmed")
    parent = await till.client.get(f"/payments/{payment['payment_id']}/timeline", headers=till.parent())
    told = await parent.json()
    assert [each["to_status"] for each in told["moves"]] == ["pending", "review", "confirmed"]
    assert {each["decided_by"] for each in told["moves"]} | {each["evidence"] for each in told["moves"]} == {None}
    staff = await till.staff_reads(f"/payments/{payment['payment_id']}/timeline")
    assert staff["moves"][-1]["evidence"] == "bordereau 12"
    (day,) = (await till.staff_reads("/till"))["days"]
    assert (day["bank"], day["confirmed"], day["confirmed_cents"], day["returned"]) == (till.bank_name, 1, 4249, 0)


async def test_the_till_keeper_gives_back_what_is_under_review(till: Any) -> None:
    await till.bank.faults(notice="never", amount_offset_cents=5)
    payment = await till.begin()
    await till.at_bank(payment, "pay")
    await till.act(payment, "look-up")
    assert (await till.decides(payment, "refund")).status == 201
    event = await till.probe.next("payment.refunded")
    assert (event.data["amount_cents"], event.data["was_confirmed"]) == (4255, False)
    shown = await till.get(payment)
    assert (shown["status"], shown["ticket_number"]) == ("refunded", None)
    assert (await till.staff_reads("/till"))["days"] == []


async def test_refund_in_parts_dispute_and_charge_back(till: Any) -> None:
    payment = await till.begin()
    await till.at_bank(payment, "pay")
    await till.becomes(payment, "confirmed")
    assert (await till.decides(payment, "charge_back")).status == 409
    assert (await (await till.decides(payment, "refund", 1250)).json())["status"] == "partially_refunded"
    refused = await (await till.decides(payment, "refund", 3001)).json()
    assert (refused["code"], refused["left_cents"]) == ("refund_too_high", 3000)
    assert (await (await till.decides(payment, "dispute")).json())["status"] == "disputed"
    assert (await (await till.decides(payment, "win")).json())["status"] == "partially_refunded"
    await till.decides(payment, "dispute")
    assert (await (await till.decides(payment, "charge_back")).json())["status"] == "charged_back"
    assert (await till.probe.next("payment.refunded")).data["refunded_cents"] == 1250
    assert (await till.probe.next("payment.returned")).data["amount_cents"] == 3000
    (day,) = (await till.staff_reads("/till"))["days"]
    assert (day["confirmed"], day["returned"], day["confirmed_cents"] - day["returned_cents"]) == (1, 2, 0)
    assert (await till.client.get(f"/payments/{payment['payment_id']}/ticket", headers=till.parent())).status == 200


async def test_a_surplus_comes_to_the_list_and_leaves_it_by_a_decision(till: Any) -> None:
    payment = await till.begin()
    await till.at_bank(payment, "pay")
    await till.becomes(payment, "confirmed")
    reason = UnmatchedReason.ALREADY_SETTLED
    await till.probe.publish(
        PaymentUnmatched(
            payment_id=UUID(payment["payment_id"]),
            household_id=till.household,
            surplus_cents=4250,
            reason=reason,
            recorded_at=now(),
        )
    )

    async def listed() -> Any:
        return (await till.staff_reads("/till"))["exceptions"]

    ((kind, cents),) = [(each["kind"], each["amount_cents"]) for each in await eventually(listed)]
    assert (kind, cents) == ("surplus", 4250)
    assert (await till.decides(payment, "acknowledge")).status == 201
    assert (await listed()) == []
    assert await till.sql("SELECT count(*) FROM till_decision WHERE command = 'acknowledge'") == 1


async def test_only_the_till_keeper_decides_and_reads_the_file(till: Any) -> None:
    payment = await till.begin()
    path = f"/payments/{payment['payment_id']}"
    body = {"command": "confirm", "reason": "parce que", "evidence": "bordereau 12"}
    body["seen_version"] = await till.version(payment)
    operator = till.tokens.staff(Role.OPERATOR, audience=AUDIENCE)
    for headers in (till.parent(), Tokens.headers(operator)):
        more = {**headers, "Idempotency-Key": "k"}
        assert (await till.client.post(f"{path}/decisions", json=body, headers=more)).status == 403
    assert (await till.client.get(f"{path}/file", headers=till.parent())).status == 403
    assert (await till.client.get("/till", headers=till.parent())).status == 403
    assert (await till.client.get("/till?day=soon", headers=till.keeper())).status == 422
    empty = {**body, "evidence": " "}
    keeper = till.keeper(**{"Idempotency-Key": "k"})
    assert (await till.client.post(f"{path}/decisions", json=empty, headers=keeper)).status == 422
    assert (await till.client.post(f"{path}/decisions", json=body, headers=keeper)).status == 409


async def test_what_was_frozen_never_thaws(till: Any) -> None:
    await till.begin()
    for change in ("amount_cents = 1", "account = 'x'", "mode = 'production'", "reference = 'x'"):
        with pytest.raises(asyncpg.RaiseError):
            await till.sql(f"UPDATE payment SET {change}")
    with pytest.raises(asyncpg.CheckViolationError):
        await till.sql("UPDATE payment SET status = 'confirmed'")
    with pytest.raises(asyncpg.CheckViolationError):
        await till.sql("UPDATE payment SET refunded_cents = 4251")


async def test_a_card_refused_then_another_accepted_on_the_banks_page(till: Any) -> None:
    payment = await till.begin()
    await till.at_bank(payment, "refuse")
    await till.becomes(payment, "refused")
    query = "SELECT look_up_at IS NOT NULL FROM payment WHERE payment_id = $1"

    async def asked_again_later() -> Any:
        return await till.sql(query, UUID(payment["payment_id"]))

    await eventually(asked_again_later)


async def test_the_bank_corrects_itself_and_the_evidence_follows(till: Any) -> None:
    await till.bank.faults(notice="never", amount_offset_cents=-1)
    payment = await till.begin()
    await till.at_bank(payment, "pay")
    assert (await till.act(payment, "look-up"))["status"] == "review"
    await till.bank.faults(amount_offset_cents=0)
    path = f"/payments/{payment['payment_id']}"
    await till.client.post(f"{path}/look-up", headers=till.keeper())
    file = await till.staff_reads(f"{path}/file")
    assert (file["timeline"]["payment"]["status"], file["differences"], file["taken_cents"]) == ("review", [], 4250)
    await till.decides(payment, "confirm")
    assert (await till.get(payment))["taken_cents"] == 4250
