"""The written forms in which published documents and ledger transactions are hashed, for ever.

A form has a version and never changes: what is to be covered besides is a new version. None of them depends on the
models of ``contracts``, whose fields may be renamed, moved or added to.

Since version 2 of documents, and for ledger transactions, a form is a row of values, each as the length of its UTF-8
bytes, a colon, the bytes and a comma; a value that is missing is ``~,``. Two rows of values never have the same form.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

Value = str | int | bool | date | datetime | UUID | None
Said = Mapping[str, Any]
"""What a document says, by the names of the columns that keep it; its lines under ``lines``, its issuer under
``issuer``."""

DOCUMENT_VERSION = 2
"""In which new documents are hashed."""

_ISSUER = ("town", "siret", "address", "contact", "till")
_INVOICE = ("invoice_id", "number", "month", "published_on", "due_on", "total_cents")
_INVOICE_LINE = ("child_first_name", "activity_label", "count", "unit_price_cents", "amount_cents", "explanation")
_CREDIT_NOTE = (
    "credit_note_id",
    "number",
    "invoice_id",
    "invoice_number",
    "published_on",
    "total_cents",
    "reason",
)
_CREDIT_NOTE_LINE = ("child_first_name", "label", "count", "unit_credit_cents", "amount_cents")


def written(values: Iterable[Value]) -> bytes:
    """The form of a row of values."""
    return b"".join(_written(value) for value in values)


def _written(value: Value) -> bytes:
    if value is None:
        return b"~,"
    text = _text(value).encode()
    return b"%d:%s," % (len(text), text)


def _text(value: Value) -> str:
    """Booleans are ``true`` and ``false``, days ``2026-12-01``, instants ``2026-12-01T09:30:00.000000Z``."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
    return value.isoformat() if isinstance(value, date) else str(value)


def document_digest(said: Said, version: int) -> bytes:
    """SHA-256 of what a published document says; ``KeyError`` for a version that does not exist."""
    return hashlib.sha256(_DOCUMENT_FORMS[version](said)).digest()


def _first_form(said: Said) -> bytes:
    """Version 1, until December 2026: JSON as the model of that time was written, absent values left out."""
    is_invoice = "credit_note_id" not in said
    summary, line = (_INVOICE, _INVOICE_LINE) if is_invoice else (_CREDIT_NOTE, _CREDIT_NOTE_LINE)
    lines = [{name: each[name] for name in line} | _optional(each) for each in said["lines"]]
    whole = {
        "summary": {name: said[name] for name in summary},
        **({"town": said["issuer"]["town"]} if is_invoice else {}),
        "issuer": {name: said["issuer"][name] for name in _ISSUER},
        "household_name": said["household_name"],
        "household_reference": said["household_reference"],
        "household_address": list(said["household_address"]),
        "lines": lines,
    }
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":"), default=_text).encode()


def _optional(line: Said) -> dict[str, Any]:
    """What the first form has of a line only where it is not empty."""
    return {name: line[name] for name in ("child_id", "childcare") if line.get(name)}


def _second_form(said: Said) -> bytes:
    """Version 2: all that the first one has, the household, and the instant of its publication."""
    is_invoice = "credit_note_id" not in said
    summary = _INVOICE if is_invoice else _CREDIT_NOTE
    line = ("child_id", *_INVOICE_LINE, "childcare") if is_invoice else _CREDIT_NOTE_LINE
    return written(
        (
            *("preau document", 2, "invoice" if is_invoice else "credit note"),
            *(said[name] for name in ("household_id", "published_at", *summary)),
            *(said["issuer"][name] for name in _ISSUER),
            *(said["household_name"], said["household_reference"]),
            *(len(said["household_address"]), *said["household_address"]),
            *(len(said["lines"]), *(each[name] for each in said["lines"] for name in line)),
        )
    )


_DOCUMENT_FORMS: dict[int, Callable[[Said], bytes]] = {1: _first_form, 2: _second_form}


def ledger_digest(transaction: Said, entries: Sequence[Said]) -> bytes:
    """SHA-256 of a ledger transaction with its entries, in the order in which they were entered.

    The same as the function ``ledger_digest`` of the database, which writes it at the commit.
    """
    form = written(
        (
            *("preau ledger transaction", 1),
            *(transaction[name] for name in ("transaction_id", "key", "at", "day", "note")),
            len(entries),
            *(each[name] for each in entries for name in _ENTRY),
        )
    )
    return hashlib.sha256(form).digest()


_ENTRY = ("entry_id", "account", "household_id", "invoice_id", "product", "means", "till", "amount_cents")
