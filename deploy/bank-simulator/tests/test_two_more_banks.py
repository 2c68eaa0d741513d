"""The stand-in Paybox and Stripe by themselves: what they refuse, what they sign, what they do once."""

import asyncio
import base64
import hashlib
import hmac
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from bank_simulator.app import build
from bank_simulator.keys import Known

KEY = "0123456789ABCDEF" * 8
SECRET = "whsec_of_the_test"


class Merchant:
    """Whoever is notified: keeps each call as it came, and answers 200."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, bytes, str]] = []
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._take)
        self.server = TestServer(app)

    async def _take(self, request: web.Request) -> web.Response:
        signature = request.headers.get("Stripe-Signature", "")
        self.calls.append((request.method, request.rel_url.raw_query_string, await request.read(), signature))
        return web.Response()

    async def called(self) -> tuple[str, str, bytes, str]:
        async with asyncio.timeout(10):
            while not self.calls:
                await asyncio.sleep(0.02)
        return self.calls.pop(0)


@pytest.fixture
async def merchant() -> Any:
    made = Merchant()
    await made.server.start_server()
    yield made
    await made.server.close()


class BankKey:
    """The bank's key, made by the openssl command, which also verifies what was signed with it."""

    def __init__(self, folder: Path) -> None:
        self.private = openssl("genrsa", "2048", given=b"").decode()
        self._public, self._signature = folder / "public.pem", folder / "signature"
        self._public.write_bytes(openssl("rsa", "-pubout", given=self.private.encode()))

    def verifies(self, signature: bytes, text: str) -> bool:
        self._signature.write_bytes(signature)
        files = ("-verify", str(self._public), "-signature", str(self._signature))
        return openssl("dgst", "-sha1", *files, given=text.encode()) == b"Verified OK\n"


def openssl(*words: str, given: bytes) -> bytes:
    return subprocess.run(["openssl", *words], input=given, capture_output=True, check=True).stdout


@pytest.fixture
def bank_key(tmp_path: Path) -> BankKey:
    return BankKey(tmp_path)


@pytest.fixture
async def bank(aiohttp_client: Any, tmp_path: Path, merchant: Merchant, bank_key: BankKey) -> TestClient[Any, Any]:
    contract = {"site": "1999888", "rank": "32", "identifier": "1", "key": KEY, "private_key": bank_key.private}
    contract["ipn_url"] = str(merchant.server.make_url("/ipn?door=here"))
    account = {"account": "acct_1", "secret_key": "sk_test_1", "webhook_secret": SECRET}
    account["webhook_url"] = str(merchant.server.make_url("/events"))
    client: TestClient[Any, Any] = await aiohttp_client(build(tmp_path, Known({}, [contract], [account])))
    return client


CART = "<shoppingcart><total><totalQuantity>2</totalQuantity></total></shoppingcart>"
BILLING = (
    '<?xml version="1.0" encoding="utf-8"?><Billing><Address><FirstName>Zoe</FirstName><LastName>Martin</LastName>'
    "<Address1>12 rue des Lilas</Address1><ZipCode>01000</ZipCode><City>Bourg-en-Bresse</City>"
    "<CountryCode>250</CountryCode></Address></Billing>"
)


def form(**changes: str) -> dict[str, str]:
    fields = {"PBX_SITE": "1999888", "PBX_RANG": "32", "PBX_IDENTIFIANT": "1", "PBX_TOTAL": "4250", "PBX_DEVISE": "978"}
    fields |= {
        "PBX_CMD": "FACTURE-1",
        "PBX_PORTEUR": "parent@example.org",
        "PBX_RETOUR": "amount:M;ref:R;error:E;sign:K",
    }
    fields |= dict.fromkeys(("PBX_EFFECTUE", "PBX_REFUSE", "PBX_ANNULE"), "http://127.0.0.1:9/retour")
    fields |= {"PBX_SHOPPINGCART": CART, "PBX_BILLING": BILLING}
    fields |= {"PBX_HASH": "SHA512", "PBX_TIME": "2026-11-24T09:00:00+01:00", "PBX_RUF1": "POST", **changes}
    text = "&".join(f"{name}={value}" for name, value in fields.items())
    return {**fields, "PBX_HMAC": hmac.new(bytes.fromhex(KEY), text.encode(), hashlib.sha512).hexdigest().upper()}


PAGE = "/cgi/FramepagepaiementRWD.cgi"


async def test_paybox_shows_its_page_to_a_form_that_is_signed(bank: TestClient[Any, Any]) -> None:
    assert "42,50" in await (await bank.post(PAGE, data=form())).text()
    altered = {**form(), "PBX_TOTAL": "4251"}
    for wrong in (altered, form(PBX_SITE="1999889"), form(PBX_DEVISE="840"), form(PBX_RETOUR="a:M")):
        assert (await bank.post(PAGE, data=wrong)).status == 400


