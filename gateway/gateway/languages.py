"""A page's language: its words, amounts, days and times. French is the source; a catalogue has the others.

The language is that of the request being answered, so no function has to pass it on.
"""

import re
from contextvars import ContextVar
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path

from babel.dates import format_date
from markupsafe import Markup

from chassis.clock import PARIS
from chassis.languages import Catalogue, catalogue
from contracts.model import Language

FOLDER = Path(__file__).parent / "templates" / "languages"
LOCALES = {Language.FR: "fr_FR", Language.EN: "en_GB"}
NO_BREAK, NARROW_NO_BREAK = "\N{NO-BREAK SPACE}", "\N{NARROW NO-BREAK SPACE}"
SPACES = re.compile(r" (?=[:;?!»])|(?<=[«°]) ")
WEEKDAYS = ("Lu", "Ma", "Me", "Je", "Ve", "Sa", "Di")
_CATALOGUES = {language: catalogue(FOLDER, language) for language in Language}
_LANGUAGE: ContextVar[Language] = ContextVar("language", default=Language.FR)


def language() -> Language:
    """What the page that is being made is written in."""
    return _LANGUAGE.get()


def use_language(chosen: Language) -> None:
    """Write what is left of this request's answer in that language."""
    _LANGUAGE.set(chosen)


def _words() -> Catalogue:
    return _CATALOGUES[_LANGUAGE.get()]


@lru_cache(maxsize=8_192)
def _spaced(text: str) -> str:
    """A French sentence with the spaces at which no line may break: none begins with « ? », none ends with « n° »."""
    return SPACES.sub(NO_BREAK, text)


def _printed(said: str) -> str:
    return _spaced(said) if language() is Language.FR else said


def N_(text: str) -> str:  # noqa: N802 - gettext's own name
    """A sentence to be said later, when it is known in which language."""
    return text


def _(text: str, **values: object) -> str:
    """The sentence in the page's language, with its values by name."""
    said = _printed(_words().said(text))
    return said.format(**values) if values else said


def ngettext(one: str, several: str, count: int, **values: object) -> str:
    """The sentence that goes with a count, which it names ``{count}``."""
    return _printed(_words().counted(one, several, count)).format(count=count, **values)


def marked(text: str, **values: object) -> Markup:
    """``_`` of templates: the sentence may hold tags, since it is ours; its values are escaped."""
    return Markup(_printed(_words().said(text))).format(**values)  # noqa: S704 - said is ours


def marked_count(one: str, several: str, count: int, **values: object) -> Markup:
    """``ngettext`` of templates."""
    said = _printed(_words().counted(one, several, count))
    return Markup(said).format(count=count, **values)  # noqa: S704 - said is ours


@lru_cache(maxsize=8_192)
def _date(value: date, french: str, english: str, written_in: Language) -> str:
    return format_date(value, french if written_in is Language.FR else english, locale=LOCALES[written_in])


def euros(cents: int) -> str:
    """Cents as people write euros: « 1 234,50 € » or “€1,234.50”."""
    units, rest = divmod(abs(cents), 100)
    sign = "−" if cents < 0 else ""
    if language() is Language.FR:
        return f"{sign}{f'{units:,}'.replace(',', NARROW_NO_BREAK)},{rest:02d}{NO_BREAK}€"
    return f"{sign}€{units:,}.{rest:02d}"


def decimal_amount(cents: int) -> str:
    """An amount as it is typed in a form: « 42,50 », “42.50”."""
    return f"{cents // 100}{',' if language() is Language.FR else '.'}{cents % 100:02d}"


def quotient(cents: int) -> str:
    """A family quotient as people write it: « 845 », « 845,50 », “845.50”."""
    return euros(cents).removeprefix("€").removesuffix(f"{NO_BREAK}€").removesuffix(",00").removesuffix(".00")


def number(value: Decimal) -> str:
    """A number with its decimals, as many as it has: « 0,565 », “0.565”."""
    text = f"{value.normalize():f}"
    return text.replace(".", ",") if language() is Language.FR else text


def dotted_day(value: date) -> str:
    """A day inside a sentence: « 01/09/2026 », “1 Sept 2026”."""
    return f"{value:%d/%m/%Y}" if language() is Language.FR else _date(value, "", "d MMM y", language())


def month(value: date) -> str:
    return _date(value, "LLLL y", "LLLL y", language())


def long_day(value: date) -> str:
    """« mardi 1er décembre », “Tuesday 1 December”."""
    return _date(value, "EEEE d'er' MMMM" if value.day == 1 else "EEEE d MMMM", "EEEE d MMMM", language())


def brief_day(value: date) -> str:
    """A day among those of its month: « lun. 7 », “Mon 7”."""
    return _date(value, "EEE d", "EEE d", language()).replace(" ", NO_BREAK)


def weekday(number: int) -> str:
    """A day of the week, 1 to 7: « lun. », “Mon”."""
    return _date(date(2024, 1, number), "EEE", "EEE", language())  # that month began on a Monday


def short_day(value: date) -> str:
    """A day as in « mes dernières modifications »: « Je 24-12-2015 », “Thu 24 Dec 2015”."""
    if language() is Language.FR:
        return f"{WEEKDAYS[value.weekday()]} {value:%d-%m-%Y}"
    return _date(value, "", "EEE d MMM y", language())


def instant(value: datetime) -> str:
    at = value.astimezone(PARIS)
    return _("{day} à {time}", day=short_day(at.date()), time=f"{at:%H:%M}")


def deadline(value: datetime, month: date | None = None) -> str:
    """A deadline, as short as it can be said: « jeu. 3 à 12 h » on the page of its month, else « jeu. 3/12 à 12 h »."""
    at = value.astimezone(PARIS)
    is_of_month = month is not None and (at.year, at.month) == (month.year, month.month)
    patterns = ("EEE d", "EEE d") if is_of_month else ("EEE d/MM", "EEE d MMM")
    day = _date(at.date(), *patterns, language()).replace(" ", NO_BREAK)
    if language() is Language.FR:
        time = f"{at.hour}{NO_BREAK}h" + (f"{NO_BREAK}{at:%M}" if at.minute else "")
    else:
        time = f"{at:%H:%M}"
    return _("{day} à {time}", day=day, time=time).replace(f" {time}", NO_BREAK + time)
