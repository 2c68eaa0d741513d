"""A form sent back as a notification, results that nobody knows, refunds of the bank's own, and a colleague who was
faster: what must not be believed, lost or done twice.
"""

import asyncio
import json
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import pytest

from chassis.testing import eventually
from payment_gateway.banks import BANKS
from payment_gateway.store.health_metrics import HEALTH_METRICS

asked, unasked = "lyra-12345678", "lyra-23456789"
at_lyra = pytest.mark.parametrize("till", [asked, unasked], indirect=True)
at_paybox = pytest.mark.parametrize("till", ["paybox-1999888-32"], indirect=True)


async def confirmed(till: Any) -> dict[str, Any]:
    payment: dict[str, Any] = await till.begin()
    await till.at_bank(payment, "pay")
    await till.becomes(payment, "confirmed")
    await till.probe.next("payment.confirmed")
    return payment


async def exceptions(till: Any) -> list[tuple[str, int]]:
    return [(each["kind"], each["amount_cents"]) for each in (await till.staff_reads("/till"))["exceptions"]]


def cut(form: dict[str, Any], victim: str, site_id: str, *, whole: bool) -> bytes:
    """The second payment's form under names that sort alike, so that it tells of the first as paid."""
    fields = dict(form["fields"])
    made = fields.pop("signature")
    pieces = "+".join(fields[name] for name in sorted(fields)).split("+")
    if victim not in pieces:  # the text that would be cut is not in it: its place is taken by our own
        pieces[4:4] = [*(["DEBIT"] if whole else ["20261201120000"]), victim, site_id, "AUTHORISED", "@example.org"]
    names = ["vads_action_mode", "vads_amount", "vads_ctx_mode", "vads_currency"]
    if whole:
        names += ["vads_operation_type", "vads_order_id", "vads_site_id", "vads_trans_date", "vads_trans_status"]
        names += ["vads_trans_uuid", "vads_url_check_src"]
    else:
        names += ["vads_effective_creation_date", "vads_order_id", "vads_site_id", "vads_trans_status"]
    rest = "+".join(pieces[len(names) :])
    return urlencode({**dict(zip(names, pieces, strict=False)), "vads_w": rest, "signature": made}).encode()


@at_lyra
@pytest.mark.parametrize("whole", [False, True])
async def test_a_form_with_a_payers_text_confirms_no_other_payment(till: Any, whole: bool) -> None:
    """The forgery itself: a mail address that holds the rest of a notification, signed by us in the next form."""
    site_id = till.bank_name.partition("-")[2]
    victim = await till.begin()
    order = dict(till.forms[victim["payment_id"]]["fields"])["vads_order_id"]
    text = f"20261201120000+{order}+{site_id}+AUTHORISED+@example.org"
    if whole:
        text = f"DEBIT+{order}+{site_id}+20261201120000+AUTHORISED+{'0' * 32}+PAY+@example.org"
    other = await till.begin(email=text)
    form = till.forms[other["payment_id"]]
    body = cut(form, order, site_id, whole=whole)
    answer = await till.client.post(till.webhook, data=body)
    assert answer.status == 400
    assert (await till.get(victim))["status"] == "pending"
    assert await till.sql("SELECT count(*) FROM payment_move WHERE to_status <> 'pending'") == 0
    assert await till.sql("SELECT count(*) FROM bank_word WHERE verdict = 'forged'") == 1
    await till.probe.none("payment.confirmed")
    again = await till.client.post(till.webhook, data=urlencode(dict(form["fields"])).encode())
    assert again.status == 400, "nor does the form as it is"


@pytest.mark.parametrize("till", [asked], indirect=True)
async def test_a_signed_success_waits_for_the_banks_answer(till: Any) -> None:
    await till.bank.faults(rest_refused=True)
    payment = await till.begin()
    await till.at_bank(payment, "pay")
    assert await till.answered() == "200"
    await eventually(lambda: till.sql("SELECT unanswered > 0 FROM payment"))
    assert (await till.get(payment))["status"] == "pending"
    await till.bank.faults(rest_refused=False)
    await till.sql("UPDATE payment SET look_up_at = now()")
    await till.sql("SELECT pg_notify('look_up_due', '')")
    await till.becomes(payment, "confirmed")
    assert await till.sql("SELECT count(*) FROM bank_word WHERE kind = 'notice' AND verdict = 'verified'") == 1


