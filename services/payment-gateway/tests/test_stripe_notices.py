"""Stripe's events, byte for byte: the signature against the openssl command, and whatever bytes may come."""

import json
import os
import subprocess
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.events.payment import Means
from payment_gateway.banks import Forged, Notice, Unreadable
from payment_gateway.banks.stripe import SIGNATURE_HEADER, Stripe, is_signed, signature
from payment_gateway.domain.payments import Answer, Word
from payment_gateway.settings import Settings, StripeAccount

MANY = settings(max_examples=int(os.environ.get("FUZZ", "300")))
SECRET = "whsec_for_tests_only"
REFERENCE = "0123456789ABCDEF" * 2
ACCOUNT = StripeAccount(
    label="asso",
    account="acct_1PreauTest",
    secret_key="sk_test_x",  # type: ignore[arg-type]
    webhook_secret=SECRET,  # type: ignore[arg-type]
    tills=frozenset({"REGIE-S"}),
)
STRIPE = Stripe(Settings.model_construct(public_url="https://portail.example", bank_seconds_max=8), ACCOUNT)
SESSION = {
    "id": "cs_test_1",
    "object": "checkout.session",
    "amount_total": 4250,
    "client_reference_id": REFERENCE,
    "created": 1_795_510_000,
    "currency": "eur",
    "customer_details": {"name": "Zoé & Fils"},
    "livemode": False,
    "payment_intent": "pi_1",
    "payment_status": "paid",
    "status": "complete",
}


def openssl(text: bytes, secret: str = SECRET) -> str:
    """The same HMAC by the openssl command."""
    command = ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{secret.encode().hex()}", "-r"]
    return subprocess.run(command, input=text, capture_output=True, check=True).stdout.split()[0].decode()


def event(kind: str, said: Any, **changes: Any) -> bytes:
    whole = {"object": "event", "created": 1_795_510_000, "livemode": False, "type": kind, "data": {"object": said}}
    return json.dumps({**whole, **changes}, ensure_ascii=False, indent=2).encode()


def signed(body: bytes, *, ago: int = 0, secret: str = SECRET) -> dict[str, str]:
    instant = int(time.time()) - ago
    return {SIGNATURE_HEADER: f"t={instant},v1={openssl(f'{instant}.'.encode() + body, secret)}"}


def read(kind: str, said: Any, **changes: Any) -> Notice:
    body = event(kind, said, **changes)
    return STRIPE.read_notice("", body, signed(body))


def test_our_signature_is_openssls() -> None:
    body = '{"name": "Zoé"}\r\n'.encode()
    assert signature("1795510000", body, SECRET) == openssl(b"1795510000." + body)


def test_a_value_computed_elsewhere_once() -> None:
    """``printf '1492774577.{"id":"evt_1"}' | openssl dgst -sha256 -hmac whsec_test``."""
    assert (
        signature("1492774577", b'{"id":"evt_1"}', "whsec_test")
        == "7656fc2882a7ca0a651666b36bf2f2f22ee204f54f608f227498a2419f2890b2"
    )


def test_a_paid_session_is_believed() -> None:
    notice = read("checkout.session.completed", SESSION)
    answer = notice.answer
    assert answer is not None
    assert (notice.reference, answer.word, answer.amount_cents, answer.currency) == (
        "cs_test_1",
        Word.PAID,
        4250,
        "EUR",
    )
    assert (answer.reference, answer.bank_payment, answer.means) == (REFERENCE, "pi_1", Means.CARD)


@pytest.mark.parametrize(
    ("kind", "change", "word"),
    [
        ("completed", {"payment_status": "unpaid"}, Word.IN_PROGRESS),
        ("async_payment_succeeded", {}, Word.PAID),
        ("async_payment_failed", {"payment_status": "unpaid"}, Word.REFUSED),
        ("expired", {"payment_status": "unpaid", "status": "expired", "payment_intent": None}, Word.ABANDONED),
    ],
)
def test_session_events(kind: str, change: dict[str, Any], word: Word) -> None:
    answer = read(f"checkout.session.{kind}", {**SESSION, **change}).answer
    assert answer is not None
    assert answer.word is word
    assert answer.means is (Means.DEBIT if kind == "async_payment_succeeded" else Means.CARD)


@pytest.mark.parametrize(
    ("status", "word"),
    [("needs_response", Word.CONTESTED), ("won", Word.CONTEST_WON), ("lost", Word.CONTEST_LOST)],
)
def test_disputes(status: str, word: Word) -> None:
    said = {"payment_intent": "pi_1", "amount": 4250, "status": status}
    notice = read("charge.dispute.created" if status == "needs_response" else "charge.dispute.closed", said)
    assert notice.reference == "pi_1"
    assert notice.answer is not None
    assert (notice.answer.word, notice.answer.amount_cents) == (word, 4250)


