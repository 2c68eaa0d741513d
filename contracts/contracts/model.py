"""The ground every contract stands on: strict, frozen values that cross a boundary as JSON."""

import re
import unicodedata
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

_DAY_TEXT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MONTH_TEXT = re.compile(r"[0-9]{4}-[0-9]{2}(-[0-9]{2})?")
_INSTANT_TEXT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}")

DAY_MIN, DAY_MAX = date(1900, 1, 1), date(2199, 12, 31)
"""The days that mean something here, births included. A year outside them is a slip of the keyboard, and arithmetic on
days in between never leaves the calendar."""
_INSTANT_MIN, _INSTANT_MAX = (datetime(each.year, each.month, each.day, tzinfo=UTC) for each in (DAY_MIN, DAY_MAX))


class Contract(BaseModel):
    """A value that crosses a boundary. Unknown fields are refused: a typing mistake is never silently dropped."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class Language(StrEnum):
    """The languages of pages and mails; French is the source of every sentence."""

    FR = "fr"
    EN = "en"


def _day_text(value: Any) -> date:
    """A text is ``2026-12-01`` and nothing else: what pydantic would also read as Unix seconds (``0``) is no day."""
    if isinstance(value, str) and _DAY_TEXT.fullmatch(value):
        return date.fromisoformat(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    raise ValueError("a day is written YYYY-MM-DD")


def _in_range(value: date) -> date:
    if not DAY_MIN <= value <= DAY_MAX:
        raise ValueError(f"a day is between {DAY_MIN} and {DAY_MAX}")
    return value


def _instant_text(value: Any) -> datetime:
    """A text is a date and a time; a number is no instant."""
    if isinstance(value, str) and _INSTANT_TEXT.match(value):
        return datetime.fromisoformat(value)
    if isinstance(value, datetime):
        return value
    raise ValueError("an instant is written YYYY-MM-DDTHH:MM:SS with its offset")


def _instant_in_range(value: datetime) -> datetime:
    if (
        not datetime.combine(DAY_MIN, datetime.min.time(), UTC)
        < value
        < datetime.combine(DAY_MAX, datetime.max.time(), UTC)
    ):
        raise ValueError(f"an instant is between {DAY_MIN} and {DAY_MAX}")
    return value


def parse_day(text: str) -> date:
    """``2026-12-01`` as a day, as ``Day`` reads it; ``ValueError`` for anything else."""
    return _in_range(_day_text(text))


def _first_of_month(value: date) -> date:
    if value.day != 1:
        raise ValueError("a month is given by its first day")
    return value


def _month_text(value: Any) -> Any:
    """A text is ``2026-12``, or a whole day; what pydantic would also read as an instant (``0``) is no month."""
    if not isinstance(value, str):
        return _day_text(value)
    if not _MONTH_TEXT.fullmatch(value):
        raise ValueError("a month is written YYYY-MM")
    return date.fromisoformat(f"{value}-01"[:10])


Cents = Annotated[int, Field(strict=True, ge=-100_000_000_00, le=100_000_000_00)]
"""Integer cents of a euro; negative for what is given back."""

PositiveCents = Annotated[int, Field(strict=True, gt=0, le=100_000_000_00)]

Day = Annotated[date, BeforeValidator(_day_text), AfterValidator(_in_range)]
"""A day of the calendar within ``DAY_MIN`` and ``DAY_MAX``, written ``2026-12-01``."""

Month = Annotated[date, BeforeValidator(_month_text), AfterValidator(_in_range), AfterValidator(_first_of_month)]
"""A calendar month, as its first day; ``2026-12`` is read as ``2026-12-01``."""

Instant = Annotated[AwareDatetime, BeforeValidator(_instant_text), AfterValidator(_instant_in_range)]
"""An instant with its offset; stored and sent in UTC."""

Label = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
"""One line that a person reads."""


def normalize_text(text: str) -> str:
    """Text in the form in which it is stored and compared: NFC, without surrounding white space.

    A macOS keyboard or file encodes « é » as two characters; for people it is the same name.
    """
    return unicodedata.normalize("NFC", text).strip()


def _one_line(value: str) -> str:
    if any(unicodedata.category(sign) in {"Cc", "Zl", "Zp", "Cs"} for sign in value):
        raise ValueError("a line holds no line break and no control character")
    return value


Line = Annotated[
    str,
    BeforeValidator(lambda value: normalize_text(value) if isinstance(value, str) else value),
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
    AfterValidator(_one_line),
]
"""A ``Label`` as it comes in: in the stored form (NFC), without line breaks or control characters."""

FullName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=401)]
"""A first and a last name, each a ``Label``, with a space between them."""

Reference = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=40, pattern=r"^[\w./ -]+$")
]
"""A number or code that people quote: an invoice number, a household reference."""

_WHOLE_MAX = 2**53 - 1
"""What every reader of JSON and every column can keep."""

Version = Annotated[int, Field(ge=1, le=_WHOLE_MAX)]
"""Grows by one with each change of an aggregate; an older one never overwrites a newer one."""

SeenVersion = Annotated[int, Field(ge=0, le=_WHOLE_MAX)]
"""The version that was shown; 0 of what was never changed."""
