"""What becomes of a wish, line by line."""

import contextlib
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID, uuid4

import pytest

from contracts.api.attendance import AttendanceMark, AttendanceRow
from contracts.api.bookings import BookingLine, BookingRequest, LineOutcome, LineRefusal
from contracts.api.calendar import ActivityView, Deadline, PeriodKind
from contracts.api.enrolments import ChildView, EnrolmentRequest
from contracts.api.months import CellState
from contracts.events.auth import Custody, Span
from contracts.events.planning import Presence
from contracts.failures import Invalid, Refusal
from planning.domain.attendance import check
from planning.domain.booking_context import Booking, BookingContext
from planning.domain.bookings import decide, may_grant, undo
from planning.domain.calendar import Calendar
from planning.domain.failures import DayToCome, IsBooked, NotBooked
from planning.domain.plans import usual_week

CANTEEN, CLUB = UUID(int=1), UUID(int=2)
MONDAY = date(2026, 11, 30)
TUESDAY, THURSDAY, FRIDAY = MONDAY + timedelta(days=1), MONDAY + timedelta(days=3), MONDAY + timedelta(days=4)
NOW = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)


def activity(activity_id: UUID, capacity: int | None = None) -> ActivityView:
    return ActivityView(
        activity_id=activity_id,
        label="Cantine" if activity_id == CANTEEN else "Club",
        period=PeriodKind.SCHOOL_DAYS,
        weekdays=frozenset({1, 2, 4, 5}),
        first_day=date(2026, 9, 1),
        last_day=date(2027, 7, 3),
        booking_notice=Deadline(days_before=1, at=time(18)),
        cancelling_notice=Deadline(days_before=2, at=time(18)),
        capacity=capacity,
    )


CHILD = ChildView(
    child_id=UUID(int=9),
    first_name="Léa",
    last_name="D",
    school="Prévert",
    class_name="CE1",
    custody=Custody.FREE,
    enrolled=True,
)
BASE = BookingContext(
    household_id=UUID(int=7),
    child=CHILD,
    version=4,
    calendar=Calendar({}, {}, {(FRIDAY, None, None): "Grève"}),
    activities={CANTEEN: activity(CANTEEN), CLUB: activity(CLUB, capacity=1)},
    enrolments={
        CANTEEN: EnrolmentRequest(first_day=date(2026, 9, 1), last_day=date(2027, 7, 3)),
        CLUB: EnrolmentRequest(first_day=date(2026, 9, 1), last_day=date(2027, 7, 3)),
    },
    bookings={(CANTEEN, TUESDAY): Booking(True, 2), (CANTEEN, THURSDAY): Booking(True, 4)},
    taken_elsewhere=frozenset(),
    occupation={(CLUB, THURSDAY): 1},
)


def payload(*lines: tuple[UUID, date, bool], seen: int = 4) -> BookingRequest:
    return BookingRequest(
        child_id=CHILD.child_id,
        seen_version=seen,
        lines=tuple(BookingLine(activity_id=a, day=d, booked=b) for a, d, b in lines),
    )


def outcome(situation: BookingContext, *line: object, seen: int = 4, on_behalf: bool = False) -> LineOutcome:
    (found,) = decide(situation, payload(line, seen=seen), now=NOW, on_behalf=on_behalf).lines  # type: ignore[arg-type]
    return found


def test_lines_are_weighed_one_by_one_and_none_is_left_out() -> None:
    decision = decide(
        BASE,
        payload((CANTEEN, THURSDAY, False), (CANTEEN, FRIDAY, True), (CLUB, TUESDAY, True), (CANTEEN, MONDAY, True)),
        now=NOW,
        on_behalf=False,
    )
    assert [line.refusal for line in decision.lines] == [
        None,
        LineRefusal.CLOSED,
        None,
        LineRefusal.PAST_DEADLINE,
    ]
    assert decision.lines[1].reason == "Grève"
    assert decision.lines[3].until == datetime(2026, 11, 29, 17, 0, tzinfo=UTC)
    assert [(day.activity_id, day.day, day.booked) for day in decision.changed] == [
        (CANTEEN, THURSDAY, False),
        (CLUB, TUESDAY, True),
    ]
    assert decision.version == 5


