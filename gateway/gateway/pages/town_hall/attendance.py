"""/mairie/pointage: the sheet of a day, for a tablet or on paper."""

from uuid import UUID

from aiohttp import web
from pydantic import ValidationError
from yarl import URL

from chassis.clock import today
from contracts.api.attendance import AttendanceMark, AttendanceMarks, AttendanceSheet
from contracts.api.calendar import ActivityList
from contracts.events.planning import Presence
from contracts.failures import Invalid
from contracts.identity import Permission
from contracts.model import parse_day
from gateway.clients.services import SERVICES
from gateway.forms.fields import SubmittedForm, checkbox, choice, hidden, id_field, line
from gateway.pages.shared.access import require_staff
from gateway.pages.shared.rendering import checked_form, redirect, render

PRESENCES = {
    Presence.PRESENT: "présent",
    Presence.ABSENT: "absent",
    Presence.JUSTIFIED: "justifié",
    Presence.EXTRA: "présent quand même",
}
SHEET = {
    "activite": id_field("Activité", always=True),
    "jour": hidden("Jour"),
    "ecole": line("École"),
    "row": hidden("Enfants affichés", many=True),
    "mark|*": choice("Présence", *PRESENCES),
    "late|*": checkbox("Départ en retard"),
    "extra": hidden("Enfant sans réservation"),
    "others": checkbox("Tous les autres présents"),
}

routes = web.RouteTableDef()


@routes.get("/mairie/pointage")
async def sheet(request: web.Request) -> web.Response:
    """The sheet of an activity, a day and perhaps a school; today's first activity to begin with."""
    session, person = await require_staff(request, Permission.BOOK_FOR_HOUSEHOLDS)
    services = request.app[SERVICES]
    activities = (await services.call(session, "planning", "/activities", ActivityList)).activities
    try:
        day = parse_day(request.query.get("jour") or str(today()))
        wanted = UUID(request.query["activite"]) if "activite" in request.query else None
    except ValueError as error:
        raise Invalid("the day or the activity cannot be read", errors=[]) from error
    school, found = request.query.get("ecole", ""), None
    activity_id = wanted or (activities[0].activity_id if activities else None)
    if activity_id:
        path = URL(f"/activities/{activity_id}/attendance/{day}").with_query(school=school)
        found = await services.call(session, "planning", str(path), AttendanceSheet)
    return render(
        request,
        "town_hall/attendance.html",
        person,
        activities=activities,
        activity_id=activity_id,
        day=day,
        school=school,
        sheet=found,
        presences=PRESENCES,
        is_to_come=day > today(),
        done="fait" in request.query,
    )


@routes.post("/mairie/pointage")
async def mark(request: web.Request) -> web.Response:
    """Keep the marks of a sheet; sent twice, they are kept once."""
    form = await checked_form(request, SHEET)
    session, _person = await require_staff(request, Permission.BOOK_FOR_HOUSEHOLDS)
    query = {name: form.get(name) for name in ("activite", "jour", "ecole")}
    try:
        path = f"/activities/{UUID(query['activite'])}/attendance/{parse_day(query['jour'])}"
        others = Presence.PRESENT if form.ticked("others") else ""
        _only_shown(form)
        marks = []
        for row in form.getall("row"):
            household_id, _, child_id = row.partition("|")
            is_late = f"late|{row}" in form
            if presence := form.get(f"mark|{row}", Presence.PRESENT if is_late else others):
                mark = AttendanceMark(
                    household_id=household_id, child_id=child_id, presence=presence, late_pickup=is_late
                )
                marks.append(mark)
        if extra := form.get("extra"):
            household_id, _, child_id = extra.partition("|")
            marks.append(AttendanceMark(household_id=household_id, child_id=child_id, presence=Presence.EXTRA))
        body = AttendanceMarks(marks=tuple(marks)) if marks else None
    except (ValidationError, ValueError) as error:
        raise Invalid("the sheet cannot be read", errors=[]) from error
    if body:
        services = request.app[SERVICES]
        await services.call(session, "planning", path, AttendanceSheet, method="PUT", body=body)
    return redirect(str(URL("/mairie/pointage").with_query({**query, "fait": "1"})))


def _only_shown(form: SubmittedForm) -> None:
    """A mark is that of a child whom the sheet showed."""
    shown = set(form.getall("row"))
    if any(sign and row not in shown for name in form for _, sign, row in (name.partition("|"),)):
        raise ValueError("a child is marked who was not shown")
