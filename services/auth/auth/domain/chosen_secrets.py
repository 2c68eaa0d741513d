"""Which secrets people may choose. Length counts; what everybody tries first is refused, with its usual disguises.

After NIST SP 800-63B-4 (3.1.1.2) and the CNIL's recommendation 2022-100: no rule about signs, a list of what is common.
"""

import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from auth.domain.failures import SecretRefused

LENGTH_MIN = 10
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


def _plain(text: str) -> str:
    """Lower case, no accents, no disguise, letters and digits only."""
    unaccented = "".join(c for c in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(c))
    return re.sub(r"[^a-z0-9]", "", unaccented)


def _bare(text: str) -> set[str]:
    """What is left of a secret once the digits and signs around it, and its disguise, are taken away."""
    core = re.sub(r"^[\W\d_]+|[\W\d_]+$", "", text.lower())
    return {_plain(text), _plain(core), _plain(core.translate(_DISGUISES))}


def _is_regular(plain: str) -> bool:
    """One sign or a short piece repeated, or a walk along a row of keys."""
    repeats = re.fullmatch(r"(.{1,4})\1+.?", plain) is not None
    return repeats or any(plain in row or plain in row[::-1] for row in ROWS)


def check(secret: str, personal: Iterable[str]) -> None:
    """Raise ``SecretRefused`` unless the secret may be chosen; ``personal`` are names and codes it must not repeat."""
    if len(secret) < LENGTH_MIN:
        raise SecretRefused("the secret is too short", reason="too_short", length_min=LENGTH_MIN)
    bare, plain = _bare(secret), _plain(secret)
    if secret in PUBLISHED:
        raise SecretRefused("the secret is printed in the documentation", reason="common")
    if bare & COMMON or (plain and _is_regular(plain)) or {each * 2 for each in COMMON} & bare:
        raise SecretRefused("the secret is one that everybody tries", reason="common")
    own = {_plain(part) for each in personal for part in (each, each.partition("@")[0])}
    if bare & {each for each in own if len(each) >= 3}:
        raise SecretRefused("the secret repeats a name or a code of yours", reason="personal")
