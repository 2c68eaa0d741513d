"""The form with the ``vads_`` fields: what the shop posts, what the bank signs back, and the REST service that tells.

A shop is ``{"site_id": …, "key": …, "rest_password": …, "mode": "TEST"}``.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from bank_simulator.book import Book, Operation
from bank_simulator.faults import Faults

Shop = Mapping[str, str]
WANTED = {
    "vads_action_mode": r"INTERACTIVE",
    "vads_amount": r"[1-9]\d{0,11}",
    "vads_ctx_mode": r"TEST|PRODUCTION",
    "vads_currency": r"978",
    "vads_order_id": r"[A-Za-z0-9_-]{1,32}",
    "vads_page_action": r"PAYMENT",
    "vads_payment_config": r"SINGLE",
    "vads_site_id": r"\d{8}",
    "vads_trans_date": r"\d{14}",
    "vads_trans_id": r"[0-8][0-9]{5}",
    "vads_url_check": r"https?://.+",
    "vads_url_return": r"https?://.+",
    "vads_version": r"V2",
}
STATUS = {"P": "AUTHORISED", "V": "AUTHORISED", "R": "REFUSED", "Z": "REFUSED", "A": "ABANDONED"}


class Refused(Exception):  # noqa: N818 - the bank says no
    """Why the bank shows its payer no page."""


def sign(fields: Mapping[str, str], key: str) -> str:
    """What both sides compute: the values of the fields in alphabetical order of their names, then the key."""
    names = sorted(name for name in fields if name[:5] == "vads_")
    message = "".join(f"{fields[name]}+" for name in names) + key
    digest = hmac.digest(key.encode("utf-8"), message.encode("utf-8"), hashlib.sha256)
    return base64.standard_b64encode(digest).decode("ascii")


def open_page(form: dict[str, str], shops: Mapping[str, Shop], book: Book) -> Operation:
    """The operation of a posted form; one that was posted before is found again until it has a result."""
    for name, pattern in WANTED.items():
        if not re.fullmatch(pattern, form.get(name, "")):
            raise Refused(f"Champ {name} incorrect.")
    shop = shops.get(form["vads_site_id"])
    if shop is None or form["vads_ctx_mode"] != shop["mode"]:
        raise Refused("Boutique inconnue, ou dans un autre mode.")
    if not hmac.compare_digest(sign(form, shop["key"]), form.get("signature", "")):
        raise Refused("Signature invalide.")
    id_op = f"{form['vads_site_id']}-{form['vads_trans_date'][:8]}-{form['vads_trans_id']}"
    known = book.operations.get(id_op)
    if known is None:
        asked = {name: value for name, value in form.items() if name.startswith("vads_")}
        known = book.open(asked, protocol="lyra", id_op=id_op)
    elif known.reference != form["vads_order_id"] or known.result is not None:
        raise Refused("Ce numéro de transaction a déjà servi aujourd'hui.")
    known.page_shown = True
    book.write(known)
    return known


def uuid(text: str) -> str:
    """The bank's own name of a transaction."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def notice(operation: Operation, shop: Shop, faults: Faults, kind: str = "result") -> bytes:
    """The notification of an operation, signed; its result is the one decided, or its last refund."""
    asked, at = operation.asked, datetime.fromisoformat(operation.result_at or operation.opened_at)
    fields = {
        "vads_amount": str(operation.cents + faults.amount_offset_cents),
        "vads_auth_number": operation.authorisation or "",
        "vads_auth_result": "00" if operation.took_money else "05",
        "vads_card_brand": "SDD" if operation.result == "V" else "CB",
        "vads_ctx_mode": asked["vads_ctx_mode"],
        "vads_currency": "840" if faults.differs == "currency" else "978",
        "vads_effective_creation_date": at.astimezone(UTC).strftime("%Y%m%d%H%M%S"),
        "vads_operation_type": "DEBIT",
        "vads_order_id": "AUTRE" if faults.differs == "reference" else operation.reference,
        "vads_site_id": asked["vads_site_id"],
        "vads_trans_date": asked["vads_trans_date"],
        "vads_trans_id": asked["vads_trans_id"],
        "vads_trans_status": faults.result_code or _status(operation),
        "vads_trans_uuid": uuid(operation.id_op),
        "vads_url_check_src": "PAY" if kind == "result" else "BO",
        "vads_extra_result": "",
    }
    if kind == "refund":
        key, cents = list(operation.refunds.items())[-1]
        fields |= {"vads_operation_type": "CREDIT", "vads_amount": str(cents), "vads_trans_status": "AUTHORISED"}
        fields |= {"vads_trans_uuid": uuid(f"{operation.id_op} {key}")}
    fields.pop(faults.without, None)
    if faults.differs == "mode":
        fields["vads_ctx_mode"] = "PRODUCTION" if shop["mode"] == "TEST" else "TEST"
    if faults.differs == "account":
        fields["vads_site_id"] = "99999999"
    signature = sign(fields, shop["key"] + ("?" if faults.forged else ""))
    return urlencode({**fields, "signature": signature}).encode("ascii")