def test_what_is_already_as_wished_changes_nothing() -> None:
    decision = decide(BASE, payload((CANTEEN, TUESDAY, True), (CLUB, MONDAY, False)), now=NOW, on_behalf=False)
    assert [line.refusal for line in decision.lines] == [None, None]
    assert decision.changed == ()
    assert decision.version == 4


def test_cancelling_has_its_own_deadline() -> None:
    assert outcome(BASE, CANTEEN, TUESDAY, False).refusal is LineRefusal.PAST_DEADLINE
    assert outcome(BASE, CLUB, TUESDAY, True).refusal is None


def test_a_deadline_closes_at_its_very_instant() -> None:
    until = BASE.until((CLUB, TUESDAY))
    before = decide(BASE, payload((CLUB, TUESDAY, True)), now=until - timedelta(microseconds=1), on_behalf=False)
    after = decide(BASE, payload((CLUB, TUESDAY, True)), now=until, on_behalf=False)
    assert before.lines[0].refusal is None
    assert after.lines[0].refusal is LineRefusal.PAST_DEADLINE


def test_an_edit_made_elsewhere_is_told_not_overwritten() -> None:
    assert outcome(BASE, CANTEEN, THURSDAY, False, seen=3).refusal is LineRefusal.CHANGED_ELSEWHERE
    assert outcome(BASE, CANTEEN, THURSDAY, True, seen=3).refusal is None
    assert outcome(BASE, CLUB, TUESDAY, True, seen=0).refusal is None


def test_full_not_enrolled_not_offered_and_the_other_household() -> None:
    assert outcome(BASE, CLUB, THURSDAY, True).refusal is LineRefusal.FULL
    assert outcome(BASE, uuid4(), THURSDAY, True).refusal is LineRefusal.NOT_ENROLLED
    assert outcome(BASE, CANTEEN, date(2027, 7, 5), True).refusal is LineRefusal.NOT_ENROLLED
    assert outcome(BASE, CANTEEN, MONDAY + timedelta(days=2), True).refusal is LineRefusal.NOT_OFFERED
    taken = replace(BASE, taken_elsewhere=frozenset({(CLUB, TUESDAY)}))
    assert outcome(taken, CLUB, TUESDAY, True).refusal is LineRefusal.OTHER_HOUSEHOLD
    odd = replace(BASE, child=CHILD.model_copy(update={"custody": Custody.ODD_WEEKS}))
    even = replace(BASE, child=CHILD.model_copy(update={"custody": Custody.EVEN_WEEKS}))
    assert outcome(odd, CLUB, TUESDAY, True).refusal is None  # week 49
    assert outcome(even, CLUB, TUESDAY, True).refusal is LineRefusal.OTHER_HOUSEHOLD


def test_staff_are_exempt_from_deadlines_and_nothing_else() -> None:
    assert outcome(BASE, CANTEEN, MONDAY, True, on_behalf=True).refusal is None
    assert outcome(BASE, CANTEEN, FRIDAY, True, on_behalf=True).refusal is LineRefusal.CLOSED
    assert outcome(BASE, CLUB, THURSDAY, True, on_behalf=True).refusal is LineRefusal.FULL


def test_a_day_named_twice_is_refused_whole() -> None:
    with pytest.raises(Invalid):
        decide(BASE, payload((CLUB, TUESDAY, True), (CLUB, TUESDAY, False)), now=NOW, on_behalf=False)


