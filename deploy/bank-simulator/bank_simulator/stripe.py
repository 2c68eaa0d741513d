"""Stripe's API as far as Checkout needs it: sessions, refunds, and events signed in a header.

An account is ``{"account": "acct_…", "secret_key": "sk_test_…", "webhook_secret": "whsec_…", "webhook_url": …}``, with
``page_url`` where browsers reach this program by another address than the API's.
"""

import hashlib
import hmac
import json
import re
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from bank_simulator.book import Book, Operation
from bank_simulator.faults import Faults

Account = Mapping[str, str]
Json = dict[str, Any]
PRICE = "line_items[0][price_data]"
WANTED = {
    "mode": r"payment",
    "client_reference_id": r"[A-Za-z0-9_-]{1,200}",
    "success_url": r"https?://.+",
    f"{PRICE}[currency]": r"[a-z]{3}",
    f"{PRICE}[unit_amount]": r"[1-9]\d{1,7}",
    f"{PRICE}[product_data][name]": r".+",
    "line_items[0][quantity]": r"1",
}
OPEN_SECONDS_MIN, OPEN_SECONDS_MAX = 30 * 60, 24 * 3_600


class Refused(Exception):  # noqa: N818 - an error as the bank names it
    """An error of the API: its HTTP status and code."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code

    @property
    def body(self) -> Json:
        return {"error": {"type": "invalid_request_error", "code": self.code, "message": str(self)}}


def account_of(accounts: Sequence[Account], authorization: str) -> Account:
    """Whose key a request carries."""
    found = [each for each in accounts if hmac.compare_digest(f"Bearer {each['secret_key']}", authorization)]
    if not found:
        raise Refused(401, "api_key_invalid", "Invalid API Key provided")
    return found[0]


def create(form: dict[str, str], key: str, account: Account, book: Book) -> Operation:
    """A session; the same idempotency key gives the same, and refuses other fields."""
    asked = {**form, "account": account["account"]}
    once = f"{asked['account']} {key or time.time_ns()}"
    id_op = f"cs_test_{hashlib.sha256(once.encode()).hexdigest()[:40]}"
    if known := book.operations.get(id_op):
        if known.asked != asked:
            raise Refused(
                400, "idempotency_error", "Keys for idempotent requests can only be used with the same fields"
            )
        return known
    for name, pattern in WANTED.items():
        if not re.fullmatch(pattern, form.get(name, "")):
            raise Refused(400, "parameter_invalid", f"Invalid {name}")
    seconds = int(form.get("expires_at") or time.time() + OPEN_SECONDS_MAX) - time.time()
    if not OPEN_SECONDS_MIN <= seconds <= OPEN_SECONDS_MAX + 60:
        raise Refused(400, "parameter_invalid", "expires_at must be between 30 minutes and 24 hours from now")
    return book.open(asked, protocol="stripe", id_op=id_op)


def find(id_op: str, account: Account, book: Book) -> Operation:
    """A session of this account."""
    operation = book.operations.get(id_op)
    if operation is None or operation.protocol != "stripe" or operation.asked["account"] != account["account"]:
        raise Refused(404, "resource_missing", f"No such checkout.session: {id_op}")
    return operation


def is_open(operation: Operation) -> bool:
    """Whether the page may still be paid on."""
    return operation.result is None and time.time() < float(operation.asked.get("expires_at") or "inf")


def payment(operation: Operation) -> str:
    """The name of the payment behind a session."""
    return f"pi_{hashlib.sha256(operation.id_op.encode()).hexdigest()[:24]}"


def session(operation: Operation, account: Account, faults: Faults, *, page_url: str, is_told: bool) -> Json:
    """The session as the API shows it; before its result is told a decided one is complete and not paid."""
    asked, ended = operation.asked, operation.result in {"P", "V", "Z"}
    status = "complete" if ended else "open" if is_open(operation) else "expired"
    is_live = "_live_" in account["secret_key"]
    return {
        "id": operation.id_op,
        "object": "checkout.session",
        "amount_total": operation.cents + faults.amount_offset_cents,
        "client_reference_id": "0" * 32 if faults.differs == "reference" else operation.reference,
        "created": int(datetime.fromisoformat(operation.opened_at).timestamp()),
        "currency": "usd" if faults.differs == "currency" else asked[f"{PRICE}[currency]"],
        "customer_email": asked.get("customer_email"),
        "livemode": is_live is not (faults.differs == "mode"),
        "mode": "payment",
        "payment_intent": payment(operation) if ended else None,
        "payment_status": faults.result_code or ("paid" if operation.took_money and is_told else "unpaid"),
        "status": status,
        "url": f"{page_url}/c/pay/{operation.id_op}" if status == "open" else None,
    }


def expanded(shown: Json, operation: Operation) -> Json:
    """The session with its payment and charge in place of the payment's name."""
    if shown["payment_intent"] is None:
        return shown
    failed = operation.result == "Z" and operation.result_is_told
    state = {"paid": "succeeded"}
    otherwise = "requires_payment_method" if failed else "processing"
    charge = charge_of(operation) if shown["payment_status"] == "paid" else None
    intent = {
        "id": payment(operation),
        "object": "payment_intent",
        "status": state.get(shown["payment_status"], otherwise),
    }
    return {**shown, "payment_intent": {**intent, "latest_charge": charge}}


