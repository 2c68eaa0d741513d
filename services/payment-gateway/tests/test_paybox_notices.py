"""Paybox, byte for byte: our signature and the bank's against the openssl command, and whatever bytes may come."""

import os
import subprocess
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.events.payment import Mode
from payment_gateway.banks import Forged, Notice, Unreadable
from payment_gateway.banks.paybox import Paybox, signature
from payment_gateway.domain.payments import Word
from payment_gateway.settings import PayboxAccount, Settings

MANY = settings(max_examples=int(os.environ.get("FUZZ", "300")))
DOOR = "nobodyguessesthisaddress"
PAID = "amount=4250&ref=ABC&auth=012345&error=00000&call=710000001&trans=620000001&day=24112026&hour=09%3A00%3A00"


class BankKey:
    """The bank's key pair, in openssl's hands only."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "bank.pem"
        subprocess.run(["openssl", "genrsa", "-out", self.file, "2048"], capture_output=True, check=True)
        shown = subprocess.run(["openssl", "rsa", "-in", self.file, "-pubout"], capture_output=True, check=True)
        self.public = shown.stdout.decode()
        self.whole = self.signed()

    def signs(self, text: str, digest: str = "-sha1") -> str:
        """The signature as a bank puts it into a form: RSA PKCS#1 v1.5, Base64, percent-encoded."""
        command = ["openssl", "dgst", digest, "-sign", self.file]
        made = subprocess.run(command, input=text.encode(), capture_output=True, check=True).stdout
        encoded = subprocess.run(["openssl", "base64", "-A"], input=made, capture_output=True, check=True).stdout
        return quote_plus(encoded.decode())

    def signed(self, text: str = PAID, digest: str = "-sha1") -> bytes:
        return f"{text}&sign={self.signs(text, digest)}".encode()


def account(**changes: str) -> PayboxAccount:
    told = {"site": "1999888", "rank": "32", "identifier": "107904482", "mode": "TEST", "key": "0123456789ABCDEF" * 8}
    told |= {"door": DOOR, "form_url": "https://bank.example/cgi", "status_url": "https://bank.example/load.html"}
    told |= {"zip_code": "01999", "city": "Saint-Aubin"}
    return PayboxAccount.model_validate({**told, "tills": ["REGIE-P"], **changes})


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> BankKey:
    return BankKey(tmp_path_factory.mktemp("bank"))


@pytest.fixture(scope="module")
def paybox(key: BankKey) -> Paybox:
    ours = Settings.model_construct(public_url="https://portail.example", bank_seconds_max=8)
    return Paybox(ours, account(public_key=key.public))


def test_our_signature_is_openssls() -> None:
    form = [("PBX_SITE", "1999888"), ("PBX_CMD", "Cantine é & +"), ("PBX_TIME", "2026-11-24T09:00:00+01:00")]
    text = "&".join(f"{name}={value}" for name, value in form)
    shared = "0123456789ABCDEF" * 8
    command = ["openssl", "dgst", "-sha512", "-mac", "HMAC", "-macopt", f"hexkey:{shared}", "-r"]
    made = subprocess.run(command, input=text.encode(), capture_output=True, check=True).stdout
    assert signature(form, shared) == made.split()[0].decode().upper()


def test_a_value_computed_elsewhere_once() -> None:
    """``printf 'PBX_SITE=1999888&PBX_RANG=32' | openssl dgst -sha512 -mac HMAC -macopt hexkey:…`` of the key below."""
    made = signature([("PBX_SITE", "1999888"), ("PBX_RANG", "32")], "00112233445566778899")
    assert made == (
        "91ECE835FD5442F7538D6F6DB380063D1DF4B2FADE568B1CE8F51DAA1402FF2F"
        "605026CDCC40170B6E7E8C9ED78BEC3D3D70953731FBB24855A480A02869DE84"
    )


