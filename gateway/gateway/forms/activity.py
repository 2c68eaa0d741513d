"""The form of an activity: its fields, what is in them, and what it wishes."""

import re
from datetime import datetime
from typing import Any

from chassis.clock import PARIS
from contracts.api.calendar import ActivityRequest, ActivityView, Deadline, DeadlineUnit, PeriodKind
from contracts.api.schools import SchoolView
from gateway.forms.edit_conflicts import VERSION_FIELD
from gateway.forms.fields import Fields, SubmittedForm, checkbox, choice, line, lines
from gateway.forms.schools import registered_name

WEEKDAYS = ("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche")
PERIODS = {
    PeriodKind.SCHOOL_DAYS: "Jours d'école",
    PeriodKind.WEDNESDAYS: "Mercredis d'école",
    PeriodKind.SMALL_HOLIDAYS: "Petites vacances",
    PeriodKind.SUMMER: "Vacances d'été",
    PeriodKind.EXPLICIT: "Jours choisis un par un",
}
COUNTINGS = {
    DeadlineUnit.CALENDAR_DAYS: "jours",
    DeadlineUnit.WORKING_DAYS: "jours ouvrés",
    DeadlineUnit.SERVICE_DAYS: "jours de service",
}
FIELDS = {
    "label": "le nom",
    "period": "la période",
    "weekdays": "les jours de la semaine",
    "first_day": "le premier jour",
    "last_day": "le dernier jour",
    "days": "les jours choisis",
    "schools": "les écoles",
    "capacity": "le nombre de places",
    "school_capacities": "les places par école (« École du Bourg : 80 »)",
    "offer_hours": "la durée d'une proposition (1 à 168 heures)",
    "opens_at": "l'ouverture des réservations",
    "booking_notice": "le délai pour réserver",
    "cancelling_notice": "le délai pour annuler",
}
BOOK, CANCEL = "book", "cancel"
PLACES = re.compile(r"[0-9]{1,5}")
TIME = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]")


def notice_fields(which: str, label: str) -> Fields:
    """The fields of a deadline: one form of three is in force, the others are kept on the page."""
    return {
        f"{which}_kind": choice(f"{label} : règle", "days", "weekday", "until", always=True),
        f"{which}_days": line(f"{label} : nombre de jours", always=True),
        f"{which}_counting": choice(f"{label} : comptés en", *COUNTINGS, always=True),
        f"{which}_weekday": choice(f"{label} : jour", *"1234567", always=True),
        f"{which}_at": line(f"{label} : heure", always=True),
        f"{which}_until": line(f"{label} : jusqu'au", always=True),
    }


ACTIVITY = {
    **VERSION_FIELD,
    "label": line("Nom", always=True),
    "period": choice("Période", *PERIODS, always=True),
    "weekdays": choice("Jours de la semaine", *"1234567", many=True),
    "first_day": line("Du", always=True),
    "last_day": line("Au", always=True),
    "days": lines("Jours choisis", length_max=6_000, always=True),
    "schools": lines("Écoles", length_max=21_000, always=True),
    "capacity": line("Places par jour", always=True),
    "school_capacities": lines("Places par école", length_max=22_000, always=True),
    "position": line("Place dans la liste"),
    "residents_first": checkbox("Habitants d'abord"),
    "siblings_first": checkbox("Frères et sœurs d'abord"),
    "offer_hours": line("Heures de proposition", always=True),
    "opens_at": line("Ouverture des réservations", always=True),
    "action": choice("Bouton", "save", "preview"),
    **notice_fields(BOOK, "Réserver"),
    **notice_fields(CANCEL, "Annuler"),
}


def to_request(form: SubmittedForm, known: tuple[SchoolView, ...]) -> ActivityRequest:
    if form.get("days") and form.get("period") != PeriodKind.EXPLICIT:
        raise form.wrong("days", "« {field} » : videz ce champ, ou prenez la période « Jours choisis un par un ».")
    return ActivityRequest.model_validate(
        {
            "label": form.get("label"),
            "period": form.get("period"),
            "weekdays": form.getall("weekdays"),
            "first_day": form.day("first_day"),
            "last_day": form.day("last_day"),
            "days": _once(form, "days", form.lines("days")),
            "schools": _once(
                form, "schools", [registered_name(form, "schools", each, known) for each in form.lines("schools")]
            ),
            "capacity": form.whole("capacity", 0, 10_000),
            "school_capacities": _by_school(form, known),
            "position": form.whole("position", 0, 1_000) or 0,
            "opens_at": form.instant("opens_at"),
            "siblings_first": form.ticked("siblings_first"),
            "residents_first": form.ticked("residents_first"),
            "offer_hours": form.whole("offer_hours", 1, 168),
            "booking_notice": _notice(form, BOOK),
            "cancelling_notice": _notice(form, CANCEL),
        }
    )


