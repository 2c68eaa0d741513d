"""Where a bank goes another way: Paybox cannot be asked; Stripe closes its page, refunds, and tells of disputes."""

import asyncio
import hmac
import json
import time
from typing import Any
from uuid import UUID

import pytest
from aiohttp.test_utils import TestClient, TestServer

from chassis.testing import eventually
from payment_gateway.app import build

paybox = pytest.mark.parametrize("till", ["paybox-1999888-32"], indirect=True)
stripe = pytest.mark.parametrize("till", ["stripe-asso"], indirect=True)


async def confirmed(till: Any) -> dict[str, Any]:
    payment: dict[str, Any] = await till.begin()
    await till.at_bank(payment, "pay")
    await till.becomes(payment, "confirmed")
    await till.probe.next("payment.confirmed")
    return payment


async def grown_older(till: Any, payment: dict[str, Any], minutes: int) -> None:
    ago = "UPDATE payment SET created_at = now() - make_interval(mins => $2), look_up_at = now() WHERE payment_id = $1"
    await till.sql(ago, UUID(payment["payment_id"]), minutes)
    await till.sql("SELECT pg_notify('look_up_due', '')")


@paybox
async def test_a_bank_that_cannot_be_asked_has_half_an_hour_to_speak(till: Any) -> None:
    await till.bank.faults(notice="never")
    payment = await till.begin()
    await till.at_bank(payment, "pay")
    assert (await till.act(payment, "look-up"))["status"] == "pending"
    assert (await till.act(payment, "abandon"))["code"] == "payment_unresolved"
    await grown_older(till, payment, 29)
    assert (await till.act(payment, "look-up"))["status"] == "pending"
    await grown_older(till, payment, 30)
    await till.becomes(payment, "expired")
    await till.probe.next("payment.expired")
    file = await till.staff_reads(f"/payments/{payment['payment_id']}/file")
    assert file["timeline"]["moves"][-1]["said_by"] == "clock"
    await till.at_bank(payment, "notify")
    await till.becomes(payment, "confirmed")
    await till.probe.next("payment.confirmed")


@paybox
async def test_paybox_is_told_who_pays_and_where_they_live_and_no_other_bank_is(till: Any) -> None:
    payment = await till.begin()
    told = dict(till.forms[payment["payment_id"]]["fields"])
    assert "<Address1>12 rue de l Oeuvre</Address1><ZipCode>01000</ZipCode>" in told["PBX_BILLING"]
    assert "<CountryCode>250</CountryCode>" in told["PBX_BILLING"]
    assert "<totalQuantity>1</totalQuantity>" in told["PBX_SHOPPINGCART"]
    till.bank_name = "lyra-12345678"
    other = await till.begin()
    assert "01000" not in json.dumps(till.forms[other["payment_id"]])


@paybox
async def test_staff_are_told_that_the_bank_cannot_be_asked(till: Any) -> None:
    payment = await till.begin()
    answer = await till.client.post(f"/payments/{payment['payment_id']}/look-up", headers=till.keeper())
    assert (answer.status, (await answer.json())["code"]) == (409, "bank_cannot")


@paybox
async def test_a_payer_who_leaves_paybox_may_try_again_at_once(till: Any) -> None:
    payment = await till.begin()
    await till.at_bank(payment, "abandon")
    await till.becomes(payment, "cancelled")
    assert (await till.probe.next("payment.refused")).data["outcome"] == "cancelled"


@paybox
async def test_the_secret_end_of_the_address_is_in_no_form_and_no_journal(till: Any) -> None:
    payment = await confirmed(till)
    assert "nobodyguesses" not in json.dumps(till.forms[payment["payment_id"]])
    assert await till.sql("SELECT count(*) FROM bank_word WHERE query LIKE '%nobodyguesses%'") == 0
    assert await till.sql("SELECT query FROM bank_word WHERE verdict = 'verified'") == "door"


@stripe
async def test_giving_up_closes_the_banks_page(till: Any) -> None:
    payment = await till.begin()
    await till.opens_page(payment)
    assert (await till.act(payment, "abandon"))["status"] == "cancelled"
    await till.at_bank(payment, "pay")
    (operation,) = await till.bank.book()
    assert operation["result"] == "A"
    assert (await till.get(payment))["status"] == "cancelled"


