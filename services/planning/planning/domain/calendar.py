"""Which days an activity is about, and which of them are closed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from contracts.api.planning import ActivityView, Counting, Notice, PeriodKind
from contracts.events.auth import Custody

PARIS = ZoneInfo("Europe/Paris")
SATURDAY = 6
SUMMER = "Vacances d'été"


@dataclass(frozen=True)
class Calendar:
    """The town's year: school holidays and public holidays by day, closures by day and activity (None: all)."""

    school_holidays: Mapping[date, str]
    public_holidays: Mapping[date, str]
    closures: Mapping[tuple[date, UUID | None], str]

    def is_offered(self, activity: ActivityView, day: date) -> bool:
        """Tell whether the activity is about that day at all, closed or not."""
        if not activity.first_day <= day <= activity.last_day or day.isoweekday() not in activity.weekdays:
            return False
        holiday = self.school_holidays.get(day)
        match activity.period:
            case PeriodKind.SCHOOL_DAYS | PeriodKind.WEDNESDAYS:
                return holiday is None
            case PeriodKind.SMALL_HOLIDAYS:
                return holiday is not None and holiday != SUMMER
            case PeriodKind.SUMMER:
                return holiday == SUMMER

    def closed_because(self, activity_id: UUID, day: date) -> str | None:
        """Why nobody can book that day: a public holiday or a closure; None when it is open."""
        everywhere = self.closures.get((day, None))
        return self.public_holidays.get(day) or self.closures.get((day, activity_id)) or everywhere

    def note(self, day: date) -> str | None:
        """What to write beside a day."""
        return self.public_holidays.get(day) or self.school_holidays.get(day)

    def deadline(self, notice: Notice, day: date) -> datetime:
        """The instant from which ``day`` can no more be changed, in UTC; never after the day itself has ended."""
        last = day
        for _ in range(notice.days_before):
            last -= timedelta(days=1)
            while notice.counting is Counting.WORKING_DAYS and self._is_off(last):
                last -= timedelta(days=1)
        return at_paris(last, notice.at)

    def _is_off(self, day: date) -> bool:
        return day.isoweekday() >= SATURDAY or day in self.public_holidays


def at_paris(day: date, at: time) -> datetime:
    """A time of the day in Paris as an instant; a time that the clocks skip or repeat is the one before the change."""
    return datetime.combine(day, at, PARIS).astimezone(ZoneInfo("UTC"))


def is_own_week(custody: Custody, day: date) -> bool:
    """Tell whether the day is this household's, by the parity of its ISO week."""
    if custody is Custody.FREE:
        return True
    is_even = day.isocalendar().week % 2 == 0
    return is_even is (custody is Custody.EVEN_WEEKS)