@pytest.mark.parametrize("till", [unasked], indirect=True)
async def test_a_shop_without_its_password_is_paid_by_its_signed_notification(till: Any) -> None:
    payment = await confirmed(till)
    assert await till.sql("SELECT count(*) FROM bank_word WHERE kind = 'answer'") == 0
    answer = await till.client.post(f"/payments/{payment['payment_id']}/look-up", headers=till.keeper())
    assert (await answer.json())["code"] == "bank_cannot"


@pytest.mark.every_bank
async def test_a_result_that_nobody_knows_is_held_with_its_bytes_and_rings(till: Any) -> None:
    code = {"payfip": "Q", "paybox-1999888-32": "00777", "stripe-asso": "newspeak"}.get(till.bank_name, "NEWSPEAK")
    await till.bank.faults(result_code=code)
    payment = await till.begin()
    await till.at_bank(payment, "pay")
    await till.becomes(payment, "review")
    await till.probe.next("payment.held")
    file = await till.staff_reads(f"/payments/{payment['payment_id']}/file")
    assert [(each["name"], each["said"]) for each in file["differences"]] == [("result", code)]
    assert any(code in each["text"] for each in file["words"])
    assert (file["commands"], file["wants_means"]) == (["confirm", "refund", "refuse"], True)
    vital = next(each for each in HEALTH_METRICS if each.name == "payments_with_an_unknown_result")
    assert await till.sql(vital.query) == 1 > vital.threshold
    assert (await till.decides(payment, "confirm", means="transfer")).status == 201
    event = await till.probe.next("payment.confirmed")
    assert (event.data["ticket"]["means"], event.data["amount_cents"]) == ("transfer", 4250)
    assert await till.sql(vital.query) == 0


async def test_an_unknown_result_that_took_nothing_lets_go_of_its_invoices_and_stays_decided(till: Any) -> None:
    await till.bank.faults(result_code="Q")
    payment = await till.begin()
    await till.at_bank(payment, "pay")
    await till.becomes(payment, "review")
    assert (await till.decides(payment, "refuse")).status == 201
    event = await till.probe.next("payment.refused")
    assert (event.data["outcome"], event.data["was_held"]) == ("refused", True)
    answer = await till.client.post(f"/payments/{payment['payment_id']}/look-up", headers=till.keeper())
    assert (await answer.json())["status"] == "refused"
    await till.bank.faults(result_code="")
    await till.client.post(f"/payments/{payment['payment_id']}/look-up", headers=till.keeper())
    await till.becomes(payment, "confirmed")


async def grown_older(till: Any, payment: dict[str, Any]) -> None:
    ago = "UPDATE payment SET created_at = now() - interval '31 minutes', look_up_at = NULL WHERE payment_id = $1"
    await till.sql(ago, UUID(payment["payment_id"]))


@pytest.mark.parametrize("till", ["payfip", "paybox-1999888-32"], indirect=True)
@pytest.mark.parametrize(("command", "status"), [("confirm", "confirmed"), ("refuse", "refused")])
async def test_the_till_keeper_ends_a_payment_that_its_bank_left_pending(till: Any, command: str, status: str) -> None:
    payment = await till.begin()
    assert (await (await till.decides(payment, command)).json())["code"] == "not_for_this_payment", "its page is open"
    await grown_older(till, payment)
    assert (await (await till.decides(payment, command, means="transfer")).json())["status"] == status
    event = await till.probe.next(f"payment.{status}")
    if status == "confirmed":
        assert (event.data["amount_cents"], event.data["ticket"]["means"]) == (4250, "transfer")
    moves = (await till.staff_reads(f"/payments/{payment['payment_id']}/timeline"))["moves"]
    assert (moves[-1]["said_by"], moves[-1]["evidence"]) == ("till_keeper", "bordereau 12")


