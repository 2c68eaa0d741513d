"""The ground every contract stands on: strict, frozen values that cross a boundary as JSON."""

import re
from datetime import date
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

_MONTH_TEXT = re.compile(r"[0-9]{4}-[0-9]{2}(-[0-9]{2})?")


class Contract(BaseModel):
    """A value that crosses a boundary. Unknown fields are refused: a typing mistake is never silently dropped."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class Language(StrEnum):
    """The languages that people are written to in, on pages and by mail; French is the source of every word."""

    FR = "fr"
    EN = "en"


def _first_of_month(value: date) -> date:
    if value.day != 1:
        raise ValueError("a month is given by its first day")
    return value


def _month_text(value: Any) -> Any:
    """A text is ``2026-12``, or a whole day; what pydantic would also read as an instant (``0``) is no month."""
    if not isinstance(value, str):
        return value
    if not _MONTH_TEXT.fullmatch(value):
        raise ValueError("a month is written YYYY-MM")
    return date.fromisoformat(f"{value}-01"[:10])


Cents = Annotated[int, Field(strict=True, ge=-100_000_000_00, le=100_000_000_00)]
"""Integer cents of a euro; negative for what is given back."""

PositiveCents = Annotated[int, Field(strict=True, gt=0, le=100_000_000_00)]

Month = Annotated[date, BeforeValidator(_month_text), AfterValidator(_first_of_month)]
"""A calendar month, as its first day; ``2026-12`` is read as ``2026-12-01``."""

Instant = AwareDatetime
"""An instant with its offset; stored and sent in UTC."""

Label = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
"""One line that a person reads."""

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
