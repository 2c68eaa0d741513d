"""Stripe Checkout: a session is opened by an API, notifications are JSON signed in a header. See PAYMENTS facts, 4."""

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import aiohttp

from chassis.clock import now
from contracts.api.payment_gateway import PayerForm
from contracts.events.billing import CheckoutOpened
from contracts.events.payment import Means, Mode
from payment_gateway.banks import Forged, Heard, Notice, Opened, Unreadable, whole
from payment_gateway.domain.failures import BankRefused, BankUnreachable
from payment_gateway.domain.payments import Answer, Attempt, Word, is_name
from payment_gateway.settings import Settings, StripeAccount

VERSION = "2024-06-20"
TOLERANCE_SECONDS = 300
PAGE_SECONDS = 31 * 60
"""How long the bank's page stays open: it takes no less than 30 minutes from its own clock."""
SECONDS_END = 2**32
"""An instant of JSON is a number of seconds before the year 2106."""
OURS = re.compile(r"[0-9A-F]{32}")
SIGNATURE_HEADER = "Stripe-Signature"


def signature(instant: str, body: bytes, secret: str) -> str:
    """``v1``: hex of HMAC-SHA-256 over the instant, a point, and the raw body."""
    return hmac.new(secret.encode(), instant.encode() + b"." + body, hashlib.sha256).hexdigest()


def is_signed(header: str, body: bytes, secret: str, at: datetime) -> bool:
    """Whether any ``v1`` of the header is ours, and its instant near enough to ``at``, before or after."""
    pairs = [pair.partition("=")[::2] for pair in header.split(",")]
    instants = [value for name, value in pairs if name.strip() == "t"]
    if len(instants) != 1 or not re.fullmatch(r"[0-9]{1,12}", instants[0]):
        return False
    ours = signature(instants[0], body, secret).encode()
    given = [value.encode("utf-8", "surrogateescape") for name, value in pairs if name.strip() == "v1"]
    is_ours = any(hmac.compare_digest(ours, each) for each in given)
    return is_ours and abs(at.timestamp() - int(instants[0])) <= TOLERANCE_SECONDS


