"""The bank's remittance, or the treasury's statement, as a file: CSV, with the columns that they export. Pure.

UTF-8 or Windows-1252, ``;`` or ``,``; columns are known by any of their names, others are left aside. What cannot be
read is said by line and column, all of it at once.
"""

import csv
import io
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime

from contracts.api.payment_gateway import RemittanceKind, StatementSource

LINES_MAX = 20_000
ERRORS_MAX = 200
REFERENCE_MAX = 120
COLUMNS = {
    "Date": ("date", "date de remise", "date de versement", "date de reglement", "jour"),
    "Montant": ("montant", "montant brut", "amount"),
    "Référence": (
        "reference",
        "libelle",
        "libelle de l operation",
        "refdet",
        "reference commande",
        "numero de commande",
        "order id",
        "client reference id",
    ),
    "Référence bancaire": ("reference bancaire", "idop", "uuid", "transaction", "transaction uuid", "numtrans"),
    "Autorisation": ("autorisation", "numauto", "numero d autorisation", "auth number"),
    "Libellé": ("libelle", "libelle de l operation", "libelle operation"),
    "Sens": ("sens", "type", "type d operation", "operation"),
}
REQUIRED = ("Date", "Montant")
NAMES = ("Référence", "Référence bancaire", "Autorisation")
LABEL = "Libellé"
"""What a line of an account statement is called when it has no reference; it may be the sum of a day."""
_BY_TITLE = {title: column for column, titles in COLUMNS.items() for title in titles}
_KINDS = {
    RemittanceKind.TAKEN: ("", "debit", "encaissement", "paiement", "vente", "payment", "charge", "remise"),
    RemittanceKind.RETURNED: ("credit", "remboursement", "refund", "impaye", "rejet", "contestation", "chargeback"),
}
_KIND = {word: kind for kind, words in _KINDS.items() for word in words}
_ON_ACCOUNT = {"credit": RemittanceKind.TAKEN, "debit": RemittanceKind.RETURNED}
"""The two words that mean the other way on the statement of the town's own account."""
_AMOUNT = re.compile(r"(-?)(\d{1,9})(?:[.,](\d{1,2}))?€?")


@dataclass(frozen=True)
class Line:
    """One movement; ``times`` counts those of the file that look alike in everything."""

    line: int
    kind: RemittanceKind
    day: date
    amount_cents: int
    reference: str = ""
    bank_reference: str = ""
    authorisation: str = ""
    times: int = 1


@dataclass(frozen=True)
class FileError:
    """What cannot be read: the line of the file (the header is 1) and the column's name."""

    line: int
    column: str
    message: str


class _Wrong(Exception):  # noqa: N818 - what is found, not a fault
    def __init__(self, column: str, message: str) -> None:
        super().__init__(message)
        self.column, self.message = column, message


def read(content: bytes, source: StatementSource = StatementSource.BANK) -> tuple[list[Line], list[FileError]]:
    """Every line of a file, or all that is wrong with it. On the treasury's statement « crédit » came to the town."""
    kinds = _KIND | _ON_ACCOUNT if source is StatementSource.TREASURY else _KIND
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    lines: list[Line] = []
    errors: list[FileError] = []
    alike: Counter[Line] = Counter()
    try:
        for number, cells in _rows(text):
            try:
                found = _line(cells, kinds)
            except _Wrong as wrong:
                errors.append(FileError(number, wrong.column, wrong.message))
                continue
            alike[found] += 1
            lines.append(replace(found, line=number, times=alike[found]))
    except _Wrong as wrong:
        errors.insert(0, FileError(1, wrong.column, wrong.message))
    except csv.Error as error:
        errors.insert(0, FileError(1, "", f"ce n'est pas un fichier CSV : {error}"))
    if not lines and not errors:
        errors.append(FileError(1, "", "le fichier ne contient aucune opération"))
    return lines, errors[:ERRORS_MAX]


def _rows(text: str) -> Iterator[tuple[int, dict[str, str]]]:
    if "\0" in text:
        raise _Wrong("", "ce n'est pas un fichier CSV en UTF-8 ou Windows-1252")
    first = text.partition("\n")[0]
    delimiter = ";" if first.count(";") >= first.count(",") else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    columns = [_BY_TITLE.get(_plain(title), "") for title in next(reader, [])]
    twice = next((name for name in columns if name and columns.count(name) > 1), None)
    if twice:
        raise _Wrong(twice, "cette colonne est deux fois dans le fichier")
    for name in REQUIRED:
        if name not in columns:
            raise _Wrong(name, f"cette colonne manque ; elle peut s'appeler : {', '.join(COLUMNS[name])}")
    if not {*NAMES, LABEL} & set(columns):
        raise _Wrong(NAMES[0], f"il faut l'une de ces colonnes : {', '.join(NAMES)}")
    for cells in reader:
        if reader.line_num > LINES_MAX:
            raise _Wrong("", f"le fichier a plus de {LINES_MAX} lignes")
        if any(cell.strip() for cell in cells):
            values = zip(columns, (" ".join(cell.split()).removeprefix("'") for cell in cells), strict=False)
            yield reader.line_num, {name: value for name, value in values if name}


def _line(cells: dict[str, str], kinds: Mapping[str, RemittanceKind]) -> Line:
    reference, bank_reference, authorisation = names = tuple(cells.get(name, "") for name in NAMES)
    if not any(names):
        reference, bank_reference, authorisation = names = cells.get(LABEL, ""), "", ""
    if not any(names):
        raise _Wrong(NAMES[0], "aucune référence sur cette ligne")
    for name, value in zip(NAMES, names, strict=True):
        if len(value) > REFERENCE_MAX:
            raise _Wrong(name, f"plus de {REFERENCE_MAX} caractères")
    cents, kind = _cents(cells.get("Montant", "")), kinds.get(_plain(cells.get("Sens", "")))
    if kind is None:
        raise _Wrong("Sens", f"« {cells['Sens'][:40]} » n'est pas connu : débit, crédit, remboursement, impayé…")
    if cents < 0:
        kind = RemittanceKind.RETURNED
    return Line(0, kind, _day(cells.get("Date", "")), abs(cents), reference, bank_reference, authorisation)


def _cents(text: str) -> int:
    found = _AMOUNT.fullmatch("".join(text.split()))
    cents = int(found[2]) * 100 + int((found[3] or "").ljust(2, "0")) if found else 0
    if found is None or not cents:
        raise _Wrong("Montant", f"« {text[:40]} » n'est pas un montant comme 42,50")
    return -cents if found[1] else cents


def _day(text: str) -> date:
    for shape in ("%d/%m/%Y", "%Y-%m-%d", "%d-%m-%Y", "%d%m%Y"):
        try:
            return datetime.strptime(text[:10], shape).date()  # noqa: DTZ007 - a day has no zone
        except ValueError:
            continue
    raise _Wrong("Date", f"« {text[:40]} » n'est pas une date comme 24/11/2026")


def _plain(text: str) -> str:
    """A title without accents, case and punctuation."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return " ".join("".join(c if c.isalnum() else " " for c in bare.casefold()).split())