@at_paybox
@pytest.mark.parametrize("name", ["amount", "day", "hour"])
async def test_a_signed_success_that_lacks_something_goes_to_the_till_keeper(till: Any, name: str) -> None:
    await till.bank.faults(without=name)
    payment = await till.begin()
    await till.at_bank(payment, "pay")
    assert await till.answered() == "503"
    await till.becomes(payment, "review")
    await till.probe.next("payment.held")
    assert await exceptions(till) == [("review", 4250)]
    assert await till.sql("SELECT count(*) FROM bank_word WHERE verdict = 'unreadable' AND length(body) > 0") == 1
    assert "confirm" in (await till.staff_reads(f"/payments/{payment['payment_id']}/file"))["commands"]
    await till.bank.faults(without="")
    await till.at_bank(payment, "notify")  # and whole, later: the evidence is renewed
    await eventually(lambda: till.sql("SELECT said->>'word' = 'paid' FROM payment"))
    await till.decides(payment, "confirm")
    assert (await till.probe.next("payment.confirmed")).data["amount_cents"] == 4250


@at_paybox
async def test_a_signed_success_that_names_nothing_is_kept_and_told_to_the_till_keeper(till: Any) -> None:
    await till.bank.faults(without="ref")
    payment = await till.begin()
    await till.at_bank(payment, "pay")
    assert await till.answered() == "503"
    (line,) = (await till.staff_reads("/till"))["signed_notices"]
    assert (line["bank"], line["kind"]) == (till.bank_name, "unreadable")
    vital = next(each for each in HEALTH_METRICS if each.name == "bank_notices_signed_without_effect")
    assert await till.sql(vital.query) >= 1 > vital.threshold


@at_paybox
async def test_forged_calls_take_no_room_of_signed_ones(till: Any) -> None:
    for number in range(12):
        assert (await till.client.post(till.webhook, data=b"forged=%d" % number)).status == 400
    await till.bank.faults(differs="reference")
    payment = await till.begin()
    await till.at_bank(payment, "pay")
    assert await till.answered() == "503"
    kept = "SELECT count(*) FROM bank_word WHERE verdict = $1 AND length(body) > 0"
    assert await till.sql(kept, "unknown") == 1, "kept, although strangers filled their own room"
    assert await till.sql(kept, "forged") <= 10  # five an hour, and two hours where the test runs across a full one
    report = await till.staff_reads("/till")
    assert [each["kind"] for each in report["signed_notices"]] == ["unknown"]
    assert sum(each["seen"] for each in report["unknown_notices"]) == 12


@at_lyra
async def test_refunds_made_in_the_banks_back_office_are_followed_once_each(till: Any) -> None:
    payment = await confirmed(till)
    await till.bank.faults(notice="ten_times")
    await till.bank.act(till.id_op(payment), "refund?cents=1000")
    assert (await till.becomes(payment, "partially_refunded"))["refunded_cents"] == 1_000
    await till.bank.act(till.id_op(payment), "refund")
    assert (await till.becomes(payment, "refunded"))["refunded_cents"] == 4_250
    assert [(await till.probe.next("payment.refunded")).data["amount_cents"] for _ in range(2)] == [1_000, 3_250]
    await till.probe.none("payment.refunded")
    assert await exceptions(till) == []


@at_lyra
async def test_a_refund_that_the_till_keeper_noted_first_is_no_second_one(till: Any) -> None:
    payment = await confirmed(till)
    await till.decides(payment, "refund", 1_000)
    await till.bank.act(till.id_op(payment), "refund?cents=1000")
    words = "SELECT count(*) FROM bank_word WHERE position('CREDIT' IN convert_from(body, 'UTF8')) > 0"
    await eventually(lambda: till.sql(words))
    await till.probe.next("payment.refunded")
    await till.probe.none("payment.refunded")
    assert (await till.get(payment))["refunded_cents"] == 1_000


