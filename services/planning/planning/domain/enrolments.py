"""Who may be enrolled in what, and what there is to choose from."""

from collections.abc import Mapping, Sequence
from datetime import date
from uuid import UUID

from contracts.api.calendar import ActivityView
from contracts.api.enrolments import ChildView, Enrolment, EnrolmentChoice, EnrolmentRequest
from contracts.names import name_key
from planning.domain.failures import EnrolmentMoved, NotForTheSchool


def check(child: ChildView, activity: ActivityView, now: Enrolment | None, request: EnrolmentRequest) -> None:
    """Raise ``EnrolmentMoved`` when the enrolment is not what was seen, ``NotForTheSchool`` for a first one in an
    activity of other schools; the dates of one that is there can always be changed, for the child may have moved."""
    if request.seen_version is not None and request.seen_version != (now.version if now else 0):
        facts = {"first_day": str(now.first_day), "last_day": str(now.last_day)} if now else {}
        raise EnrolmentMoved("somebody changed this enrolment meanwhile", **facts)
    if now is None and not _is_for(child, activity):
        raise NotForTheSchool("the activity is for children of other schools", activity=activity.label)


def _is_for(child: ChildView, activity: ActivityView) -> bool:
    return not activity.schools or name_key(child.school) in map(name_key, activity.schools)


def choices(
    child: ChildView, activities: Sequence[ActivityView], there: Mapping[UUID, Enrolment], *, today: date
) -> tuple[EnrolmentChoice, ...]:
    """The activities that a child may still be enrolled in, in the town's order."""
    open_to = [each for each in activities if _is_for(child, each) and each.last_day >= today]
    return tuple(
        EnrolmentChoice(
            activity_id=each.activity_id,
            label=each.label,
            first_day=each.first_day,
            last_day=each.last_day,
            version=there[each.activity_id].version if each.activity_id in there else 0,
        )
        for each in open_to
        if each.activity_id not in there or there[each.activity_id].last_day < today
    )
