"""Notifications whose signature is the bank's and whose content is not: odd shapes, types, numbers and characters.

Nothing odd is believed, nothing moves on a refusal but to the till keeper, and no answer is above 499 but those that
PAYMENTS wants for what is signed and unknown here, or unreadable. ``FUZZ`` says how many.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import random
import time
from collections import Counter
from typing import Any
from urllib.parse import quote_from_bytes, urlencode

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from chassis.testing import eventually

MANY, AT_ONCE = int(os.environ.get("FUZZ", "400")), 20
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
TEXTS = (
    *("", " ", "\0", "a\0b", "\u202e", "é", "🎉" * 40, "x" * 3_000, "null", "4250.0", " 4250", "+4250", "4_250", "-1"),
    *("٤٢٥٠", "４２５０", "1e3", "9" * 40, "0" * 14, "99991231235959", "20269999999999", "'; --", "%00", "{}", "\r\n"),
)
VALUES: tuple[Any, ...] = (
    *(*TEXTS, None, True, False, 0, -1, 2**31, 2**63 - 1, 2**63, 10**30, 10**400, 4250.0, 4250.5, 1e308, -0.0),
    *(float("nan"), float("inf"), [], {}, [[]], {"id": "x"}, [4250], {"amount": 4250}, ["paid"], "\ud800"),
)
PAID_KINDS = tuple(f"checkout.session.{end}" for end in ("completed", "async_payment_succeeded"))
LATER_KINDS = (
    *(f"checkout.session.{end}" for end in ("expired", "async_payment_failed")),
    *("charge.refunded", "refund.failed", "charge.refund.updated", "charge.dispute.created"),
    *("charge.dispute.closed", "payment_intent.created"),
)

Call = tuple[str, bytes, dict[str, str]]


def deep(draw: random.Random) -> Any:
    value: Any = draw.choice(VALUES)
    for _ in range(draw.choice([0, 0, 0, 2, 300])):
        value = draw.choice([[value], {"data": value}])
    return value


class Odd:
    """A bank that signs well and writes badly; the field that decides is wrong in every call."""

    def __init__(self, till: Any, payment: dict[str, Any], private_key: str) -> None:
        self.till, self.draw = till, random.Random(MANY)
        key = load_pem_private_key(private_key.encode(), None)
        assert isinstance(key, RSAPrivateKey)
        self.key = key
        self.speaks_of(payment)

    def speaks_of(self, payment: dict[str, Any]) -> None:
        self.reference = payment["payment_id"].replace("-", "").upper()
        self.id_op = self.till.id_op(payment)

    def call(self) -> Call:
        name = self.till.bank_name.partition("-")[0]
        call: Call = getattr(self, f"_{name}")()
        return call

    def _stripe(self) -> Call:
        draw = self.draw
        kind = draw.choice([*PAID_KINDS, *PAID_KINDS, *LATER_KINDS])
        said: dict[str, Any] = {"id": self.id_op, "amount_total": 4250, "client_reference_id": self.reference}
        said |= {"currency": "eur", "livemode": False, "payment_intent": f"pi_{draw.randrange(10**6)}"}
        said |= {"payment_status": "paid", "status": draw.choice(["complete", "open", "expired"])}
        said |= {"amount": 4250, "amount_refunded": 4250, "metadata": {"reference": self.reference}}
        for _ in range(draw.randrange(3)):
            said[draw.choice(list(said))] = deep(draw)
        wrong = draw.choice(["amount_total", "client_reference_id", "currency", "livemode", "payment_status"])
        value = deep(draw)
        said[wrong] = True if value is False else value  # "livemode" is rightly false
        for name in draw.sample(list(said), draw.choice([0, 0, 1, 2])):
            del said[name]
        event = {"created": int(time.time()), "livemode": False, "type": kind, "data": {"object": said}}
        if draw.random() < 0.3:
            event[draw.choice([*event, "id"])] = deep(draw)
        text = json.dumps(draw.choice([event] * 30 + [said, [event], event["data"]]), ensure_ascii=draw.random() < 0.7)
        body = text.encode(draw.choice(["utf-8"] * 9 + ["utf-16", "utf-8-sig"]), "surrogatepass")
        if draw.random() < 0.05:
            body = body[: draw.randrange(1, len(body))]
        instant = str(int(time.time()))
        secret = self.till.settings.stripe_accounts[0].webhook_secret.get_secret_value().encode()
        made = hmac.digest(secret, f"{instant}.".encode() + body, "sha256").hex()
        return self.till.webhook, body, {"Stripe-Signature": f"t={instant},v1={made}"}

    def _odd_fields(self, good: dict[str, str], deciding: list[str]) -> dict[str, str]:
        draw = self.draw
        good[draw.choice(deciding)] = draw.choice(TEXTS)
        for _ in range(draw.randrange(3)):
            good[draw.choice(list(good))] = draw.choice(TEXTS)
        for name in draw.sample(list(good), draw.choice([0, 0, 0, 1])):
            del good[name]
        return good

    def _lyra(self) -> Call:
        draw, status = self.draw, ["AUTHORISED", "CAPTURED", "REFUSED", "UNDER_VERIFICATION"]
        good = {"vads_amount": "4250", "vads_currency": "978", "vads_ctx_mode": "TEST", "vads_site_id": "12345678"}
        good |= {"vads_order_id": self.reference, "vads_trans_status": draw.choice(status), "vads_auth_number": "1"}
        good |= {"vads_trans_date": "20261124090000", "vads_operation_type": draw.choice(["DEBIT", "DEBIT", "CREDIT"])}
        good |= {"vads_url_check_src": "PAY", "vads_trans_uuid": f"{draw.getrandbits(128):032x}"}
        site_id = self.till.bank_name.partition("-")[2]
        good |= {"vads_site_id": site_id}
        deciding = ["vads_amount", "vads_currency", "vads_ctx_mode", "vads_site_id", "vads_order_id"]
        fields = self._odd_fields(good, [*deciding, "vads_trans_status"])
        fields[f"vads_{draw.choice(['new', 'new', 'other', 'é', 'x' * 300])}"] = draw.choice(TEXTS)
        key = next(each.key for each in self.till.settings.lyra_accounts if each.site_id == site_id).get_secret_value()
        text = "+".join([*(fields[name] for name in sorted(fields)), key])
        made = base64.b64encode(hmac.digest(key.encode(), text.encode(), hashlib.sha256)).decode()
        return self.till.webhook, urlencode({**fields, "signature": made}).encode(), FORM

    def _paybox(self) -> Call:
        draw, codes = self.draw, ["00000", "00000", "00001", "00105", "00015", "99999"]
        good = {"amount": "4250", "ref": self.reference, "auth": "012345", "error": draw.choice(codes)}
        good |= {"call": "1", "trans": "2", "day": "24112026", "hour": "09:00:00"}
        fields = self._odd_fields(good, ["amount", "ref", "error"])
        wild = draw.choice([b""] * 9 + [b"%ff%fe", b"%c3", b"%"])
        signed = "&".join(f"{name}={quote_from_bytes(value.encode())}" for name, value in fields.items()).encode()
        signed = signed.replace(b"&call=", b"&call=" + wild)
        made = base64.b64encode(self.key.sign(signed, PKCS1v15(), SHA1()))  # noqa: S303 - the bank's own choice
        body = signed + b"&sign=" + quote_from_bytes(made, safe="").encode()
        return f"{self.till.webhook}?door={self.till.door}", body, FORM


@pytest.mark.parametrize("till", ["lyra-12345678", "lyra-23456789", "paybox-1999888-32", "stripe-asso"], indirect=True)
@pytest.mark.timeout(7_200)
async def test_what_is_signed_and_odd_moves_nothing_wrongly(till: Any, bank_private_key: str) -> None:
    payment = await till.begin()
    odd, found = Odd(till, payment, bank_private_key), Counter[Any]()
    moves = "SELECT count(*) FROM payment_move WHERE from_status <> 'created'"

    async def answered(call: Call) -> Any:
        path, body, headers = call
        async with till.client.post(path, data=body, headers=headers) as answer:
            if answer.status == 503:
                code = (await answer.json(content_type=None))["code"]
                return None if code == "unavailable" else code  # overload, by its name: the bank sends it again
            return answer.status

    async def send(call: Call) -> Any:
        return await eventually(lambda: answered(call))

    for _ in range(0, MANY, AT_ONCE):
        before = await till.sql(f"{moves} AND to_status <> 'review'")
        calls = [odd.call() for _ in range(AT_ONCE)]
        answers = await asyncio.gather(*(send(call) for call in calls))
        found.update(answers)
        assert answers.count(200) or await till.sql(f"{moves} AND to_status <> 'review'") == before
        if (await till.get(payment))["status"] not in {"pending", "processing"}:
            payment = await till.begin()
            odd.speaks_of(payment)
    assert found.keys() <= {200, 400, 413, "unknown_signed_payment", "unreadable_signed_notice"}, found
    assert found[400] + found["unreadable_signed_notice"] > MANY / 4, found
    assert await till.sql("SELECT count(*) FROM payment_move WHERE to_status = 'confirmed'") == 0
    wrong = "SELECT count(*) FROM payment WHERE status = 'review' AND said->>'word' = 'paid' AND "
    wrong += "said->>'amount_cents' = '4250' AND said->>'currency' = 'EUR' AND said->>'reference' = reference "
    wrong += "AND said->>'mode' = mode"
    assert await till.sql(wrong) == 0, "held although nothing differs"
    await till.probe.none("payment.confirmed")
