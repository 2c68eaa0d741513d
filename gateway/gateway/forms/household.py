"""The form of one household: as it was typed, what is wrong with it, and what it wishes."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from chassis.clock import today
from contracts.api.auth import (
    ADDRESS_LINES_MAX,
    CHILDREN_MAX,
    GUARDIANS_MAX,
    ChildRequest,
    GuardianUpdate,
    HouseholdList,
    HouseholdUpdate,
    HouseholdView,
)
from contracts.events.auth import Custody, Span
from contracts.model import Language, parse_day
from contracts.spans import SPANS_MAX, parse_span, written_day, written_span
from gateway.forms.fields import EMAIL_MAX, LINE_MAX, checkbox, choice, id_field, line, lines

CUSTODIES = {
    Custody.FREE: "Tous les jours",
    Custody.EVEN_WEEKS: "Semaines paires",
    Custody.ODD_WEEKS: "Semaines impaires",
}
LANGUAGES: dict[str, str] = {Language.FR: "Français", Language.EN: "Anglais"}
GUARDIAN = ("id", "first_name", "last_name", "email", "gone")
CHILD = ("id", "first_name", "last_name", "birth_date", "school", "class_name", "custody", "days", "other", "gone")
SAY_NOTHING = {"custody": ("", Custody.FREE.value)}
"""What a field of a row has before anything was typed there."""
FIELDS = {
    "name": line("Nom du foyer", always=True),
    "address": lines("Adresse", length_max=ADDRESS_LINES_MAX * (LINE_MAX + 1), always=True),
    "locale": choice("Langue", *Language, always=True),
    "g#_id": id_field("Responsable"),
    "g#_first_name": line("Responsable : prénom"),
    "g#_last_name": line("Responsable : nom"),
    "g#_email": line("Responsable : email", length_max=EMAIL_MAX),
    "g#_gone": checkbox("Retirer le responsable"),
    "c#_id": id_field("Enfant"),
    "c#_first_name": line("Enfant : prénom"),
    "c#_last_name": line("Enfant : nom"),
    "c#_birth_date": line("Enfant : naissance"),
    "c#_school": line("Enfant : école"),
    "c#_class_name": line("Enfant : classe"),
    "c#_custody": choice("Jours de ce foyer", *Custody),
    "c#_days": lines("Garde par dates", length_max=SPANS_MAX * 40),
    "c#_other": line("Référence de l'autre foyer", length_max=40),
    "c#_gone": checkbox("Retirer l'enfant"),
}
_ROW = re.compile(r"([gc])([0-9]{1,3})_([a-z_]+)")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")

Row = dict[str, str]


@dataclass
class Form:
    """What was typed, field by field; a row without an id is somebody new, and an empty one is nobody."""

    version: str
    name: str
    address: str
    locale: str
    guardians: list[Row]
    children: list[Row]
    wrong: dict[str, str] = field(default_factory=dict)

    def rows(self, kind: str, fields: Sequence[str], count_max: int) -> list[tuple[int, Row]]:
        """The rows to show: those that are there, and an empty one to add somebody."""
        rows = list(getattr(self, kind))
        if len(rows) < count_max and (not rows or any(rows[-1].values())):
            rows.append(dict.fromkeys(fields, ""))
        return list(enumerate(rows))

    @property
    def guardian_rows(self) -> list[tuple[int, Row]]:
        return self.rows("guardians", GUARDIAN, GUARDIANS_MAX)

    @property
    def child_rows(self) -> list[tuple[int, Row]]:
        return self.rows("children", CHILD, CHILDREN_MAX)


def shown(view: HouseholdView) -> Form:
    """The household as a form."""
    guardians = [
        {
            "id": str(g.guardian_id),
            "first_name": g.first_name,
            "last_name": g.last_name,
            "email": g.email or "",
            "gone": "",
        }
        for g in view.guardians
    ]
    children = [
        {
            "id": str(each.child_id),
            "first_name": each.first_name,
            "last_name": each.last_name,
            "birth_date": each.birth_date.isoformat(),
            "school": each.school,
            "class_name": each.class_name,
            "custody": each.custody.value,
            "days": "\n".join(span_text(span) for span in each.custody_days),
            "other": "",
            "gone": "",
        }
        for each in view.children
    ]
    return Form(str(view.version), view.name, "\n".join(view.address), view.locale.value, guardians, children)


def read(sent: Mapping[str, str]) -> Form:
    """The form as it came back: each row that it has, however many there are."""
    found: dict[str, dict[int, Row]] = {"g": {}, "c": {}}
    for name in sent:
        if row := _ROW.fullmatch(name):
            found[row[1]].setdefault(int(row[2]), {})[row[3]] = sent[name]

    def rows(kind: str, fields: Sequence[str]) -> list[Row]:
        every = [{name: row.get(name, "") for name in fields} for _, row in sorted(found[kind].items())]
        return [row for row in every if any(text not in SAY_NOTHING.get(name, ("",)) for name, text in row.items())]

    return Form(
        version=sent["version"],
        name=sent["name"],
        address=sent["address"],
        locale=sent["locale"],
        guardians=rows("g", GUARDIAN),
        children=rows("c", CHILD),
    )


def span_text(span: Span) -> str:
    """« du 19/12/2026 au 26/12/2026 », or one day."""
    return f"le {written_day(span.first_day)}" if span.first_day == span.last_day else written_span(span)


def spans(text: str) -> tuple[Span, ...]:
    """A day or a first and a last day on each line; ``ValueError`` with the line that is anything else."""
    found = []
    for each in filter(None, (each.strip() for each in text.split("\n"))):
        try:
            found.append(parse_span(each))
        except ValueError:
            raise ValueError(each) from None
    return tuple(found)


def to_request(form: Form) -> HouseholdUpdate | None:
    """What the form wishes; None when something of it is wrong, which ``form.wrong`` then says by field."""
    address = tuple(filter(None, (each.strip() for each in form.address.split("\n"))))
    _want(form, "name", form.name, "Il manque le nom du foyer.")
    if not 1 <= len(address) <= ADDRESS_LINES_MAX or any(len(each) > LINE_MAX for each in address):
        form.wrong["address"] = "L'adresse tient sur une à cinq lignes."
    guardians = [each for row, each in enumerate(form.guardians) if _guardian_is_right(form, row, each)]
    if not guardians and not any(name.startswith("g") for name in form.wrong):
        form.wrong["g0_first_name"] = "Un foyer a au moins un responsable."
    if len(guardians) > GUARDIANS_MAX:
        form.wrong["guardians"] = f"Un foyer a {GUARDIANS_MAX} responsables au plus."
    children = [each for row, each in enumerate(form.children) if _child_is_right(form, row, each)]
    if len(children) > CHILDREN_MAX:
        form.wrong["children"] = f"Un foyer a {CHILDREN_MAX} enfants au plus."
    if form.wrong:
        return None
    return HouseholdUpdate(
        seen_version=int(form.version),
        name=form.name,
        address=address,
        locale=Language(form.locale),
        guardians=tuple(
            GuardianUpdate(
                guardian_id=UUID(each["id"]) if each["id"] else None,
                first_name=each["first_name"],
                last_name=each["last_name"],
                email=each["email"] or None,
            )
            for each in guardians
        ),
        children=tuple(_child_wish(each) for each in children),
        removed=frozenset(_ids(each for each in (*form.guardians, *form.children) if each["gone"])),
    )


def _ids(rows: Iterable[Row]) -> list[UUID]:
    return [UUID(each["id"]) for each in rows if each["id"]]


def _child_wish(row: Row) -> ChildRequest:
    return ChildRequest(
        child_id=UUID(row["id"]) if row["id"] else None,
        first_name=row["first_name"],
        last_name=row["last_name"],
        birth_date=parse_day(row["birth_date"]),
        school=row["school"],
        class_name=row["class_name"],
        custody=Custody(row["custody"] or Custody.FREE),
        custody_days=spans(row["days"]),
    )


def _want(form: Form, name: str, text: str, message: str) -> None:
    if not 0 < len(text) <= LINE_MAX:
        form.wrong[name] = message


def _guardian_is_right(form: Form, number: int, row: Row) -> bool:
    """Whether the guardian stays; what is wrong with one who does is noted."""
    if row["gone"]:
        return False
    who = f"Responsable {number + 1}"
    _want(form, f"g{number}_first_name", row["first_name"], f"{who} : il manque le prénom.")
    _want(form, f"g{number}_last_name", row["last_name"], f"{who} : il manque le nom.")
    if row["email"] and not _EMAIL.fullmatch(row["email"]):
        form.wrong[f"g{number}_email"] = f"{who} : l'adresse email ressemble à prenom.nom@exemple.fr."
    return True


def _child_is_right(form: Form, number: int, row: Row) -> bool:
    if row["gone"]:
        return False
    who = f"Enfant {number + 1}"
    names = {"first_name": "le prénom", "last_name": "le nom", "school": "l'école", "class_name": "la classe"}
    for name, what in names.items():
        _want(form, f"c{number}_{name}", row[name], f"{who} : il manque {what}.")
    try:
        is_born = parse_day(row["birth_date"]) <= today()
    except ValueError:
        is_born = False
    if not is_born:
        wrong = "n'est pas valable, ou est à venir" if row["birth_date"] else "manque"
        form.wrong[f"c{number}_birth_date"] = f"{who} : la date de naissance {wrong}."
    try:
        is_short = len(spans(row["days"])) <= SPANS_MAX
        wrong = "" if is_short else f"{SPANS_MAX} périodes au plus."
    except ValueError as error:
        example = "« du 19/12/2026 au 26/12/2026 », un par ligne."
        wrong = f"« {error} » n'est pas valable, les jours de garde s'écrivent {example}"
    if wrong:
        form.wrong[f"c{number}_days"] = f"{who}, garde par dates : {wrong}"
    return True


def joined(form: Form, number: int, row: Row, found: HouseholdList) -> None:
    """Give a new row the id of the same child in the other household that it names; noted when there is none."""
    same = [
        child.child_id
        for household in found.households
        for child in household.children
        if household.reference == row["other"]
        and child.first_name.casefold() == row["first_name"].casefold()
        and child.birth_date.isoformat() == row["birth_date"]
    ]
    if len(same) == 1:
        row["id"] = str(same[0])
    else:
        message = f"Enfant {number + 1} : le foyer {row['other']} n'a pas d'enfant de ce prénom né ce jour-là."
        form.wrong[f"c{number}_other"] = message


def unknown_school(form: Form, facts: Mapping[str, Any]) -> None:
    """Say at the child's field which school or class is not in the list, and what may be meant."""
    rows = [number for number, row in enumerate(form.children) if not row["gone"]]
    number = rows[facts["child"]]
    near = f" Voulez-vous dire {' ou '.join(facts['near'])} ?" if facts["near"] else ""
    if "class_name" in facts:
        field, wrong = "class_name", f"la classe « {facts['class_name']} » n'est pas de « {facts['school']} »."
    else:
        field, wrong = "school", f"« {facts['school']} » n'est pas une école de la liste, ou n'accueille plus d'élèves."
    hint = near or " La liste se change à la page « Écoles »."
    form.wrong[f"c{number}_{field}"] = f"Enfant {number + 1} : {wrong}{hint}"


