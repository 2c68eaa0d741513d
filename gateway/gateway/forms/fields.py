"""Forms, read strictly.

A page declares the fields of its form (``Fields``), and ``checked_form`` of ``rendering`` reads by them what comes
back: whole, or refused by the names of the fields. A field that the form does not have, one that comes twice, a text
that is too long or holds what nobody types, a tick that is no tick: nothing is cut and nothing is left out, so that
what was saved is what was typed.

The readers of ``SubmittedForm`` (``day``, ``instant``, ``whole``) raise ``FieldError``, a ``ValueError`` whose text is
for the person who typed it.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from aiohttp import web
from multidict import MultiDict, MultiMapping

from chassis.clock import PARIS
from contracts.failures import Invalid
from contracts.model import DAY_MAX, DAY_MIN, normalize_text, parse_day
from gateway.languages import N_, _

LINE_MAX, HIDDEN_MAX, PATH_MAX, EMAIL_MAX, VALUES_MAX, FIELDS_REPORTED_MAX = 200, 400, 4_000, 254, 8_000, 20
TICKED = frozenset({"1", "on"})
REASONS = {
    "unknown": N_("« {field} » n'est pas un champ de ce formulaire."),
    "missing": N_("« {field} » est obligatoire."),
    "repeated": N_("« {field} » figure plusieurs fois."),
    "too_long": N_("« {field} » dépasse {count} caractères."),
    "too_many": N_("« {field} » a plus de {count} valeurs."),
    "unreadable": N_("« {field} » contient un caractère qui n'est pas reconnu."),
    "not_understood": N_("« {field} » n'est pas valable."),
}
NO_DAY = N_("« {field} » : une date s'écrit 2026-12-31, entre 1900 et 2199.")
NO_INSTANT = N_("« {field} » : une date et une heure s'écrivent 2026-12-31T18:00.")
NO_SUCH_HOUR = N_("« {field} » : cette heure n'existe pas ce jour-là, à cause du changement d'heure.")
NO_WHOLE = N_("« {field} » : un nombre entier entre {least} et {most}.")
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}")
_WHOLE = re.compile(r"[0-9]{1,15}")
_ROW = re.compile(r"(?<=^[a-z])[0-9]{1,3}(?=_)")


class FieldError(ValueError):
    """What was typed in a field is not understood; the text is for the person who typed it."""


def error_message(error: ValueError, otherwise: str) -> str:
    """What is wrong with a form as a whole: the sentence of the field that is, else ``otherwise``."""
    return str(error) if isinstance(error, FieldError) else otherwise


class FormRefused(Invalid):
    """A form that no page of ours sends as it is, or a text that cannot be kept: each field with what is wrong."""

    code = "form_refused"

    def __init__(self, wrong: list[tuple[str, str, int]]) -> None:
        errors = [{"field": field, "why": why, "count": count} for field, why, count in wrong[:FIELDS_REPORTED_MAX]]
        super().__init__("fields of the form are refused", errors=errors)


def error_messages(errors: list[dict[str, object]]) -> str:
    """What is wrong with a refused form, field by field, in the page's language."""
    return " ".join(
        _(REASONS[str(each["why"])], field=_(str(each["field"])), count=each["count"])
        for each in errors
        if each["field"]
    )


class Kind(StrEnum):
    """How the text of a field is read."""

    LINE = "line"
    LINES = "lines"
    SECRET = "secret"  # noqa: S105 - a kind
    ID = "id"
    TICK = "tick"
    VERSION = "version"
    DIGEST = "digest"
    KEY = "key"
    FILE = "file"
    HIDDEN = "hidden"


_WRITTEN = {
    Kind.VERSION: re.compile(r"[0-9]{1,16}"),
    Kind.DIGEST: re.compile(r"0|[0-9a-f]{20}"),
    Kind.KEY: re.compile(r"[0-9A-Za-z-]{1,100}"),
}


