"""Translations from gettext ``.po`` catalogues whose keys are the French sentences of the source.

French needs no catalogue. A missing sentence stays French; a test of each program fails for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from babel.messages.pofile import read_po

from contracts.model import Language


@dataclass(frozen=True)
class Catalogue:
    """The translations of one language; a sentence with a count has two forms, singular and plural."""

    language: Language
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def said(self, french: str) -> str:
        """The translation of a sentence."""
        return self.words.get(french, (french,))[0]

    def counted(self, one: str, several: str, count: int) -> str:
        """The form for a count: French says « 0 jour », English “0 days”."""
        is_one = abs(count) < 2 if self.language is Language.FR else abs(count) == 1
        return self.words.get(one, (one, several))[0 if is_one else 1]


@cache
def catalogue(folder: Path, language: Language) -> Catalogue:
    """The translations of a language, read once from ``<language>.po`` in ``folder``."""
    if language is Language.FR:
        return Catalogue(language)
    with (folder / f"{language}.po").open("rb") as file:
        messages = [message for message in read_po(file, locale=language.value) if message.id]
    return Catalogue(language, {_first(message.id): _forms(message.string or "") for message in messages})


def _first(identifier: str | list[str] | tuple[str, ...]) -> str:
    return identifier if isinstance(identifier, str) else identifier[0]


def _forms(said: str | list[str] | tuple[str, ...]) -> tuple[str, ...]:
    return (said,) if isinstance(said, str) else tuple(said)
