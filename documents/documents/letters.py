"""The letters that bring guardians their two access codes."""

from collections.abc import Sequence
from datetime import datetime

from contracts.api.auth import Letter
from documents import french
from documents.rendering import render


def access_letters(models: Sequence[Letter], at: datetime) -> bytes:
    """One PDF, a page a letter, folded for a window envelope; ``at`` is when they were made."""
    values = {
        "town": models[0].town,
        "made_on": french.day(at.astimezone(french.PARIS).date()),
        "letters": [
            {
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
