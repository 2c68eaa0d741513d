"""Notifications, byte for byte: signatures against another program's, and whatever bytes may come.

``FUZZ=100000 pytest services/payment-gateway/tests/test_notices.py`` tries that many of each kind.
"""

import base64
import os
import subprocess
from typing import Any
from urllib.parse import quote_plus, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payment_gateway.banks import Forged, Notice, Unreadable
from payment_gateway.banks.lyra import Lyra, signature
from payment_gateway.banks.payfip import PayFiP
from payment_gateway.domain.payments import Word
from payment_gateway.settings import LyraAccount, Settings

KEY = "clé-de-test-à-garder"
SETTINGS = Settings(
    database_url="postgresql://nowhere/x",
    amqp_url="amqp://nowhere",
    auth_url="http://nowhere",
    http_port=0,
    public_url="https://portail.example",
    town_name="Saint-Aubin",
    payfip_service_url="https://bank.example",
    payfip_payer_url="https://bank.example",
    payfip_numcli="123456",
    payfip_saisie="T",
    lyra_accounts=[  # type: ignore[arg-type]
        {
            "site_id": "12345678",
            "mode": "TEST",
            "key": KEY,
            "form_url": "https://bank.example",
            "tills": ["REGIE-L"],
        }
    ],
)
LYRA, PAYFIP = Lyra(SETTINGS, SETTINGS.lyra_accounts[0]), PayFiP(SETTINGS)
PAID = {
    "vads_amount": "4250",
    "vads_auth_number": "",
    "vads_ctx_mode": "TEST",
    "vads_currency": "978",
    "vads_cust_name": "Zoé & Fils + Cie",
    "vads_operation_type": "DEBIT",
    "vads_order_id": "ABC",
    "vads_site_id": "12345678",
    "vads_trans_date": "20261124090000",
    "vads_trans_id": "000001",
    "vads_trans_status": "AUTHORISED",
    "vads_trans_uuid": "0123456789abcdef" * 2,
    "vads_url_check_src": "PAY",
    "vads_new_field_of_next_year": "é",
}
MANY = settings(max_examples=int(os.environ.get("FUZZ", "300")))


def openssl(text: str, key: str) -> str:
    """The same HMAC by the openssl command."""
    command = ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{key.encode().hex()}", "-binary"]
    made = subprocess.run(command, input=text.encode(), capture_output=True, check=True)
    return base64.b64encode(made.stdout).decode()


def signed(fields: dict[str, str], key: str = KEY) -> bytes:
    text = "+".join([*(fields[name] for name in sorted(fields) if name.startswith("vads_")), key])
    return urlencode({**fields, "signature": openssl(text, key)}).encode()


def test_our_signature_is_openssls() -> None:
    text = "4250+978+{KEY}"
    fields = {"vads_b": "978", "vads_a": "4250", "other": "not signed"}
    assert signature(fields.items(), KEY) == openssl(text.replace("{KEY}", KEY), KEY)


def test_a_value_computed_elsewhere_once() -> None:
    """``printf … | openssl dgst -sha256 -hmac 1122334455667788 -binary | base64`` of the text signed below."""
    fields = {"vads_ctx_mode": "TEST", "vads_action_mode": "INTERACTIVE", "vads_amount": "5124"}
    assert signature(fields.items(), "1122334455667788") == "qPkVU/Oo9kaiEpjKoMxxgSzvXOs4Ym7iMM8XJkKAvEI="


def test_a_signed_notification_is_read_with_fields_unknown_and_empty() -> None:
    notice = LYRA.read_notice("", signed(PAID), {})
    assert notice.answer is not None
    assert (notice.reference, notice.answer.word, notice.answer.amount_cents) == ("ABC", Word.PAID, 4250)
    assert notice.answer.authorisation is None


@pytest.mark.parametrize(
    "change",
    [
        {"vads_amount": "4251"},
        {"vads_trans_status": "CAPTURED"},
        {"vads_new_field_of_next_year": ""},
        {"vads_added": ""},
        {"signature": ""},
    ],
)
def test_one_changed_field_breaks_the_signature(change: dict[str, str]) -> None:
    body = signed(PAID).decode()
    for name, value in change.items():
        parts = [part for part in body.split("&") if not part.startswith(f"{name}=")]
        body = "&".join([*parts, f"{name}={quote_plus(value)}"])
    with pytest.raises(Forged):
        LYRA.read_notice("", body.encode(), {})


