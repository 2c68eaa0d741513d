"""billing: reminders of invoices past their day, and which invoices nobody is reminded of."""

from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, model_validator

from contracts.model import Contract, Day, Instant, Label, PositiveCents, Reference

STEPS_MAX = 3


class ReminderRule(Contract):
    """``PUT /reminders/rule``: how many days past its day an invoice is reminded of, once a number; none: never."""

    days: tuple[Annotated[int, Field(ge=1, le=180)], ...] = Field(default=(), max_length=STEPS_MAX)

    @model_validator(mode="after")
    def _grows(self) -> Self:
        if any(after <= before for before, after in pairwise(self.days)):
            raise ValueError("each reminder comes later than the one before")
        return self


class ReminderHold(StrEnum):
    """Why nobody is reminded of an overdue invoice now."""

    BEING_PAID = "being_paid"
    UNDER_REVIEW = "under_review"
    PAUSED = "paused"


class OverdueInvoice(Contract):
    """An overdue invoice. ``next_on`` is the day of its next reminder, today at the earliest; None if there is none.

    ``pause_reason`` is why staff, or a dispute at the bank, stopped its reminders.
    """

    invoice_id: UUID
    household_id: UUID
    household_name: Label
    number: Reference
    month: Day
    due_on: Day
    left_cents: PositiveCents
    reminded_on: tuple[Day, ...]
    next_on: Day | None
    waits: ReminderHold | None
    pause_reason: Label | None


class ReminderList(Contract):
    """``GET /reminders``, or ``GET /reminders?days=7&days=21`` to see what another rule would do
    (``?days=``: one without reminders).

    ``today_count`` invoices, of ``today_cents`` together, are reminded of today by that rule. The oldest 500 are
    listed.
    """

    rule: ReminderRule
    saved_at: Instant | None
    overdue: tuple[OverdueInvoice, ...]
    overdue_count: int
    overdue_cents: int
    today_count: int
    today_cents: int


class ReminderPause(Contract):
    """``POST /reminders/{invoice_id}/pause``: remind nobody of it, for a reason; ``…/resume`` ends that."""

    reason: Label
