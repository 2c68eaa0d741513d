"""What may be marked on the sheet of a day."""

from datetime import date

from contracts.api.attendance import AttendanceMark, AttendanceRow
from contracts.events.planning import Presence
from planning.domain.failures import DayToCome, IsBooked, NotBooked

CAME = (Presence.PRESENT, Presence.EXTRA)


def check(mark: AttendanceMark, row: AttendanceRow, day: date, *, today: date) -> None:
    """A booked child is present, absent or justified; another is an extra, or no longer one (absent).

    Raises ``NotBooked``, ``IsBooked``, or ``DayToCome``: a good reason may be known in advance, a presence may not.
    """
    if mark.presence in CAME and day > today:
        raise DayToCome("the day has not come", child_id=str(row.child_id))
    if row.booked and mark.presence is Presence.EXTRA:
        raise IsBooked("the child is booked", child_id=str(row.child_id))
    if not row.booked and mark.presence is not Presence.EXTRA and row.presence is None:
        raise NotBooked("the child is not booked", child_id=str(row.child_id))
