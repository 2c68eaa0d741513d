"""Paybox's form with the ``PBX_`` fields: the merchant signs it with a shared key, the bank its call with its own.

A contract is ``{"site": …, "rank": …, "identifier": …, "key": hexadecimal, "private_key": PEM, "ipn_url": …}``; the
address to notify is kept here, in the bank's back office, unless the form names one. Here all contracts may share the
bank's private key, as at the real bank.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote_plus

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from lxml import etree

from bank_simulator.book import PARIS, Book, Operation
from bank_simulator.faults import Faults

Contract = Mapping[str, str]
WANTED = {
    "PBX_SITE": r"\d{7}",
    "PBX_RANG": r"\d{2,3}",
    "PBX_IDENTIFIANT": r"\d{1,9}",
    "PBX_TOTAL": r"\d{3,10}",
    "PBX_DEVISE": r"978",
    "PBX_CMD": r".{1,250}",
    "PBX_PORTEUR": r"[^@\s]+@[^@\s]+",
    "PBX_RETOUR": r"(\w+:[A-Z];)+\w+:K;?",
    "PBX_HASH": r"SHA512",
    "PBX_EFFECTUE": r"https?://.+",
    "PBX_REFUSE": r"https?://.+",
    "PBX_ANNULE": r"https?://.+",
    "PBX_TIME": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d",
}
CODES = {"P": "00000", "V": "00000", "R": "00105", "Z": "00151", "A": "00001"}


_WORDS = r"[A-Za-z0-9][A-Za-z0-9 .-]{0,%d}"
SHAPES: dict[str, tuple[tuple[str, ...], dict[str, str], tuple[str, ...]]] = {
    "PBX_SHOPPINGCART": (("shoppingcart", "total"), {"totalQuantity": r"[1-9][0-9]?"}, ()),
    "PBX_BILLING": (
        ("Billing", "Address"),
        {
            "FirstName": _WORDS % 21,
            "LastName": _WORDS % 21,
            "Address1": _WORDS % 49,
            "Address2": _WORDS % 49,
            "ZipCode": _WORDS % 9,
            "City": _WORDS % 49,
            "CountryCode": r"[0-9]{3}",
        },
        ("Address2",),
    ),
}
"""What 3-D Secure wants, in XML: the elements around, the fields within in their order, those that may be left out."""


class Refused(Exception):  # noqa: N818 - the bank says no
    """Why the bank shows its payer no page."""


def find(contracts: Sequence[Contract], fields: Mapping[str, str]) -> Contract | None:
    """The contract that a form names."""
    named = (fields.get("PBX_SITE"), fields.get("PBX_RANG"), fields.get("PBX_IDENTIFIANT"))
    return next((each for each in contracts if (each["site"], each["rank"], each["identifier"]) == named), None)


def open_page(form: Sequence[tuple[str, str]], contracts: Sequence[Contract], book: Book) -> Operation:
    """The operation of a posted form; one that was posted before is found again until it has a result."""
    fields = dict(form)
    for name, pattern in WANTED.items():
        if not re.fullmatch(pattern, fields.get(name, "")):
            raise Refused(f"Paramètre {name} incorrect.")
    for name, shape in SHAPES.items():
        if not _fits(fields.get(name, ""), *shape):
            raise Refused(f"Paramètre {name} incorrect.")
    contract = find(contracts, fields)
    if contract is None:
        raise Refused("Problème d'identification du commerce. Accès refusé !")
    message = "&".join("=".join(pair) for pair in form if pair[0] != "PBX_HMAC")
    mac = hmac.new(bytes.fromhex(contract["key"]), message.encode("utf-8"), hashlib.sha512)
    if form[-1][0] != "PBX_HMAC" or not hmac.compare_digest(mac.hexdigest().upper(), form[-1][1]):
        raise Refused("Signature PBX_HMAC invalide. Accès refusé !")
    id_op = f"{contract['site']}-{contract['rank']}-{fields['PBX_CMD']}"
    known = book.operations.get(id_op) or book.open(fields, protocol="paybox", id_op=id_op)
    if known.result is not None:
        raise Refused("Cette commande a déjà son résultat.")
    known.page_shown = True
    book.write(known)
    return known


def _fits(text: str, around: Sequence[str], within: Mapping[str, str], optional: Sequence[str]) -> bool:
    """Whether an XML text has exactly these elements, each with a value that fits."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        element: Any = etree.fromstring(text.encode("utf-8"), parser)
    except etree.XMLSyntaxError:
        return False
    if element.tag != around[0]:
        return False
    for tag in around[1:]:
        if [each.tag for each in element] != [tag]:
            return False
        element = element[0]
    told = [(each.tag, each.text or "") for each in element]
    wanted = [name for name in within if name not in optional or name in dict(told)]
    return [name for name, _ in told] == wanted and all(re.fullmatch(within[name], value) for name, value in told)


def notice(operation: Operation, contract: Contract, faults: Faults) -> tuple[str, str, bytes]:
    """The call that tells the result, its method, URL and body: the variables the form asked for, signed."""
    at = datetime.fromisoformat(operation.result_at or operation.opened_at).astimezone(PARIS)
    values = {
        "M": str(operation.cents + faults.amount_offset_cents),
        "R": "AUTRE" if faults.differs == "reference" else operation.reference,
        "A": operation.authorisation,
        "E": faults.result_code or CODES[operation.result or "A"],
        "T": str(int(hashlib.sha256(operation.id_op.encode()).hexdigest()[:8], 16)),
        "S": str(int(hashlib.sha256(operation.id_op.encode()).hexdigest()[8:15], 16)),
        "W": at.strftime("%d%m%Y"),
        "Q": at.strftime("%H:%M:%S"),
    }
    asked = [pair.split(":") for pair in operation.asked["PBX_RETOUR"].strip(";").split(";")]
    left = [(name, letter) for name, letter in asked if name != faults.without]
    told = "&".join(f"{name}={quote_plus(value)}" for name, letter in left if (value := values.get(letter)))
    signature = _sign(told + ("?" if faults.forged else ""), contract["private_key"])
    body = f"{told}&{asked[-1][0]}={quote_plus(signature)}"
    url = operation.asked.get("PBX_REPONDRE_A") or contract["ipn_url"]
    if faults.differs in {"account", "mode"}:  # another contract, or the test platform, holds another address
        url = re.sub(r"door=\w+", "door=0000000000000000another0", url)
    if operation.asked.get("PBX_RUF1") == "POST":
        return "POST", url, body.encode("ascii")
    return "GET", f"{url}{'&' if '?' in url else '?'}{body}", b""


def _sign(text: str, private_key: str) -> str:
    key = serialization.load_pem_private_key(private_key.encode("ascii"), password=None)
    assert isinstance(key, rsa.RSAPrivateKey)
    made = key.sign(text.encode("ascii"), padding.PKCS1v15(), hashes.SHA1())  # noqa: S303 - the protocol
    return base64.standard_b64encode(made).decode("ascii")


def status_page(faults: Faults) -> str:
    """``load.html``: whether this payment server takes payments."""
    word = "KO" if faults.service_down else "OK"
    return f'<html><body><div id="server_status" style="text-align:center;">{word}</div></body></html>'
