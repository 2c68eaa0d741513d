"""Whoever pays has a form that we signed. Nothing made of it may be believed as a notification, at any bank.

For each bank: every text that a payer may choose goes into a real form, and an adversary who has that form, and may
name, cut and join its pieces at will, looks for a notification. The same adversary finds one as soon as a value may
hold the separator: that is shown too.
"""

import base64
import hashlib
import hmac
import itertools
import json
import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.api.payment_gateway import PaymentStatus
from contracts.events.billing import CheckoutInvoice, CheckoutOpened
from contracts.events.payment import Mode
from payment_gateway.banks import Bank, Forged, Notice, Unreadable, signing
from payment_gateway.banks.lyra import BANKS_OWN, FORM, Lyra, signature
from payment_gateway.banks.paybox import FORM as PAYBOX_FORM
from payment_gateway.banks.paybox import VARIABLES, Paybox
from payment_gateway.banks.payfip import PayFiP
from payment_gateway.banks.stripe import SIGNATURE_HEADER, Stripe
from payment_gateway.banks.stripe import signature as stripe_signature
from payment_gateway.domain.payments import Attempt
from payment_gateway.settings import LyraAccount, PayboxAccount, Settings, StripeAccount

MANY = settings(max_examples=int(os.environ.get("FUZZ", "100")), deadline=None)
KEY, PAYBOX_KEY, DOOR = "a-key-for-tests-only", "0123456789ABCDEF" * 8, "nobodyguessesthisaddress"
START = datetime(2026, 12, 1, 12, tzinfo=UTC)
OURS = Settings.model_construct(
    public_url="https://portail.example",
    notices_url=None,
    bank_seconds_max=8,
    payfip_numcli="123456",
    payfip_saisie="T",
    payfip_sources=(),
)
SHOP: dict[str, Any] = {"site_id": "12345678", "mode": "TEST", "key": KEY, "tills": ["L"]}
LYRA = Lyra(OURS, LyraAccount.model_validate({**SHOP, "form_url": "https://bank.example"}))
CHECKOUT = CheckoutOpened(
    checkout_id=uuid4(),
    household_id=uuid4(),
    household_name="Famille Exemple",
    household_reference="F001",
    household_address=("12 rue des Lilas", "01000 Bourg-en-Bresse"),
    till="REGIE-1",
    amount_cents=4250,
    invoices=(
        CheckoutInvoice(invoice_id=uuid4(), number="2026-000042", month=START.date().replace(day=1), amount_cents=4250),
    ),
    opened_at=START,
    expires_at=START + timedelta(minutes=30),
)
VICTIM = UUID("a0000000-0000-4000-8000-00000000000f").hex.upper()
"""The reference of the payment that the adversary would like to see confirmed."""


def attempt(bank: Bank, *, email: str, name: str = "Zoé Martin", address: Sequence[str] = ()) -> Attempt:
    payment_id = uuid4()
    checkout = CHECKOUT.model_copy(update={"household_address": tuple(address)}) if address else CHECKOUT
    return Attempt(
        payment_id=payment_id,
        checkout=checkout,
        payer_id=uuid4(),
        payer_email=email,
        payer_name=name,
        bank=bank.name,
        account=bank.account,
        mode=Mode.TEST,
        reference=bank.reference(checkout, payment_id),
        amount_cents=4250,
        status=PaymentStatus.PENDING,
        bank_reference="op",
        payer_url="https://bank/page",
        ticket=None,
        created_at=START,
        changed_at=START,
    )


SIGNS = st.sampled_from(["+", "&", "=", "%2B", "%26", "+AUTHORISED+", "&PBX_TOTAL=1", "@", "\n", "\0", "é", ";", " "])
WORDS = st.sampled_from(["DEBIT", "CREDIT", "AUTHORISED", "PAY", "TEST", "978", "12345678", VICTIM, "20261201120000"])
TEXT = st.lists(SIGNS | WORDS | st.text(max_size=8), max_size=12).map("".join)
EMAIL = TEXT | st.tuples(TEXT, st.sampled_from(["example.org", "a.b"])).map("@".join) | st.emails()


# --- Lyra: one key both ways, values joined by "+" in the order of their names -------------------------------------

