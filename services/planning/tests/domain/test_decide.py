"""What becomes of a wish, line by line."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID, uuid4

import pytest

from contracts.api.planning import (
    ActivityView,
    BookingLine,
    BookingWish,
    CellState,
    ChildView,
    EnrolmentWish,
    LineOutcome,
    LineRefusal,
    Notice,
    PeriodKind,
)
from contracts.events.auth import Custody
from contracts.failures import Invalid
from planning.domain.bookings import decide
from planning.domain.calendar import Calendar
from planning.domain.situation import Booking, Situation

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
        booking_notice=Notice(days_before=1, at=time(18)),
        cancelling_notice=Notice(days_before=2, at=time(18)),
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
BASE = Situation(
    household_id=UUID(int=7),
    child=CHILD,
    version=4,
    calendar=Calendar({}, {}, {(FRIDAY, None, None): "Grève"}),
    activities={CANTEEN: activity(CANTEEN), CLUB: activity(CLUB, capacity=1)},
    enrolments={
        CANTEEN: EnrolmentWish(first_day=date(2026, 9, 1), last_day=date(2027, 7, 3)),
        CLUB: EnrolmentWish(first_day=date(2026, 9, 1), last_day=date(2027, 7, 3)),
    },
    bookings={(CANTEEN, TUESDAY): Booking(True, 2), (CANTEEN, THURSDAY): Booking(True, 4)},
    taken_elsewhere=frozenset(),
    occupation={(CLUB, THURSDAY): 1},
)


def wish(*lines: tuple[UUID, date, bool], seen: int = 4) -> BookingWish:
    return BookingWish(
        child_id=CHILD.child_id,
        seen_version=seen,
        lines=tuple(BookingLine(activity_id=a, day=d, booked=b) for a, d, b in lines),
    )


def outcome(situation: Situation, *line: object, seen: int = 4, on_behalf: bool = False) -> LineOutcome:
    (found,) = decide(situation, wish(line, seen=seen), now=NOW, on_behalf=on_behalf).lines  # type: ignore[arg-type]
    return found


def test_lines_are_weighed_one_by_one_and_none_is_left_out() -> None:
    decision = decide(
        BASE,
        wish((CANTEEN, THURSDAY, False), (CANTEEN, FRIDAY, True), (CLUB, TUESDAY, True), (CANTEEN, MONDAY, True)),
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
    decision = decide(BASE, wish((CANTEEN, TUESDAY, True), (CLUB, MONDAY, False)), now=NOW, on_behalf=False)
    assert [line.refusal for line in decision.lines] == [None, None]
    assert decision.changed == ()
    assert decision.version == 4


def test_cancelling_has_its_own_deadline() -> None:
    assert outcome(BASE, CANTEEN, TUESDAY, False).refusal is LineRefusal.PAST_DEADLINE
    assert outcome(BASE, CLUB, TUESDAY, True).refusal is None


def test_a_deadline_closes_at_its_very_instant() -> None:
    until = BASE.until((CLUB, TUESDAY))
    before = decide(BASE, wish((CLUB, TUESDAY, True)), now=until - timedelta(microseconds=1), on_behalf=False)
    after = decide(BASE, wish((CLUB, TUESDAY, True)), now=until, on_behalf=False)
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
        decide(BASE, wish((CLUB, TUESDAY, True), (CLUB, TUESDAY, False)), now=NOW, on_behalf=False)


def test_the_month_shows_what_can_be_done() -> None:
    rows = BASE.days([MONDAY + timedelta(days=n) for n in range(7)], now=NOW, on_behalf=False)
    assert [row.day for row in rows] == [MONDAY, TUESDAY, THURSDAY, FRIDAY]
    cells = {(row.day, cell.activity_id): cell for row in rows for cell in row.cells}
    assert cells[MONDAY, CANTEEN].state is CellState.FREE
    assert not cells[MONDAY, CANTEEN].changeable
    assert cells[TUESDAY, CANTEEN].state is CellState.BOOKED
    assert cells[THURSDAY, CLUB].state is CellState.FULL
    assert cells[FRIDAY, CANTEEN].reason == "Grève"
