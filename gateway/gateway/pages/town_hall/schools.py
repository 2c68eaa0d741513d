"""/mairie/ecoles: the schools and classes of the town, from which every form chooses."""

from aiohttp import web

from chassis.http import path_uuid
from contracts.api.schools import CLASSES_MAX, SchoolList, SchoolRequest, SchoolUpdate
from contracts.identity import Permission
from contracts.names import name_key
from gateway.clients.services import SERVICES, UpstreamError
from gateway.forms.fields import checkbox, error_message, line, lines
from gateway.pages.shared.access import require_staff
from gateway.pages.shared.rendering import checked_form, redirect, render
from gateway.pages.shared.school_list import list_schools

NEW = {"name": line("Nom", always=True), "classes": lines("Classes", length_max=CLASSES_MAX * 60, always=True)}
CHANGE = {**NEW, "closed": checkbox("N'accueille plus d'élèves")}
REFUSALS = {
    "school_moved": "Quelqu'un a modifié cette école entre-temps. Rien n'a été enregistré : la voici maintenant.",
    "school_name_taken": "Une autre école porte déjà ce nom. Rien n'a été enregistré.",
    "invalid": "Donnez un nom à l'école, et une classe par ligne.",
}

routes = web.RouteTableDef()


async def _show(
    request: web.Request, *, wrong: str = "", typed: dict[str, str] | None = None, status: int = 200
) -> web.Response:
    session, person = await require_staff(request, Permission.READ_HOUSEHOLDS)
    return render(
        request,
        "town_hall/schools.html",
        person,
        status=status,
        schools=await list_schools(request, session),
        may_write=person.may(Permission.WRITE_HOUSEHOLDS),
        wrong=wrong,
        typed=typed or {"name": "", "classes": ""},
        done="fait" in request.query,
    )


@routes.get("/mairie/ecoles")
async def schools(request: web.Request) -> web.Response:
    return await _show(request)


@routes.post("/mairie/ecoles")
async def register(request: web.Request) -> web.Response:
    """Add a school; one of that name, however it is written, is there already."""
    form = await checked_form(request, NEW)
    session, _person = await require_staff(request, Permission.WRITE_HOUSEHOLDS)
    typed = {"name": form.get("name"), "classes": form.get("classes")}
    try:
        for each in await list_schools(request, session):
            if name_key(each.name) == name_key(typed["name"]):
                raise form.wrong("name", "« {field} » : l'école « {known} » est déjà dans la liste.", known=each.name)
        body = SchoolRequest(name=typed["name"], classes=tuple(form.lines("classes")))
    except ValueError as error:
        return await _show(request, wrong=error_message(error, REFUSALS["invalid"]), typed=typed, status=422)
    await request.app[SERVICES].call(session, "auth", "/schools", SchoolList, method="POST", body=body)
    return redirect("/mairie/ecoles?fait=1")


@routes.post("/mairie/ecoles/{school_id}")
async def change(request: web.Request) -> web.Response:
    """Rename a school, add classes, close it or open it again."""
    form = await checked_form(request, CHANGE)
    session, _person = await require_staff(request, Permission.WRITE_HOUSEHOLDS)
    path = f"/schools/{path_uuid(request, 'school_id')}"
    try:
        body = SchoolUpdate(
            seen_version=form.get("version"),
            name=form.get("name"),
            classes=tuple(form.lines("classes")),
            closed=form.ticked("closed"),
        )
    except ValueError:
        return await _show(request, wrong=REFUSALS["invalid"], status=422)
    try:
        await request.app[SERVICES].call(session, "auth", path, SchoolList, method="PUT", body=body)
    except UpstreamError as error:
        if error.upstream_code not in REFUSALS:
            raise
        return await _show(request, wrong=REFUSALS[error.upstream_code], status=error.status)
    return redirect("/mairie/ecoles?fait=1")
