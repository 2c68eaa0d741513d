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
