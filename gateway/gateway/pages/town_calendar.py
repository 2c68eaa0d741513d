"""/mairie/calendrier: activities and their rules, seen as a calendar before they are saved; closures; decrees."""

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
    form = await checked_form(request)
    session, person = await staff(request, Permission.WRITE_CALENDAR)
    typed = {name: str(form.get(name, "")).strip() for name in ("day", "activity_id", "school", "reason")}
    try:
        wish = ClosureWish(
            day=typed["day"],
            reason=typed["reason"],
            activity_id=typed["activity_id"] or None,
            school=typed["school"] or None,
            cancel_bookings=form.get("cancel_bookings") == "1",
        )
    except ValidationError:
        wrong = "Donnez un jour et un motif."
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
    form = await checked_form(request)
    session, person = await staff(request, Permission.WRITE_CALENDAR)
    try:
        day = date.fromisoformat(str(form.get("decree_day", "")))
        wish = SchoolDayWish(holiday=str(form.get("holiday", "")).strip() or None)
    except ValueError:
        return await _show(request, session, person, status=422, wrong="Donnez le jour du décret.")
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
    form = await checked_form(request)
    session, person = await staff(request, Permission.WRITE_CALENDAR)
    typed: dict[str, Any] = {**form, "weekdays": set(form.getall("weekdays", []))}
    try:
        wish = _wish(form)
    except ValidationError as error:
        wrong = {FIELDS.get(str(part), "") for each in error.errors() for part in each["loc"][:1]} - {""}
        return _form(request, person, typed, status=422, wrong=wrong or {"les dates"})
    except _Unreadable as error:
        return _form(request, person, typed, status=422, wrong={error.field})
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


class _Unreadable(Exception):  # noqa: N818 - an answer
    """A field of the form that is no date, number or time."""

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field


def _wish(form: Any) -> ActivityWish:
    def text(name: str) -> str:
        return str(form.get(name, "")).strip()

    def lines(name: str) -> list[str]:
        return [line.strip() for line in text(name).splitlines() if line.strip()]

    try:
        opens_at = datetime.fromisoformat(text("opens_at")).replace(tzinfo=PARIS) if text("opens_at") else None
    except ValueError as error:
        raise _Unreadable(FIELDS["opens_at"]) from error
    return ActivityWish.model_validate(
        {
            "label": text("label"),
            "period": text("period"),
            "weekdays": [str(each) for each in form.getall("weekdays", [])],
            "first_day": text("first_day"),
            "last_day": text("last_day"),
            "days": lines("days") if text("period") == PeriodKind.EXPLICIT else [],
            "schools": lines("schools"),
            "capacity": text("capacity") or None,
            "school_capacities": _by_school(lines("school_capacities")),
            "position": text("position") or 0,
            "opens_at": opens_at,
            "siblings_first": form.get("siblings_first") == "1",
            "residents_first": form.get("residents_first") == "1",
            "offer_hours": text("offer_hours") or None,
            "booking_notice": _notice(form, BOOK),
            "cancelling_notice": _notice(form, CANCEL),
        }
    )


def _by_school(lines: list[str]) -> dict[str, str]:
    """« École du Bourg : 80 », a school a line."""
    pairs = [
        (school.strip(), places.strip()) for school, colon, places in (line.rpartition(":") for line in lines) if colon
    ]
    if len(pairs) < len(lines):
        raise _Unreadable(FIELDS["school_capacities"])
    return dict(pairs)


def _notice(form: Any, which: str) -> dict[str, Any]:
    def text(name: str) -> str:
        return str(form.get(f"{which}_{name}", "")).strip()

    match text("kind"):
        case "weekday":
            return {"weekday_before": text("weekday"), "at": text("at")}
        case "until":
            try:
                return {"until": datetime.fromisoformat(text("until")).replace(tzinfo=PARIS)}
            except ValueError as error:
                raise _Unreadable(FIELDS["booking_notice" if which == BOOK else "cancelling_notice"]) from error
        case _:
            return {"days_before": text("days"), "counting": text("counting"), "at": text("at")}


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
