"""The time, in one place: instants are aware UTC, days are those of people in Paris."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

PARIS = ZoneInfo("Europe/Paris")


def now() -> datetime:
    """The current instant, aware, in UTC."""
    return datetime.now(UTC)


def today() -> date:
    """The current day in Europe/Paris."""
    return datetime.now(PARIS).date()
