"""Instants are those of the world, days those of Paris."""

from datetime import UTC, date, datetime

import pytest

from chassis.clock import day_of, now, today


@pytest.mark.parametrize(
    ("at", "day"),
    [
        (datetime(2026, 12, 31, 22, 59, 59, tzinfo=UTC), date(2026, 12, 31)),
        (datetime(2026, 12, 31, 23, tzinfo=UTC), date(2027, 1, 1)),
        (datetime(2026, 7, 14, 21, 59, 59, tzinfo=UTC), date(2026, 7, 14)),
        (datetime(2026, 7, 14, 22, tzinfo=UTC), date(2026, 7, 15)),
    ],
)
def test_the_day_of_an_instant_is_that_of_paris(at: datetime, day: date) -> None:
    assert day_of(at) == day


def test_today_is_the_day_of_now() -> None:
    before, found, after = day_of(now()), today(), day_of(now())
    assert before <= found <= after
