"""Lyra's form (SystemPay, PayZen, Scellius, Monetico Retail, OSB): signed both ways with one key.

The signature covers values only, joined by ``+`` in the order of their names. A form that we signed for a payer and a
notification of the bank's are therefore one kind of text, and two things keep them apart: a form is signed of values
that can hold no ``+`` and are no word of a notification (``FORM``), and a notification has the fields that only the
bank sends (``BANKS_OWN``). ``docs/payments.md`` says who chooses which field.

An account that has its REST password is asked (Order/Get) before anything is confirmed: a notification only says that
there is something to ask about. Without the password the signature is all there is.
"""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

import aiohttp

from contracts.api.payment_gateway import PayerForm
from contracts.events.billing import CheckoutOpened
from contracts.events.payment import Means, Mode
from payment_gateway.banks import Forged, Heard, Notice, Opened, Unreadable, cents, signing, whole
from payment_gateway.domain.failures import BankCannot, BankRefused, BankUnreachable
from payment_gateway.domain.payments import Answer, Attempt, Word, is_name
from payment_gateway.settings import LyraAccount, Settings

EURO = "978"
NUMBERS_A_DAY = 899_999
"""900000 to 999999 are the bank's own."""
NO_SUCH_ORDER = "PSP_010"
FIELDS_MAX = 200
FORM = signing.shapes_of(
    vads_action_mode="INTERACTIVE",
    vads_amount=signing.CENTS,
    vads_ctx_mode="TEST|PRODUCTION",
    vads_currency=EURO,
    vads_cust_email=signing.MAIL,
    vads_order_id="[0-9A-F]{32}",
    vads_page_action="PAYMENT",
    vads_payment_config="SINGLE",
    vads_return_mode="NONE",
    vads_site_id="[0-9]{8}",
    vads_trans_date="[0-9]{14}",
    vads_trans_id="[0-9]{6}",
    vads_url_cancel=signing.WEB_ADDRESS,
    vads_url_check=signing.WEB_ADDRESS,
    vads_url_error=signing.WEB_ADDRESS,
    vads_url_refused=signing.WEB_ADDRESS,
    vads_url_return=signing.WEB_ADDRESS,
    vads_url_success=signing.WEB_ADDRESS,
    vads_version="V2",
)
"""Every field of a form and what its value may be. None allows a ``+``, nor the operation type of a notification."""
BANKS_OWN = signing.shapes_of(
    vads_operation_type="DEBIT|CREDIT|VERIFICATION",
    vads_trans_status="[A-Z_]{3,40}",
    vads_trans_uuid="[0-9a-f]{32}",
    vads_url_check_src="[A-Z_]{2,20}",
)
"""What only the bank sends: a signed text without it is one of our own forms under other names."""
NOTIFICATION_NAME = re.compile(r"signature|vads_[a-z0-9_]{1,60}", re.ASCII)
FORM_ONLY = re.compile(r"vads_(return_mode|redirect_\w+|url_(?!check_src$)\w+)", re.ASCII)
WORDS = {
    "AUTHORISED": Word.PAID,
    "CAPTURED": Word.PAID,
    "AUTHORISED_TO_VALIDATE": Word.IN_PROGRESS,
    "WAITING_AUTHORISATION": Word.IN_PROGRESS,
    "WAITING_AUTHORISATION_TO_VALIDATE": Word.IN_PROGRESS,
    "UNDER_VERIFICATION": Word.IN_PROGRESS,
    "INITIAL": Word.IN_PROGRESS,
    "SUSPENDED": Word.IN_PROGRESS,
    "ABANDONED": Word.ABANDONED,
    "CANCELLED": Word.ABANDONED,
    "REFUSED": Word.REFUSED,
    "EXPIRED": Word.REFUSED,
    "NOT_CREATED": Word.REFUSED,
    "CAPTURE_FAILED": Word.REFUSED,
}
_WEIGHT = (Word.PAID, Word.UNRECOGNISED, Word.IN_PROGRESS, Word.REFUSED, Word.ABANDONED)


def signature(fields: Iterable[tuple[str, str]], key: str) -> str:
    """Base64 of HMAC-SHA-256 over the ``vads_`` values in the order of their names, and the key, joined by ``+``."""
    values = [value for name, value in sorted(fields) if name.startswith("vads_")]
    text = "+".join([*values, key]).encode()
    return base64.b64encode(hmac.new(key.encode(), text, hashlib.sha256).digest()).decode()


