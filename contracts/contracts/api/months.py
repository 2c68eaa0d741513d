"""planning: a child's days as they stand, and places that wait for an answer."""

from enum import StrEnum
from uuid import UUID

from pydantic import Field

from contracts.api.enrolments import ChildView
from contracts.model import Contract, Instant, Label, Month, SeenVersion
from contracts.model import Day as CalendarDay


class CellState(StrEnum):
    """What a day of an activity is for this household's child."""

    FREE = "free"
    BOOKED = "booked"
    FULL = "full"
    WAITING = "waiting"
    CLOSED = "closed"
    OTHER_HOUSEHOLD = "other_household"


class Cell(Contract):
    """One activity on one day. ``changeable``: whether the booking can be changed now; ``until``: its deadline.

    A full day that is changeable has a waiting list; ``rank`` is the child's rank in it. ``opens_at`` is set while
    booking has not opened, ``reason`` for closed cells, ``offered_until`` while a place is offered to the child:
    booking the day accepts it, leaving the waiting list declines it.
    """

    activity_id: UUID
    state: CellState
    changeable: bool
    until: Instant | None
    reason: Label | None = None
    rank: int | None = Field(default=None, ge=1)
    opens_at: Instant | None = None
    offered_until: Instant | None = None


class Day(Contract):
    """A row of the month; only days with at least one cell are given. ``note`` names a holiday or school holidays."""

    day: CalendarDay
    note: Label | None
    cells: tuple[Cell, ...]


class ActivityColumn(Contract):
    """A column of the month."""

    activity_id: UUID
    label: Label


class PlaceOnOffer(Contract):
    """A place that is held for a child until an instant."""

    activity_id: UUID
    activity_label: Label
    day: CalendarDay
    until: Instant


class Offer(PlaceOnOffer):
    """A place offered to a child; ``version`` is sent back with the answer, so that an answer given elsewhere is
    detected."""

    child_id: UUID
    child_first_name: Label
    version: SeenVersion


class OfferList(Contract):
    """``GET /households/{household_id}/offers``: the places that are held for the children, the first to end first."""

    offers: tuple[Offer, ...]


class OfferAnswer(Contract):
    """``POST /households/{household_id}/offers/accept``, or ``…/decline``: to book the day, or to leave its list.

    ``seen_version`` is the offer's own.
    """

    child_id: UUID
    activity_id: UUID
    day: CalendarDay
    seen_version: SeenVersion


class NextDay(Contract):
    """A day to come on which a child is booked, and for what."""

    day: CalendarDay
    activities: tuple[Label, ...]


class ChildAhead(Contract):
    """A child and the first days on which it is booked, from today on."""

    child: ChildView
    days: tuple[NextDay, ...]


class HouseholdAhead(OfferList):
    """``GET /households/{household_id}/ahead``: what comes next for each child, and places that wait for an answer."""

    children: tuple[ChildAhead, ...]


class MonthView(Contract):
    """``GET /households/{household_id}/children/{child_id}/months/{month}``.

    ``version`` is sent back with the changes, so that an edit made elsewhere is detected. ``offers`` are all open
    offers of the child, whatever the month.
    """

    child: ChildView
    month: Month
    first_month: Month
    last_month: Month
    version: SeenVersion
    activities: tuple[ActivityColumn, ...]
    days: tuple[Day, ...]
    offers: tuple[PlaceOnOffer, ...] = ()
