"""A part of what is due is never more than it, never too little to be paid, and never leaves too little either."""

from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.domain.checkouts import parts
from billing.domain.failures import PartRefused

LEFTS = st.lists(st.integers(1, 5_000), min_size=1, max_size=6)


def due(lefts: list[int]) -> dict[UUID, int]:
    return {uuid4(): left for left in lefts}


@given(lefts=LEFTS, minimum=st.none() | st.integers(1, 3_000))
def test_all_of_it_can_always_be_paid(lefts: list[int], minimum: int | None) -> None:
    left = due(lefts)
    assert parts(left, None, minimum) == parts(left, sum(lefts), minimum) == left


@given(lefts=LEFTS, minimum=st.integers(1, 3_000), amount=st.integers(1, 40_000))
def test_a_part_pays_the_oldest_first_and_leaves_enough(lefts: list[int], minimum: int, amount: int) -> None:
    left, total = due(lefts), sum(lefts)
    if amount == total or minimum <= amount <= total - minimum:
        found = parts(left, amount, minimum)
        assert sum(found.values()) == amount
        assert list(found) == list(left)[: len(found)]
        assert [found[each] for each in list(found)[:-1]] == lefts[: len(found) - 1]
        assert 0 < list(found.values())[-1] <= lefts[len(found) - 1]
    else:
        with pytest.raises(PartRefused) as refused:
            parts(left, amount, minimum)
        assert refused.value.facts["due_cents"] == total
        assert ("maximum_cents" in refused.value.facts) is (2 * minimum <= total)


def test_a_town_that_allows_no_part_says_what_is_due() -> None:
    with pytest.raises(PartRefused) as refused:
        parts(due([500, 500]), 999, None)
    assert refused.value.facts == {"due_cents": 1_000}