NEEDED = {**BANKS_OWN, "vads_ctx_mode": re.compile("TEST"), "vads_site_id": re.compile("12345678")}
"""What a notification has to have to be looked at; anything else may be left out or named as one likes."""
TO_BE_BELIEVED = {
    **NEEDED,
    "vads_amount": re.compile("[0-9]{1,11}"),
    "vads_currency": re.compile("978"),
    "vads_order_id": re.compile("[0-9A-F]{32}"),
    "vads_trans_date": re.compile("[0-9]{14}"),
}


def cuts(
    pieces: Sequence[str], needed: dict[str, re.Pattern[str]], start: int = 0
) -> Iterator[dict[str, tuple[int, int]]]:
    """Every way to find the needed fields, in the order of their names, among the joined neighbours of ``pieces``.

    What lies between two of them gets names in between: there always are some.
    """
    if not needed:
        yield {}
        return
    name, *others = sorted(needed)
    for first, last in itertools.combinations(range(start, len(pieces) + 1), 2):
        if needed[name].fullmatch("+".join(pieces[first:last])):
            for rest in cuts(pieces, {each: needed[each] for each in others}, last):
                yield {name: (first, last), **rest}


def forgery(pieces: Sequence[str], places: dict[str, tuple[int, int]]) -> dict[str, str]:
    """The fields of a found cut, with a permitted name for whatever stands between, before and after."""
    fields, at, before = {}, 0, "vads_a"
    for name, (first, last) in [*places.items(), ("vads_zz", (len(pieces), len(pieces)))]:
        if first > at:
            fields["vads_w" if name == "vads_zz" else f"{before}_0"] = "+".join(pieces[at:first])
        if name != "vads_zz":
            fields[name] = "+".join(pieces[first:last])
        at, before = last, name
    return fields


def sent(fields: dict[str, str], made: str) -> bytes:
    return urlencode({**fields, "signature": made}).encode()


def believed(bank: Bank, query: str, body: bytes, headers: dict[str, str] | None = None) -> Notice | None:
    """What the driver makes of it, when that is more than a refusal; what is for a person is believed too."""
    try:
        return bank.read_notice(query, body, headers or {})
    except Forged:
        return None
    except Unreadable as unreadable:
        return Notice(unreadable.reference)


def lyra_form(email: str) -> tuple[list[str], str]:
    """The pieces of a form's signed text, however it came to them, and its signature."""
    form = LYRA.form(attempt(LYRA, email=email))
    assert form is not None
    fields = dict(form.fields)
    made = fields.pop("signature")
    text = "+".join(fields[name] for name in sorted(fields))
    digest = hmac.new(KEY.encode(), f"{text}+{KEY}".encode(), hashlib.sha256).digest()
    assert made == base64.b64encode(digest).decode(), "the adversary knows what is signed"
    return text.split("+"), made


@MANY
@given(EMAIL)
def test_lyra_no_cut_of_a_form_is_a_notification(email: str) -> None:
    pieces, _made = lyra_form(email)
    assert list(cuts(pieces, NEEDED)) == []
    assert not any(BANKS_OWN["vads_operation_type"].fullmatch(piece) for piece in pieces)


@MANY
@given(EMAIL, st.data())
def test_lyra_no_form_under_any_names_is_believed(email: str, data: st.DataObject) -> None:
    """The driver itself, with the right signature: the pieces joined and named as the adversary likes."""
    pieces, made = lyra_form(email)
    ends = data.draw(st.lists(st.integers(1, len(pieces) - 1), unique=True).map(sorted))
    groups = ["+".join(pieces[a:b]) for a, b in itertools.pairwise([0, *ends, len(pieces)])]
    allowed = st.sampled_from([*TO_BE_BELIEVED, *FORM, "vads_new"]) | st.from_regex(
        r"vads_[a-z0-9_]{1,12}", fullmatch=True
    )
    names = sorted(data.draw(st.lists(allowed, min_size=len(groups), max_size=len(groups), unique=True)))
    fields = dict(zip(names, groups, strict=True))
    assert signature(fields.items(), KEY) == made, "the signature fits the new names"
    assert believed(LYRA, "", sent(fields, made)) is None


@pytest.mark.parametrize("again", [{}, {"vads_result": ""}, {"vads_amount": "4250"}, {"x": "1"}, {"vads_Z": ""}])
def test_lyra_a_form_sent_back_as_it_is_or_with_something_added_is_refused(again: dict[str, str]) -> None:
    form = LYRA.form(attempt(LYRA, email="zoe@example.org"))
    assert form is not None
    body = urlencode([*form.fields, *again.items()])
    for bytes_ in (body, body.replace("vads_", "%76ads_"), "&".join(reversed(body.split("&")))):
        assert believed(LYRA, "", bytes_.encode()) is None
        assert believed(LYRA, bytes_, b"") is None


