"""The form of one household: as it was typed, what is wrong with it, and what it wishes."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from uuid import UUID

from contracts.api.auth import ChildWish, GuardianUpdate, HouseholdList, HouseholdUpdate, HouseholdView
from contracts.events.auth import Custody, Span
from contracts.model import Language

GUARDIANS_MAX, CHILDREN_MAX, LINES_MAX, LABEL_MAX = 8, 20, 5, 200
CUSTODIES = {
    Custody.FREE: "Tous les jours",
    Custody.EVEN_WEEKS: "Semaines paires",
    Custody.ODD_WEEKS: "Semaines impaires",
}
LANGUAGES: dict[str, str] = {Language.FR: "Français", Language.EN: "Anglais"}
GUARDIAN = ("id", "first_name", "last_name", "email", "gone")
CHILD = ("id", "first_name", "last_name", "birth_date", "school", "class_name", "custody", "days", "other", "gone")
_DAY = re.compile(r"\b(\d{1,2})/(\d{1,2})/(\d{4})\b")
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
        if len(rows) < count_max and (not rows or any(rows[-1][name] for name in ("id", "first_name", "last_name"))):
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


def read(sent: Mapping[str, object]) -> Form:
    """The form as it came back."""

    def rows(kind: str, fields: Sequence[str], count_max: int) -> list[Row]:
        found = [
            {name: str(sent.get(f"{kind}{n}_{name}", "")).strip()[:2000] for name in fields} for n in range(count_max)
        ]
        return [row for row in found if row["id"] or row["first_name"] or row["last_name"]]

    return Form(
        version=str(sent.get("version", "")),
        name=str(sent.get("name", "")).strip(),
        address=str(sent.get("address", "")).replace("\r", "").strip(),
        locale=str(sent.get("locale", "")),
        guardians=rows("g", GUARDIAN, GUARDIANS_MAX),
        children=rows("c", CHILD, CHILDREN_MAX),
    )


def span_text(span: Span) -> str:
    """« du 19/12/2026 au 26/12/2026 », or one day."""
    if span.first_day == span.last_day:
        return f"le {span.first_day:%d/%m/%Y}"
    return f"du {span.first_day:%d/%m/%Y} au {span.last_day:%d/%m/%Y}"


def spans(text: str) -> tuple[Span, ...]:
    """A day or a first and a last day on each line; ``ValueError`` for anything else."""
    found = []
    for line in filter(None, (each.strip() for each in text.splitlines())):
        days = [date(int(year), int(month), int(day)) for day, month, year in _DAY.findall(line)]
        if not 1 <= len(days) <= 2:
            raise ValueError("one day or two on a line")
        found.append(Span(first_day=days[0], last_day=days[-1]))
    return tuple(found)


def wish(form: Form) -> HouseholdUpdate | None:
    """What the form wishes; None when something of it is wrong, which ``form.wrong`` then says by field."""
    address = tuple(filter(None, (line.strip() for line in form.address.splitlines())))
    _want(form, "name", form.name, "Il manque le nom du foyer.")
    if not 1 <= len(address) <= LINES_MAX or any(len(line) > LABEL_MAX for line in address):
        form.wrong["address"] = "L'adresse tient sur une à cinq lignes."
    if form.locale not in set(Language):
        form.wrong["locale"] = "Choisissez la langue du foyer."
    guardians = [each for row, each in enumerate(form.guardians) if _guardian_is_right(form, row, each)]
    if not guardians and not any(name.startswith("g") for name in form.wrong):
        form.wrong["g0_first_name"] = "Un foyer a au moins un responsable."
    children = [each for row, each in enumerate(form.children) if _child_is_right(form, row, each)]
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
    )


def _child_wish(row: Row) -> ChildWish:
    return ChildWish(
        child_id=UUID(row["id"]) if row["id"] else None,
        first_name=row["first_name"],
        last_name=row["last_name"],
        birth_date=date.fromisoformat(row["birth_date"]),
        school=row["school"],
        class_name=row["class_name"],
        custody=Custody(row["custody"] or Custody.FREE),
        custody_days=spans(row["days"]),
    )


def _want(form: Form, name: str, text: str, message: str) -> None:
    if not 0 < len(text) <= LABEL_MAX:
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
        date.fromisoformat(row["birth_date"])
    except ValueError:
        form.wrong[f"c{number}_birth_date"] = f"{who} : il manque la date de naissance."
    try:
        spans(row["days"])
    except ValueError:
        form.wrong[f"c{number}_days"] = (
            f"{who} : les jours de garde s'écrivent « du 19/12/2026 au 26/12/2026 », un par ligne."
        )
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