@stripe
async def test_giving_up_what_was_paid_a_moment_ago_confirms_it(till: Any) -> None:
    await till.bank.faults(notice="never")
    payment = await till.begin()
    await till.at_bank(payment, "pay")
    assert (await till.act(payment, "abandon"))["status"] == "confirmed"


@stripe
async def test_nobody_gives_up_what_the_bank_says_nothing_about(till: Any) -> None:
    payment = await till.begin()
    await till.bank.faults(service_down=True)
    assert (await till.act(payment, "abandon"))["code"] == "bank_unreachable"
    assert (await till.get(payment))["status"] == "pending"


@pytest.mark.every_bank(but=("paybox",))
async def test_a_direct_debit_is_paid_when_the_bank_says_so(till: Any) -> None:
    await till.bank.faults(notice="never", answer_delay_seconds=2)
    payment = await till.begin()
    await till.at_bank(payment, "debit")
    assert (await till.act(payment, "look-up"))["status"] == "processing"
    await asyncio.sleep(2)
    assert (await till.act(payment, "look-up"))["status"] == "confirmed"
    assert (await till.probe.next("payment.confirmed")).data["ticket"]["means"] == "debit"


@stripe
async def test_the_till_keepers_refund_is_made_at_the_bank_once(till: Any) -> None:
    await till.bank.faults(notice="ten_times")
    payment = await confirmed(till)
    seen = await till.version(payment)
    for _ in range(2):
        answer = await till.decides(payment, "refund", 1_000, key="the-same-key", seen=seen)
        assert (await answer.json())["refunded_cents"] == 1_000
    (operation,) = await till.bank.book()
    assert list(operation["refunds"].values()) == [1_000]
    assert (await till.probe.next("payment.refunded")).data["amount_cents"] == 1_000
    await till.decides(payment, "refund")
    assert (await till.becomes(payment, "refunded"))["refunded_cents"] == 4_250
    assert (await till.probe.next("payment.refunded")).data["amount_cents"] == 3_250
    await till.probe.none("payment.refunded")


@stripe
async def test_a_refund_whose_answer_was_lost_is_asked_for_again_and_made_once(till: Any) -> None:
    payment = await confirmed(till)
    await till.bank.faults(slow_seconds=2, notice="never")
    hasty = till.settings.model_copy(update={"bank_seconds_max": 1})
    body = {"command": "refund", "reason": "doublon", "evidence": "courrier 3", "amount_cents": 1_000}
    body["seen_version"] = await till.version(payment)
    async with TestClient(TestServer(build(hasty))) as replica:
        path = f"/payments/{payment['payment_id']}/decisions"
        for key in ("the-first-page", "the-first-page", "another-page"):
            lost = await replica.post(path, json=body, headers=till.keeper(**{"Idempotency-Key": key}))
            assert (lost.status, (await lost.json())["code"]) == (503, "bank_unreachable")
    await asyncio.sleep(2)  # the bank works on although nobody waits
    await till.bank.faults(slow_seconds=0)
    await till.client.post(path, json=body, headers=till.keeper(**{"Idempotency-Key": "the-first-page"}))
    (operation,) = await till.bank.book()
    assert list(operation["refunds"].values()) == [1_000]
    assert (await till.becomes(payment, "partially_refunded"))["refunded_cents"] == 1_000
    await till.probe.next("payment.refunded")
    await till.probe.none("payment.refunded")


@stripe
async def test_a_refund_that_the_bank_refuses_changes_nothing(till: Any) -> None:
    payment = await confirmed(till)
    await till.bank.faults(notice="never")
    await till.bank.act(till.id_op(payment), "refund?cents=4000")
    answer = await till.decides(payment, "refund", 1_000)
    assert (answer.status, (await answer.json())["code"]) == (409, "bank_refused")
    assert (await till.get(payment))["status"] == "confirmed"


@stripe
async def test_a_refund_made_at_the_banks_own_desk_is_heard_of_once(till: Any) -> None:
    payment = await confirmed(till)
    await till.bank.faults(notice="ten_times")
    await till.bank.act(till.id_op(payment), "refund?cents=1000")
    await till.becomes(payment, "partially_refunded")
    await till.bank.act(till.id_op(payment), "refund")
    assert (await till.becomes(payment, "refunded"))["refunded_cents"] == 4_250
    assert [(await till.probe.next("payment.refunded")).data["amount_cents"] for _ in range(2)] == [1_000, 3_250]
    await till.probe.none("payment.refunded")


