"""/mairie/calendrier: activities and their rules, seen as a calendar before they are saved; closures; decrees."""

import re
from collections import defaultdict
from collections.abc import Mapping
from datetime import date, datetime
from http import HTTPStatus
from typing import Any
from uuid import uuid4

from aiohttp import web
from pydantic import ValidationError

from chassis.clock import PARIS
from chassis.http import path_uuid
from contracts.api.calendar import (
    ActivityCalendar,
    ActivityDay,
    ActivityList,
    ActivityView,
    ActivityWish,
    Closure,
    ClosureList,
    ClosureWish,
    Counting,
    Notice,
    PeriodKind,
    SchoolDayWish,
)
from contracts.failures import NotFound
from contracts.identity import Identity, Permission
from gateway.forms import Fields, FieldWrong, Sent, an_id, line, lines, one_of, said, tick
from gateway.languages import deadline, short_day
from gateway.pages.rendering import checked_form, page, see
from gateway.pages.staff import staff
from gateway.services import SERVICES, Told

WEEKDAYS = ("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche")
PERIODS = {
    PeriodKind.SCHOOL_DAYS: "Jours d'école",
    PeriodKind.WEDNESDAYS: "Mercredis d'école",
    PeriodKind.SMALL_HOLIDAYS: "Petites vacances",
    PeriodKind.SUMMER: "Vacances d'été",
    PeriodKind.EXPLICIT: "Jours choisis un par un",
}
COUNTINGS = {
    Counting.CALENDAR_DAYS: "jours",
    Counting.WORKING_DAYS: "jours ouvrés",
    Counting.SERVICE_DAYS: "jours de service",
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
        f"{which}_kind": one_of(f"{label} : règle", "days", "weekday", "until", always=True),
        f"{which}_days": line(f"{label} : nombre de jours", always=True),
        f"{which}_counting": one_of(f"{label} : comptés en", *COUNTINGS, always=True),
        f"{which}_weekday": one_of(f"{label} : jour", *"1234567", always=True),
        f"{which}_at": line(f"{label} : heure", always=True),
        f"{which}_until": line(f"{label} : jusqu'au", always=True),
    }


CLOSURE = {
    "day": line("Jour", always=True),
    "activity_id": an_id("Activité"),
    "school": line("École"),
    "reason": line("Motif", always=True),
    "cancel_bookings": tick("Fermer et annuler"),
}
DECREE = {"decree_day": line("Jour du décret", always=True), "holiday": line("Nom du congé")}
ACTIVITY = {
    "label": line("Nom", always=True),
    "period": one_of("Période", *PERIODS, always=True),
    "weekdays": one_of("Jours de la semaine", *"1234567", many=True),
    "first_day": line("Du", always=True),
    "last_day": line("Au", always=True),
    "days": lines("Jours choisis", length_max=6_000, always=True),
    "schools": lines("Écoles", length_max=21_000, always=True),
    "capacity": line("Places par jour", always=True),
    "school_capacities": lines("Places par école", length_max=22_000, always=True),
    "position": line("Place dans la liste"),
    "residents_first": tick("Habitants d'abord"),
    "siblings_first": tick("Frères et sœurs d'abord"),
    "offer_hours": line("Heures de proposition", always=True),
    "opens_at": line("Ouverture des réservations", always=True),
    "action": one_of("Bouton", "save", "preview"),
    **notice_fields(BOOK, "Réserver"),
    **notice_fields(CANCEL, "Annuler"),
}

routes = web.RouteTableDef()


def rule(notice: Notice) -> str:
    """A deadline rule as a sentence: « la veille à 18 h »."""
    if notice.until is not None:
        return f"jusqu'au {deadline(notice.until)}"
    assert notice.at is not None, "the contract wants a time or an instant"
    at = f"{notice.at.hour}\u00a0h{f' {notice.at.minute:02d}' if notice.at.minute else ''}"
    if notice.weekday_before:
        return f"le {WEEKDAYS[notice.weekday_before - 1]} de la semaine d'avant à {at}"
    if notice.days_before == 0:
        return f"le jour même à {at}"
    if notice.days_before == 1 and notice.counting is Counting.CALENDAR_DAYS:
        return f"la veille à {at}"
    kind = COUNTINGS[notice.counting]
    return f"{notice.days_before} {kind if notice.days_before > 1 else kind.replace('jours', 'jour', 1)} avant à {at}"


async def _show(
    request: web.Request, session: str, person: Identity, *, status: int = 200, **values: Any
) -> web.Response:
    services = request.app[SERVICES]
    activities = (await services.call(session, "planning", "/activities", ActivityList)).activities
    closures = (await services.call(session, "planning", "/closures", ClosureList)).closures
    labels = {activity.activity_id: activity.label for activity in activities}
    shown: dict[str, Any] = {"done": "", "booked": None, "wrong": "", **values}
    shown["typed"] = defaultdict(str, values.get("typed", {}))
    shown.update(activities=activities, closures=closures, labels=labels, periods=PERIODS, rule=rule, new_id=uuid4())
    return page(request, "calendar.html", person, status=status, **shown)