@pytest.mark.parametrize("kind", ["refund.failed", "refund.updated", "charge.refund.updated"])
@pytest.mark.parametrize("status", ["failed", "canceled"])
def test_a_refund_that_is_given_up(kind: str, status: str) -> None:
    notice = read(kind, {"id": "re_1", "payment_intent": "pi_1", "amount": 1000, "status": status})
    assert notice == Notice("pi_1", Answer(Word.REFUND_FAILED, 1000, refund="re_1"))


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("refund.updated", {"id": "re_1", "payment_intent": "pi_1", "amount": 1000, "status": "succeeded"}),
        ("payment_intent.created", {"id": "pi_1"}),
        ("checkout.session.completed", {**SESSION, "client_reference_id": "a-raffle"}),
        ("charge.refunded", {"payment_intent": "pi_2", "amount_refunded": 1, "metadata": {}}),
        ("charge.dispute.created", {"payment_intent": "pi_1", "amount": 1, "status": "warning_needs_response"}),
    ],
)
def test_what_is_not_ours_is_about_nothing(kind: str, said: Any) -> None:
    assert read(kind, said) == Notice(None)


@pytest.mark.parametrize("ago", [301, -301, 86_400])
def test_an_instant_too_far_off_is_a_replay(ago: int) -> None:
    body = event("checkout.session.completed", SESSION)
    with pytest.raises(Forged):
        STRIPE.read_notice("", body, signed(body, ago=ago))


def test_any_of_several_signatures_may_match() -> None:
    body, at = b"{}", datetime.fromtimestamp(1_795_510_000, UTC)
    good = openssl(b"1795510000." + body)
    for header in (f"t=1795510000,v1={good}", f"t=1795510000,v1={'0' * 64},v1={good},v0=x", f"v1={good},t=1795510000"):
        assert is_signed(header, body, SECRET, at)
    for header in (
        "",
        "t=1795510000",
        f"v1={good}",
        f"t=1795510000,v0={good}",
        f"t=1795510000,v1={good.upper()}",
        f"t=1795510001,v1={good}",
        f"t=1795510000,t=1795510000,v1={good}",
        f"t=+1795510000,v1={good}",
        f"t=1795510000,v1={good}0",
    ):
        assert not is_signed(header, body, SECRET, at)


def test_a_body_written_anew_is_not_what_was_signed() -> None:
    body = event("checkout.session.completed", SESSION)
    again = json.dumps(json.loads(body)).encode()
    with pytest.raises(Forged):
        STRIPE.read_notice("", again, signed(body))
    with pytest.raises(Forged):
        STRIPE.read_notice("", body, signed(body, secret="whsec_of_another"))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"\xff",
        b"[" * 20_000,
        event("checkout.session.completed", {}),
        event("checkout.session.completed", []),
        event("checkout.session.completed", {**SESSION, "amount_total": "many"}),
        event("checkout.session.completed", {**SESSION, "livemode": "yes"}),
        event("checkout.session.completed", SESSION, livemode=None),
        event("checkout.session.completed", SESSION, created=10**20),
        event("charge.refunded", {"payment_intent": "pi", "amount_refunded": 1, "metadata": None}),
        event("charge.dispute.closed", {"payment_intent": "pi", "amount": 1, "status": []}),
        json.dumps({"livemode": False, "type": 7, "created": 1, "data": {"object": {}}}).encode(),
    ],
)
def test_signed_but_unreadable_is_for_a_person(body: bytes) -> None:
    with pytest.raises(Unreadable):
        STRIPE.read_notice("", body, signed(body))


def test_what_is_left_of_an_unreadable_result_names_its_page() -> None:
    body = event("checkout.session.completed", {**SESSION, "object": "checkout.session", "currency": None})
    with pytest.raises(Unreadable) as unreadable:
        STRIPE.read_notice("", body, signed(body))
    assert (unreadable.value.reference, unreadable.value.amount_cents) == (SESSION["id"], SESSION["amount_total"])


def test_an_event_of_the_other_mode_is_not_this_accounts() -> None:
    body = event("checkout.session.completed", SESSION, livemode=True)
    with pytest.raises(Forged):
        STRIPE.read_notice("", body, signed(body))


def heard(body: bytes, header: str) -> Notice | None:
    try:
        return STRIPE.read_notice("", body, {SIGNATURE_HEADER: header})
    except (Forged, Unreadable):
        return None


HEADERS = st.text(max_size=80) | st.tuples(st.integers(), st.text("0123456789abcdef", max_size=64)).map(
    lambda pair: f"t={pair[0]},v1={pair[1]}"
)


@MANY
@given(st.binary(max_size=300), HEADERS)
def test_whatever_comes_is_refused(body: bytes, header: str) -> None:
    assert heard(body, header) is None


KINDS = ["checkout.session.completed", "checkout.session.expired", "charge.refunded", "charge.dispute.closed"]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(SESSION)), inner, max_size=4),
    max_leaves=8,
)


@MANY
@given(
    st.sampled_from(
        ["checkout.session.completed", "checkout.session.expired", "charge.refunded", "charge.dispute.closed"]
    ),
    st.dictionaries(st.sampled_from([*SESSION, "metadata", "amount", "amount_refunded", "status"]), ANYTHING),
)
def test_whatever_is_signed_is_read_or_refused(kind: str, change: dict[str, Any]) -> None:
    body = event(kind, {**SESSION, **change})
    instant = str(int(time.time()))
    notice = heard(body, f"t={instant},v1={signature(instant, body, SECRET)}")
    assert notice is None or notice.answer is None or isinstance(notice.answer.amount_cents, int)
