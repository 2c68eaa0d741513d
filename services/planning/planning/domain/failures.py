"""What planning refuses, by name."""

from contracts.failures import Conflict, NotFound


class NoSuchChild(NotFound):
    """The household has no such child."""

    code = "no_such_child"


class NoSuchActivity(NotFound):
    """No activity of that id."""

    code = "no_such_activity"


class DayHasBookings(Conflict):
    """The day to be closed is booked; says by how many, and is closed only when told to cancel them."""

    code = "day_has_bookings"


class EnrolmentHasBookings(Conflict):
    """Days to come are booked outside the wished dates; says how many, and cancels them only when told to."""

    code = "enrolment_has_bookings"


class EnrolmentMoved(Conflict):
    """Somebody changed the enrolment after it was shown."""

    code = "enrolment_moved"


class NotForTheSchool(Conflict):
    """The activity is not for children of that school."""

    code = "not_for_the_school"


class NothingToUndo(NotFound):
    """No change of that version, or nothing of it can be taken back."""

    code = "nothing_to_undo"


class NotBooked(Conflict):
    """A child that is not booked is marked present or absent; it can be an extra."""

    code = "not_booked"


class IsBooked(Conflict):
    """A booked child is marked an extra; it is present."""

    code = "is_booked"


class DayToCome(Conflict):
    """Nobody was present on a day that has not come."""

    code = "day_to_come"