FORGED_EMAIL = f"DEBIT+{VICTIM}+12345678+20261201120000+AUTHORISED+{'0' * 32}+PAY+@example.org"


def test_lyra_the_adversary_finds_a_notification_where_a_value_holds_the_separator() -> None:
    """The search above is worth something: with such a text in a signed form it confirms another's payment."""
    form = LYRA.form(attempt(LYRA, email="zoe@example.org"))
    assert form is not None
    fields = {name: value for name, value in form.fields if name != "signature"} | {"vads_cust_email": FORGED_EMAIL}
    made = signature(fields.items(), KEY)
    pieces = "+".join(fields[name] for name in sorted(fields)).split("+")
    found = [believed(LYRA, "", sent(forgery(pieces, places), made)) for places in cuts(pieces, TO_BE_BELIEVED)]
    assert VICTIM in {each.reference for each in found if each and each.answer}


@given(EMAIL)
def test_lyra_signs_an_address_of_its_shape_or_none(email: str) -> None:
    form = LYRA.form(attempt(LYRA, email=email))
    assert form is not None
    told = dict(form.fields).get("vads_cust_email")
    assert told == (email if signing.MAIL.fullmatch(email) else None)


# --- Paybox: an HMAC over "name=value&…" one way, the bank's RSA key the other -------------------------------------


@pytest.fixture(scope="module")
def bank_keys() -> tuple[str, str]:
    made = subprocess.run(["openssl", "genrsa", "2048"], capture_output=True, check=True).stdout
    public = subprocess.run(["openssl", "rsa", "-pubout"], input=made, capture_output=True, check=True).stdout
    return made.decode(), public.decode()


@pytest.fixture(scope="module")
def paybox(bank_keys: tuple[str, str]) -> Paybox:
    told = {"site": "1999888", "rank": "32", "identifier": "107904482", "mode": "TEST", "key": PAYBOX_KEY}
    told |= {"door": DOOR, "form_url": "https://bank.example/cgi", "status_url": "https://bank.example/load.html"}
    told |= {"zip_code": "01999", "city": "Saint-Aubin", "public_key": bank_keys[1]}
    return Paybox(OURS, PayboxAccount.model_validate({**told, "tills": ["REGIE-P"]}))


@MANY
@given(email=EMAIL, name=TEXT, address=st.lists(TEXT, min_size=1, max_size=3))
def test_paybox_a_signed_form_can_be_parted_in_one_way_only(
    paybox: Paybox, email: str, name: str, address: list[str]
) -> None:
    """So nobody reads another amount, reference or PBX_RETOUR into it, by which the bank names what it signs."""
    paying = attempt(paybox, email=email, name=name, address=address)
    if not paybox.can_tell(email):
        with pytest.raises(signing.UnsafeValueError):
            paybox.form(paying)
        return
    form = paybox.form(paying)
    assert form is not None
    *fields, (_, made) = form.fields
    text = "&".join(f"{name}={value}" for name, value in fields)
    assert made == hmac.new(bytes.fromhex(PAYBOX_KEY), text.encode(), hashlib.sha512).hexdigest().upper()
    assert [part.partition("=")[::2] for part in text.split("&")] == fields
    assert dict(fields)["PBX_RETOUR"] == ";".join(f"{n}:{letter}" for n, letter in VARIABLES.items()) + ";sign:K"


@MANY
@given(email=EMAIL, data=st.data())
def test_paybox_no_form_is_a_notification(paybox: Paybox, email: str, data: st.DataObject) -> None:
    """The HMAC is no RSA signature, whatever the names: as it is, in Base64, and with the door known."""
    paying = attempt(paybox, email=email if paybox.can_tell(email) else "zoe@example.org")
    form = paybox.form(paying)
    assert form is not None
    *fields, (_, made) = form.fields
    size = data.draw(st.integers(0, len(VARIABLES)))
    values = data.draw(st.permutations([value for _, value in fields]))
    body = urlencode(list(zip(list(VARIABLES)[:size], values, strict=False)))
    for given_ in (made, base64.b64encode(bytes.fromhex(made)).decode()):
        told = f"{body}&{urlencode({'sign': given_})}"
        assert believed(paybox, f"door={DOOR}", told.encode()) is None
        assert believed(paybox, f"door={DOOR}&{told}", b"") is None


