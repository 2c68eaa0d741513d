"""Amounts, days and times as they are written in French."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

PARIS = ZoneInfo("Europe/Paris")
NO_BREAK = "\N{NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"
MONTHS = (
    "janvier",
    "février",
    "mars",
    "avril",
    "mai",
    "juin",
    "juillet",
    "août",
    "septembre",
    "octobre",
    "novembre",
    "décembre",
)


def euros(cents: int) -> str:
    """``123450`` as ``1 234,50 €``."""
    whole, rest = divmod(abs(cents), 100)
    grouped = f"{whole:,}".replace(",", NO_BREAK)
    return f"{MINUS if cents < 0 else ''}{grouped},{rest:02d}{NO_BREAK}€"


def day(value: date) -> str:
    """``2 décembre 2026``, ``1er mars 2027``."""
    number = "1er" if value.day == 1 else str(value.day)
    return f"{number}{NO_BREAK}{MONTHS[value.month - 1]} {value.year}"


def month(value: date) -> str:
    """``novembre 2026``."""
    return f"{MONTHS[value.month - 1]} {value.year}"


def of_month(value: date) -> str:
    """``de novembre 2026``, ``d’octobre 2026``."""
    written = month(value)
    return f"d’{written}" if written[0] in "ao" else f"de {written}"


def instant(value: datetime) -> str:
    """``2 décembre 2026 à 19 h 33``, in Europe/Paris."""
    local = value.astimezone(PARIS)
    return f"{day(local.date())} à {local.hour}{NO_BREAK}h{NO_BREAK}{local.minute:02d}"


def siret(digits: str) -> str:
    """``21560000100018`` as ``215 600 001 00018``."""
    return NO_BREAK.join((digits[:3], digits[3:6], digits[6:9], digits[9:]))
