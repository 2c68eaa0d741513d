"""The file of families: CSV, one line a child (or a household without one), with French headers.

UTF-8 or Windows-1252, ``;`` or ``,``. What cannot be read is said by line and column, all of it at once; the line is
the one where the row began. What ``write`` writes, ``read`` reads as the same households, whatever they hold.

Nothing is taken in whole before its size is known to be that of a file of families: lines, columns and the lines of one
row have their limits, so that a file of 16 MiB of separators is refused after its first line.
"""

import codecs
import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date

from auth.domain.addresses import checked_email
from auth.domain.failures import EmailWrong
from auth.domain.registry import CUSTODY, LANGUAGES, Child, Guardian, Household, Place, custody_text
from contracts.api.auth import ADDRESS_LINES_MAX, CHILDREN_MAX, GUARDIANS_MAX, FileError
from contracts.events.auth import Custody, Span
from contracts.model import Language, normalize_text, parse_day
from contracts.names import name_key as plain
from contracts.spans import SPANS_MAX, parse_span, parse_written_day, written_day

LINES_MAX, LINE_CHARACTERS_MAX, LINES_OF_A_ROW_MAX = 60_000, 16_000, 8
ERRORS_MAX = 200
CELL_MAX, CELLS_MAX = 200, 200
SEVERAL_LINES, CUSTODY_COLUMN = "Complément", "Garde"
LONGER = {SEVERAL_LINES: ADDRESS_LINES_MAX * (CELL_MAX + 1), CUSTODY_COLUMN: (SPANS_MAX + 1) * 40}
"""The characters of the cells that may have more than ``CELL_MAX``."""
REFERENCE = re.compile(r"[\w./ -]{1,40}")
GUARDIANS_WRITTEN_MIN = 4
HOUSEHOLD = ("Foyer", "Nom du foyer", "Adresse", SEVERAL_LINES, "Code postal", "Commune", "Langue")
CHILD = ("N° enfant", "Nom enfant", "Prénom enfant", "Naissance", "École", "Classe", CUSTODY_COLUMN)


def columns(guardians: int) -> tuple[str, ...]:
    """The columns of a file whose households have as many guardians at most."""
    each = [f"Responsable {number} {what}" for number in range(1, guardians + 1) for what in ("nom", "prénom", "email")]
    return (*HOUSEHOLD, *each, *CHILD)


COLUMNS = columns(GUARDIANS_MAX)
REQUIRED = ("Foyer", "Nom du foyer", "Adresse", "Responsable 1 nom", "Responsable 1 prénom", *CHILD[1:6])
_BY_NAME = {plain(name): name for name in COLUMNS}
_CUSTODY = {plain(text): custody for custody, text in CUSTODY.items()}
_LANGUAGE = {plain(said): each for each, text in LANGUAGES.items() for said in (text, each)}
_POSTAL_CODE = re.compile(r"[0-9]{5}")
_TOWN = re.compile(r"([0-9]{5}) (\S.*)")
_UNREADABLE = {"Cc", "Cs", "Zl", "Zp"}
_FORMULA = re.compile(r"'*[=+\-@\t]")
_QUOTED = re.compile(r"'+[=+\-@\t]")


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
    rows = _Rows(content)
    try:
        for line, cells in rows.cells():
            families.take(line, cells)
            if len(errors) >= ERRORS_MAX:
                break
    except _Wrong as wrong:
        errors.append(FileError(line=rows.line, column=wrong.column, message=wrong.message))
    except csv.Error:
        message = "un guillemet y est de trop, ou il en manque un : à l'intérieur d'une cellule il s'écrit deux fois"
        errors.append(FileError(line=rows.line, column="", message=message))
    if not families.households and not errors:
        errors.append(FileError(line=1, column="", message="le fichier ne contient aucun foyer"))
    lines = {reference: line for reference, (line, _household) in families.households.items()}
    return FamiliesFile(families.all(), tuple(errors[:ERRORS_MAX]), lines)