@routes.get("/mairie/calendrier")
async def calendar(request: web.Request) -> web.Response:
    session, person = await staff(request, Permission.WRITE_CALENDAR)
    done = {"activite": "L'activité est enregistrée."}.get(request.query.get("fait", ""), "")
    return await _show(request, session, person, done=done)


@routes.post("/mairie/calendrier/fermetures")
async def close_day(request: web.Request) -> web.Response:
    """Close a day; when it is booked, say how many first, then close and cancel in one step."""
    form = await checked_form(request, CLOSURE)
    session, person = await staff(request, Permission.WRITE_CALENDAR)
    typed = {name: form.get(name) for name in ("day", "activity_id", "school", "reason")}
    try:
        wish = ClosureWish(
            day=form.day("day"),
            reason=typed["reason"],
            activity_id=typed["activity_id"] or None,
            school=typed["school"] or None,
            cancel_bookings=form.ticked("cancel_bookings"),
        )
    except ValueError as error:
        wrong = said(error, "Donnez un jour et un motif.")
        return await _show(request, session, person, status=422, typed=typed, wrong=wrong)
    services = request.app[SERVICES]
    try:
        closed = await services.call(session, "planning", "/closures", Closure, method="POST", body=wish)
    except Told as told:
        if told.told_code != "day_has_bookings":
            raise
        booked = told.facts.get("bookings")
        return await _show(request, session, person, status=HTTPStatus.CONFLICT, typed=typed, booked=booked)
    count = closed.cancelled
    told_families = f" {count} réservation(s) annulée(s), les familles sont prévenues par email." if count else ""
    return await _show(request, session, person, done=f"Le jour est fermé.{told_families}")


@routes.post("/mairie/calendrier/decrets")
async def keep_decree(request: web.Request) -> web.Response:
    """A day that a decree made a holiday or a day of school."""
    form = await checked_form(request, DECREE)
    session, person = await staff(request, Permission.WRITE_CALENDAR)
    try:
        day, wrong = form.day("decree_day"), "Donnez le jour du décret."
    except FieldWrong as error:
        day, wrong = None, str(error)
    if day is None:
        return await _show(request, session, person, status=422, wrong=wrong)
    wish = SchoolDayWish(holiday=form.get("holiday") or None)
    path = f"/school-days/{day}"
    try:
        await request.app[SERVICES].call(session, "planning", path, SchoolDayWish, method="PUT", body=wish)
    except Told as told:
        return await _show(request, session, person, status=HTTPStatus.CONFLICT, wrong=_left_behind(told))
    return await _show(request, session, person, done="Le calendrier scolaire est corrigé.")


@routes.get("/mairie/calendrier/activites/{activity_id}")
async def activity(request: web.Request) -> web.Response:
    """An activity as a form; an id that nobody has yet is a new one."""
    session, person = await staff(request, Permission.WRITE_CALENDAR)
    activity_id = path_uuid(request, "activity_id")
    known = (await request.app[SERVICES].call(session, "planning", "/activities", ActivityList)).activities
    found = next((each for each in known if each.activity_id == activity_id), None)
    if found is None and "nouvelle" not in request.query:
        raise NotFound("no such activity")
    typed = _typed(found) if found else {"weekdays": {"1", "2", "4", "5"}, **_typed_notices(None, None)}
    return _form(request, person, typed)


@routes.post("/mairie/calendrier/activites/{activity_id}")
async def save_activity(request: web.Request) -> web.Response:
    """Show the calendar that the form comes to; save it only when asked to from there."""
    form = await checked_form(request, ACTIVITY)
    session, person = await staff(request, Permission.WRITE_CALENDAR)
    typed: dict[str, Any] = {**form, "weekdays": set(form.getall("weekdays"))}
    try:
        wish = _wish(form)
    except ValidationError as error:
        wrong = {FIELDS.get(str(part), "") for each in error.errors() for part in each["loc"][:1]} - {""}
        return _form(request, person, typed, status=422, wrong=wrong or {"les dates"})
    except FieldWrong as error:
        return _form(request, person, typed, status=422, wrong={str(error)})
    services, path = request.app[SERVICES], f"/activities/{path_uuid(request, 'activity_id')}"
    if form.get("action") == "save":
        try:
            await services.call(session, "planning", path, ActivityView, method="PUT", body=wish)
        except Told as told:
            return _form(request, person, typed, status=HTTPStatus.CONFLICT, wrong={_left_behind(told)})
        return see("/mairie/calendrier?fait=activite")
    shown = await services.call(session, "planning", "/activities/preview", ActivityCalendar, method="POST", body=wish)
    return _form(
        request, person, typed, months=_months(shown.days), known_until=shown.known_until, count=len(shown.days)
    )