@dataclass(frozen=True)
class Field:
    """One field: what it is called on the page, how it is read, and how often it may come.

    ``choices`` are all it may be. ``always`` is there whatever the person does, so that its absence means another page.
    """

    label: str
    kind: Kind = Kind.LINE
    length_max: int = LINE_MAX
    choices: frozenset[str] | None = None
    many: bool = False
    always: bool = False

    def wrong(self, text: str) -> str | None:
        """Why a value cannot be this field's; None when it can."""
        if len(text) > self.length_max:
            return "too_long"
        if not all(_is_typed(sign, lines=self.kind is Kind.LINES) for sign in text):
            return "unreadable"
        return None if self._is_understood(text) else "not_understood"

    def _is_understood(self, text: str) -> bool:
        if self.choices is not None:
            return text in self.choices
        match self.kind:
            case Kind.TICK:
                return text in TICKED
            case Kind.ID:
                return not text or _is_id(text)
            case Kind.VERSION | Kind.DIGEST | Kind.KEY:
                return _WRITTEN[self.kind].fullmatch(text) is not None
        return True


def _is_typed(sign: str, *, lines: bool) -> bool:
    """Whether somebody may have typed the character: no control, no half of a pair, none that Unicode has not."""
    if lines and sign in "\n\t":
        return True
    return unicodedata.category(sign) not in {"Cc", "Cs", "Zl", "Zp"} and sign != "\ufffd"


def _is_id(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


Fields = Mapping[str, Field]
"""The fields of a form by name. In one, ``#`` stands for the number of a row; a ``*`` at its end for anything."""


def line(label: str, *, length_max: int = LINE_MAX, always: bool = False, many: bool = False) -> Field:
    """A text of one line."""
    return Field(label, length_max=length_max, always=always, many=many)


def lines(label: str, *, length_max: int, always: bool = False) -> Field:
    """A text of several lines; each break is one ``\\n``."""
    return Field(label, Kind.LINES, length_max, always=always)


def secret(label: str, *, length_max: int = LINE_MAX) -> Field:
    """What is never shown again: kept sign by sign as it was typed."""
    return Field(label, Kind.SECRET, length_max)


def choice(label: str, *choices: str, many: bool = False, always: bool = False) -> Field:
    """One of the values that the page offers."""
    return Field(label, choices=frozenset(choices), many=many, always=always)


def checkbox(label: str) -> Field:
    """A box to tick, or a button with a meaning; absent when it was not."""
    return Field(label, Kind.TICK)


def hidden(label: str, *, many: bool = False, length_max: int = HIDDEN_MAX) -> Field:
    """A value that the page put there, read by its handler."""
    return Field(label, Kind.HIDDEN, length_max, many=many)


def digest(label: str) -> Field:
    """The version of what the form shows, where that is a digest of it (``contracts.versions``)."""
    return Field(label, Kind.DIGEST, always=True)


def id_field(label: str, *, many: bool = False, always: bool = False) -> Field:
    """An id that the page showed."""
    return Field(label, Kind.ID, many=many, always=always)


def file(label: str) -> Field:
    """A file."""
    return Field(label, Kind.FILE)


COMMON: Fields = {
    "form_token": hidden("form_token"),
    "key": Field(N_("Clé de la page"), Kind.KEY),
    "version": Field(N_("Version de la page"), Kind.VERSION),
    "confirmed": Field(N_("Confirmation"), Kind.HIDDEN, HIDDEN_MAX),
}
"""What any form may carry: the proof that it is ours, the key by which it is done once, the version that it shows, and
the proof of what its person was asked and said yes to (``pages.confirming``)."""
NO_FIELDS: Fields = {}
"""The fields of a form that is a button alone."""


class SubmittedForm(Mapping[str, str]):
    """A form that was read: every value is one of a declared field, and is as that field wants it."""

    def __init__(self, fields: Fields, values: MultiMapping[str], files: Mapping[str, web.FileField]) -> None:
        self._fields, self._values, self._files = fields, values, files

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(self._values))

    def __len__(self) -> int:
        return len(set(self._values))

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def get(self, name: str, otherwise: str = "") -> str:  # type: ignore[override]
        """The value, or nothing typed: for a form the two are the same."""
        return self._values.get(name, otherwise)

    def getall(self, name: str, otherwise: Sequence[str] = ()) -> list[str]:
        return list(self._values.getall(name, otherwise))

    def file(self, name: str) -> web.FileField | None:
        return self._files.get(name)

    def ticked(self, name: str) -> bool:
        return name in self._values

    def day(self, name: str) -> date | None:
        """The day of the field; None when it was left empty."""
        text = self.get(name)
        try:
            return parse_day(text) if text else None
        except ValueError:
            raise self.wrong(name, NO_DAY) from None

    def instant(self, name: str) -> datetime | None:
        """The day and time of the field, in Europe/Paris; None when it was left empty."""
        text = self.get(name)
        if not text:
            return None
        try:
            found = datetime.fromisoformat(text).replace(tzinfo=PARIS) if _INSTANT.fullmatch(text) else None
        except ValueError:
            found = None
        if found is None or not DAY_MIN < found.date() < DAY_MAX:
            raise self.wrong(name, NO_INSTANT)
        if datetime.fromtimestamp(found.timestamp(), PARIS).replace(tzinfo=None) != found.replace(tzinfo=None):
            raise self.wrong(name, NO_SUCH_HOUR)
        return found

    def lines(self, name: str) -> list[str]:
        """The lines of the field that hold something."""
        return list(filter(None, (each.strip() for each in self.get(name).split("\n"))))

    def whole(self, name: str, least: int, most: int) -> int | None:
        """The whole number of the field; None when it was left empty."""
        text = self.get(name)
        if not text:
            return None
        if not _WHOLE.fullmatch(text) or not least <= int(text) <= most:
            raise self.wrong(name, NO_WHOLE, least=least, most=most)
        return int(text)

    def wrong(self, name: str, sentence: str, **values: object) -> FieldError:
        """``sentence`` about a field, which it calls ``{field}``."""
        field = _field(self._fields, name)
        assert field is not None, "it was read by that field"
        return FieldError(_(sentence, field=_(field.label), **values))


