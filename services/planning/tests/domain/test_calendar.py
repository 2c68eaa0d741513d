"""Which days are offered, and until when: the rules that town halls publish."""

from datetime import date, datetime, time, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.api.calendar import ActivityView, Deadline, DeadlineUnit, PeriodKind
from contracts.events.auth import Custody
from contracts.names import name_key
from planning.domain.calendar import PARIS, Calendar, at_paris, is_own_week

CANTEEN = UUID(int=1)
CALENDAR = Calendar(
    {date(2026, 12, 19) + timedelta(days=n): "Vacances de Noël" for n in range(16)}
    | {date(2027, 7, 10) + timedelta(days=n): "Vacances d'été" for n in range(50)},
    {date(2026, 12, 25): "Noël", date(2027, 1, 1): "Jour de l'an", date(2026, 11, 11): "Armistice"},
    {(date(2026, 12, 10), None, None): "Grève du personnel", (date(2026, 12, 11), CANTEEN, None): "Travaux en cuisine"},
)


def activity(period: PeriodKind, *weekdays: int, activity_id: UUID = CANTEEN) -> ActivityView:
    notice = Deadline(days_before=1, at=time(18))
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


SCHOOL_CANTEEN = activity(PeriodKind.SCHOOL_DAYS, 1, 2, 4, 5)


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


EVE_18H = Deadline(days_before=1, at=time(18))
SERVICE_11H = Deadline(days_before=1, counting=DeadlineUnit.SERVICE_DAYS, at=time(11))
THURSDAY_12H = Deadline(weekday_before=4, at=time(12))
WORKING_2 = Deadline(days_before=2, counting=DeadlineUnit.WORKING_DAYS, at=time(12))
WORKING_3 = Deadline(days_before=3, counting=DeadlineUnit.WORKING_DAYS, at=time(9))
UNTIL_17_08 = Deadline(until=at_paris(date(2027, 8, 18), time(0)))

PUBLISHED = {
    "la veille 18h": [
        (EVE_18H, date(2026, 12, 1), "2026-11-30T18:00:00+01:00"),
        # the evenings before the clocks change, in spring and in autumn
        (EVE_18H, date(2027, 3, 29), "2027-03-28T18:00:00+02:00"),
        (EVE_18H, date(2026, 10, 26), "2026-10-25T18:00:00+01:00"),
    ],
    "J-2 week-end non compté à 12h": [
        (WORKING_2, date(2026, 12, 1), "2026-11-27T12:00:00+01:00"),
        (WORKING_2, date(2026, 12, 4), "2026-12-02T12:00:00+01:00"),
    ],
    "le jeudi 12h pour la semaine suivante": [
        (THURSDAY_12H, date(2026, 12, 7), "2026-12-03T12:00:00+01:00"),
        (THURSDAY_12H, date(2026, 12, 11), "2026-12-03T12:00:00+01:00"),
        (THURSDAY_12H, date(2027, 3, 29), "2027-03-25T12:00:00+01:00"),  # the clocks change in between
    ],
    "avant le vendredi 11h pour le lundi, le lundi pour le mardi, le mardi pour le jeudi": [
        (SERVICE_11H, date(2026, 12, 7), "2026-12-04T11:00:00+01:00"),
        (SERVICE_11H, date(2026, 12, 8), "2026-12-07T11:00:00+01:00"),
        (SERVICE_11H, date(2026, 12, 3), "2026-12-01T11:00:00+01:00"),
        (SERVICE_11H, date(2026, 12, 14), "2026-12-08T11:00:00+01:00"),  # the strike and the closed kitchen between
        (SERVICE_11H, date(2026, 11, 12), "2026-11-10T11:00:00+01:00"),  # over a public holiday
    ],
    "3 jours ouvrés avant": [
        (WORKING_3, date(2026, 11, 16), "2026-11-10T09:00:00+01:00"),  # over a public holiday and a weekend
    ],
    "le dernier jour d'école avant les vacances pour la rentrée": [
        (SERVICE_11H, date(2027, 1, 4), "2026-12-18T11:00:00+01:00"),
        (SERVICE_11H, date(2026, 9, 1), "2026-08-31T11:00:00+02:00"),  # no day of service before: the day before
    ],
    "jusqu'au 17/08 pour toute la période": [
        (UNTIL_17_08, date(2027, 8, 20), "2027-08-18T00:00:00+02:00"),
        (UNTIL_17_08, date(2027, 8, 25), "2027-08-18T00:00:00+02:00"),
        (UNTIL_17_08, date(2027, 8, 16), "2027-08-16T00:00:00+02:00"),  # never once the day has begun
    ],
    "le matin même 8h30": [(Deadline(days_before=0, at=time(8, 30)), date(2026, 12, 1), "2026-12-01T08:30:00+01:00")],
}


