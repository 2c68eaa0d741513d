"""The one key by which names that people type are compared: schools, classes, guardians, children."""

import unicodedata
from functools import lru_cache


@lru_cache(maxsize=16_384)
def name_key(text: str) -> str:
    """A name without accents, case, punctuation and double spaces: « ÉCOLE  Prévert » is « ecole prevert ».

    What is shown is never the key, only what was typed or registered.
    """
    unaccented = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return " ".join("".join(c if c.isalnum() else " " for c in unaccented.casefold()).split())
