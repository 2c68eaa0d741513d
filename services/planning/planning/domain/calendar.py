"""Which days an activity is about, which of them are closed, and until when each can be changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from contracts.api.calendar import ActivityDay, ActivityView, Deadline, DeadlineUnit, PeriodKind
from contracts.events.auth import Custody
from contracts.names import name_key

PARIS = ZoneInfo("Europe/Paris")
UTC = ZoneInfo("UTC")
SATURDAY = 6
SUMMER = "Vacances d'été"
HOLIDAYS = "Vacances"
"""How the names of holidays begin; the others (« Pont de l'Ascension ») are days off in a school period."""

DAY = timedelta(days=1)
GAP_DAYS_MAX = 200
"""How far a service day looks for the one before it; a summer and more."""

Closures = Mapping[tuple[date, UUID | None, str | None], str]
"""Reasons by day, activity and the key of a school's name; None is all of them."""


@dataclass(frozen=True)
class Calendar:
    """The town's year: school holidays and public holidays by day, closures, and the last day that is published."""

    school_holidays: Mapping[date, str]
    public_holidays: Mapping[date, str]
    closures: Closures
    known_until: date | None = None

    def is_offered(self, activity: ActivityView, day: date) -> bool:
        """Tell whether the activity is about that day at all, closed or not."""
        if not activity.first_day <= day <= activity.last_day or day.isoweekday() not in activity.weekdays:
            return False
        if activity.period is PeriodKind.EXPLICIT:
            return day in activity.days
        if self.known_until is not None and day > self.known_until:
            return False
        holiday = self.school_holidays.get(day)
        match activity.period:
            case PeriodKind.SCHOOL_DAYS | PeriodKind.WEDNESDAYS:
                return holiday is None
            case PeriodKind.SMALL_HOLIDAYS:
                return holiday is not None and holiday.startswith(HOLIDAYS) and holiday != SUMMER
            case PeriodKind.SUMMER:
                return holiday == SUMMER

    def closed_because(self, activity_id: UUID, day: date, school: str | None = None) -> str | None:
        """Why nobody of ``school`` can book that day: a public holiday or a closure; None when it is open."""
        of = name_key(school) if school else None
        keys = ((day, activity_id, of), (day, activity_id, None), (day, None, of), (day, None, None))
        return self.public_holidays.get(day) or next((self.closures[key] for key in keys if key in self.closures), None)

    def note(self, day: date) -> str | None:
        """What to write beside a day."""
        return self.public_holidays.get(day) or self.school_holidays.get(day)

    def deadline(self, activity: ActivityView, notice: Deadline, day: date) -> datetime:
        """The instant from which ``day`` can no more be changed, in UTC; never after the day itself has ended.

        Service days are those on which the activity takes place for some school. Where none comes before (the first
        day of a season), calendar days are counted instead. A weekday of the week before is that one, holiday or not.
        """
        if notice.until is not None:
            return min(notice.until.astimezone(UTC), at_paris(day, time(0)))
        assert notice.at is not None, "the contract wants a time or an instant"
        if notice.weekday_before is not None:
            return at_paris(day - timedelta(days=day.isoweekday() + 7 - notice.weekday_before), notice.at)
        last = day
        for _ in range(notice.days_before):
            last = self._day_before(activity, notice.counting, last)
        return at_paris(last, notice.at)

    def _day_before(self, activity: ActivityView, counting: DeadlineUnit, day: date) -> date:
        previous = day - DAY
        match counting:
            case DeadlineUnit.CALENDAR_DAYS:
                return previous
            case DeadlineUnit.WORKING_DAYS:
                while previous.isoweekday() >= SATURDAY or previous in self.public_holidays:
                    previous -= DAY
                return previous
            case DeadlineUnit.SERVICE_DAYS:
                served = (day - timedelta(days=gap) for gap in range(1, GAP_DAYS_MAX + 1))
                return next((each for each in served if self._is_served(activity, each)), previous)

    def _is_served(self, activity: ActivityView, day: date) -> bool:
        return self.is_offered(activity, day) and self.closed_because(activity.activity_id, day) is None

    def preview(self, activity: ActivityView) -> tuple[ActivityDay, ...]:
        """Every day the activity is about, as staff read it before it is saved."""
        count = (activity.last_day - activity.first_day).days + 1
        dates = (activity.first_day + timedelta(days=number) for number in range(count))
        return tuple(
            ActivityDay(
                day=day,
                closed=self.closed_because(activity.activity_id, day),
                book_until=self.deadline(activity, activity.booking_notice, day),
                cancel_until=self.deadline(activity, activity.cancelling_notice, day),
            )
            for day in dates
            if self.is_offered(activity, day)
        )


def at_paris(day: date, at: time) -> datetime:
    """A time of the day in Paris as an instant; a time that the clocks skip or repeat is the one before the change."""
    return datetime.combine(day, at, PARIS).astimezone(UTC)


def is_own_week(custody: Custody, day: date) -> bool:
    """Tell whether the day is this household's, by the parity of its ISO week."""
    if custody is Custody.FREE:
        return True
    is_even = day.isocalendar().week % 2 == 0
    return is_even is (custody is Custody.EVEN_WEEKS)
