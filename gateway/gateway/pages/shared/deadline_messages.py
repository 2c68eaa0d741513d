"""Deadlines of an activity in French words."""

from contracts.api.calendar import Deadline, DeadlineUnit
from gateway.forms.activity import BOOK, CANCEL, COUNTINGS, FIELDS, WEEKDAYS
from gateway.languages import deadline

DEADLINE_LABELS = {
    f"{which}_{part}": f"{FIELDS[name]} ({words})"
    for which, name in ((BOOK, "booking_notice"), (CANCEL, "cancelling_notice"))
    for part, words in (
        ("kind", "genre"),
        ("days", "jours"),
        ("counting", "comptés en"),
        ("weekday", "jour de semaine"),
        ("at", "heure"),
        ("until", "jusqu'au"),
    )
}
"""What the parts of a deadline are called, where one differs from what is kept."""


def deadline_rule(notice: Deadline) -> str:
    """A deadline rule as a sentence: « la veille à 18 h »."""
    if notice.until is not None:
        return f"jusqu'au {deadline(notice.until)}"
    assert notice.at is not None, "the contract wants a time or an instant"
    at = f"{notice.at.hour}\u00a0h{f' {notice.at.minute:02d}' if notice.at.minute else ''}"
    if notice.weekday_before:
        return f"le {WEEKDAYS[notice.weekday_before - 1]} de la semaine d'avant à {at}"
    if notice.days_before == 0:
        return f"le jour même à {at}"
    if notice.days_before == 1 and notice.counting is DeadlineUnit.CALENDAR_DAYS:
        return f"la veille à {at}"
    kind = COUNTINGS[notice.counting]
    return f"{notice.days_before} {kind if notice.days_before > 1 else kind.replace('jours', 'jour', 1)} avant à {at}"