class Lyra:
    """The driver of one shop (site_id) in one mode."""

    can_refund = False

    def __init__(self, settings: Settings, account: LyraAccount) -> None:
        self.can_be_asked = account.rest_password is not None
        self.name = f"lyra-{account.site_id}"
        self.sources, self.account, self.tills = account.sources, account.site_id, account.tills
        self.mode = _mode(account.mode)
        self._ours, self._public_url, self._webhooks_url = account, settings.public_url, settings.webhooks_url
        self._seconds_max = settings.bank_seconds_max
        self._http: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the HTTP client."""
        if self._ours.rest_password is None:
            return
        password = self._ours.rest_password.get_secret_value()
        timeout = aiohttp.ClientTimeout(total=self._seconds_max)
        headers = {"Authorization": aiohttp.encode_basic_auth(self.account, password)}
        self._http = aiohttp.ClientSession(timeout=timeout, headers=headers)

    async def stop(self) -> None:
        """Close the HTTP client."""
        if self._http:
            await self._http.close()

    async def check(self) -> None:
        """The REST service knows the shop and its password when it can say that it knows no such order."""
        if not self.can_be_asked:
            return
        answer, _body = await self._order("PREAU-CHECK")
        code = answer.get("answer", {}).get("errorCode")
        if answer.get("status") != "SUCCESS" and code != NO_SUCH_ORDER:
            raise BankRefused("the bank does not take this shop's password", bank_code=code)

    def reference(self, _checkout: CheckoutOpened, payment_id: UUID) -> str:
        """vads_order_id: at most 32 letters and digits."""
        return payment_id.hex.upper()

    def can_tell(self, _payer_email: str) -> bool:
        """The form goes without an address that may not be signed."""
        return True

    async def open(self, attempt: Attempt) -> Opened:
        """Nothing is asked of the bank: the parent's browser brings it the form."""
        if attempt.number > NUMBERS_A_DAY:
            raise BankRefused("no transaction number is left today")
        return Opened(
            f"{attempt.created_at.astimezone(UTC):%Y%m%d}-{attempt.number:06d}",
            f"{self._public_url}/paiements/{attempt.payment_id}/banque",
        )

    def form(self, attempt: Attempt) -> PayerForm | None:
        """The form of an attempt, the same each time it is asked for; a mail address that could be cut is left out."""
        back = f"{self._public_url}/paiements/{attempt.payment_id}/retour"
        fields = {
            "vads_action_mode": "INTERACTIVE",
            "vads_amount": str(attempt.amount_cents),
            "vads_ctx_mode": self._ours.mode,
            "vads_currency": EURO,
            **({"vads_cust_email": attempt.payer_email} if signing.MAIL.fullmatch(attempt.payer_email) else {}),
            "vads_order_id": attempt.reference,
            "vads_page_action": "PAYMENT",
            "vads_payment_config": "SINGLE",
            "vads_return_mode": "NONE",
            "vads_site_id": self.account,
            "vads_trans_date": f"{attempt.created_at.astimezone(UTC):%Y%m%d%H%M%S}",
            "vads_trans_id": f"{attempt.number:06d}",
            "vads_url_cancel": back,
            "vads_url_check": f"{self._webhooks_url}/{self.name}",
            "vads_url_error": back,
            "vads_url_refused": back,
            "vads_url_return": back,
            "vads_url_success": back,
            "vads_version": "V2",
        }
        checked = signing.checked(tuple(fields.items()), FORM)
        made = signature(checked, self._ours.key.get_secret_value())
        return PayerForm(action=self._ours.form_url, fields=(*checked, ("signature", made)))

    async def close(self, _attempt: Attempt) -> None:
        """The bank's page closes by itself only."""

    async def refund(self, _attempt: Attempt, _amount_cents: int, _key: str) -> Heard:
        """Refunds are made in the bank's back office."""
        raise BankCannot("this bank refunds in its back office only")

    def read_notice(self, query: str, body: bytes, _headers: Mapping[str, str]) -> Notice:
        """A form of the bank's own fields, whose signature covers every ``vads_`` field that came, empty or not."""
        try:
            pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="strict")
        except ValueError as error:
            raise Forged("not a form") from error
        given = dict(pairs)
        if query or len(given) != len(pairs):
            raise Forged("a query, or a field twice")
        if strange := [name for name in given if not NOTIFICATION_NAME.fullmatch(name) or FORM_ONLY.fullmatch(name)]:
            raise Forged(f"{len(strange)} fields that no notification has")
        ours = signature(pairs, self._ours.key.get_secret_value())
        if not hmac.compare_digest(ours.encode(), given["signature"].encode() if "signature" in given else b""):
            raise Forged("the signature is not the bank's")
        if not all(shape.fullmatch(given.get(name, "")) for name, shape in BANKS_OWN.items()):
            raise Forged("rightly signed, but without the fields that only the bank sends")
        return self._read(given)

    def _read(self, given: Mapping[str, str]) -> Notice:
        """What is signed and of the bank's own fields; asked about where the bank can be asked."""
        if given.get("vads_ctx_mode") != self._ours.mode or given.get("vads_site_id") != self.account:
            raise Forged("of another shop or of the other mode")
        reference = given.get("vads_order_id", "")
        if self.can_be_asked and is_name(reference):
            return Notice(reference)
        try:
            return Notice(reference, self._told(given))
        except (KeyError, ValueError) as error:
            amount, result = given.get("vads_amount"), given["vads_trans_status"]
            raise Unreadable(repr(error), reference=reference, amount=amount, result=result) from error

    def _told(self, given: Mapping[str, str]) -> Answer | None:
        """The result as a notification tells it, or one refund by its own name; None when it says nothing of money."""
        status, at = given["vads_trans_status"], given.get("vads_effective_creation_date") or given["vads_trans_date"]
        created_at, amount = _instant(at), cents(given["vads_amount"])
        word = WORDS.get(status, Word.UNRECOGNISED)
        if given["vads_operation_type"] != "DEBIT":
            is_refund = given["vads_operation_type"] == "CREDIT" and word is Word.PAID
            return Answer(Word.GIVEN_BACK, amount, refund=given["vads_trans_uuid"]) if is_refund else None
        return Answer(
            word=word,
            amount_cents=amount,
            account=given["vads_site_id"],
            mode=_mode(given["vads_ctx_mode"]),
            reference=given["vads_order_id"],
            means=Means.DEBIT if given.get("vads_card_brand") == "SDD" else Means.CARD,
            authorisation=given.get("vads_auth_number") or None,
            at=created_at if word is Word.PAID else None,
            currency=_currency(given["vads_currency"]),
            bank_payment=given["vads_trans_uuid"] if word is Word.PAID else None,
            transaction=given["vads_trans_uuid"],
            result=status if word is Word.UNRECOGNISED else None,
        )

    async def ask(self, attempt: Attempt) -> Heard:
        """Order/Get: the order's debits, for it may have been tried with several cards, and its credits."""
        answer, body = await self._order(attempt.reference)
        try:
            if answer["status"] == "SUCCESS":
                return Heard(self._best(answer["answer"]), body)
            code = answer["answer"]["errorCode"]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BankUnreachable(f"the bank's answer cannot be read: {error!r}") from error
        if code == NO_SUCH_ORDER:
            return Heard(Answer(Word.UNKNOWN), body)
        raise BankUnreachable("the bank says that it cannot", bank_code=code, retry_after_seconds=10)

    def _best(self, order: Mapping[str, Any]) -> Answer:
        """The best of an order's debits, with what its credits gave back.

        What a transaction does not say of its shop and order, the order says.
        """
        told = {"shopId": order.get("shopId"), "orderDetails": order.get("orderDetails")}
        kinds: dict[str, list[Mapping[str, Any]]] = {"DEBIT": [], "CREDIT": []}
        for each in order["transactions"]:
            if each["operationType"] in kinds:
                kinds[each["operationType"]].append({**told, **each})
        debits = [self._debit(each) for each in kinds["DEBIT"]]
        best = min(debits, key=lambda each: _WEIGHT.index(each.word), default=Answer(Word.UNKNOWN))
        given_back = [each["amount"] for each in kinds["CREDIT"] if WORDS.get(each["detailedStatus"]) is Word.PAID]
        return replace(best, given_back_cents=sum(given_back)) if best.word is Word.PAID else best

    def _debit(self, said: Mapping[str, Any]) -> Answer:
        card = (said.get("transactionDetails") or {}).get("cardDetails") or {}
        status, created_at = said["detailedStatus"], datetime.fromisoformat(said["creationDate"])
        word = WORDS.get(status, Word.UNRECOGNISED)
        return Answer(
            word=word,
            amount_cents=said["amount"],
            account=str(said["shopId"]),
            mode=_mode(said["orderDetails"]["mode"]),
            reference=str(said["orderDetails"]["orderId"]),
            means=Means.DEBIT if said.get("paymentMethodType") == "SDD" else Means.CARD,
            authorisation=(card.get("authorizationResponse") or {}).get("authorizationNumber") or None,
            at=created_at if word is Word.PAID else None,
            currency=str(said["currency"]),
            bank_payment=said.get("uuid") if word is Word.PAID else None,
            transaction=said.get("uuid"),
            result=status if word is Word.UNRECOGNISED else None,
        )

    async def _order(self, order_id: str) -> tuple[dict[str, Any], bytes]:
        """The envelope, whose ``status`` says all: the service answers 200 to a wrong password and an unknown order."""
        assert self._http is not None, "the bank is asked before the start"
        try:
            url = f"{self._ours.rest_url}/api-payment/V4/Order/Get"
            async with self._http.post(url, json={"orderId": order_id}) as response:
                body = await whole(response)
            answer = json.loads(body)
        except (TimeoutError, aiohttp.ClientError, ValueError) as error:
            raise BankUnreachable("the bank does not answer", retry_after_seconds=10) from error
        if not isinstance(answer, dict):
            raise BankUnreachable("the bank's answer is not one", retry_after_seconds=10)
        return answer, body


def _mode(text: str) -> Mode:
    return {"TEST": Mode.TEST, "PRODUCTION": Mode.PRODUCTION}[text]


def _currency(number: str) -> str:
    return "EUR" if number == EURO else number


def _instant(text: str) -> datetime:
    if not re.fullmatch(r"[0-9]{14}", text):
        raise ValueError("not an instant")
    return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
