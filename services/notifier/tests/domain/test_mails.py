"""The growing pause between tries."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from notifier.domain.mails import Contact, Kind, intent, next_try

NOW = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.mark.parametrize(("attempts", "seconds"), [(1, 30), (2, 60), (5, 480), (8, 3600), (200, 3600)])
def test_the_pause_doubles_up_to_an_hour(attempts: int, seconds: int) -> None:
    assert next_try(attempts, 30, now=NOW) == NOW + timedelta(seconds=seconds)


def test_an_intent_is_one_fact_to_one_person() -> None:
    one, other = (Contact(uuid4(), "Ana", "ana@example.org") for _ in range(2))
    assert len({intent(kind, 1, person) for kind in Kind for person in (one, other)}) == 2 * len(Kind)