def test_a_signed_notification_is_believed_by_post_and_by_get(paybox: Paybox, key: BankKey) -> None:
    by_post = paybox.read_notice(f"door={DOOR}", key.signed(), {})
    assert by_post.answer is not None
    assert (by_post.reference, by_post.answer.word, by_post.answer.amount_cents) == ("ABC", Word.PAID, 4250)
    assert (by_post.answer.account, by_post.answer.mode) == ("1999888-32-107904482", Mode.TEST)
    assert by_post.answer.at is not None
    assert by_post.answer.at.isoformat() == "2026-11-24T09:00:00+01:00"
    assert paybox.read_notice(f"door={DOOR}&{key.signed().decode()}", b"", {}) == by_post


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ("00000", Word.PAID),
        ("00001", Word.ABANDONED),
        ("00105", Word.REFUSED),
        ("00030", Word.ABANDONED),
        ("99999", Word.IN_PROGRESS),
        ("00008", Word.REFUSED),
        ("00199", Word.REFUSED),
        ("00777", Word.UNRECOGNISED),
    ],
)
def test_codes(paybox: Paybox, key: BankKey, code: str, word: Word) -> None:
    told = "amount=4250&ref=ABC&error=" + code
    if code == "00000":
        told = PAID
    answer = paybox.read_notice(f"door={DOOR}", key.signed(told), {}).answer
    assert answer is not None
    assert answer.word is word


def test_already_paid_tells_nothing_new(paybox: Paybox, key: BankKey) -> None:
    told = key.signed("amount=4250&ref=ABC&error=00015")
    assert paybox.read_notice(f"door={DOOR}", told, {}) == Notice("ABC")


@pytest.mark.parametrize("query", ["", "door=", f"door={DOOR}x", f"door={DOOR}&door={DOOR}", f"door={DOOR.upper()}"])
def test_the_banks_own_signature_at_another_address_is_another_merchants(
    paybox: Paybox, key: BankKey, query: str
) -> None:
    with pytest.raises(Forged, match="address"):
        paybox.read_notice(query, key.signed(), {})


@pytest.mark.parametrize(
    "text",
    [
        PAID.replace("amount=4250&", ""),
        PAID.replace("amount=4250&ref=ABC", "ref=ABC&amount=4250"),
        PAID + "&amount=1",
        PAID + "&other=1",
        PAID.replace("4250", "many"),
        PAID.replace("00000", "0"),
        PAID.replace("24112026", "32132026"),
        PAID.replace("&day=24112026", ""),
        PAID.replace("ABC", "é"),
    ],
)
def test_signed_but_not_what_was_asked_for_is_for_a_person(paybox: Paybox, key: BankKey, text: str) -> None:
    with pytest.raises(Unreadable):
        paybox.read_notice(f"door={DOOR}", key.signed(text), {})


def test_another_digest_and_another_encoding_are_refused(paybox: Paybox, key: BankKey) -> None:
    with pytest.raises(Forged):
        paybox.read_notice(f"door={DOOR}", key.signed(digest="-sha256"), {})
    again = PAID.replace("%3A", quote(":", safe=":"))  # the same values, other bytes
    body = key.signed().decode().replace(PAID, again)
    with pytest.raises(Forged):
        paybox.read_notice(f"door={DOOR}", body.encode(), {})


@pytest.mark.parametrize(
    "wrong", [{"key": "xyz"}, {"key": "00"}, {"door": "short"}, {"door": "nobody guesses this one"}]
)
def test_settings_that_would_sign_nothing_are_refused(key: BankKey, wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        account(public_key=key.public, **wrong)


def heard(bank: Paybox, query: str, body: bytes) -> Notice | None:
    try:
        return bank.read_notice(query, body, {})
    except (Forged, Unreadable):
        return None


NAMES = st.sampled_from(["amount", "ref", "auth", "error", "call", "trans", "day", "hour", "sign", "door", "x", ""])
FORMS = st.lists(st.tuples(NAMES, st.text(max_size=30)), max_size=12)


@MANY
@given(
    st.sampled_from(["", f"door={DOOR}"]),
    st.text(max_size=40),
    st.binary(max_size=300)
    | FORMS.map(lambda form: "&".join(f"{name}={quote_plus(value)}" for name, value in form).encode()),
)
def test_whatever_comes_is_refused(paybox: Paybox, door: str, more: str, body: bytes) -> None:
    assert heard(paybox, "&".join(filter(None, (door, more))), body) is None


@MANY
@given(place=st.integers(0, 10_000), bytes_=st.binary(min_size=0, max_size=3))
def test_a_notification_altered_anywhere_says_the_same_or_nothing(
    paybox: Paybox, key: BankKey, place: int, bytes_: bytes
) -> None:
    good = key.whole
    place %= len(good)
    notice = heard(paybox, f"door={DOOR}", good[:place] + bytes_ + good[place + 1 :])
    assert notice is None or notice == paybox.read_notice(f"door={DOOR}", good, {})