class _Rows:
    """The rows of a file, read from its bytes a line at a time; ``line`` is where the row being read began."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.line = 1
        self._lines = 0

    def cells(self) -> Iterator[tuple[int, dict[str, str]]]:
        """The rows with something in them: their number and their cells by column."""
        if b"\0" in self._content:
            raise _Wrong("", "ce n'est pas un fichier CSV en UTF-8 ou Windows-1252")
        text = io.TextIOWrapper(io.BytesIO(self._content), _encoding(self._content), errors="replace", newline="")
        first = text.readline(LINE_CHARACTERS_MAX + 1)
        text.seek(0)
        delimiter = ";" if first.count(";") >= first.count(",") else ","
        reader = csv.reader(self._physical(text), delimiter=delimiter, strict=True)
        names = _names(next(reader, []))
        self.line = self._lines + 1
        for cells in reader:
            line, self.line = self.line, self._lines + 1
            if any(cell.strip() for cell in cells):
                found = dict(zip(names, map(_cell, cells), strict=False))
                yield line, found | _too_many(names, cells)

    def _physical(self, text: io.TextIOWrapper) -> Iterator[str]:
        """The lines of the file, as many and as long as a file of families may have."""
        while line := text.readline(LINE_CHARACTERS_MAX + 1):
            self._lines += 1
            if len(line) > LINE_CHARACTERS_MAX:
                raise _Wrong("", f"cette ligne a plus de {LINE_CHARACTERS_MAX} caractères")
            if self._lines > LINES_MAX:
                raise _Wrong("", f"le fichier a plus de {LINES_MAX} lignes")
            if self._lines - self.line >= LINES_OF_A_ROW_MAX:
                raise _Wrong("", "un guillemet ouvert sur cette ligne n'est pas fermé")
            yield line


def _encoding(content: bytes) -> str:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(content), 65_536):
            decoder.decode(content[start : start + 65_536])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig"


def _names(titles: list[str]) -> list[str]:
    """The columns that the header names, each known and there once."""
    if len(titles) > CELLS_MAX:
        raise _Wrong("", f"le fichier a plus de {CELLS_MAX} colonnes")
    names = [_BY_NAME.get(plain(title), title.strip()) for title in titles]
    while names and not names[-1]:
        names.pop()  # a spreadsheet may end every line with a separator
    for name in names:
        if name not in COLUMNS or names.count(name) > 1:
            message = "colonne en double" if name in COLUMNS else "colonne inconnue"
            raise _Wrong(name[:60], f"{message} ; les colonnes connues : {', '.join(COLUMNS)}")
    for name in REQUIRED:
        if name not in names:
            raise _Wrong(name, "cette colonne manque")
    return names


def _too_many(names: list[str], cells: list[str]) -> dict[str, str]:
    return {"": "…"} if len(cells) > len(names) and any(cells[len(names) :]) else {}


def _cell(text: str) -> str:
    """What a cell says: composed, without the quote that keeps a spreadsheet from running it."""
    bare = normalize_text(text.replace("\r\n", "\n").replace("\r", "\n"))
    return bare[1:] if _QUOTED.match(bare) else bare


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
        if child.reference and any(each.child.reference == child.reference for each in known.places):
            raise _Wrong("N° enfant", "cet enfant est déjà dans le foyer")
        if len(known.places) >= CHILDREN_MAX:
            raise _Wrong("Nom enfant", f"un foyer a {CHILDREN_MAX} enfants au plus")
        self.households[reference] = first_line, replace(known, places=(*known.places, place))


def _text(cells: dict[str, str], column: str, *, wanted: bool = True) -> str:
    value = cells.get(column, "")
    if not value and wanted:
        raise _Wrong(column, "cette cellule est vide")
    length_max = LONGER.get(column, CELL_MAX)
    if len(value) > length_max:
        raise _Wrong(column, f"plus de {length_max} caractères")
    if "\n" in value and column != SEVERAL_LINES:
        raise _Wrong(column, f"un retour à la ligne n'est permis que dans « {SEVERAL_LINES} » ; un guillemet de trop ?")
    if any(unicodedata.category(sign) in _UNREADABLE and sign != "\n" for sign in value) or "\ufffd" in value:
        raise _Wrong(column, "cette cellule contient un caractère illisible")
    return value


def _reference(cells: dict[str, str], column: str, *, wanted: bool = True) -> str:
    value = _text(cells, column, wanted=wanted)
    if value and not REFERENCE.fullmatch(value):
        raise _Wrong(column, "40 caractères au plus : lettres, chiffres, point, tiret, barre")
    return value


def _household(cells: dict[str, str]) -> Household:
    more = [part.strip() for part in _text(cells, SEVERAL_LINES, wanted=False).split("\n")]
    code = _text(cells, "Code postal", wanted=False)
    if code and not _POSTAL_CODE.fullmatch(code):
        message = "un code postal a cinq chiffres (un tableur ôte les zéros du début) ; ailleurs qu'en France, "
        raise _Wrong("Code postal", f"{message}écrivez-le avec la commune dans « {SEVERAL_LINES} »")
    town = f"{code} {_text(cells, 'Commune', wanted=False)}".strip()
    address = tuple(part for part in (_text(cells, "Adresse"), *more, town) if part)
    if len(address) > ADDRESS_LINES_MAX or any(len(each) > CELL_MAX for each in address):
        raise _Wrong(SEVERAL_LINES, f"l'adresse a cinq lignes au plus, de {CELL_MAX} caractères")
    guardians = []
    for number in range(1, GUARDIANS_MAX + 1):
        nom, prenom, email = (f"Responsable {number} {what}" for what in ("nom", "prénom", "email"))
        if number == 1 or cells.get(nom) or cells.get(prenom) or cells.get(email):
            guardians.append(Guardian(_text(cells, prenom), _text(cells, nom), _email(cells, email)))
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
    for shape in (parse_written_day, parse_day):
        try:
            return shape(text)
        except ValueError:
            continue
    raise _Wrong(column, "une date s'écrit JJ/MM/AAAA, entre 1900 et 2199")


def _custody(text: str) -> tuple[Custody, tuple[Span, ...]]:
    """« semaines paires », the days, or both: each part between bars is understood, or the cell is refused."""
    first, *more = (each.strip() for each in text.split("|"))
    custody = _CUSTODY.get(plain(first)) if first else Custody.FREE
    parts = more if custody is not None else [first, *more]
    if len(parts) > SPANS_MAX:
        raise _Wrong(CUSTODY_COLUMN, f"{SPANS_MAX} périodes au plus")
    days = []
    for part in parts:
        try:
            days.append(parse_span(part))
        except ValueError:
            known = "libre, semaines paires, semaines impaires, et « du 01/09/2026 au 15/09/2026 | … »"
            raise _Wrong(CUSTODY_COLUMN, f"« {part[:60]} » ne se comprend pas ; se comprennent : {known}") from None
    return custody or Custody.FREE, tuple(days)


def write(households: Iterable[Household]) -> bytes:
    """The same file, for a spreadsheet: UTF-8 with its mark, ``;``, nothing that a spreadsheet would run."""
    every, out = list(households), io.StringIO(newline="")
    guardians = max((len(each.guardians) for each in every), default=0)
    count = max(guardians, GUARDIANS_WRITTEN_MIN)
    writer = csv.writer(out, delimiter=";")
    writer.writerow(columns(count))
    for household in every:
        for place in household.places or (None,):
            cells = _row(household, place, count)
            writer.writerow([f"'{cell}" if _FORMULA.match(cell) else cell for cell in cells])
    return out.getvalue().encode("utf-8-sig")


def _row(household: Household, place: Place | None, guardians: int) -> list[str]:
    street, *more = household.address
    town = _TOWN.fullmatch(more[-1]) if more else None
    rest = more[:-1] if town else more
    cells = [household.reference, household.name, street, "\n".join(rest), *(town.groups() if town else ("", ""))]
    cells.append(LANGUAGES[household.locale] if household.locale else "")
    for number in range(guardians):
        each = household.guardians[number] if number < len(household.guardians) else None
        cells += [each.last_name, each.first_name, each.email or ""] if each else ["", "", ""]
    if place is None:
        return cells + [""] * len(CHILD)
    child, birth = place.child, written_day(place.child.birth_date)
    own = [child.reference or "", child.last_name, child.first_name, birth, child.school, child.class_name]
    return [*cells, *own, custody_text(place)]
