"""Who pays and where they live, in the pieces that 3-D Secure wants. Pure."""

import re
import unicodedata
from dataclasses import dataclass

_PLACE = re.compile(r"(?P<street>.*?)[\s,;-]*(?<!\d)(?P<zip_code>\d{5})\s+(?P<city>[^\d\s].*)", re.ASCII)
"""« 12 rue des Lilas, 01000 Bourg-en-Bresse », the street and what stands before the code being optional."""


@dataclass(frozen=True)
class Payer:
    """A name and a French postal address, in letters, digits, points, dashes and spaces; only ``more`` may be empty."""

    first_name: str
    last_name: str
    street: str
    more: str
    zip_code: str
    city: str


def payer_of(name: str, address: tuple[str, ...], *, zip_code: str, city: str) -> Payer:
    """The payer as the bank wants it.

    Names are kept in one piece here: the first word is taken for the first name, the rest for the last. An address
    without a French postal code is given the town's own ``zip_code`` and ``city``, for a bank refuses an empty field.
    """
    first, _, last = folded(name).partition(" ")
    lines, place = _parted(address)
    streets = [line for line in map(folded, lines) if line] or ["Mairie"]
    return Payer(
        first_name=(first or "Foyer")[:22].strip(),
        last_name=(last or first or "Foyer")[:22].strip(),
        street=streets[0][:50].strip(),
        more=" ".join(streets[1:])[:50].strip(),
        zip_code=place[0] if place else zip_code,
        city=folded(place[1] if place else city)[:50].strip(),
    )


def _parted(address: tuple[str, ...]) -> tuple[list[str], tuple[str, str] | None]:
    """The lines before the town, and the last postal code with its town; what follows is a country."""
    for number in reversed(range(len(address))):
        if (found := _PLACE.fullmatch(address[number].strip())) and folded(found["city"]):
            return [*address[:number], found["street"]], (found["zip_code"], found["city"])
    return list(address), None


def folded(text: str) -> str:
    """Without accents, and without the signs that a bank refuses; ligatures as two letters."""
    for ligature, letters in (("œ", "oe"), ("Œ", "Oe"), ("æ", "ae"), ("Æ", "Ae"), ("ß", "ss")):
        text = text.replace(ligature, letters)
    bare = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[ ]+", " ", re.sub(r"[^A-Za-z0-9.-]", " ", bare)).strip(" .-")