def differences(now: HouseholdView, typed: Form) -> list[tuple[str, str]]:
    """What is stored now beside what was typed, where the two differ."""
    there, mine = _sentences(shown(now)), _sentences(typed)
    ids = [*there, *(each for each in mine if each not in there)]
    return [(there.get(each, "—"), mine.get(each, "—")) for each in ids if there.get(each) != mine.get(each)]


def _sentences(form: Form) -> dict[str, str]:
    """A household in sentences, by what each is about."""
    lines = {
        "name": f"Nom : {form.name}",
        "address": f"Adresse : {', '.join(form.address.splitlines())}",
        "locale": f"Langue : {LANGUAGES.get(form.locale, form.locale)}",
    }
    for number, row in enumerate(form.guardians):
        if not row["gone"]:
            name = f"{row['first_name']} {row['last_name']}"
            lines[row["id"] or f"new guardian {number}"] = f"{name} · {row['email'] or 'sans email'}"
    for number, row in enumerate(form.children):
        if not row["gone"]:
            custody = "; ".join(row["days"].splitlines()) or CUSTODIES[Custody(row["custody"] or Custody.FREE)]
            about = (
                f"{row['first_name']} {row['last_name']}",
                row["birth_date"],
                row["school"],
                row["class_name"],
                custody,
            )
            lines[row["id"] or f"new child {number}"] = " · ".join(about)
    return lines
