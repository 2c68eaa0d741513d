"""The days that a form of a month would change, and the address of a page that shows them ticked, not saved."""

import re
from collections.abc import Iterable
from datetime import date
from typing import Any
from uuid import UUID

from multidict import MultiMapping

from contracts.api.bookings import BookingLine
from contracts.failures import Invalid
from contracts.model import parse_day
from gateway.forms.fields import SubmittedForm, hidden
from gateway.languages import N_

TICKS_MAX = 400
MONTH = {
    "shown": hidden(N_("Jours affichés"), many=True),
    "booked": hidden(N_("Jours cochés"), many=True),
}
"""The fields of a form of a month."""
NAMED_BY = 8
BITS = {"0", "1"}
DAY = re.compile(r"[0-9]{1,2}")


Form = SubmittedForm | MultiMapping[Any]
"""One that was read; or, when nobody is signed in any more, what was sent, of which nothing is saved."""


def changed(form: Form) -> tuple[BookingLine, ...]:
    """The cells whose tick differs from what the page showed: ``activity|day|ticked or not|full or not``."""
    ticked = set(form.getall("booked", ()))
    lines = []
    try:
        for shown in form.getall("shown", ()):
            activity_id, day, was, full = str(shown).split("|")
            if was not in BITS or full not in BITS:
                raise ValueError("a cell was ticked or not, full or not")  # noqa: TRY301
            cell = f"{activity_id}|{day}"
            if (cell in ticked) != (was == "1"):
                line = BookingLine(
                    activity_id=UUID(activity_id),
                    day=parse_day(day),
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


def parse_ticks(text: str) -> dict[tuple[str, int], bool]:
    """The ticks of such a query; what cannot be read is left out, for they are only shown."""
    parts = [each.split(".") for each in text.split("_")[:TICKS_MAX]]
    return {(part[0], int(part[1])): part[2] == "1" for part in parts if len(part) == 3 and DAY.fullmatch(part[1])}


def cell_key(activity_id: UUID, day: date) -> tuple[str, int]:
    """What a cell is called in such a query."""
    return activity_id.hex[-NAMED_BY:], day.day