def _once(form: SubmittedForm, name: str, found: list[str]) -> list[str]:
    if len(set(found)) < len(found):
        raise form.wrong(name, "« {field} » : la même ligne figure deux fois.")
    return found


def _by_school(form: SubmittedForm, known: tuple[SchoolView, ...]) -> dict[str, int]:
    """« École du Bourg : 80 », a school a line."""
    parts = [line.rpartition(":") for line in form.lines("school_capacities")]
    if not all(school.strip() and PLACES.fullmatch(places.strip()) for school, _, places in parts):
        raise form.wrong("school_capacities", "« {field} » : chaque ligne s'écrit « École du Bourg : 80 ».")
    names = [registered_name(form, "school_capacities", school, known) for school, _, _ in parts]
    _once(form, "school_capacities", names)
    return {school: int(places) for school, (_, _, places) in zip(names, parts, strict=True)}


def _notice(form: SubmittedForm, which: str) -> dict[str, Any]:
    """The form that is in force; what was typed in another one is understood as well, or the whole is refused."""
    days, until = form.whole(f"{which}_days", 0, 60), form.instant(f"{which}_until")
    kind = form.get(f"{which}_kind")
    if until is not None and kind != "until":
        raise form.wrong(
            f"{which}_until", "« {field} » : videz ce champ, ou choisissez « une date pour toute la période »."
        )
    match kind:
        case "weekday":
            return {"weekday_before": form.get(f"{which}_weekday"), "at": _time(form, which)}
        case "until":
            return {"until": until}
    if days is None:
        raise form.wrong(f"{which}_days", "« {field} » est obligatoire.")
    return {"days_before": days, "counting": form.get(f"{which}_counting"), "at": _time(form, which)}


def _time(form: SubmittedForm, which: str) -> str:
    text = form.get(f"{which}_at")
    if not TIME.fullmatch(text):
        raise form.wrong(f"{which}_at", "« {field} » : une heure s'écrit 18:00.")
    return text


def typed(found: ActivityView) -> dict[str, Any]:
    """An activity as its form's fields."""
    return {
        "label": found.label,
        "period": found.period,
        "weekdays": {str(each) for each in found.weekdays},
        "first_day": str(found.first_day),
        "last_day": str(found.last_day),
        "days": "\n".join(str(each) for each in sorted(found.days)),
        "schools": "\n".join(sorted(found.schools)),
        "capacity": "" if found.capacity is None else str(found.capacity),
        "school_capacities": "\n".join(f"{each} : {places}" for each, places in found.school_capacities.items()),
        "position": str(found.position),
        "opens_at": _local(found.opens_at),
        "siblings_first": "1" if found.siblings_first else "",
        "residents_first": "1" if found.residents_first else "",
        "offer_hours": str(found.offer_hours or ""),
        **typed_notices(found.booking_notice, found.cancelling_notice),
    }


def blank() -> dict[str, Any]:
    """A new activity's fields: school days but Wednesday, until the evening before."""
    return {"weekdays": {"1", "2", "4", "5"}, **typed_notices(None, None)}


def typed_notices(book: Deadline | None, cancel: Deadline | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for which, notice in ((BOOK, book), (CANCEL, cancel)):
        kind = "until" if notice and notice.until else "weekday" if notice and notice.weekday_before else "days"
        found |= {
            f"{which}_kind": kind,
            f"{which}_days": str(notice.days_before if notice else 1),
            f"{which}_counting": str(notice.counting if notice else DeadlineUnit.CALENDAR_DAYS),
            f"{which}_weekday": str(notice.weekday_before or 4) if notice else "4",
            f"{which}_at": f"{notice.at:%H:%M}" if notice and notice.at else "18:00",
            f"{which}_until": _local(notice.until) if notice else "",
        }
    return found


def _local(instant: datetime | None) -> str:
    return f"{instant.astimezone(PARIS):%Y-%m-%dT%H:%M}" if instant else ""
