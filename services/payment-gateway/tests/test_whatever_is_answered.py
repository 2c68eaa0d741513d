"""The banks' answers to our questions, of whatever shape: one to rely on, or ``BankUnreachable``; never anything else.

``FUZZ`` says how many of each kind.
"""

import asyncio
import json
import os
from typing import Any
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payment_gateway.banks import Heard
from payment_gateway.banks.lyra import Lyra
from payment_gateway.banks.payfip import Fault, PayFiP, read
from payment_gateway.banks.stripe import Stripe
from payment_gateway.domain.failures import BankRefused, BankUnreachable
from payment_gateway.domain.payments import Word
from payment_gateway.settings import LyraAccount, Settings, StripeAccount

MANY = settings(max_examples=int(os.environ.get("FUZZ", "300")))

pytestmark = [pytest.mark.drill, pytest.mark.timeout(7_200)]
REFERENCE = "0123456789ABCDEF" * 2
OURS = Settings.model_construct(
    public_url="https://portail.example",
    notices_url=None,
    bank_seconds_max=8,
    payfip_numcli="123456",
    payfip_saisie="T",
    payfip_service_url="https://bank.example",
)
SHOP = {"site_id": "12345678", "mode": "TEST", "key": "a-key-for-tests-only", "rest_password": "x", "tills": ["L"]}
SHOP |= dict.fromkeys(("form_url", "rest_url"), "https://bank.example")
ACCOUNT = {"label": "asso", "account": "acct_1", "secret_key": "sk_test_x", "webhook_secret": "whsec_for_tests_only"}


class Told:
    """A driver whose bank has just said something: what came over the network, read as JSON or SOAP."""

    said: Any

    async def _call(self, *_: Any, **__: Any) -> Any:
        return self.said, b"bytes"

    _order = _call


class ToldStripe(Told, Stripe):
    pass


class ToldLyra(Told, Lyra):
    pass


class ToldPayFiP(Told, PayFiP):
    pass


STRIPE = ToldStripe(OURS, StripeAccount.model_validate({**ACCOUNT, "tills": ["REGIE-S"]}))
LYRA, PAYFIP = ToldLyra(OURS, LyraAccount.model_validate(SHOP)), ToldPayFiP(OURS)
SESSION = {
    "amount_total": 4250,
    "client_reference_id": REFERENCE,
    "created": 1_795_510_000,
    "currency": "eur",
    "livemode": False,
    "payment_intent": {"id": "pi_1", "latest_charge": {"created": 1_795_510_000}},
    "payment_status": "paid",
    "status": "complete",
}
TRANSACTION = {
    "operationType": "DEBIT",
    "detailedStatus": "AUTHORISED",
    "creationDate": "2026-11-24T09:00:00+00:00",
    "amount": 4250,
    "currency": "EUR",
    "shopId": "12345678",
    "orderDetails": {"mode": "TEST", "orderId": REFERENCE},
    "transactionDetails": {"cardDetails": {"authorizationResponse": {"authorizationNumber": "1"}}},
}
RETURN = {"dattrans": "24112026", "heurtrans": "0900", "montant": "4250", "numcli": "123456", "refdet": REFERENCE}
RETURN |= {"resultrans": "P", "saisie": "T", "numauto": "012345"}
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | st.just("4250")
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)


class Attempted:
    """What the drivers look at when they ask."""

    bank_reference = reference = REFERENCE


def heard(bank: Any, said: Any) -> Heard | None:
    bank.said = said
    try:
        found: Heard = asyncio.run(bank.ask(Attempted()))
    except (BankUnreachable, BankRefused):
        return None
    return found


def is_whole(found: Heard | None, amount: Any) -> None:
    """Nothing, or no payment, or the very amount that was said: a whole number of cents."""
    if found is not None and found.answer.word is Word.PAID:
        assert type(amount) is int
        assert found.answer.amount_cents == amount


def odd(names: Any) -> Any:
    return st.dictionaries(st.sampled_from(sorted(names)), ANYTHING, min_size=1, max_size=3)


def test_what_is_whole_is_believed() -> None:
    order = {"status": "SUCCESS", "answer": {"transactions": [TRANSACTION]}}
    for found in (
        heard(STRIPE, SESSION),
        heard(LYRA, order),
        heard(PAYFIP, RETURN),
    ):
        assert found is not None
        assert (found.answer.word, found.answer.amount_cents) == (Word.PAID, 4250)


@MANY
@given(change=odd(SESSION) | st.fixed_dictionaries({"payment_intent": odd(["id", "latest_charge", "status"])}))
def test_a_session_of_whatever_shape(change: dict[str, Any]) -> None:
    said = json.loads(json.dumps({**SESSION, **change}))
    is_whole(heard(STRIPE, said), said["amount_total"])


@MANY
@given(change=odd(TRANSACTION), around=st.just({}) | odd(["status", "answer"]))
def test_an_order_of_whatever_shape(change: dict[str, Any], around: dict[str, Any]) -> None:
    said = json.loads(json.dumps({**TRANSACTION, **change}))
    order = {"status": "SUCCESS", "answer": {"transactions": [said]}, **around}
    is_whole(heard(LYRA, order), said["amount"])


@MANY
@given(change=st.dictionaries(st.sampled_from(sorted(RETURN)), st.text(max_size=12), min_size=1, max_size=3))
def test_a_result_of_whatever_words(change: dict[str, str]) -> None:
    said = {**RETURN, **change}
    found = heard(PAYFIP, said)
    if found is not None and found.answer.word is Word.PAID:
        assert said["montant"].isascii()
        assert said["montant"].isdigit()


@MANY
@given(st.binary(max_size=200) | st.text(max_size=100).map(lambda text: f"<a>{escape(text)}</a>".encode()))
def test_whatever_bytes_are_no_soap(body: bytes) -> None:
    with pytest.raises((BankUnreachable, Fault)):
        read(body)