@at_lyra
async def test_a_refund_that_cannot_be_followed_is_in_the_till_keepers_list_until_it_is_looked_at(till: Any) -> None:
    payment = await confirmed(till)
    await till.decides(payment, "dispute")
    await till.bank.act(till.id_op(payment), "refund?cents=1000")
    await eventually(lambda: till.sql("SELECT contradicted_cents FROM payment"))
    assert (await till.decides(payment, "seen")).status == 201
    assert await till.sql("SELECT contradicted_cents FROM payment") == 0
    assert (await till.get(payment))["status"] == "disputed"


@at_lyra
async def test_what_the_bank_let_go_of_before_it_was_sent_is_in_the_till_keepers_list(till: Any) -> None:
    payment = await confirmed(till)
    await till.bank.act(till.id_op(payment), "cancel")

    async def listed() -> bool:
        return await exceptions(till) == [("contradicted", 4250)]

    await eventually(listed)
    assert (await till.get(payment))["status"] == "confirmed", "a person decides"
    assert (await till.decides(payment, "refund")).status == 201
    assert (await till.probe.next("payment.refunded")).data["amount_cents"] == 4_250
    assert await exceptions(till) == []


@pytest.mark.every_bank
async def test_who_decides_on_what_has_changed_meanwhile_is_told_and_nothing_is_done(till: Any) -> None:
    await till.bank.faults(amount_offset_cents=-1)
    payment = await till.begin()
    await till.at_bank(payment, "pay")
    await till.becomes(payment, "review")
    shown = await till.version(payment)
    assert (await till.decides(payment, "confirm", seen=shown)).status == 201
    late = await till.decides(payment, "refund", seen=shown)
    assert (late.status, (await late.json())["code"]) == (409, "payment_changed")
    (operation,) = await till.bank.book()
    assert operation["refunds"] == {}, "no money went back"
    assert (await till.get(payment))["status"] == "confirmed"
    await till.probe.next("payment.confirmed")
    await till.probe.none("payment.refunded")


async def test_two_who_decide_the_same_of_one_state_refund_once(till: Any) -> None:
    payment = await confirmed(till)
    shown = await till.version(payment)
    answers = await asyncio.gather(*(till.decides(payment, "refund", 1_000, seen=shown) for _ in range(4)))
    assert sorted(each.status for each in answers) == [201, 409, 409, 409]
    assert (await till.get(payment))["refunded_cents"] == 1_000


async def test_every_decision_names_what_it_was_taken_on(till: Any) -> None:
    payment = await confirmed(till)
    body = {"command": "refund", "reason": "doublon", "evidence": "courrier 3"}
    for seen in ({}, {"seen_version": ""}, {"seen_version": "0" * 16}):
        headers = till.keeper(**{"Idempotency-Key": json.dumps(seen)})
        path = f"/payments/{payment['payment_id']}/decisions"
        assert (await till.client.post(path, json=body | seen, headers=headers)).status in {409, 422}
    assert (await till.get(payment))["status"] == "confirmed"


@pytest.mark.parametrize("method", ["HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"])
async def test_a_webhook_takes_what_banks_send_and_nothing_else(till: Any, method: str) -> None:
    for bank in (*till.client.app[BANKS], "nobank"):
        answer = await till.client.request(method, f"/webhooks/{bank}")
        assert answer.status == 405
    assert await till.sql("SELECT count(*) FROM bank_word") == 0


@pytest.mark.parametrize("till", ["paybox-1999888-32"], indirect=True)
async def test_an_address_that_no_form_may_hold_is_refused_by_name(till: Any) -> None:
    for text in ("a&PBX_TOTAL=1@example.org", "a=b@example.org"):
        answer = await till.post(await till.checkout(), email=text)
        assert (answer.status, (await answer.json())["code"]) == (422, "payer_email_unusable")
    assert await till.sql("SELECT count(*) FROM payment") == 0
    assert (await till.begin(email="zoe+mairie@example.org"))["status"] == "pending"