async def refund_that_failed(till: Any, payment: dict[str, Any], cents: int) -> None:
    """A refund is made, counted, and given up by the bank days later, which says so ten times."""
    await till.decides(payment, "refund", cents)
    await till.probe.next("payment.refunded")
    await till.bank.faults(notice="ten_times")
    await till.bank.act(till.id_op(payment), "refund_fails")
    await eventually(lambda: till.sql("SELECT failed_refund_cents FROM payment"))


@stripe
async def test_a_refund_that_fails_later_waits_for_the_till_keeper_with_its_evidence(till: Any) -> None:
    payment = await confirmed(till)
    await refund_that_failed(till, payment, 1_000)
    (line,) = (await till.staff_reads("/till"))["exceptions"]
    assert (line["kind"], line["amount_cents"]) == ("refund_failed", 1_000)
    file = await till.staff_reads(f"/payments/{payment['payment_id']}/file")
    assert (file["failed_refund_cents"], file["commands"][:2]) == (1_000, ["remade", "undo_refund"])
    assert any("lost_or_stolen_card" in each["text"] for each in file["words"])
    assert file["timeline"]["payment"]["status"] == "partially_refunded"


@stripe
@pytest.mark.parametrize(("cents", "was"), [(1_000, "partially_refunded"), (4_250, "refunded")])
async def test_a_refund_that_failed_counts_as_paid_again_when_the_till_keeper_says_so(
    till: Any, cents: int, was: str
) -> None:
    payment = await confirmed(till)
    await refund_that_failed(till, payment, cents)
    assert (await till.get(payment))["status"] == was
    seen = await till.version(payment)
    for _ in range(2):
        answer = await till.decides(payment, "undo_refund", key="the-same-key", seen=seen)
        assert (await answer.json())["refunded_cents"] == 0
    assert (await till.get(payment))["status"] == "confirmed"
    event = await till.probe.next("payment.refund.undone")
    assert (event.data["amount_cents"], event.data["refunded_cents"]) == (cents, 0)
    await till.probe.none("payment.refund.undone")
    report = await till.staff_reads("/till")
    assert report["exceptions"] == []
    (day,) = report["days"]
    assert (day["confirmed"], day["confirmed_cents"], day["returned_cents"]) == (1, 4_250, 0)


@stripe
async def test_money_that_came_back_to_the_town_may_be_refunded_anew(till: Any) -> None:
    payment = await confirmed(till)
    await refund_that_failed(till, payment, 1_000)
    await till.decides(payment, "undo_refund")
    seen = await till.version(payment)
    for _ in range(2):
        await till.decides(payment, "refund", 1_000, key="another-try", seen=seen)
    assert (await till.becomes(payment, "partially_refunded"))["refunded_cents"] == 1_000
    (operation,) = await till.bank.book()
    assert (len(operation["refunds"]), len(operation["failed"])) == (2, 1)
    assert (await till.probe.next("payment.refunded")).data["amount_cents"] == 1_000
    await till.probe.none("payment.refunded")


@stripe
async def test_a_refund_that_failed_and_was_made_in_another_way_leaves_the_list_and_the_ledger_as_they_are(
    till: Any,
) -> None:
    payment = await confirmed(till)
    await refund_that_failed(till, payment, 1_000)
    assert (await (await till.decides(payment, "remade")).json())["refunded_cents"] == 1_000
    assert (await till.staff_reads("/till"))["exceptions"] == []
    assert (await till.decides(payment, "undo_refund")).status == 409
    await till.probe.none("payment.refund.undone")


@stripe
async def test_a_dispute_about_a_part_waits_for_the_till_keeper_who_says_which_part_is_lost(till: Any) -> None:
    payment = await confirmed(till)
    await till.bank.act(till.id_op(payment), "dispute?cents=1000")
    await till.becomes(payment, "disputed")
    await till.bank.act(till.id_op(payment), "lose?cents=1000")
    await eventually(lambda: till.sql("SELECT last_word = 'contest_lost' FROM payment"))
    (line,) = (await till.staff_reads("/till"))["exceptions"]
    assert line["kind"] == "disputed"
    file = await till.staff_reads(f"/payments/{payment['payment_id']}/file")
    assert any('"lost"' in each["text"] and "1000" in each["text"] for each in file["words"])
    assert (await (await till.decides(payment, "charge_back", 5_000)).json())["code"] == "refund_too_high"
    assert (await (await till.decides(payment, "charge_back", 1_000)).json())["status"] == "partially_refunded"
    event = await till.probe.next("payment.refunded")
    assert (event.data["amount_cents"], event.data["refunded_cents"]) == (1_000, 1_000)
    await till.probe.none("payment.returned")