def test_the_month_shows_what_can_be_done() -> None:
    rows = BASE.days([MONDAY + timedelta(days=n) for n in range(7)], now=NOW, on_behalf=False)
    assert [row.day for row in rows] == [MONDAY, TUESDAY, THURSDAY, FRIDAY]
    cells = {(row.day, cell.activity_id): cell for row in rows for cell in row.cells}
    assert cells[MONDAY, CANTEEN].state is CellState.FREE
    assert not cells[MONDAY, CANTEEN].changeable
    assert cells[TUESDAY, CANTEEN].state is CellState.BOOKED
    assert cells[THURSDAY, CLUB].state is CellState.FULL
    assert cells[FRIDAY, CANTEEN].reason == "Grève"


def test_a_full_day_takes_who_agrees_to_wait_and_lets_them_leave() -> None:
    body = payload((CLUB, THURSDAY, True))
    asked = body.model_copy(update={"lines": (body.lines[0].model_copy(update={"or_wait": True}),)})
    decision = decide(BASE, asked, now=NOW, on_behalf=False)
    assert (decision.joined, decision.changed, decision.version) == (((CLUB, THURSDAY),), (), 5)
    (line,) = decision.ranked({(CLUB, THURSDAY): 3})
    assert (line.refusal, line.booked, line.rank) == (None, False, 3)
    (granted,) = decision.ranked({})
    assert (granted.booked, granted.rank) == (True, None)
    waits = replace(BASE, ranks={(CLUB, THURSDAY): 3})
    assert decide(waits, asked, now=NOW, on_behalf=False).version == 4  # asking again keeps the place
    late = NOW + timedelta(days=30)
    leaves = decide(waits, payload((CLUB, THURSDAY, False)), now=late, on_behalf=False)
    assert (leaves.left, leaves.lines[0].refusal) == (((CLUB, THURSDAY),), None)
    cell = waits.cell((CLUB, THURSDAY), now=NOW, on_behalf=False)
    assert (cell.state, cell.rank, cell.changeable) == (CellState.WAITING, 3, True)
    assert not waits.cell((CLUB, THURSDAY), now=late, on_behalf=False).changeable


def test_a_place_goes_only_to_who_could_book_it_now() -> None:
    slot = (CLUB, TUESDAY)
    until = BASE.until(slot)
    assert may_grant(BASE, slot, now=until - timedelta(microseconds=1))
    assert not may_grant(BASE, slot, now=until)
    assert not may_grant(BASE, (CANTEEN, FRIDAY), now=NOW)
    assert not may_grant(replace(BASE, others_spans=(Span(first_day=TUESDAY, last_day=TUESDAY),)), slot, now=NOW)
    assert not may_grant(replace(BASE, taken_elsewhere=frozenset({slot})), slot, now=NOW)
    assert not may_grant(replace(BASE, enrolments={}), slot, now=NOW)


def test_booking_opens_at_one_instant_and_cancelling_needs_no_opening() -> None:
    opening = NOW + timedelta(hours=1)
    activities = {each: found.model_copy(update={"opens_at": opening}) for each, found in BASE.activities.items()}
    before = replace(BASE, activities=activities)
    refused = outcome(before, CLUB, TUESDAY, True)
    assert (refused.refusal, refused.until) == (LineRefusal.NOT_YET_OPEN, opening)
    assert outcome(before, CLUB, TUESDAY, True, on_behalf=True).refusal is None
    assert outcome(before, CANTEEN, THURSDAY, False).refusal is None
    cell = before.cell((CLUB, TUESDAY), now=NOW, on_behalf=False)
    assert (cell.changeable, cell.opens_at) == (False, opening)
    assert before.cell((CLUB, TUESDAY), now=opening, on_behalf=False).opens_at is None


def test_an_activity_of_other_schools_is_not_offered() -> None:
    others = {CLUB: BASE.activities[CLUB].model_copy(update={"schools": frozenset({"Curie"})})}
    elsewhere = replace(BASE, activities={**BASE.activities, **others})
    assert outcome(elsewhere, CLUB, TUESDAY, True).refusal is LineRefusal.NOT_OFFERED


