"""The booked days of a family as an iCalendar file (RFC 5545)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from planning.domain.calendar import UTC

LINE_OCTETS_MAX = 75
READ_AGAIN = "PT1H"
DAYS_BACK = timedelta(days=92)

HEAD = (
    "BEGIN:VCALENDAR",
    "VERSION:2.0",
    "PRODID:-//Preau//Planning//FR",
    "CALSCALE:GREGORIAN",
    f"REFRESH-INTERVAL;VALUE=DURATION:{READ_AGAIN}",
    f"X-PUBLISHED-TTL:{READ_AGAIN}",
)
PARIS_RULES = (
    *("BEGIN:VTIMEZONE", "TZID:Europe/Paris"),
    *("BEGIN:DAYLIGHT", "DTSTART:19960331T020000", "RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU"),
    *("TZOFFSETFROM:+0100", "TZOFFSETTO:+0200", "TZNAME:CEST", "END:DAYLIGHT"),
    *("BEGIN:STANDARD", "DTSTART:19961027T030000", "RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU"),
    *("TZOFFSETFROM:+0200", "TZOFFSETTO:+0100", "TZNAME:CET", "END:STANDARD"),
    "END:VTIMEZONE",
)
"""A file has at least one component, so that one without any day is right too."""


@dataclass(frozen=True)
class FeedDay:
    """A booked day of a child, and when it was booked."""

    child_id: UUID
    first_name: str
    activity_id: UUID
    activity_label: str
    day: date
    booked_at: datetime


def calendar_file(name: str, days: Sequence[FeedDay]) -> bytes:
    """The file. The same days are the same bytes; a day that is cancelled is no longer in it.

    Days are whole ones (``VALUE=DATE``): an activity has no hours, and no time zone can move them. A day's UID is
    that of the child, the activity and the date, for ever.
    """
    lines = [*HEAD, f"NAME:{_text(name)}", f"X-WR-CALNAME:{_text(name)}", *PARIS_RULES]
    for each in days:
        stamp = f"{each.booked_at.astimezone(UTC):%Y%m%dT%H%M%SZ}"
        lines += (
            "BEGIN:VEVENT",
            f"UID:{each.child_id}.{each.activity_id}.{each.day:%Y%m%d}@preau",
            f"DTSTAMP:{stamp}",
            f"LAST-MODIFIED:{stamp}",
            f"DTSTART;VALUE=DATE:{each.day:%Y%m%d}",
            f"SUMMARY:{_text(f'{each.first_name} · {each.activity_label}')}",
            f"CATEGORIES:{_text(each.activity_label)}",
            "TRANSP:TRANSPARENT",
            "END:VEVENT",
        )
    return "".join(_folded([*lines, "END:VCALENDAR"])).encode()


def _text(value: str) -> str:
    """A TEXT value: backslash, semicolon, comma and line breaks escaped, other control characters left out."""
    escaped = value.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")
    escaped = "\\n".join(escaped.replace("\r\n", "\n").replace("\r", "\n").split("\n"))
    return "".join(char for char in escaped if char.isprintable() or char in "\u200d\u00a0\u202f")


def _folded(lines: Iterable[str]) -> Iterable[str]:
    """Lines of at most 75 octets with their CRLF: what is longer goes on after a space, never within a character."""
    for line in lines:
        octets = 0
        for char in line:
            size = len(char.encode())
            if octets + size > LINE_OCTETS_MAX:
                yield "\r\n "
                octets = 1
            yield char
            octets += size
        yield "\r\n"