def read(fields: Fields, posted: MultiMapping[Any]) -> SubmittedForm:
    """The form as its fields want it; ``FormRefused`` names every field that is not."""
    if len(posted) > VALUES_MAX:
        raise FormRefused([(N_("Formulaire"), "too_many", VALUES_MAX)])
    known, wrong = {**COMMON, **fields}, list[tuple[str, str, int]]()
    values, files = MultiDict[str](), dict[str, web.FileField]()
    seen: set[str] = set()
    for name, raw in posted.items():
        field = _field(known, name)
        if field is None:
            wrong.append((_named(name), "unknown", 0))
        elif name in seen and not field.many:
            wrong.append((field.label, "repeated", 0))
        elif isinstance(raw, web.FileField) is not (field.kind is Kind.FILE):
            if raw not in {"", b""}:  # a file field that was left empty
                wrong.append((field.label, "not_understood", 0))
        elif isinstance(raw, web.FileField):
            files[name] = raw
        else:
            text = _clean(field, str(raw))
            values.add(name, text)
            if why := field.wrong(text):
                wrong.append((field.label, why, field.length_max))
        seen.add(name)
    wrong += [(each.label, "missing", 0) for name, each in fields.items() if each.always and name not in seen]
    if wrong:
        raise FormRefused(list(dict.fromkeys(wrong)))
    return SubmittedForm(known, values, files)


def _field(known: Fields, name: str) -> Field | None:
    """The field of that name, the rows of a table and the names that carry an id included."""
    if "#" in name or "*" in name:
        return None
    row = _ROW.sub("#", name, count=1)
    if name in known or row in known:
        return known.get(name) or known[row]
    return next((each for of, each in known.items() if of.endswith("*") and name.startswith(of[:-1])), None)


def _named(name: str) -> str:
    """The name of an unknown field, as far as it can be shown."""
    return "".join(sign if sign.isprintable() else "?" for sign in name[:40]) or "?"


def _clean(field: Field, raw: str) -> str:
    """The value in the form in which it is kept; nothing that somebody can see is taken away."""
    if field.kind is Kind.SECRET:
        return raw
    if field.kind is Kind.LINES:
        return normalize_text(raw.replace("\r\n", "\n").replace("\r", "\n"))
    return normalize_text(raw)
