"""The days that a form of a month would change, and the address of a page that shows them ticked, not saved."""

import re
from collections.abc import Iterable
from datetime import date
from typing import Any
from uuid import UUID

from contracts.api.bookings import BookingLine
from contracts.failures import Invalid

TICKS_MAX = 400
NAMED_BY = 8
DAY = re.compile(r"[0-9]{1,2}")


def changed(form: Any) -> tuple[BookingLine, ...]:
    """The cells whose tick differs from what the page showed: ``activity|day|ticked or not|full or not``."""
    ticked = set(form.getall("booked", []))
    lines = []
    try:
        for shown in form.getall("shown", []):
            activity_id, day, was, full = str(shown).split("|")
            cell = f"{activity_id}|{day}"
            if (cell in ticked) != (was == "1"):
                line = BookingLine(
                    activity_id=UUID(activity_id),
                    day=date.fromisoformat(day),
                    booked=cell in ticked,
                    or_wait=full == "1",
                )
                lines.append(line)
    except ValueError as error:
        raise Invalid("the form cannot be read", errors=[]) from error
    return tuple(lines)


def query(lines: Iterable[BookingLine]) -> str:
    """The ticks as the query of their month's page: the end of the activity's id, the day, ticked or not."""
    each = (f"{line.activity_id.hex[-NAMED_BY:]}.{line.day.day}.{line.booked:d}" for line in lines)
    return f"?coches={'_'.join(each)}"


def wished(text: str) -> dict[tuple[str, int], bool]:
    """The ticks of such a query; what cannot be read is left out, for they are only shown."""
    parts = [each.split(".") for each in text.split("_")[:TICKS_MAX]]
    return {(part[0], int(part[1])): part[2] == "1" for part in parts if len(part) == 3 and DAY.fullmatch(part[1])}


def name(activity_id: UUID, day: date) -> tuple[str, int]:
    """What a cell is called in such a query."""
    return activity_id.hex[-NAMED_BY:], day.day
