"""/mairie/calendrier: activities and their rules, seen as a calendar before they are saved; closures; decrees."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import date
from http import HTTPStatus
from typing import Any
from uuid import uuid4

from aiohttp import web
from pydantic import ValidationError

from chassis.http import path_uuid
from contracts.api.calendar import (
    ActivityCalendar,
    ActivityDay,
    ActivityList,
    ActivityView,
    Closure,
    ClosureList,
    ClosureRequest,
    SchoolDayRequest,
)
from contracts.failures import NotFound
from contracts.identity import Identity, Permission
from gateway.clients.services import SERVICES, UpstreamError
from gateway.forms import activity as activity_form
from gateway.forms.activity import COUNTINGS, FIELDS, PERIODS, WEEKDAYS
from gateway.forms.edit_conflicts import VERSION, differences, has_changed, version
from gateway.forms.fields import FieldError, SubmittedForm, error_message, id_field, line
from gateway.forms.schools import registered_name
from gateway.languages import short_day
from gateway.pages.shared.access import require_staff
from gateway.pages.shared.confirmation import Question, ask_first
from gateway.pages.shared.deadline_messages import DEADLINE_LABELS, deadline_rule
from gateway.pages.shared.rendering import checked_form, redirect, render
from gateway.pages.shared.school_list import list_schools

CLOSURE = {
    "day": line("Jour", always=True),
    "activity_id": id_field("Activité"),
    "school": line("École"),
    "reason": line("Motif", always=True),
}
DECREE = {"decree_day": line("Jour du décret", always=True), "holiday": line("Nom du congé")}
routes = web.RouteTableDef()


async def _show(
    request: web.Request, session: str, person: Identity, *, status: int = 200, **values: Any
) -> web.Response:
    services = request.app[SERVICES]
    activities = (await services.call(session, "planning", "/activities", ActivityList)).activities
    closures = (await services.call(session, "planning", "/closures", ClosureList)).closures
    labels = {activity.activity_id: activity.label for activity in activities}
    shown: dict[str, Any] = {"done": "", "wrong": "", **values}
    shown["typed"] = defaultdict(str, values.get("typed", {}))
    shown.update(schools=await list_schools(request, session))
    shown.update(
        activities=activities, closures=closures, labels=labels, periods=PERIODS, rule=deadline_rule, new_id=uuid4()
    )
    return render(request, "town_hall/calendar.html", person, status=status, **shown)


@routes.get("/mairie/calendrier")
async def calendar(request: web.Request) -> web.Response:
    session, person = await require_staff(request, Permission.WRITE_CALENDAR)
    done = {"activite": "L'activité est enregistrée."}.get(request.query.get("fait", ""), "")
    return await _show(request, session, person, done=done)


@routes.post("/mairie/calendrier/fermetures")
async def close_day(request: web.Request) -> web.Response:
    """Close a day; when it is booked, it is asked first, with how many bookings it cancels."""
    form = await checked_form(request, CLOSURE)
    session, person = await require_staff(request, Permission.WRITE_CALENDAR)
    typed = {name: form.get(name) for name in ("day", "activity_id", "school", "reason")}
    known = await list_schools(request, session)
    try:
        body = ClosureRequest(
            day=form.day("day"),
            reason=typed["reason"],
            activity_id=typed["activity_id"] or None,
            school=registered_name(form, "school", typed["school"], known) if typed["school"] else None,
        )
    except ValueError as error:
        wrong = error_message(error, "Donnez un jour et un motif.")
        return await _show(request, session, person, status=422, typed=typed, wrong=wrong)
    closed = await _close(request, form, session, person, body)
    if isinstance(closed, web.Response):
        return closed
    count = closed.cancelled
    told_families = f" {count} réservation(s) annulée(s), les familles sont prévenues par email." if count else ""
    nobody = " Aucun enfant connu ne va dans cette école." if closed.nobody_attends else ""
    return await _show(request, session, person, done=f"Le jour est fermé.{told_families}{nobody}")


async def _close(
    request: web.Request, form: SubmittedForm, session: str, person: Identity, body: ClosureRequest
) -> Closure | web.Response:
    """The closure, or the page that asks for it: as long as the number of bookings is not the one that was shown."""
    while True:
        try:
            call = request.app[SERVICES].call
            return await call(session, "planning", "/closures", Closure, method="POST", body=body)
        except UpstreamError as error:
            if error.upstream_code != "day_has_bookings":
                raise
            booked = error.facts["bookings"]
        if asked := ask_first(request, form, person, _closing(body, booked)):
            return asked
        body = body.model_copy(update={"cancel_bookings": True, "cancel_seen": booked})


def _closing(body: ClosureRequest, booked: int) -> Question:
    many, day = "s" if booked > 1 else "", short_day(body.day)
    does = f"{booked} réservation{many} {'sont annulées' if booked > 1 else 'est annulée'} le {day}"
    button = f"Fermer et annuler {f'les {booked} réservations' if booked > 1 else 'la réservation'}"
    says = (
        f"{does} : {body.reason}.",
        "Les familles sont prévenues par email. Rouvrir le jour ne rétablit pas les réservations.",
    )
    return Question(f"Fermer le {day} ?", says, button, "/mairie/calendrier", {"bookings": booked})


@routes.post("/mairie/calendrier/decrets")
async def keep_decree(request: web.Request) -> web.Response:
    """A day that a decree made a holiday or a day of school."""
    form = await checked_form(request, DECREE)
    session, person = await require_staff(request, Permission.WRITE_CALENDAR)
    try:
        day, wrong = form.day("decree_day"), "Donnez le jour du décret."
    except FieldError as error:
        day, wrong = None, str(error)
    if day is None:
        return await _show(request, session, person, status=422, wrong=wrong)
    body = SchoolDayRequest(holiday=form.get("holiday") or None)
    path = f"/school-days/{day}"
    try:
        await request.app[SERVICES].call(session, "planning", path, SchoolDayRequest, method="PUT", body=body)
    except UpstreamError as error:
        return await _show(request, session, person, status=HTTPStatus.CONFLICT, wrong=_left_behind(error))
    return await _show(request, session, person, done="Le calendrier scolaire est corrigé.")


@routes.get("/mairie/calendrier/activites/{activity_id}")
async def activity(request: web.Request) -> web.Response:
    """An activity as a form; an id that nobody has yet is a new one."""
    session, person = await require_staff(request, Permission.WRITE_CALENDAR)
    found = await _activity(request, session)
    if found is None and "nouvelle" not in request.query:
        raise NotFound("no such activity")
    typed = {**(activity_form.typed(found) if found else activity_form.blank()), VERSION: version(found)}
    return _form(request, person, typed)


@routes.post("/mairie/calendrier/activites/{activity_id}")
async def save_activity(request: web.Request) -> web.Response:
    """Show the calendar that the form comes to; save it only when asked to from there."""
    form = await checked_form(request, activity_form.ACTIVITY)
    session, person = await require_staff(request, Permission.WRITE_CALENDAR)
    typed: dict[str, Any] = {**form, "weekdays": set(form.getall("weekdays"))}
    try:
        body = activity_form.to_request(form, await list_schools(request, session))
    except ValidationError as error:
        wrong = {FIELDS.get(str(part), "") for each in error.errors() for part in each["loc"][:1]} - {""}
        return _form(request, person, typed, status=422, wrong=wrong or {"les dates"})
    except FieldError as error:
        return _form(request, person, typed, status=422, wrong={str(error)})
    services, path = request.app[SERVICES], f"/activities/{path_uuid(request, 'activity_id')}"
    if form.get("action") == "save":
        try:
            seen = form.get(VERSION)
            await services.call(session, "planning", path, ActivityView, method="PUT", body=body, version=seen)
        except UpstreamError as error:
            if has_changed(error):
                return await _moved(request, session, person, typed)
            return _form(request, person, typed, status=HTTPStatus.CONFLICT, wrong={_left_behind(error)})
        return redirect("/mairie/calendrier?fait=activite")
    shown = await services.call(session, "planning", "/activities/preview", ActivityCalendar, method="POST", body=body)
    return _form(
        request, person, typed, months=_months(shown.days), known_until=shown.known_until, count=len(shown.days)
    )


async def _moved(request: web.Request, session: str, person: Identity, typed: dict[str, Any]) -> web.Response:
    """The form as it was typed, with what somebody else saved meanwhile."""
    found = await _activity(request, session)
    changes = differences(activity_form.typed(found) if found else {}, typed, {**FIELDS, **DEADLINE_LABELS})
    return _form(request, person, {**typed, VERSION: version(found)}, status=HTTPStatus.CONFLICT, moved=changes)


async def _activity(request: web.Request, session: str) -> ActivityView | None:
    known = (await request.app[SERVICES].call(session, "planning", "/activities", ActivityList)).activities
    return next((each for each in known if each.activity_id == path_uuid(request, "activity_id")), None)


def _form(
    request: web.Request, person: Identity, typed: Mapping[str, Any], *, status: int = 200, **more: Any
) -> web.Response:
    values = {"wrong": set(), "months": None, "known_until": None, "count": 0, "moved": None, **more}
    return render(
        request,
        "town_hall/activity.html",
        person,
        status=status,
        typed=defaultdict(str, typed),
        periods=PERIODS,
        countings=COUNTINGS,
        weekday_names=WEEKDAYS,
        **values,
    )


def _left_behind(error: UpstreamError) -> str:
    """Why a change of the calendar is refused: bookings would be left on days that no longer exist."""
    if error.upstream_code != "day_has_bookings":
        raise error
    day = short_day(date.fromisoformat(error.facts["day"]))
    return f"{error.facts['bookings']} réservation(s) à partir du {day} n'auraient plus lieu. Fermez d'abord ces jours."


def _months(days: tuple[ActivityDay, ...]) -> dict[date, list[ActivityDay]]:
    found: dict[date, list[ActivityDay]] = defaultdict(list)
    for each in days:
        found[each.day.replace(day=1)].append(each)
    return dict(found)
