"""planning: the children of a household, and what each is enrolled in."""

from typing import Self
from uuid import UUID

from pydantic import Field, model_validator

from contracts.events.auth import Custody
from contracts.events.planning import Channel
from contracts.model import Contract, Day, Instant, Label, SeenVersion, Version


class EnrolmentRequest(Contract):
    """``PUT /households/{household_id}/children/{child_id}/enrolments/{activity_id}``: the first and last day, both
    included, replacing the previous dates.

    ``seen_version`` is that of the enrolment as shown, 0 if there was none; absent, whatever exists is replaced. If
    booked days lie outside the new dates the request is refused with their number; ``cancel_bookings`` cancels them:
    exactly ``cancel_seen``, if given.
    """

    first_day: Day
    last_day: Day
    seen_version: SeenVersion | None = None
    cancel_bookings: bool = False
    cancel_seen: int | None = Field(default=None, ge=0, le=1_000_000)

    @model_validator(mode="after")
    def _is_in_order(self) -> Self:
        if self.last_day < self.first_day:
            raise ValueError("the last day is before the first")
        return self


class ChildView(Contract):
    """A child of the household, and whether it is enrolled in something."""

    child_id: UUID
    first_name: Label
    last_name: Label
    school: Label
    class_name: Label
    custody: Custody
    enrolled: bool


class ChildList(Contract):
    """``GET /households/{household_id}/children``."""

    children: tuple[ChildView, ...]


class Enrolment(Contract):
    """An enrolment; ``channel`` is that of its last change. ``cancelled`` is the number of booked days that the
    answered change has cancelled."""

    activity_id: UUID
    activity_label: Label
    first_day: Day
    last_day: Day
    version: Version
    channel: Channel | None = None
    changed_at: Instant | None = None
    cancelled: int = Field(default=0, ge=0)


class EnrolmentChoice(Contract):
    """An activity that a child may be enrolled in: open to its school, not over, and not running for it already.

    ``version`` is that of an enrolment that is over, 0 where there was none.
    """

    activity_id: UUID
    label: Label
    first_day: Day
    last_day: Day
    version: SeenVersion


class ChildEnrolments(Contract):
    """A child, what it is enrolled in, and what it could be."""

    child: ChildView
    enrolments: tuple[Enrolment, ...]
    choices: tuple[EnrolmentChoice, ...]


class EnrolmentBook(Contract):
    """``GET /households/{household_id}/enrolments``."""

    children: tuple[ChildEnrolments, ...]
