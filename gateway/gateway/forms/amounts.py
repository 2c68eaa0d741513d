"""Amounts, whole numbers and days as people type them."""

import re
from datetime import date

from contracts.model import parse_day

_EUROS = re.compile(r"([0-9]{1,3}(?:[ \u00a0\u202f][0-9]{3}){0,2}|[0-9]{1,7})(?:[.,]([0-9]{1,2}))?\s*€?")
_WHOLE = re.compile(r"[0-9]{1,9}")


def parse_cents(text: object) -> int:
    """``12``, ``12,5``, ``1 200`` or ``12.50 €`` in cents; ``ValueError`` for anything else, such as ``12 50``."""
    found = _EUROS.fullmatch(str(text).strip())
    if found is None:
        raise ValueError("an amount is written like 12,50")
    return int("".join(found[1].split())) * 100 + int((found[2] or "").ljust(2, "0"))


def parse_whole(text: str) -> int:
    """A whole number in plain digits; ``ValueError`` for anything else that ``int`` would read."""
    if not _WHOLE.fullmatch(text):
        raise ValueError("a whole number is written in digits")
    return int(text)


def parse_optional_day(text: object) -> date | None:
    """A day of a date field, or None when it was left empty; ``ValueError`` for anything else."""
    return parse_day(str(text)) if text else None