class Stripe:
    """The driver of one account in one mode; ``account`` is Stripe's ``acct_…``."""

    can_be_asked, can_refund = True, True

    def __init__(self, settings: Settings, account: StripeAccount) -> None:
        self.name = f"stripe-{account.label}"
        self.sources, self.account, self.tills = account.sources, account.account, account.tills
        self.mode = _mode("_live_" in account.secret_key.get_secret_value())
        self._ours, self._public_url = account, settings.public_url
        self._timeout = aiohttp.ClientTimeout(total=settings.bank_seconds_max)
        self._http: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the HTTP client."""
        key = self._ours.secret_key.get_secret_value()
        headers = {"Authorization": f"Bearer {key}", "Stripe-Version": VERSION}
        self._http = aiohttp.ClientSession(timeout=self._timeout, headers=headers)

    async def stop(self) -> None:
        """Close the HTTP client."""
        if self._http:
            await self._http.close()

    async def check(self) -> None:
        """The key is that of the account."""
        said, _body = await self._call("GET", "/v1/account")
        if said.get("id") != self.account:
            raise BankRefused("the key is not that account's")

    def reference(self, _checkout: CheckoutOpened, payment_id: UUID) -> str:
        """client_reference_id: up to 200 letters, digits, dashes and underscores."""
        return payment_id.hex.upper()

    def can_tell(self, _payer_email: str) -> bool:
        """The address goes by the API, beside nothing that is signed."""
        return True

    async def open(self, attempt: Attempt) -> Opened:
        """A session for one amount; asked twice for the same attempt, the bank answers the same."""
        back = f"{self._public_url}/paiements/{attempt.payment_id}/retour"
        numbers = ", ".join(invoice.number for invoice in attempt.checkout.invoices)
        fields = {
            "mode": "payment",
            "locale": "fr",
            "client_reference_id": attempt.reference,
            "customer_email": attempt.payer_email,
            "success_url": back,
            "cancel_url": back,
            "expires_at": str(int(attempt.created_at.timestamp()) + PAGE_SECONDS),
            "line_items[0][quantity]": "1",
            "line_items[0][price_data][currency]": "eur",
            "line_items[0][price_data][unit_amount]": str(attempt.amount_cents),
            "line_items[0][price_data][product_data][name]": f"Factures {numbers}"[:250],
            "payment_intent_data[metadata][reference]": attempt.reference,
        }
        said, _body = await self._call("POST", "/v1/checkout/sessions", fields, key=f"open-{attempt.payment_id}")
        if not (isinstance(said.get("id"), str) and isinstance(said.get("url"), str)):
            raise BankUnreachable("the bank gave no reference")
        return Opened(said["id"], said["url"])

    def form(self, _attempt: Attempt) -> PayerForm | None:
        """The bank's page is an address, not a form."""
        return None

    async def ask(self, attempt: Attempt) -> Heard:
        """The session with its payment; a session open at the bank may be paid at any moment."""
        path = f"/v1/checkout/sessions/{attempt.bank_reference}?expand[]=payment_intent.latest_charge"
        try:
            said, body = await self._call("GET", path)
        except BankRefused as refusal:
            if refusal.facts.get("bank_code") != "resource_missing":
                raise BankUnreachable("the bank says that it cannot", **refusal.facts) from refusal
            return Heard(Answer(Word.UNKNOWN), b"")
        return Heard(_readable(lambda: self._looked_up(said)), body)

    def _looked_up(self, session: Mapping[str, Any]) -> Answer:
        intent = session["payment_intent"] or {}
        charge = intent.get("latest_charge") or {}
        word = _word(session)
        if word is Word.IN_PROGRESS and session["status"] == "complete" and intent.get("status") in _FAILED:
            word = Word.REFUSED
        kind = charge.get("payment_method_details", {}).get("type", "card")
        at = _instant(charge.get("created", session["created"]))
        means, back = Means.DEBIT if kind == "sepa_debit" else Means.CARD, charge.get("amount_refunded", 0)
        return self._answer(session, word, intent.get("id"), means, at, _number(back))

    def _answer(
        self,
        session: Mapping[str, Any],
        word: Word,
        payment: str | None,
        means: Means,
        at: datetime,
        given_back_cents: int = 0,
    ) -> Answer:
        if word is Word.PAID:
            _named(payment)
        return Answer(
            word=word,
            amount_cents=_number(session["amount_total"]),
            account=self.account,
            mode=_mode(session["livemode"]),
            reference=_named(session["client_reference_id"]),
            means=means,
            authorisation=payment,
            at=at if word is Word.PAID else None,
            currency=session["currency"].upper(),
            bank_payment=payment if word is Word.PAID else None,
            given_back_cents=given_back_cents if word is Word.PAID else 0,
            result=str(session["payment_status"]) if word is Word.UNRECOGNISED else None,
        )

    async def close(self, attempt: Attempt) -> None:
        """Have the bank's page expire; one that is over already stays what it is."""
        if attempt.bank_reference:
            try:
                await self._call("POST", f"/v1/checkout/sessions/{attempt.bank_reference}/expire")
            except BankRefused:
                return  # it was paid or over: the look-up that follows says which

    async def refund(self, attempt: Attempt, amount_cents: int, key: str) -> Heard:
        """A part or all of the payment; the answer is all that is back by then."""
        fields = {"payment_intent": attempt.bank_payment or "", "amount": str(amount_cents), "expand[]": "charge"}
        said, body = await self._call("POST", "/v1/refunds", fields, key=f"refund-{key}")
        if said.get("status") not in {"succeeded", "pending"}:
            raise BankRefused("the bank made no refund", bank_code=str(said.get("failure_reason")))
        return Heard(_readable(lambda: Answer(Word.GIVEN_BACK, _number(said["charge"]["amount_refunded"]))), body)

    def read_notice(self, _query: str, body: bytes, headers: Mapping[str, str]) -> Notice:
        """An event whose signature covers the raw body and its instant; of another kind than ours, about nothing."""
        secret = self._ours.webhook_secret.get_secret_value()
        if not is_signed(headers.get(SIGNATURE_HEADER, ""), body, secret, now()):
            raise Forged("no signature, not the bank's, or not of now")
        said: Any = {}
        try:
            event = json.loads(body)
            if _mode(event["livemode"]) is not self.mode:
                raise Forged("of the other mode")
            said = event["data"]["object"]
            return self._read(event["type"], said, _instant(event["created"]))
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
            raise Unreadable(repr(error), **_left_of(said)) from error

    def _read(self, kind: str, said: Mapping[str, Any], at: datetime) -> Notice:
        is_page = kind.startswith("checkout.session.")
        is_others = not OURS.fullmatch(str(said["client_reference_id"])) if is_page else not said.get("payment_intent")
        if is_others:
            return Notice(None)  # the account may sell other things too
        if is_page:
            return self._result(kind.removeprefix("checkout.session."), said, at)
        match kind:
            case "charge.refunded" if OURS.fullmatch(str(said["metadata"].get("reference"))):
                return Notice(_named(said["payment_intent"]), Answer(Word.GIVEN_BACK, _number(said["amount_refunded"])))
            case "refund.failed" | "refund.updated" | "charge.refund.updated" if said["status"] in _GIVEN_UP:
                failed = Answer(Word.REFUND_FAILED, _number(said["amount"]), refund=_named(said["id"]))
                return Notice(_named(said["payment_intent"]), failed)
            case "charge.dispute.created" | "charge.dispute.closed" if said["status"] in _DISPUTE:
                word = _DISPUTE[said["status"]]
                return Notice(_named(said["payment_intent"]), Answer(word, _number(said["amount"])))
        return Notice(None)

    def _result(self, kind: str, said: Mapping[str, Any], at: datetime) -> Notice:
        """A session's result; where the event and its session say two things, the bank is asked."""
        if kind not in _RESULTS:
            return Notice(None)
        word, means = _word(said), Means.DEBIT if kind == "async_payment_succeeded" else Means.CARD
        if kind == "async_payment_failed" and word is Word.IN_PROGRESS:
            word = Word.REFUSED
        if word not in (*_RESULTS[kind], Word.UNRECOGNISED):
            return Notice(_named(said["id"]))
        return Notice(_named(said["id"]), self._answer(said, word, said["payment_intent"], means, at))

    async def _call(
        self, method: str, path: str, fields: Mapping[str, str] | None = None, *, key: str = ""
    ) -> tuple[dict[str, Any], bytes]:
        """The API's answer; ``BankRefused`` with the bank's code, ``BankUnreachable`` when it may be tried again."""
        assert self._http is not None, "the bank is asked before the start"
        headers = {"Idempotency-Key": key} if key else {}
        try:
            async with self._http.request(method, self._ours.api_url + path, data=fields, headers=headers) as response:
                body = await whole(response)
            said = json.loads(body)
        except (TimeoutError, aiohttp.ClientError, ValueError) as error:
            raise BankUnreachable("the bank does not answer", retry_after_seconds=10) from error
        if not isinstance(said, dict) or response.status >= 500 or response.status in {409, 429}:
            raise BankUnreachable("the bank says that it cannot", retry_after_seconds=10)
        if response.status >= 400:
            why = said.get("error") or {}
            raise BankRefused("the bank would not", bank_code=str(why.get("code") or why.get("type")))
        return said, body