def error(code: str, message: str) -> dict[str, Any]:
    """The envelope of an error; it comes with the HTTP status 200 as all others do."""
    answer = {"errorCode": code, "errorMessage": message, "_type": "V4/WebService/WebServiceError"}
    return {"webService": "Order/Get", "version": "V4", "status": "ERROR", "answer": answer}


def order(order_id: str, shop: Shop, operations: Sequence[Operation], faults: Faults) -> dict[str, Any]:
    """REST Order/Get: the transactions of an order of this shop, or the error that says that there is none."""
    mine = [each for each in operations if each.protocol == "lyra" and each.asked["vads_site_id"] == shop["site_id"]]
    asked = [each for each in mine if each.reference == order_id]
    found = [_transaction(each, faults) for each in asked]
    found += [_credit(each, key, cents) for each in asked for key, cents in each.refunds.items()]
    if not found:
        return error("PSP_010", "transaction not found")
    other = {"TEST": "PRODUCTION", "PRODUCTION": "TEST"}[shop["mode"]]
    answer = {
        "shopId": "99999999" if faults.differs == "account" else shop["site_id"],
        "orderDetails": {
            "orderId": "AUTRE" if faults.differs == "reference" else order_id,
            "mode": other if faults.differs == "mode" else shop["mode"],
        },
        "transactions": found,
        "_type": "V4/OrderTransactions",
    }
    return {"webService": "Order/Get", "version": "V4", "status": "SUCCESS", "answer": answer}


def _transaction(operation: Operation, faults: Faults) -> dict[str, Any]:
    """A transaction; one without a card has no card's details, and a refused card no authorisation."""
    status = _status(operation) if operation.result and operation.result_is_told else "INITIAL"
    at = datetime.fromisoformat(operation.result_at or operation.opened_at)
    number = {"authorizationNumber": operation.authorisation} if operation.took_money else None
    return {
        "uuid": uuid(operation.id_op),
        "amount": operation.cents + faults.amount_offset_cents,
        "currency": "USD" if faults.differs == "currency" else "EUR",
        "detailedStatus": faults.result_code or status,
        "operationType": "DEBIT",
        "paymentMethodType": "SDD" if operation.result == "V" else "CARD",
        "creationDate": at.astimezone(UTC).isoformat(timespec="seconds"),
        "transactionDetails": {
            "cardDetails": None if operation.result == "V" else {"authorizationResponse": number},
        },
        "_type": "V4/PaymentTransaction",
    }


def _status(operation: Operation) -> str:
    """What became of a payment; one that was taken may be cancelled in the back office before the money is sent."""
    return "CANCELLED" if operation.cancelled else STATUS[operation.result or "A"]


def _credit(operation: Operation, key: str, cents: int) -> dict[str, Any]:
    """A refund of a payment, as a transaction of its order."""
    return {
        "uuid": uuid(f"{operation.id_op} {key}"),
        "amount": cents,
        "currency": "EUR",
        "detailedStatus": "AUTHORISED",
        "operationType": "CREDIT",
        "paymentMethodType": "CARD",
        "creationDate": datetime.now(UTC).isoformat(timespec="seconds"),
        "_type": "V4/PaymentTransaction",
    }