@pytest.mark.parametrize(
    "fields",
    [
        {"vads_ctx_mode": "PRODUCTION"},
        {"vads_site_id": "87654321"},
        {"vads_operation_type": ""},
        {"vads_operation_type": "DEBITS"},
        {"vads_trans_uuid": ""},
        {"vads_trans_uuid": "0123456789ABCDEF" * 2},
        {"vads_trans_status": ""},
        {"vads_url_check_src": ""},
        {"vads_url_check": "https://portail.example"},
        {"vads_return_mode": "NONE"},
        {"vads_Amount": "1"},
        {"vads_a": "1", "vads_a ": "1"},
        {"amount": "1"},
    ],
)
def test_signed_but_no_notification_of_this_shop(fields: dict[str, str]) -> None:
    with pytest.raises(Forged):
        LYRA.read_notice("", signed({**PAID, **fields}), {})


@pytest.mark.parametrize("fields", [{"vads_amount": "many"}, {"vads_trans_date": "tomorrow"}, {"vads_order_id": "é"}])
def test_signed_and_unreadable_is_for_a_person(fields: dict[str, str]) -> None:
    with pytest.raises(Unreadable):
        LYRA.read_notice("", signed({**PAID, **fields}), {})


def test_a_status_that_nobody_knows_is_for_a_person() -> None:
    answer = LYRA.read_notice("", signed({**PAID, "vads_trans_status": "NEWSPEAK"}), {}).answer
    assert answer is not None
    assert (answer.word, answer.result, answer.amount_cents) == (Word.UNRECOGNISED, "NEWSPEAK", 4250)


def test_a_field_twice_and_another_key_are_refused() -> None:
    for query, body in (("", signed(PAID) + b"&vads_amount=1"), ("x=1", signed(PAID)), ("", signed(PAID, "other"))):
        with pytest.raises(Forged):
            LYRA.read_notice(query, body, {})


def test_a_refund_at_the_bank_is_told_once_by_its_own_name() -> None:
    answer = LYRA.read_notice("", signed({**PAID, "vads_operation_type": "CREDIT", "vads_amount": "1000"}), {}).answer
    assert answer is not None
    assert (answer.word, answer.amount_cents, answer.refund) == (Word.GIVEN_BACK, 1000, PAID["vads_trans_uuid"])
    pending = {"vads_operation_type": "CREDIT", "vads_trans_status": "AUTHORISED_TO_VALIDATE"}
    assert LYRA.read_notice("", signed({**PAID, **pending}), {}) == Notice("ABC")


def test_a_bank_that_can_be_asked_confirms_nothing_by_a_signature() -> None:
    """With the REST password a notification, however well signed, only says that there is something to ask about."""
    shop = SETTINGS.lyra_accounts[0].model_dump() | {"rest_password": "x", "rest_url": "https://bank.example"}
    asked = Lyra(SETTINGS, LyraAccount.model_validate(shop))
    assert asked.read_notice("", signed(PAID), {}) == Notice("ABC")


def heard(bank: Any, query: str, body: bytes) -> Notice | None:
    try:
        notice: Notice = bank.read_notice(query, body, {})
    except (Forged, Unreadable):
        return None
    return notice


FORMS = st.lists(st.tuples(st.sampled_from(["idop", "idOp", "vads_amount", "signature", "x"]), st.text(max_size=40)))


@MANY
@given(st.text(max_size=60), st.binary(max_size=300) | FORMS.map(lambda form: urlencode(form).encode()))
def test_whatever_comes_is_a_hint_or_refused(query: str, body: bytes) -> None:
    hint = heard(PAYFIP, query, body)
    assert hint is None or hint.answer is None
    assert heard(LYRA, query, body) is None


GOOD = signed(PAID)


@MANY
@given(st.integers(0, len(GOOD) - 1), st.binary(min_size=0, max_size=3))
def test_a_notification_altered_anywhere_says_the_same_or_nothing(place: int, bytes_: bytes) -> None:
    notice = heard(LYRA, "", GOOD[:place] + bytes_ + GOOD[place + 1 :])
    assert notice is None or notice == LYRA.read_notice("", GOOD, {})
