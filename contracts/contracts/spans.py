"""Spans of days as people write them in France: on the page of a household and in the file of families alike."""

import re
from datetime import date

from contracts.events.auth import Span
from contracts.model import DAY_MAX, DAY_MIN

SPANS_MAX = 60
_DAY = r"([0-9]{1,2})/([0-9]{1,2})/([0-9]{4})"
_SPAN = re.compile(rf"(?:le|du)?\s*{_DAY}(?:\s*(?:au|-|–|—)\s*{_DAY})?", re.IGNORECASE)


def written_day(day: date) -> str:
    """« 19/12/2026 », its year in four digits whatever it is."""
    return f"{day.day:02}/{day.month:02}/{day.year:04}"


def parse_written_day(text: str) -> date:
    """« 19/12/2026 » as a day; ``ValueError`` for anything else, or for a day that cannot be meant."""
    found = re.fullmatch(_DAY, text)
    if found is None:
        raise ValueError("a day is written DD/MM/YYYY")
    return _day(*found.groups())


def parse_span(text: str) -> Span:
    """« du 19/12/2026 au 26/12/2026 » or one day, the whole text of it; ``ValueError`` for anything else."""
    found = _SPAN.fullmatch(text.strip())
    if found is None:
        raise ValueError("a span is one day or two")
    parts = found.groups()
    first = _day(*parts[:3])
    return Span(first_day=first, last_day=_day(*parts[3:]) if parts[3] else first)


def _day(day: str, month: str, year: str) -> date:
    found = date(int(year), int(month), int(day))
    if not DAY_MIN <= found <= DAY_MAX:
        raise ValueError(f"a day is between {DAY_MIN} and {DAY_MAX}")
    return found


def written_span(span: Span) -> str:
    """« du 19/12/2026 au 26/12/2026 », also for one day."""
    return f"du {written_day(span.first_day)} au {written_day(span.last_day)}"
