"""planning: the sheet of a day, and what is marked on it."""

from typing import Self
from uuid import UUID

from pydantic import Field, model_validator

from contracts.events.planning import Presence
from contracts.model import Contract, Day, Label


class AttendanceRow(Contract):
    """A child on the sheet of a day; ``presence`` is absent until somebody marks it."""

    household_id: UUID
    child_id: UUID
    first_name: Label
    last_name: Label
    school: Label
    class_name: Label
    booked: bool
    presence: Presence | None
    late_pickup: bool


class AttendanceSheet(Contract):
    """``GET /activities/{activity_id}/attendance/{day}``: booked or marked children, and those that might still come.

    ``others`` are enrolled without a booking. ``?school=…`` keeps one school's; ``schools`` are all there are.
    """

    activity_id: UUID
    activity_label: Label
    day: Day
    closed: Label | None
    schools: tuple[Label, ...]
    rows: tuple[AttendanceRow, ...]
    others: tuple[AttendanceRow, ...]


class AttendanceMark(Contract):
    """The attendance of a child on a day; ``late_pickup`` only for a child that was present."""

    household_id: UUID
    child_id: UUID
    presence: Presence
    late_pickup: bool = False

    @model_validator(mode="after")
    def _who_came(self) -> Self:
        if self.late_pickup and self.presence not in {Presence.PRESENT, Presence.EXTRA}:
            raise ValueError("only a child that came can have been fetched late")
        return self


class AttendanceMarks(Contract):
    """``PUT /activities/{activity_id}/attendance/{day}``; a mark that is set already changes nothing."""

    marks: tuple[AttendanceMark, ...] = Field(min_length=1, max_length=500)
