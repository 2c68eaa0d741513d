"""Wishes that are decided together: a place is counted once, whoever takes it."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from contracts.api.bookings import BookingLine, BookingRequest, LineRefusal
from contracts.api.calendar import ActivityView, Deadline, PeriodKind
from contracts.api.enrolments import ChildView, EnrolmentRequest
from contracts.events.auth import Custody
from planning.domain.booking_context import Booking, BookingContext
from planning.domain.calendar import Calendar
from planning.domain.together import Candidate, decide_in_order, decide_together

CLUB, DAY = UUID(int=2), date(2026, 12, 1)
SLOT, NOW = (CLUB, DAY), datetime(2026, 11, 28, 9, 0, tzinfo=UTC)
NOTICE = Deadline(days_before=1, at=time(18))
YEAR = {"first_day": date(2026, 9, 1), "last_day": date(2027, 7, 3)}


def wished(number: int, *, places: int, taken: int, school: str = "Prévert", booked: bool = True) -> Candidate:
    """A child's wish for the day, of which so many places are taken."""
    activity = ActivityView(
        activity_id=CLUB,
        label="Club",
        period=PeriodKind.SCHOOL_DAYS,
        weekdays=frozenset({1, 2, 4, 5}),
        booking_notice=NOTICE,
        cancelling_notice=NOTICE,
        capacity=places,
        school_capacities={"Colette": 1},
        **YEAR,
    )
    child = ChildView(
        child_id=UUID(int=number),
        first_name="Léa",
        last_name="D",
        school=school,
        class_name="CE1",
        custody=Custody.FREE,
        enrolled=True,
    )
    found = BookingContext(
        household_id=UUID(int=7),
        child=child,
        version=1,
        calendar=Calendar({}, {}, {}),
        activities={CLUB: activity},
        enrolments={CLUB: EnrolmentRequest(**YEAR)},
        bookings={} if booked else {SLOT: Booking(True, 1)},
        taken_elsewhere=frozenset(),
        occupation={SLOT: taken},
    )
    line = BookingLine(activity_id=CLUB, day=DAY, booked=booked)
    return Candidate(found, BookingRequest(child_id=child.child_id, seen_version=1, lines=(line,)), False)


def holding(each: Candidate) -> Candidate:
    """The same where one of the taken places is held for the child."""
    return each._replace(found=replace(each.found, offers={SLOT: NOW + timedelta(hours=1)}, ranks={SLOT: 1}))


def refusals(requests: list[Candidate]) -> list[LineRefusal | None]:
    return [line.refusal for decision in decide_in_order(requests, now=NOW) for line in decision.lines]


def test_places_go_in_the_order_of_the_wishes() -> None:
    assert refusals([wished(number, places=5, taken=3) for number in range(4)]) == [None, None, "full", "full"]


def test_a_place_that_was_held_for_a_child_is_not_counted_twice() -> None:
    requests = [holding(wished(1, places=5, taken=4)), wished(2, places=5, taken=4), wished(3, places=5, taken=4)]
    assert refusals(requests) == [None, None, "full"]
    assert [line.refusal for each in decide_together(requests[:2], now=NOW) for line in each.lines] == [None, None]


def test_the_places_of_a_school_are_counted_by_themselves() -> None:
    schools = ["Colette", "Colette", "Prévert"]
    requests = [wished(number, places=5, taken=0, school=school) for number, school in enumerate(schools)]
    assert refusals(requests) == [None, "full", None]


def test_a_place_that_is_given_back_is_theirs_who_wait() -> None:
    assert refusals([wished(1, places=5, taken=5, booked=False), wished(2, places=5, taken=5)]) == [None, "full"]


def test_siblings_who_cannot_all_go_do_not_go_and_places_stay_free() -> None:
    decisions = decide_together([wished(number, places=5, taken=4) for number in range(2)], now=NOW)
    assert [line.refusal for each in decisions for line in each.lines] == ["not_for_all", "full"]
    assert [each.changed for each in decisions] == [(), ()]
