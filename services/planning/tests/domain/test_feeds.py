"""The calendar file: read back by the rules of RFC 5545, whatever the names are."""

import re
from datetime import UTC, date, datetime
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from planning.domain.feeds import FeedDay, calendar_file

LEA = FeedDay(UUID(int=1), "Léa", UUID(int=2), "Cantine", date(2026, 12, 24), datetime(2026, 11, 2, 8, 30, tzinfo=UTC))


def read(content: bytes) -> list[tuple[str, str]]:
    """Names and values of the properties, unfolded and unescaped."""
    assert content.endswith(b"\r\n")
    raw = content.removesuffix(b"\r\n").split(b"\r\n")
    assert all(len(line) <= 75 and b"\n" not in line and b"\r" not in line for line in raw)
    assert all(line.decode() for line in raw)
    whole = content.replace(b"\r\n ", b"").decode().removesuffix("\r\n").split("\r\n")
    pairs = [line.split(":", 1) for line in whole]
    return [(name, re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], value)) for name, value in pairs]


def test_a_booked_day_is_a_whole_day_that_keeps_its_uid() -> None:
    found = dict(read(calendar_file("Planning", [LEA])))
    assert found["DTSTART;VALUE=DATE"] == "20261224"
    assert found["DTSTAMP"] == "20261102T083000Z"
    assert found["SUMMARY"] == "Léa · Cantine"
    assert found["UID"] == f"{UUID(int=1)}.{UUID(int=2)}.20261224@preau"
    assert calendar_file("Planning", [LEA]) == calendar_file("Planning", [LEA])


def test_a_file_without_days_still_has_a_component() -> None:
    lines = read(calendar_file("Planning", []))
    assert ("BEGIN", "VTIMEZONE") in lines
    assert ("BEGIN", "VEVENT") not in lines
    assert lines[0] == ("BEGIN", "VCALENDAR")
    assert lines[-1] == ("END", "VCALENDAR")


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_name_is_one_property_and_read_back(first_name: str, label: str) -> None:
    day = FeedDay(UUID(int=1), first_name, UUID(int=2), label, LEA.day, LEA.booked_at)
    summaries = [value for name, value in read(calendar_file("Planning", [day])) if name == "SUMMARY"]
    expected = f"{first_name} · {label}".replace("\r\n", "\n").replace("\r", "\n")
    printable = "".join(char for char in expected if char == "\n" or char.isprintable() or char in "\u200d\u00a0\u202f")
    assert summaries == [printable]
