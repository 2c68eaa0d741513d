"""The file of families: CSV, one line a child (or a household without one), with French headers.

UTF-8 or Windows-1252, ``;`` or ``,``. What cannot be read is said by line and column, all of it at once.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime

from auth.domain.addresses import checked_email
from auth.domain.failures import EmailWrong
from auth.domain.registry import CUSTODY, LANGUAGES, Child, Guardian, Household, Place, custody_text, plain
from contracts.api.auth import FileError
from contracts.events.auth import Custody, Span
from contracts.model import Language

LINES_MAX = 60_000
ERRORS_MAX = 200
CELL_MAX = 200
REFERENCE = re.compile(r"^[\w./ -]{1,40}$")
GUARDIANS_MAX = 4
HOUSEHOLD = ("Foyer", "Nom du foyer", "Adresse", "Complément", "Code postal", "Commune", "Langue")
GUARDIANS = tuple(f"Responsable {n} {what}" for n in range(1, GUARDIANS_MAX + 1) for what in ("nom", "prénom", "email"))
CHILD = ("N° enfant", "Nom enfant", "Prénom enfant", "Naissance", "École", "Classe", "Garde")
COLUMNS = (*HOUSEHOLD, *GUARDIANS, *CHILD)
REQUIRED = ("Foyer", "Nom du foyer", "Adresse", "Responsable 1 nom", "Responsable 1 prénom", *CHILD[1:6])
_BY_NAME = {plain(name): name for name in COLUMNS}
_CUSTODY = {plain(text): custody for custody, text in CUSTODY.items()}
_LANGUAGE = {plain(said): each for each, text in LANGUAGES.items() for said in (text, each)}
_SPAN = re.compile(r"(\d{1,2}/\d{1,2}/\d{4})\s*(?:au|-|–)\s*(\d{1,2}/\d{1,2}/\d{4})")
_FORMULA = ("=", "+", "-", "@", "\t")


@dataclass(frozen=True)
class FamiliesFile:
    """What a file says, or why it cannot be read."""

    households: tuple[Household, ...]
    errors: tuple[FileError, ...]
    lines: dict[str, int]
    """Where each household begins, by its reference."""


class _Wrong(Exception):  # noqa: N818 - what is found, not a fault
    """A cell that cannot be read."""

    def __init__(self, column: str, message: str) -> None:
        super().__init__(message)
        self.column, self.message = column, message


def read(content: bytes) -> FamiliesFile:
    """Read a whole file; the households are those of the lines that could be read."""
    errors: list[FileError] = []
    families = _Families(errors)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    if "\0" in text:
        text = ""
        errors.append(FileError(line=1, column="", message="ce n'est pas un fichier CSV en UTF-8 ou Windows-1252"))
    try:
        for line, cells in _lines(text):
            families.take(line, cells)
    except _Wrong as wrong:
        if not errors:
            errors.append(FileError(line=1, column=wrong.column, message=wrong.message))
    except csv.Error as error:
        errors.append(FileError(line=1, column="", message=f"ce n'est pas un fichier CSV : {error}"))
    if not families.households and not errors:
        errors.append(FileError(line=1, column="", message="le fichier ne contient aucun foyer"))
    lines = {reference: line for reference, (line, _household) in families.households.items()}
    return FamiliesFile(families.all(), tuple(errors[:ERRORS_MAX]), lines)


def _lines(text: str) -> Iterator[tuple[int, dict[str, str]]]:
    """The lines with something in them: their number and their cells by column."""
    first = text.partition("\n")[0]
    delimiter = ";" if first.count(";") >= first.count(",") else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    names = [_BY_NAME.get(plain(title), title.strip()) for title in next(reader, [])]
    while names and not names[-1]:
        names.pop()  # a spreadsheet may end every line with a separator
    for name in names:
        if name not in COLUMNS or names.count(name) > 1:
            message = "colonne en double" if name in COLUMNS else "colonne inconnue"
            raise _Wrong(name[:60], f"{message} ; les colonnes connues : {', '.join(COLUMNS)}")
    for name in REQUIRED:
        if name not in names:
            raise _Wrong(name, "cette colonne manque")
    for cells in reader:
        if reader.line_num > LINES_MAX:
            raise _Wrong("", f"le fichier a plus de {LINES_MAX} lignes")
        if any(cell.strip() for cell in cells):
            yield reader.line_num, dict(zip(names, map(_cell, cells), strict=False)) | _too_many(names, cells)


def _too_many(names: list[str], cells: list[str]) -> dict[str, str]:
    return {"": "…"} if len(cells) > len(names) and any(cells[len(names) :]) else {}


def _cell(text: str) -> str:
    bare = text.strip()
    return bare[1:] if bare.startswith("'") and bare[1:].startswith(_FORMULA) else bare


class _Families:
    """Puts the lines of one household together, and finds what contradicts itself."""

    def __init__(self, errors: list[FileError]) -> None:
        self.households: dict[str, tuple[int, Household]] = {}
        self._children: dict[str, tuple[int, Child]] = {}
        self._errors = errors

    def all(self) -> tuple[Household, ...]:
        return tuple(household for _line, household in self.households.values())

    def take(self, line: int, cells: dict[str, str]) -> None:
        """One line; what is wrong in it is noted, and the line left out."""
        try:
            if "" in cells:
                raise _Wrong("", "cette ligne a plus de cellules que de colonnes")  # noqa: TRY301
            household, place = _household(cells), _place(cells)
            self._agrees(line, household)
            if place:
                self._add(line, household.reference, place)
        except _Wrong as wrong:
            self._errors.append(FileError(line=line, column=wrong.column, message=wrong.message))

    def _agrees(self, line: int, household: Household) -> None:
        first_line, known = self.households.setdefault(household.reference, (line, household))
        for column, said, before in (
            ("Nom du foyer", household.name, known.name),
            ("Adresse", household.address, known.address),
            ("Langue", household.locale, known.locale),
            ("Responsable 1 nom", household.guardians, known.guardians),
        ):
            if said != before:
                raise _Wrong(column, f"diffère de la ligne {first_line}, qui décrit le même foyer")

    def _add(self, line: int, reference: str, place: Place) -> None:
        first_line, known = self.households[reference]
        child = place.child
        if child.reference:
            its_line, described = self._children.setdefault(child.reference, (line, child))
            if described != child:
                raise _Wrong("N° enfant", f"cet enfant est décrit autrement à la ligne {its_line}")
        for other in known.places:
            if (plain(other.child.name), other.child.birth_date) == (plain(child.name), child.birth_date):
                raise _Wrong("Nom enfant", "cet enfant est déjà dans le foyer")
        self.households[reference] = first_line, replace(known, places=(*known.places, place))


def _text(cells: dict[str, str], column: str, *, wanted: bool = True) -> str:
    value = cells.get(column, "")
    if not value and wanted:
        raise _Wrong(column, "cette cellule est vide")
    if len(value) > CELL_MAX:
        raise _Wrong(column, f"plus de {CELL_MAX} caractères")
    if any(ord(sign) < 32 and sign != "\n" for sign in value) or "\ufffd" in value:
        raise _Wrong(column, "cette cellule contient un caractère illisible")
    return value


def _reference(cells: dict[str, str], column: str, *, wanted: bool = True) -> str:
    value = _text(cells, column, wanted=wanted)
    if value and not REFERENCE.match(value):
        raise _Wrong(column, "40 caractères au plus : lettres, chiffres, point, tiret, barre")
    return value


def _household(cells: dict[str, str]) -> Household:
    more = [part.strip() for part in _text(cells, "Complément", wanted=False).split("\n")]
    town = f"{_text(cells, 'Code postal', wanted=False)} {_text(cells, 'Commune', wanted=False)}".strip()
    address = tuple(part for part in (_text(cells, "Adresse"), *more, town) if part)
    if len(address) > 5:
        raise _Wrong("Complément", "l'adresse a plus de cinq lignes")
    guardians = []
    for number in range(1, GUARDIANS_MAX + 1):
        nom, prenom, email = (f"Responsable {number} {what}" for what in ("nom", "prénom", "email"))
        if number == 1 or cells.get(nom) or cells.get(prenom) or cells.get(email):
            guardians.append(Guardian(_text(cells, prenom), _text(cells, nom), _email(cells, email)))
    if len({plain(each.name) for each in guardians}) < len(guardians):
        raise _Wrong("Responsable 2 nom", "deux responsables du foyer ont le même nom")
    reference, name = _reference(cells, "Foyer"), _text(cells, "Nom du foyer")
    return Household(reference, name, address, tuple(guardians), locale=_language(cells))


def _language(cells: dict[str, str]) -> Language | None:
    """The language of the cell; None for an empty one, or a file without that column: nothing is said of it."""
    value = _text(cells, "Langue", wanted=False)
    if value and plain(value) not in _LANGUAGE:
        raise _Wrong("Langue", f"les langues connues : {', '.join(LANGUAGES.values())}")
    return _LANGUAGE[plain(value)] if value else None


def _email(cells: dict[str, str], column: str) -> str | None:
    value = _text(cells, column, wanted=False)
    try:
        return checked_email(value) if value else None
    except EmailWrong:
        raise _Wrong(column, "ce n'est pas une adresse email") from None


def _place(cells: dict[str, str]) -> Place | None:
    if not any(cells.get(column) for column in CHILD):
        return None
    child = Child(
        first_name=_text(cells, "Prénom enfant"),
        last_name=_text(cells, "Nom enfant"),
        birth_date=_day(_text(cells, "Naissance"), "Naissance"),
        school=_text(cells, "École"),
        class_name=_text(cells, "Classe"),
        reference=_reference(cells, "N° enfant", wanted=False) or None,
    )
    custody, days = _custody(_text(cells, "Garde", wanted=False))
    return Place(child, custody, days)


def _day(text: str, column: str) -> date:
    for shape in ("%d/%m/%Y", "%Y-%m-%d"):
        try:
            return datetime.strptime(text, shape).date()  # noqa: DTZ007 - a day of the calendar, nowhere in time
        except ValueError:
            continue
    raise _Wrong(column, "une date s'écrit JJ/MM/AAAA")


def _custody(text: str) -> tuple[Custody, tuple[Span, ...]]:
    first, *more = text.split("|")
    custody = _CUSTODY.get(plain(first) or "libre")
    if custody is not None and not more:
        return custody, ()
    spans = [(_day(first, "Garde"), _day(last, "Garde")) for first, last in _SPAN.findall(text)]
    if not spans or any(last < first for first, last in spans):
        raise _Wrong("Garde", "libre, semaines paires, semaines impaires, et « du 01/09/2026 au 15/09/2026 | … »")
    return custody or Custody.FREE, tuple(Span(first_day=first, last_day=last) for first, last in spans)


def write(households: Iterable[Household]) -> bytes:
    """The same file, for a spreadsheet: UTF-8 with its mark, ``;``, nothing that a spreadsheet would run."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=";")
    writer.writerow(COLUMNS)
    for household in households:
        for place in household.places or (None,):
            writer.writerow([f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in _row(household, place)])
    return out.getvalue().encode("utf-8-sig")


def _row(household: Household, place: Place | None) -> list[str]:
    street, *more = household.address
    town = re.match(r"^(\d{5}) (.+)$", more[-1]) if more else None
    rest = more[:-1] if town else more
    cells = [household.reference, household.name, street, "\n".join(rest), *(town.groups() if town else ("", ""))]
    cells.append(LANGUAGES[household.locale] if household.locale else "")
    for number in range(GUARDIANS_MAX):
        each = household.guardians[number] if number < len(household.guardians) else None
        cells += [each.last_name, each.first_name, each.email or ""] if each else ["", "", ""]
    if place is None:
        return cells + [""] * len(CHILD)
    child = place.child
    return [
        *cells,
        child.reference or "",
        child.last_name,
        child.first_name,
        f"{child.birth_date:%d/%m/%Y}",
        child.school,
        child.class_name,
        custody_text(place),
    ]