def _form(
    request: web.Request, person: Identity, typed: Mapping[str, Any], *, status: int = 200, **more: Any
) -> web.Response:
    values = {"wrong": set(), "months": None, "known_until": None, "count": 0, **more}
    return page(
        request,
        "activity.html",
        person,
        status=status,
        typed=defaultdict(str, typed),
        periods=PERIODS,
        countings=COUNTINGS,
        weekday_names=WEEKDAYS,
        **values,
    )


def _left_behind(told: Told) -> str:
    """Why a change of the calendar is refused: bookings would be left on days that no longer exist."""
    if told.told_code != "day_has_bookings":
        raise told
    day = short_day(date.fromisoformat(told.facts["day"]))
    return f"{told.facts['bookings']} réservation(s) à partir du {day} n'auraient plus lieu. Fermez d'abord ces jours."


def _months(days: tuple[ActivityDay, ...]) -> dict[date, list[ActivityDay]]:
    found: dict[date, list[ActivityDay]] = defaultdict(list)
    for each in days:
        found[each.day.replace(day=1)].append(each)
    return dict(found)


def _wish(form: Sent) -> ActivityWish:
    if form.get("days") and form.get("period") != PeriodKind.EXPLICIT:
        raise form.wrong("days", "« {field} » : videz ce champ, ou prenez la période « Jours choisis un par un ».")
    return ActivityWish.model_validate(
        {
            "label": form.get("label"),
            "period": form.get("period"),
            "weekdays": form.getall("weekdays"),
            "first_day": form.day("first_day"),
            "last_day": form.day("last_day"),
            "days": _once(form, "days", form.lines("days")),
            "schools": _once(form, "schools", form.lines("schools")),
            "capacity": form.whole("capacity", 0, 10_000),
            "school_capacities": _by_school(form),
            "position": form.whole("position", 0, 1_000) or 0,
            "opens_at": form.instant("opens_at"),
            "siblings_first": form.ticked("siblings_first"),
            "residents_first": form.ticked("residents_first"),
            "offer_hours": form.whole("offer_hours", 1, 168),
            "booking_notice": _notice(form, BOOK),
            "cancelling_notice": _notice(form, CANCEL),
        }
    )


def _once(form: Sent, name: str, found: list[str]) -> list[str]:
    if len(set(found)) < len(found):
        raise form.wrong(name, "« {field} » : la même ligne est là deux fois.")
    return found


def _by_school(form: Sent) -> dict[str, int]:
    """« École du Bourg : 80 », a school a line."""
    parts = [line.rpartition(":") for line in form.lines("school_capacities")]
    if not all(school.strip() and PLACES.fullmatch(places.strip()) for school, _, places in parts):
        raise form.wrong("school_capacities", "« {field} » : chaque ligne s'écrit « École du Bourg : 80 ».")
    _once(form, "school_capacities", [school.strip() for school, _, _ in parts])
    return {school.strip(): int(places) for school, _, places in parts}


def _notice(form: Sent, which: str) -> dict[str, Any]:
    match form.get(f"{which}_kind"):
        case "weekday":
            return {"weekday_before": form.get(f"{which}_weekday"), "at": _time(form, which)}
        case "until":
            return {"until": form.instant(f"{which}_until")}
        case _:
            days = form.whole(f"{which}_days", 0, 60) or 0
            return {"days_before": days, "counting": form.get(f"{which}_counting"), "at": _time(form, which)}


def _time(form: Sent, which: str) -> str:
    text = form.get(f"{which}_at")
    if not TIME.fullmatch(text):
        raise form.wrong(f"{which}_at", "« {field} » : une heure s'écrit 18:00.")
    return text


def _typed(found: ActivityView) -> dict[str, Any]:
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
        **_typed_notices(found.booking_notice, found.cancelling_notice),
    }


def _typed_notices(book: Notice | None, cancel: Notice | None) -> dict[str, str]:
    typed: dict[str, str] = {}
    for which, notice in ((BOOK, book), (CANCEL, cancel)):
        kind = "until" if notice and notice.until else "weekday" if notice and notice.weekday_before else "days"
        typed |= {
            f"{which}_kind": kind,
            f"{which}_days": str(notice.days_before if notice else 1),
            f"{which}_counting": str(notice.counting if notice else Counting.CALENDAR_DAYS),
            f"{which}_weekday": str(notice.weekday_before or 4) if notice else "4",
            f"{which}_at": f"{notice.at:%H:%M}" if notice and notice.at else "18:00",
            f"{which}_until": _local(notice.until) if notice else "",
        }
    return typed


def _local(instant: datetime | None) -> str:
    return f"{instant.astimezone(PARIS):%Y-%m-%dT%H:%M}" if instant else ""
