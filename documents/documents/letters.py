"""The letters that bring guardians their two access codes."""

from collections.abc import Sequence
from datetime import date, datetime

from contracts.api.auth import Letter
from contracts.model import Language
from documents import french
from documents.rendering import render


def access_letters(models: Sequence[Letter], at: datetime) -> bytes:
    """One PDF, a page a letter, folded for a window envelope; ``at`` is when they were made."""
    day = at.astimezone(french.PARIS).date()
    values = {
        "town": models[0].town,
        "letters": [
            {
                "locale": each.locale,
                "made_on": french.day(day) if each.locale is Language.FR else _english_day(day),
                "portal": each.portal,
                "reference": each.reference,
                "name": each.name,
                "address": list(each.address),
                "identifier": each.identifier,
                "secret": each.secret,
            }
            for each in models
        ],
    }
    return render("access_letter", values, created_at=at)


def _english_day(value: date) -> str:
    """``2 December 2026``."""
    return f"{value.day}{french.NO_BREAK}{value:%B} {value.year}"