def charge_of(operation: Operation) -> Json:
    """The charge: the money that was taken and what of it is back."""
    return {
        "id": payment(operation).replace("pi_", "ch_"),
        "object": "charge",
        "amount": operation.cents,
        "amount_refunded": operation.refunded_cents,
        "created": int(datetime.fromisoformat(operation.result_at or operation.opened_at).timestamp()),
        "metadata": {"reference": operation.reference},
        "payment_intent": payment(operation),
        "payment_method_details": {"type": "sepa_debit" if operation.result == "V" else "card"},
    }


def refund(form: Mapping[str, str], key: str, account: Account, book: Book) -> tuple[Operation, Json, bool]:
    """Give a part or the rest back, once a key; the operation, the refund, and whether it is new."""
    mine = [each for each in book.operations.values() if each.asked.get("account") == account["account"]]
    operation = next((each for each in mine if payment(each) == form.get("payment_intent")), None)
    if operation is None or not operation.took_money:
        raise Refused(404, "resource_missing", "No such payment_intent")
    left = operation.cents - operation.refunded_cents
    is_new = key not in operation.refunds
    if is_new:
        cents = int(form.get("amount") or left)
        if not 0 < cents <= left:
            raise Refused(
                400, "charge_already_refunded" if not left else "amount_too_large", "Refund amount is too high"
            )
        operation.refunds[key] = cents
        book.write(operation)
    shown = {"object": "refund", "status": "succeeded", "amount": operation.refunds[key]}
    return operation, {**shown, "payment_intent": payment(operation), "charge": charge_of(operation)}, is_new


def event(kind: str, operation: Operation, account: Account, faults: Faults) -> bytes:
    """An event about a session's result, or about what became of its money."""
    if kind == "refund":
        name, said = "charge.refunded", charge_of(operation)
    elif kind == "result":
        names = {"P": "completed", "V": "async_payment_succeeded", "Z": "async_payment_failed"}
        name = f"checkout.session.{names.get(operation.result or '', 'expired')}"
        said = session(operation, account, faults, page_url="", is_told=True)
    elif kind == "refund_failed":
        key = operation.failed[-1]
        name, said = "refund.failed", {"object": "refund", "amount": operation.refunds[key], "status": "failed"}
        said |= {"id": f"re_{hashlib.sha256(key.encode()).hexdigest()[:24]}", "payment_intent": payment(operation)}
        said["failure_reason"] = "lost_or_stolen_card"
    else:
        name = "charge.dispute.created" if kind == "needs_response" else "charge.dispute.closed"
        contested = operation.disputed_cents or operation.cents - operation.refunded_cents
        said = {"object": "dispute", "amount": contested, "status": kind}
        said |= {"payment_intent": payment(operation), "currency": "eur"}
    is_live = ("_live_" in account["secret_key"]) is not (faults.differs == "mode")
    about = f"{operation.id_op} {name} {operation.refunded_cents}"
    whole = {
        "id": f"evt_{hashlib.sha256(about.encode()).hexdigest()[:24]}",
        "object": "event",
        "created": int(datetime.fromisoformat(operation.result_at or operation.opened_at).timestamp()),
        "data": {"object": said},
        "livemode": is_live,
        "type": name,
    }
    return json.dumps(whole, indent=2).encode("utf-8")


def headers(body: bytes, account: Account, faults: Faults) -> dict[str, str]:
    """The signature's header; a rolled secret makes a second ``v1``, which comes first here."""
    instant = int(time.time() - faults.stale_seconds)
    secret = account["webhook_secret"] + ("?" if faults.forged or faults.differs == "account" else "")
    made = hmac.digest(secret.encode(), f"{instant}.".encode() + body, "sha256").hex()
    return {
        "Content-Type": "application/json; charset=utf-8",
        "Stripe-Signature": f"t={instant},v1={'0' * 64},v1={made},v0={'f' * 64}",
    }