_FAILED = ("requires_payment_method", "canceled")
_GIVEN_UP = ("failed", "canceled")
_RESULTS = {
    "completed": (Word.PAID, Word.IN_PROGRESS),
    "expired": (Word.ABANDONED,),
    "async_payment_failed": (Word.REFUSED,),
    "async_payment_succeeded": (Word.PAID,),
}
_DISPUTE = {
    "needs_response": Word.CONTESTED,
    "under_review": Word.CONTESTED,
    "won": Word.CONTEST_WON,
    "lost": Word.CONTEST_LOST,
}


def _left_of(said: Any) -> dict[str, str | None]:
    """What a person can be told of an object that cannot be read: which page it was, how much, what it says."""
    if not isinstance(said, dict):
        return {"reference": None, "amount": None, "result": None}
    amount, page = said.get("amount_total"), said.get("id") if said.get("object") == "checkout.session" else None
    return {
        "reference": page,
        "amount": str(amount) if type(amount) is int else None,
        "result": said.get("payment_status") if is_name(said.get("payment_status")) else None,
    }


def _word(session: Mapping[str, Any]) -> Word:
    """A session that is complete without being paid waits for a slow means of payment."""
    if session["payment_status"] != "unpaid":
        return Word.PAID if session["payment_status"] == "paid" else Word.UNRECOGNISED
    return Word.ABANDONED if session["status"] == "expired" else Word.IN_PROGRESS


def _mode(is_live: object) -> Mode:
    if not isinstance(is_live, bool):
        raise TypeError("livemode is true or false")
    return Mode.PRODUCTION if is_live else Mode.TEST


def _number(value: object) -> int:
    """A whole number as JSON has it, ``true`` being none."""
    if type(value) is not int:
        raise TypeError("not a whole number")
    return value


def _named(name: object) -> str:
    if not isinstance(name, str):
        raise TypeError("a name is text")
    return name


def _instant(seconds: object) -> datetime:
    if not 0 <= (number := _number(seconds)) < SECONDS_END:
        raise ValueError("not an instant")
    return datetime.fromtimestamp(number, UTC)


def _readable(read: Callable[[], Answer]) -> Answer:
    try:
        return read()
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise BankUnreachable(f"the bank's answer cannot be read: {error!r}") from error