def test_an_undo_reverses_what_was_done_and_gives_no_left_place_back() -> None:
    changes = [((CANTEEN, TUESDAY), True, False), ((CLUB, TUESDAY), True, True), ((CLUB, THURSDAY), False, True)]
    found = undo(CHILD.child_id, changes, 4)
    assert found is not None
    assert [(line.activity_id, line.day, line.booked) for line in found.lines] == [
        (CANTEEN, TUESDAY, False),
        (CLUB, TUESDAY, False),
    ]
    assert found.seen_version == 4
    assert undo(CHILD.child_id, changes[2:], 4) is None


def test_a_usual_week_is_what_half_of_the_open_days_say() -> None:
    days = [MONDAY - timedelta(days=7 * number) for number in range(4)]
    bookings = {
        (CANTEEN, day): Booking(booked, 1) for day, booked in zip(days, (True, True, False, False), strict=True)
    }
    found = replace(BASE, bookings=bookings)
    assert usual_week(found, days[-1], MONDAY) == {(CANTEEN, 1): True}
    less = replace(BASE, bookings={**bookings, (CANTEEN, days[1]): Booking(False, 2)})
    assert usual_week(less, days[-1], MONDAY) == {}
    strike = Calendar({}, {}, {(days[2], None, None): "Grève", (days[3], None, None): "Grève"})
    assert usual_week(replace(less, calendar=strike), days[-1], MONDAY) == {(CANTEEN, 1): True}


@pytest.mark.parametrize(
    ("booked", "marked", "presence", "days_ahead", "refusal"),
    [
        (True, None, Presence.PRESENT, 0, None),
        (True, None, Presence.JUSTIFIED, 3, None),
        (True, None, Presence.PRESENT, 1, DayToCome),
        (True, None, Presence.EXTRA, 0, IsBooked),
        (False, None, Presence.EXTRA, 0, None),
        (False, None, Presence.ABSENT, 0, NotBooked),
        (False, Presence.EXTRA, Presence.ABSENT, 0, None),
    ],
)
def test_what_may_be_marked_on_a_sheet(
    booked: bool, marked: Presence | None, presence: Presence, days_ahead: int, refusal: type[Refusal] | None
) -> None:
    row = AttendanceRow(
        household_id=UUID(int=7),
        child_id=CHILD.child_id,
        first_name="Léa",
        last_name="D",
        school="Prévert",
        class_name="CE1",
        booked=booked,
        presence=marked,
        late_pickup=False,
    )
    mark = AttendanceMark(household_id=row.household_id, child_id=row.child_id, presence=presence)
    expected = pytest.raises(refusal) if refusal else contextlib.nullcontext()
    with expected:
        check(mark, row, MONDAY + timedelta(days=days_ahead), today=MONDAY)


def test_custody_by_dates_outranks_weeks_and_stands_alone_without_them() -> None:
    week_of = [MONDAY + timedelta(days=7 * number) for number in range(4)]
    named = (Span(first_day=week_of[1], last_day=week_of[1]),)

    def own(custody: Custody, own: tuple[Span, ...] = (), others: tuple[Span, ...] = ()) -> list[bool]:
        child = CHILD.model_copy(update={"custody": custody})
        found = replace(BASE, child=child, own_spans=own, others_spans=others)
        return [found.is_own_day(day) for day in week_of]

    weeks = Custody.EVEN_WEEKS if MONDAY.isocalendar().week % 2 == 0 else Custody.ODD_WEEKS
    assert own(weeks) == [True, False, True, False]
    assert own(weeks, named) == [True, True, True, False]
    assert own(weeks, (), (Span(first_day=week_of[0], last_day=week_of[1]),)) == [False, False, True, False]
    assert own(Custody.FREE) == [True] * 4
    assert own(Custody.FREE, named) == [False, True, False, False]
    assert own(Custody.FREE, (), named) == [True, False, True, True]
    assert own(Custody.FREE, named, named) == [False, True, False, False]
