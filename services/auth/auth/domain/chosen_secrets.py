"""Which secrets people may choose. Length counts; what everybody tries first is refused, with its usual disguises.

After NIST SP 800-63B-4 (3.1.1.2) and the CNIL's recommendation 2022-100: no rule about signs, a list of what is common.
"""

import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from auth.domain.failures import SecretRefused

LENGTH_MIN = 10
PIECE_MIN, REST_MIN = 4, 5
"""A name is looked for inside a secret when it has so many signs; so many letters must be left without any."""
PORTAL_WORDS = frozenset({"mairie", "portail", "familles", "famille", "commune", "ville"})
"""What people add to the name of their town."""
ROWS = (
    "abcdefghijklmnopqrstuvwxyz",
    "azertyuiopqsdfghjklmwxcvbn",
    "qwertyuiopasdfghjklzxcvbnm",
    "01234567890123456789",
)
_DISGUISES = str.maketrans("0134578@$!€", "oieastbasie")

PUBLISHED = frozenset({"demo-2026-demo"})
"""Secrets that README prints, for the demo town: whoever reads it knows them."""

COMMON = frozenset((Path(__file__).parent / "common_secrets.txt").read_text(encoding="ascii").split())
"""What everybody tries first, in French and in English, without digits and accents."""


def normalized(secret: str) -> str:
    """The secret as it is hashed, whichever keyboard it was typed on (NIST SP 800-63B-4, 3.1.1.2: NFKC).

    « é » comes as one character from some, as two from macOS, and full-width letters are letters.
    """
    return unicodedata.normalize("NFKC", secret)


def is_published(secret: str) -> bool:
    """Whether everybody who reads the documentation knows the secret."""
    return normalized(secret) in PUBLISHED


def _plain(text: str) -> str:
    """Lower case, no accents, no disguise, letters and digits only."""
    unaccented = "".join(c for c in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(c))
    return re.sub(r"[^a-z0-9]", "", unaccented)


def _bare(text: str) -> set[str]:
    """A secret, and what is left of it once the digits and signs around it, and its disguise, are taken away."""
    core = re.sub(r"^[\W\d_]+|[\W\d_]+$", "", text.lower())
    return {_plain(each) for form in (text.lower(), core) for each in (form, form.translate(_DISGUISES))}


def _rest(plain: str, pieces: Iterable[str]) -> str:
    """The letters left without the pieces and without digits: dates and postal codes are guessed with names."""
    for piece in sorted(pieces, key=len, reverse=True):
        plain = plain.replace(piece, "")
    return re.sub(r"[0-9]", "", plain)


def _is_made_of(plain: str, pieces: Iterable[str], rest_min: int) -> bool:
    """Pieces, however often and in whatever order, with hardly anything else."""
    rest = _rest(plain, pieces)
    return rest != _rest(plain, ()) and len(rest) < rest_min


def _is_regular(plain: str) -> bool:
    """One sign or a short piece repeated, or a walk along a row of keys."""
    repeats = re.fullmatch(r"(.{1,4})\1+.?", plain) is not None
    return repeats or any(plain in row or plain in row[::-1] for row in ROWS)


def _names(texts: Iterable[str]) -> set[str]:
    """Each text, its words, and what stands before the sign of an address."""
    return {_plain(part) for each in texts for part in (each, each.partition("@")[0], *re.split(r"[\W_]+", each))}


def check(secret: str, personal: Iterable[str], town: Iterable[str]) -> None:
    """Raise ``SecretRefused`` unless the secret may be chosen.

    ``personal`` are names and codes that it must not repeat, ``town`` the town's name and the portal's address.
    """
    secret = normalized(secret)
    if len(secret) < LENGTH_MIN:
        raise SecretRefused("the secret is too short", reason="too_short", length_min=LENGTH_MIN)
    bare, plain = _bare(secret), _plain(secret)
    if secret in PUBLISHED:
        raise SecretRefused("the secret is printed in the documentation", reason="common")
    if bare & COMMON or (plain and _is_regular(plain)):
        raise SecretRefused("the secret is one that everybody tries", reason="common")
    if any(_is_made_of(each, [word], 1) for each in bare for word in COMMON if len(word) >= PIECE_MIN):
        raise SecretRefused("the secret is one that everybody tries", reason="common")
    own, of_town = _names(personal), _names(town)
    pieces = {each for each in own | of_town if len(each) >= PIECE_MIN} | PORTAL_WORDS
    if bare & {each for each in own if len(each) >= 3} or any(_is_made_of(each, pieces, REST_MIN) for each in bare):
        raise SecretRefused("the secret repeats a name or a code that is known", reason="personal")
