"""What a day, a month, an instant and a line may be, wherever they come from."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from contracts.model import Contract, Day, Instant, Line, Month, parse_day


class Values(Contract):
    """One of each."""

    day: Day | None = None
    month: Month | None = None
    instant: Instant | None = None
    line: Line | None = None


def read(**values: Any) -> Values:
    return Values.model_validate_json(json.dumps(values), strict=True)


@pytest.mark.parametrize("day", ["1900-01-01", "2026-12-01", "2199-12-31"])
def test_a_day_is_read_as_it_is_written(day: str) -> None:
    assert str(read(day=day).day) == str(parse_day(day)) == day


@pytest.mark.parametrize(
    "day",
    [
        *("1606780800", "0", 0, 1606780800, 1.5, True, "0001-01-01", "0015-03-02", "1899-12-31", "2200-01-01"),
        *("9999-12-31", "20261201", "2026-W49-2", "2026-12-01T00:00:00Z", "٢٠٢٦-12-01", "2026-2-1", "2026-02-30"),
        *("02026-12-01", " 2026-12-01", "2026-12-01\n", ""),
    ],
)
def test_anything_else_is_no_day(day: object) -> None:
    with pytest.raises(ValidationError):
        read(day=day)
    with pytest.raises(ValidationError):
        Values(day=day)
    if isinstance(day, str):
        with pytest.raises(ValueError, match=r"day|month|range"):
            parse_day(day)


@pytest.mark.parametrize("month", ["9999-12", "0001-01", "1899-12", "2200-01", 0, "0", "2026-13", "2026-12-02"])
def test_a_month_has_the_range_of_its_days(month: object) -> None:
    assert str(read(month="2026-12").month) == "2026-12-01"
    with pytest.raises(ValidationError):
        read(month=month)


@pytest.mark.parametrize(
    "instant",
    ["1606780800", 1606780800, "2026-12-01", "2026-12-01T10:00:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59Z"],
)
def test_an_instant_has_a_date_a_time_and_an_offset(instant: object) -> None:
    assert read(instant="2026-12-01T10:00:00.5+01:00").instant == read(instant="2026-12-01T09:00:00.500Z").instant
    with pytest.raises(ValidationError):
        read(instant=instant)


def test_a_line_is_kept_composed_without_space_around_it_and_is_one_line() -> None:
    assert read(line=" E\u0301cole Zoe\u0308 ").line == "École Zoë"
    for text in ("", "  ", "a\nb", "a\rb", "a\u2028b", "a\x85b", "a\x07b", "x" * 201):
        with pytest.raises(ValidationError):
            read(line=text)
