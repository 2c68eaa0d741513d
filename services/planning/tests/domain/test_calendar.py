"""Which days are offered, and until when: the rules that town halls publish."""

from datetime import date, time, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.api.planning import ActivityView, Counting, Notice, PeriodKind
from contracts.events.auth import Custody
from planning.domain.calendar import PARIS, Calendar, at_paris, is_own_week

CANTEEN = UUID(int=1)
CALENDAR = Calendar(
    {date(2026, 12, 19) + timedelta(days=n): "Vacances de Noël" for n in range(16)}
    | {date(2027, 7, 10) + timedelta(days=n): "Vacances d'été" for n in range(50)},
    {date(2026, 12, 25): "Noël", date(2027, 1, 1): "Jour de l'an", date(2026, 11, 11): "Armistice"},
    {(date(2026, 12, 10), None): "Grève du personnel", (date(2026, 12, 11), CANTEEN): "Travaux en cuisine"},
)


def activity(period: PeriodKind, *weekdays: int, activity_id: UUID = CANTEEN) -> ActivityView:
    notice = Notice(days_before=1, at=time(18))
    return ActivityView(
        activity_id=activity_id,
        label="Cantine",
        period=period,
        weekdays=frozenset(weekdays),
        first_day=date(2026, 9, 1),
        last_day=date(2027, 8, 31),
        booking_notice=notice,
        cancelling_notice=notice,
    )


@pytest.mark.parametrize(
    ("period", "weekdays", "day", "offered"),
    [
        (PeriodKind.SCHOOL_DAYS, (1, 2, 4, 5), date(2026, 12, 1), True),
        (PeriodKind.SCHOOL_DAYS, (1, 2, 4, 5), date(2026, 12, 2), False),  # a Wednesday
        (PeriodKind.SCHOOL_DAYS, (1, 2, 4, 5), date(2026, 12, 21), False),  # Christmas holidays
        (PeriodKind.SCHOOL_DAYS, (1, 2, 4, 5), date(2026, 8, 31), False),  # before its first day
        (PeriodKind.WEDNESDAYS, (3,), date(2026, 12, 2), True),
        (PeriodKind.WEDNESDAYS, (3,), date(2026, 12, 23), False),
        (PeriodKind.SMALL_HOLIDAYS, (1, 2, 3, 4, 5), date(2026, 12, 23), True),
        (PeriodKind.SMALL_HOLIDAYS, (1, 2, 3, 4, 5), date(2026, 12, 26), False),  # a Saturday
        (PeriodKind.SMALL_HOLIDAYS, (1, 2, 3, 4, 5), date(2027, 7, 12), False),  # summer is not small
        (PeriodKind.SUMMER, (1, 2, 3, 4, 5), date(2027, 7, 12), True),
    ],
)
def test_days_an_activity_is_about(period: PeriodKind, weekdays: tuple[int, ...], day: date, offered: bool) -> None:
    assert CALENDAR.is_offered(activity(period, *weekdays), day) is offered


def test_closed_days_say_why() -> None:
    assert CALENDAR.closed_because(CANTEEN, date(2026, 12, 25)) == "Noël"
    assert CALENDAR.closed_because(CANTEEN, date(2026, 12, 10)) == "Grève du personnel"
    assert CALENDAR.closed_because(CANTEEN, date(2026, 12, 11)) == "Travaux en cuisine"
    assert CALENDAR.closed_because(uuid4(), date(2026, 12, 11)) is None


@pytest.mark.parametrize(
    ("notice", "day", "until"),
    [
        # « la veille 18h »
        (Notice(days_before=1, at=time(18)), date(2026, 12, 1), "2026-11-30T18:00:00+01:00"),
        # « J-2 week-end non compté à 12h »
        (
            Notice(days_before=2, at=time(12), counting=Counting.WORKING_DAYS),
            date(2026, 12, 1),
            "2026-11-27T12:00:00+01:00",
        ),
        # « 3 jours ouvrés avant », over a public holiday and a weekend
        (
            Notice(days_before=3, at=time(9), counting=Counting.WORKING_DAYS),
            date(2026, 11, 16),
            "2026-11-10T09:00:00+01:00",
        ),
        # the same day, early
        (Notice(days_before=0, at=time(8, 30)), date(2026, 12, 1), "2026-12-01T08:30:00+01:00"),
        # the evening before the clocks change in spring and in autumn
        (Notice(days_before=1, at=time(18)), date(2027, 3, 29), "2027-03-28T18:00:00+02:00"),
        (Notice(days_before=1, at=time(18)), date(2026, 10, 26), "2026-10-25T18:00:00+01:00"),
    ],
)
def test_deadlines(notice: Notice, day: date, until: str) -> None:
    assert CALENDAR.deadline(notice, day).astimezone(PARIS).isoformat() == until


@given(
    day=st.dates(date(2026, 9, 1), date(2027, 8, 31)),
    notice=st.builds(Notice, days_before=st.integers(0, 60), counting=st.sampled_from(Counting), at=st.times()),
)
def test_a_deadline_is_never_after_the_day_and_later_days_never_close_earlier(day: date, notice: Notice) -> None:
    until = CALENDAR.deadline(notice, day)
    assert until < at_paris(day + timedelta(days=1), time(0))
    assert until <= CALENDAR.deadline(notice, day + timedelta(days=1))


def test_custody_follows_the_parity_of_iso_weeks() -> None:
    monday = date(2026, 12, 28)  # week 53, then week 1: two odd weeks in a row
    assert is_own_week(Custody.ODD_WEEKS, monday)
    assert is_own_week(Custody.ODD_WEEKS, monday + timedelta(days=7))
    assert not is_own_week(Custody.EVEN_WEEKS, monday)
    assert is_own_week(Custody.EVEN_WEEKS, monday + timedelta(days=14))
    assert is_own_week(Custody.FREE, monday)