@pytest.mark.parametrize(
    "wrong",
    [
        {"PBX_BILLING": ""},
        {"PBX_BILLING": BILLING.replace("</Billing>", "")},
        {"PBX_BILLING": BILLING.replace("01000", "")},
        {"PBX_BILLING": BILLING.replace("Zoe", "Zoé")},
        {"PBX_BILLING": BILLING.replace("Martin", "M" * 23)},
        {"PBX_BILLING": BILLING.replace("250", "FR")},
        {"PBX_BILLING": BILLING.replace("<City>Bourg-en-Bresse</City>", "")},
        {"PBX_BILLING": BILLING.replace("Address>", "Home>")},
        {"PBX_SHOPPINGCART": ""},
        {"PBX_SHOPPINGCART": CART.replace("2", "0")},
        {"PBX_SHOPPINGCART": CART.replace("2", "100")},
    ],
)
async def test_paybox_wants_who_pays_and_where_they_live(bank: TestClient[Any, Any], wrong: dict[str, str]) -> None:
    answer = await bank.post(PAGE, data=form(**wrong))
    assert (answer.status, next(iter(wrong)) in await answer.text()) == (400, True)


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_paybox_signs_what_it_was_asked_to_tell(
    bank: TestClient[Any, Any], merchant: Merchant, bank_key: BankKey, method: str
) -> None:
    await bank.post(PAGE, data=form() if method == "POST" else form(PBX_RUF1=""))
    await bank.post("/api/operations/1999888-32-FACTURE-1/pay")
    how, query, body, _ = await merchant.called()
    told = body.decode() if method == "POST" else query.removeprefix("door=here&")
    text, _, signature = told.partition("&sign=")
    assert (how, parse_qsl(text)) == (method, [("amount", "4250"), ("ref", "FACTURE-1"), ("error", "00000")])
    assert query.startswith("door=here")
    assert bank_key.verifies(base64.b64decode(unquote_plus(signature)), text)


AUTHORISED = {"Authorization": "Bearer sk_test_1"}
SESSION = {
    "mode": "payment",
    "client_reference_id": "FACTURE-1",
    "success_url": "http://127.0.0.1:9/retour",
    "cancel_url": "http://127.0.0.1:9/retour",
    "line_items[0][quantity]": "1",
    "line_items[0][price_data][currency]": "eur",
    "line_items[0][price_data][unit_amount]": "4250",
    "line_items[0][price_data][product_data][name]": "Factures",
}


async def opened(bank: TestClient[Any, Any], key: str = "once", **changes: str) -> Any:
    headers = {**AUTHORISED, "Idempotency-Key": key}
    return await bank.post("/v1/checkout/sessions", data={**SESSION, **changes}, headers=headers)


async def test_stripe_opens_a_session_once_a_key(bank: TestClient[Any, Any]) -> None:
    first = await (await opened(bank)).json()
    assert (await (await opened(bank)).json())["id"] == first["id"]
    assert (await (await opened(bank, "another")).json())["id"] != first["id"]
    other = await opened(bank, **{"line_items[0][price_data][unit_amount]": "1"})
    assert (other.status, (await other.json())["error"]["code"]) == (400, "idempotency_error")
    soon = await opened(bank, "soon", expires_at=str(int(time.time()) + 60))
    assert soon.status == 400
    assert (await bank.get("/v1/account", headers={"Authorization": "Bearer sk_test_2"})).status == 401


async def test_stripe_signs_its_events_and_closes_what_is_open_only(
    bank: TestClient[Any, Any], merchant: Merchant
) -> None:
    session = await (await opened(bank)).json()
    path = f"/v1/checkout/sessions/{session['id']}"
    assert (await bank.get(f"/c/pay/{session['id']}")).status == 200
    refused = {"idop": session["id"], "card": "4970 1000 0000 0014"}
    assert (await bank.post("/tpa/payer", data=refused)).status == 422, "a refused card leaves the page open"
    await bank.post("/tpa/payer", data={**refused, "card": "4970 1000 0000 0006"}, allow_redirects=False)
    _, _, body, header = await merchant.called()
    instant = header.partition(",")[0].removeprefix("t=")
    made = hmac.new(SECRET.encode(), f"{instant}.".encode() + body, hashlib.sha256).hexdigest()
    assert f"v1={made}" in header.split(",")
    assert (await (await bank.get(path, headers=AUTHORISED)).json())["payment_status"] == "paid"
    assert (await bank.post(f"{path}/expire", headers=AUTHORISED)).status == 400
    assert (await bank.get(f"/c/pay/{session['id']}")).status == 409


async def test_stripe_gives_back_once_a_key_and_no_more_than_it_took(bank: TestClient[Any, Any]) -> None:
    session = await (await opened(bank)).json()
    await bank.post(f"/api/operations/{session['id']}/pay")
    shown = await (await bank.get(f"/v1/checkout/sessions/{session['id']}", headers=AUTHORISED)).json()

    async def refund(key: str, cents: str) -> Any:
        headers = {**AUTHORISED, "Idempotency-Key": key}
        fields = {"payment_intent": shown["payment_intent"], "amount": cents}
        return await (await bank.post("/v1/refunds", data=fields, headers=headers)).json()

    assert [(await refund("a", "1000"))["charge"]["amount_refunded"] for _ in range(2)] == [1000, 1000]
    assert (await refund("b", "4000"))["error"]["code"] == "amount_too_large"
    assert (await refund("c", "3250"))["charge"]["amount_refunded"] == 4250
    assert (await refund("d", "1"))["error"]["code"] == "charge_already_refunded"
