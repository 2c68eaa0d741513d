"""When an overdue invoice is reminded of."""

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.domain.reminders import next_on

DUE = date(2026, 12, 31)


def day(number: int) -> date:
    """So many days after the invoice's last day."""
    return DUE + timedelta(days=number)


@pytest.mark.parametrize(
    ("days", "reminded", "today", "expected"),
    [
        ((), (), 30, None),
        ((7, 21), (), 3, 7),
        ((7, 21), (), 7, 7),
        ((7, 21), (), 90, 90),  # the rule is new: the first reminder today, the second two weeks later
        ((7, 21), (90,), 91, 104),
        ((7, 21), (7,), 8, 21),
        ((7, 21), (7, 21), 40, None),
        ((7,), (7, 21), 40, None),  # the town wants fewer than were sent
    ],
)
def test_the_next_reminder(days: tuple[int, ...], reminded: tuple[int, ...], today: int, expected: int | None) -> None:
    found = next_on(days, DUE, [day(each) for each in reminded], day(today))
    assert found == (None if expected is None else day(expected))


@given(st.sets(st.integers(1, 180), max_size=3), st.integers(1, 400), st.sets(st.integers(0, 60), min_size=1))
def test_no_more_than_the_rule_says_and_never_nearer(rule: set[int], first: int, pauses: set[int]) -> None:
    """Whatever the days on which the server is there."""
    days, sent, today = sorted(rule), [], first
    for pause in sorted(pauses, reverse=True) * 3:
        if next_on(days, DUE, sent, day(today)) == day(today):
            sent.append(day(today))
        today += pause + 1
    assert len(sent) <= len(days)
    for number, (before, after) in enumerate(pairwise(sent)):
        assert (after - before).days >= days[number + 1] - days[number]