@pytest.mark.parametrize(("rule", "notice", "day", "until"), [(r, *case) for r, cs in PUBLISHED.items() for case in cs])
def test_the_rules_that_town_halls_publish(rule: str, notice: Deadline, day: date, until: str) -> None:
    assert CALENDAR.deadline(SCHOOL_CANTEEN, notice, day).astimezone(PARIS).isoformat() == until, rule


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"days_before": 1},
        {"at": "18:00", "until": "2027-08-18T00:00:00+02:00"},
        {"days_before": 1, "weekday_before": 4, "at": "12:00"},
        {"days_before": 21, "counting": "service_days", "at": "12:00"},
        {"days_before": 1, "at": "12:00+02:00"},
        {"weekday_before": 8, "at": "12:00"},
    ],
)
def test_a_rule_has_one_form(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Deadline.model_validate(wrong)


YEAR = (datetime(2026, 9, 1), datetime(2027, 8, 31))  # noqa: DTZ001 - Hypothesis wants them without a zone
NOTICES = st.one_of(
    st.builds(Deadline, days_before=st.integers(0, 20), counting=st.sampled_from(DeadlineUnit), at=st.times()),
    st.builds(Deadline, days_before=st.integers(0, 60), at=st.times()),
    st.builds(Deadline, weekday_before=st.integers(1, 7), at=st.times()),
    st.builds(Deadline, until=st.datetimes(*YEAR, timezones=st.just(PARIS))),
)


@given(day=st.dates(date(2026, 9, 1), date(2027, 8, 31)), notice=NOTICES)
def test_a_deadline_is_never_after_the_day_and_later_days_never_close_earlier(day: date, notice: Deadline) -> None:
    until = CALENDAR.deadline(SCHOOL_CANTEEN, notice, day)
    assert until < at_paris(day + timedelta(days=1), time(0))
    assert until <= CALENDAR.deadline(SCHOOL_CANTEEN, notice, day + timedelta(days=1))


@given(day=st.dates(date(2026, 9, 1), date(2027, 8, 31)), days=st.integers(0, 20), at=st.times(time(4), time(23)))
def test_a_deadline_is_the_same_time_on_the_wall_whatever_the_clocks_did(day: date, days: int, at: time) -> None:
    until = CALENDAR.deadline(SCHOOL_CANTEEN, Deadline(days_before=days, at=at), day).astimezone(PARIS)
    assert (until.date(), until.time()) == (day - timedelta(days=days), at)


@given(day=st.dates(date(2026, 9, 1), date(2027, 8, 31)), days=st.integers(1, 20))
def test_service_days_are_those_of_the_activity(day: date, days: int) -> None:
    notice = Deadline(days_before=days, counting=DeadlineUnit.SERVICE_DAYS, at=time(12))
    until = CALENDAR.deadline(SCHOOL_CANTEEN, notice, day).astimezone(PARIS).date()
    between = [until + timedelta(days=n) for n in range((day - until).days)]
    served = [d for d in between if CALENDAR.is_offered(SCHOOL_CANTEEN, d) and not CALENDAR.closed_because(CANTEEN, d)]
    if until >= SCHOOL_CANTEEN.first_day:
        assert len(served) == days


def test_a_time_that_the_clocks_skip_or_repeat_is_one_instant() -> None:
    skipped = CALENDAR.deadline(SCHOOL_CANTEEN, Deadline(days_before=0, at=time(2, 30)), date(2027, 3, 28))
    repeated = CALENDAR.deadline(SCHOOL_CANTEEN, Deadline(days_before=0, at=time(2, 30)), date(2026, 10, 25))
    assert skipped.isoformat() == "2027-03-28T01:30:00+00:00"
    assert repeated.isoformat() == "2026-10-25T00:30:00+00:00"  # the first of the two


def test_explicit_days_bridges_and_the_end_of_the_published_calendar() -> None:
    base = activity(PeriodKind.SUMMER, 1, 2, 3, 4, 5).model_dump()
    trip = ActivityView.model_validate({**base, "period": "explicit", "days": [date(2026, 12, 2), date(2026, 12, 5)]})
    assert CALENDAR.is_offered(trip, date(2026, 12, 2))
    assert not CALENDAR.is_offered(trip, date(2026, 12, 3))
    assert not CALENDAR.is_offered(trip, date(2026, 12, 5))  # a Saturday, which the activity is not about
    bridge = Calendar({date(2027, 5, 7): "Pont de l'Ascension"}, {}, {}, known_until=date(2027, 5, 31))
    assert not bridge.is_offered(SCHOOL_CANTEEN, date(2027, 5, 7))
    assert not bridge.is_offered(activity(PeriodKind.SMALL_HOLIDAYS, 5), date(2027, 5, 7))
    assert bridge.is_offered(SCHOOL_CANTEEN, date(2027, 5, 31))
    assert not bridge.is_offered(SCHOOL_CANTEEN, date(2027, 6, 1))
    with pytest.raises(ValidationError):
        ActivityView.model_validate({**base, "period": "explicit"})


def test_a_closure_may_be_one_schools() -> None:
    calendar = Calendar({}, {}, {(date(2026, 12, 1), None, name_key("Prévert")): "Chauffage en panne"})
    for spelt in ("Prévert", "PREVERT", " Pre\u0301vert  "):
        assert calendar.closed_because(CANTEEN, date(2026, 12, 1), spelt) == "Chauffage en panne"
    assert calendar.closed_because(CANTEEN, date(2026, 12, 1), "Curie") is None
    assert calendar.closed_because(CANTEEN, date(2026, 12, 1)) is None


def test_staff_see_a_calendar_before_it_is_saved() -> None:
    week = activity(PeriodKind.SCHOOL_DAYS, 1, 2, 4, 5).model_copy(
        update={"first_day": date(2026, 12, 7), "last_day": date(2026, 12, 13)}
    )
    shown = [(each.day.day, each.closed) for each in CALENDAR.preview(week)]
    assert shown == [(7, None), (8, None), (10, "Grève du personnel"), (11, "Travaux en cuisine")]


def test_custody_follows_the_parity_of_iso_weeks() -> None:
    monday = date(2026, 12, 28)  # week 53, then week 1: two odd weeks in a row
    assert is_own_week(Custody.ODD_WEEKS, monday)
    assert is_own_week(Custody.ODD_WEEKS, monday + timedelta(days=7))
    assert not is_own_week(Custody.EVEN_WEEKS, monday)
    assert is_own_week(Custody.EVEN_WEEKS, monday + timedelta(days=14))
    assert is_own_week(Custody.FREE, monday)
