"""Locks grow, are forgotten, and sessions end when they should."""

import random
from datetime import UTC, datetime, timedelta

from auth.domain.access_codes import draw_identifier, draw_secret
from auth.domain.sign_in import LONGEST_LOCK, Guard, SessionTimes

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
IDLE, LONGEST = timedelta(minutes=30), timedelta(hours=12)


def test_the_fifth_failure_locks_and_each_further_one_locks_longer() -> None:
    guard, waits = Guard(), []
    for _ in range(10):
        guard = guard.after_failure(5, now=NOW)
        waits.append(guard.wait_seconds(NOW))
    assert waits[:4] == [0, 0, 0, 0]
    assert waits[4:8] == [60, 120, 240, 480]
    assert waits[9] == LONGEST_LOCK.total_seconds()


def test_failures_are_forgotten_after_a_quiet_hour() -> None:
    guard = Guard(failures=9, last_at=NOW - timedelta(hours=2))
    assert guard.after_failure(5, now=NOW).failures == 1


def test_a_session_ends_by_idleness_by_age_and_by_sign_out() -> None:
    used = SessionTimes(NOW, NOW, None)
    assert used.is_live(NOW + timedelta(minutes=29), idle=IDLE, longest=LONGEST)
    assert not used.is_live(NOW + timedelta(minutes=30), idle=IDLE, longest=LONGEST)
    busy = SessionTimes(NOW, NOW + timedelta(hours=11, minutes=59), None)
    assert not busy.is_live(NOW + timedelta(hours=12), idle=IDLE, longest=LONGEST)
    assert not SessionTimes(NOW, NOW, NOW).is_live(NOW, idle=IDLE, longest=LONGEST)


def test_access_codes_hold_no_letter_that_can_be_misread() -> None:
    choose = random.Random(7).choice
    drawn = [draw_identifier(choose) + draw_secret(choose) for _ in range(500)]
    assert not set("".join(drawn)) & set("o0i1lOIL")
    assert len(set(drawn)) == 500