def test_paybox_whoever_could_choose_an_ampersand_would_choose_what_the_bank_signs() -> None:
    """Why: the same bytes, read as another form. PBX_RETOUR then tells the reference under the amount's name."""
    email = "a&PBX_RETOUR=amount:R;ref:T;error:E;sign:K&PBX_X=@example.org"
    text = f"PBX_TOTAL=100&PBX_PORTEUR={email}&PBX_HASH=SHA512"
    assert dict(parse_qsl(text))["PBX_RETOUR"] == "amount:R;ref:T;error:E;sign:K"
    with pytest.raises(signing.UnsafeValueError):
        signing.checked((("PBX_PORTEUR", email),), PAYBOX_FORM)


# --- PayFiP: nothing is signed, so a notification is never more than a hint ----------------------------------------


@MANY
@given(EMAIL, st.text(max_size=30), st.sampled_from(["P", "V", "A", "resultrans=P"]))
def test_payfip_whatever_is_sent_is_a_hint_to_ask(email: str, text: str, result: str) -> None:
    bank = PayFiP(OURS)
    body = urlencode({"idop": "operation-1", "resultrans": result, "mel": email, "montant": "4250", "refdet": text})
    notice = believed(bank, "", body.encode())
    assert notice == Notice("operation-1", answer=None, is_signed=False)
    assert bank.form(attempt(bank, email=email)) is None


# --- Stripe: what we send is not signed, and notifications have a secret of their own ------------------------------


@MANY
@given(EMAIL, st.sampled_from(["sk_test_for_tests", KEY, "whsec_of_another_account", ""]))
def test_stripe_no_other_secret_makes_an_event(email: str, secret: str) -> None:
    told = {"label": "asso", "account": "acct_1", "secret_key": "sk_test_for_tests", "tills": ["REGIE-S"]}
    bank = Stripe(OURS, StripeAccount.model_validate({**told, "webhook_secret": "whsec_for_tests_only"}))
    said = {"id": "cs_1", "client_reference_id": VICTIM, "customer_email": email, "payment_status": "paid"}
    body = json.dumps({"livemode": False, "type": "checkout.session.completed", "data": {"object": said}}).encode()
    instant = str(int(datetime.now(UTC).timestamp()))
    header = f"t={instant},v1={stripe_signature(instant, body, secret)}"
    assert believed(bank, "", body, {SIGNATURE_HEADER: header}) is None
    assert bank.form(attempt(bank, email=email)) is None


def test_accounts_whose_two_secrets_are_one_are_refused() -> None:
    one = "sk_test_one_for_everything"
    with pytest.raises(ValueError, match="another secret"):
        StripeAccount.model_validate(
            {"label": "a", "account": "acct_1", "secret_key": one, "webhook_secret": one, "tills": ["S"]}
        )
    urls = {"form_url": "https://bank.example", "rest_url": "https://bank.example"}
    with pytest.raises(ValueError, match="not the key"):
        LyraAccount.model_validate({**SHOP, **urls, "rest_password": KEY})
    with pytest.raises(ValueError, match="go together"):
        LyraAccount.model_validate({**SHOP, **urls})


@pytest.mark.parametrize(
    "fields",
    [
        {"vads_trans_status": "AUTHORISED"},
        {"vads_order_id": "A+B"},
        {"vads_cust_email": "zoe+mairie@example.org"},
        {"vads_site_id": "12345678\n"},
        {"vads_amount": "٤٢٥٠"},
        {"vads_url_check": "https://portail.example/a+b"},
        {"vads_url_check": "https://portail.example/?a=b"},
        {"vads_action_mode": "DEBIT"},
    ],
)
def test_no_other_value_is_signed(fields: dict[str, str]) -> None:
    with pytest.raises(signing.UnsafeValueError):
        signing.checked(tuple(fields.items()), FORM)
    twice = (("vads_amount", "1"), ("vads_amount", "1"))
    with pytest.raises(signing.UnsafeValueError):
        signing.checked(twice, FORM)


def test_a_frozen_attempt_is_only_read() -> None:
    """The adversary's attempts are real ones: what is frozen of them is what is signed."""
    paying = attempt(LYRA, email="zoe@example.org")
    form = LYRA.form(replace(paying, status=PaymentStatus.PROCESSING))
    assert form == LYRA.form(paying)
