"""The clock: instants are aware UTC, days are those of Europe/Paris."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

PARIS = ZoneInfo("Europe/Paris")


def now() -> datetime:
    """The current instant, aware, in UTC."""
    return datetime.now(UTC)


def day_of(at: datetime) -> date:
    """The day in Europe/Paris of an instant; a document's number takes the year of this day."""
    assert at.tzinfo is not None, "an instant is aware"
    return at.astimezone(PARIS).date()


def today() -> date:
    """The current day in Europe/Paris."""
    return day_of(now())
