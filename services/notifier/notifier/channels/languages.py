"""The languages of mails: their words, dates and amounts. French is the source; a catalogue has the others."""

from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_time
from babel.numbers import format_decimal

from chassis import languages
from chassis.languages import Catalogue
from contracts.model import Language
from documents import french

CATALOGUES = Path(__file__).parent.parent / "templates" / "languages"
PARIS = ZoneInfo("Europe/Paris")


def catalogue(language: Language) -> Catalogue:
    """The words of a language by their French."""
    return languages.catalogue(CATALOGUES, language)


def euros(cents: int, language: Language) -> str:
    """``123450`` as « 1 234,50 € » or ``€1,234.50``."""
    if language is Language.FR:
        return french.euros(cents)
    whole, rest = divmod(abs(cents), 100)
    return f"{french.MINUS if cents < 0 else ''}€{format_decimal(whole, locale='en')}.{rest:02d}"


def month(value: date, language: Language) -> str:
    """« novembre 2026 »."""
    return format_date(value, "LLLL y", locale=str(language))


def day(value: date, language: Language) -> str:
    """« jeudi 24 décembre 2026 », « mardi 1er septembre 2026 »."""
    is_first = language is Language.FR and value.day == 1
    return format_date(value, "EEEE d'er' MMMM y" if is_first else "EEEE d MMMM y", locale=str(language))


def instant(value: datetime, language: Language) -> str:
    """« 2 décembre 2026 à 19 h 33 », in Europe/Paris."""
    if language is Language.FR:
        return french.instant(value)
    at = value.astimezone(PARIS)
    return f"{format_date(at, 'd MMMM y', locale='en')}, {format_time(at, 'HH:mm', locale='en')}"