@stripe
@pytest.mark.parametrize(("ends", "status"), [("win", "confirmed"), ("lose", "charged_back")])
async def test_a_dispute_and_its_end(till: Any, ends: str, status: str) -> None:
    payment = await confirmed(till)
    await till.bank.act(till.id_op(payment), "dispute")
    await till.becomes(payment, "disputed")
    await till.at_bank(payment, "notify")  # an old word about the result wins no dispute
    assert [each["kind"] for each in (await till.staff_reads("/till"))["exceptions"]] == ["disputed"]
    await till.bank.act(till.id_op(payment), ends)
    await till.becomes(payment, status)
    await till.bank.act(till.id_op(payment), "dispute")  # late, and out of order

    async def all_answered() -> bool:
        (operation,) = await till.bank.book()
        return sum(notice.endswith(" 200") for notice in operation["notices"]) == 5

    await eventually(all_answered)
    assert (await till.get(payment))["status"] == status
    if status == "charged_back":
        assert (await till.probe.next("payment.returned")).data["how"] == "charged_back"


def signed(till: Any, body: bytes) -> dict[str, str]:
    instant, secret = str(int(time.time())), till.settings.stripe_accounts[0].webhook_secret.get_secret_value()
    made = hmac.digest(secret.encode(), f"{instant}.".encode() + body, "sha256").hex()
    return {"Stripe-Signature": f"t={instant},v1={made}"}


@stripe
@pytest.mark.parametrize(
    ("kind", "said", "status"),
    [
        ("payment_intent.created", {}, 200),
        ("charge.refunded", {"payment_intent": "pi_x", "amount_refunded": 1, "metadata": {"reference": "A" * 32}}, 503),
        ("charge.dispute.created", {"payment_intent": "pi_x", "amount": 1, "status": "needs_response"}, 503),
    ],
)
async def test_a_signed_event_about_nothing_known_here(till: Any, kind: str, said: Any, status: int) -> None:
    event = {"livemode": False, "created": int(time.time()), "type": kind, "data": {"object": said}}
    body = json.dumps(event).encode()
    answer = await till.client.post(till.webhook, data=body, headers=signed(till, body))
    assert answer.status == status
    assert await till.sql("SELECT count(*) FROM bank_word WHERE verdict = 'unknown'") == 1


@stripe
async def test_an_old_event_sent_again_by_somebody_changes_nothing(till: Any) -> None:
    await till.bank.faults(stale_seconds=400)
    payment = await till.begin()
    await till.at_bank(payment, "pay")
    await eventually(lambda: till.sql("SELECT count(*) FROM bank_word WHERE verdict = 'forged'"))
    assert (await till.get(payment))["status"] == "pending"
    assert await till.answered() == "400"


@stripe
async def test_the_money_of_another_attempt_pays_nothing_and_goes_to_a_person(till: Any) -> None:
    paid, unpaid = await confirmed(till), await till.begin()
    money = await till.sql("SELECT bank_payment FROM payment WHERE payment_id = $1", UUID(paid["payment_id"]))
    said = {"id": till.id_op(unpaid), "client_reference_id": unpaid["payment_id"].replace("-", "").upper()}
    said |= {"amount_total": 4250, "currency": "eur", "livemode": False, "payment_intent": money}
    said |= {"payment_status": "paid", "status": "complete"}
    event = {"livemode": False, "created": int(time.time()), "type": "checkout.session.completed"}
    body = json.dumps({**event, "data": {"object": said}}).encode()
    assert (await till.client.post(till.webhook, data=body, headers=signed(till, body))).status == 200
    await till.becomes(unpaid, "review")
    file = await till.staff_reads(f"/payments/{unpaid['payment_id']}/file")
    assert [(each["name"], each["said"]) for each in file["differences"]] == [("reference", money)]
    assert (await till.get(paid))["status"] == "confirmed"
