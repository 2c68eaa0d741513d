"""What comes next for a child: the first days on which it is booked and nothing is closed."""

from collections.abc import Collection, Mapping
from datetime import date
from uuid import UUID

from contracts.api.calendar import ActivityView
from contracts.api.enrolments import ChildView
from contracts.api.months import ChildAhead, NextDay
from planning.domain.booking_context import Slot
from planning.domain.calendar import Calendar

NEXT_DAYS = 3
"""How many days are shown of each child."""


def ahead(
    child: ChildView, booked: Collection[Slot], calendar: Calendar, activities: Mapping[UUID, ActivityView]
) -> ChildAhead:
    """The next days of a child, with the names of its activities in the town's order."""
    names: dict[date, list[str]] = {}
    in_order = sorted(booked, key=lambda s: (s[1], activities[s[0]].position, activities[s[0]].label))
    for activity_id, day in in_order:
        if not calendar.closed_because(activity_id, day, child.school):
            names.setdefault(day, []).append(activities[activity_id].label)
    days = tuple(NextDay(day=day, activities=tuple(labels)) for day, labels in names.items())
    return ChildAhead(child=child, days=days[:NEXT_DAYS])
