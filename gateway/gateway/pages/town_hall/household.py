"""/mairie/familles/{household_id}: one household, to see, change and erase."""

from datetime import date
from urllib.parse import quote

from aiohttp import web

from chassis.clock import today
from chassis.http import path_uuid
from contracts.api.auth import Erasure, HouseholdList, HouseholdUpdate, HouseholdView
from contracts.api.enrolments import Enrolment
from contracts.api.tariffs import HouseholdTerms
from contracts.identity import Identity, Permission
from gateway.clients.services import SERVICES, UpstreamError, or_none
from gateway.forms import enrolments
from gateway.forms import household as household_form
from gateway.forms.fields import line
from gateway.forms.household import Form
from gateway.languages import short_day
from gateway.pages.shared.access import require_staff
from gateway.pages.shared.confirmation import Question, ask_first
from gateway.pages.shared.rendering import checked_form, redirect, render
from gateway.pages.shared.school_list import list_schools

DONE = {
    "1": "C'est enregistré.",
    "rien": "Il n'y avait rien à changer.",
    "inscription": "Les dates de l'inscription sont enregistrées.",
    "annulees": "Les dates de l'inscription sont enregistrées, les réservations en dehors sont annulées.",
}
NOT_ITS_REFERENCE = "Ce n'est pas la référence de ce foyer. Rien n'a été effacé."
EMAIL_WRONG = "Responsable {number} : cette adresse email n'existe pas telle qu'elle est écrite."

EMAIL_OWNED = "Responsable {number} : cette adresse est confirmée, seule la personne peut la changer."
ERASURE = {"reference": line("Référence du foyer", length_max=40, always=True)}

routes = web.RouteTableDef()


async def _show(
    request: web.Request,
    session: str,
    person: Identity,
    view: HouseholdView,
    *,
    form: Form | None = None,
    status: int = 200,
    **more: object,
) -> web.Response:
    values = {
        "view": view,
        "form": form or household_form.shown(view),
        "custodies": household_form.CUSTODIES,
        "languages": household_form.LANGUAGES,
        "schools": await list_schools(request, session),
        "may_write": person.may(Permission.WRITE_HOUSEHOLDS) and view.active,
        "may_erase": person.may(Permission.ERASE_HOUSEHOLDS),
        "may_collect": person.may(Permission.COLLECT_MONEY),
        "terms": await or_none(
            request.app[SERVICES].call(session, "billing", f"/households/{view.household_id}/terms", HouseholdTerms)
        ),
        "done": DONE.get(request.query.get("fait", ""), ""),
        "enrolled": await enrolments.book(request, session, view.household_id) if view.active else None,
        "enrolling": None,
        "not_known_yet": enrolments.NOT_KNOWN_YET,
        "now_day": today(),
        "moved": None,
        "not_erased": "",
        **more,
    }
    return render(request, "town_hall/household.html", person, status=status, **values)


async def _view(request: web.Request, session: str) -> HouseholdView:
    path = f"/households/{path_uuid(request, 'household_id')}"
    return await request.app[SERVICES].call(session, "auth", path, HouseholdView)


@routes.get("/mairie/familles/{household_id}")
async def household(request: web.Request) -> web.Response:
    session, person = await require_staff(request, Permission.READ_HOUSEHOLDS)
    return await _show(request, session, person, await _view(request, session))


@routes.post("/mairie/familles/{household_id}")
async def change(request: web.Request) -> web.Response:
    """Make the household as typed; when somebody changed it meanwhile, both are shown and nothing is overwritten."""
    sent = await checked_form(request, household_form.FIELDS)
    session, person = await require_staff(request, Permission.WRITE_HOUSEHOLDS)
    form = household_form.read(sent)
    for number, row in enumerate(form.children):
        if row["other"] and not row["id"]:
            path = f"/households?limit=20&search={quote(row['other'][:100])}"
            found = await request.app[SERVICES].call(session, "auth", path, HouseholdList)
            household_form.joined(form, number, row, found)
    body = household_form.to_request(form)
    if body is None:
        return await _show(request, session, person, await _view(request, session), form=form, status=422)
    if (question := _removing(request, form)) and (asked := ask_first(request, sent, person, question)):
        return asked
    return await _save(request, session, person, form, body)


def _removing(request: web.Request, form: Form) -> Question | None:
    """What is asked before somebody leaves a household, which saving again does not take back; None otherwise."""
    guardians, children = (
        [f"{row['first_name']} {row['last_name']}" for row in rows if row["gone"] and row["id"]]
        for rows in (form.guardians, form.children)
    )
    count, says = len(guardians) + len(children), []
    if guardians:
        says.append(f"{', '.join(guardians)} : compte fermé définitivement, avec ses codes et ses sessions.")
    if children:
        says.append(f"{', '.join(children)} : hors de ce foyer, réservations à venir annulées.")
    title = f"Retirer {count} personne{'s' if count > 1 else ''} de ce foyer ?"
    numbers = {"guardians": len(guardians), "children": len(children)}
    return Question(title, says, "Enregistrer et retirer", request.path, numbers) if count else None


def _erasing(view: HouseholdView) -> Question:
    guardians, children = len(view.guardians), len(view.children)
    people = f"{guardians} responsable{'s' if guardians > 1 else ''} et {children} enfant{'s' if children > 1 else ''}"
    says = (
        f"{people} : noms, adresse, emails, codes, sessions et réservations à venir sont supprimés définitivement.",
        "Les documents comptables restent, avec le nom et l'adresse qu'ils portent.",
    )
    title = f"Effacer le foyer {view.reference} ?"
    numbers = {"guardians": guardians, "children": children, "version": view.version}
    return Question(title, says, "Confirmer l'effacement", f"/mairie/familles/{view.household_id}", numbers)


async def _save(
    request: web.Request, session: str, person: Identity, form: Form, body: HouseholdUpdate
) -> web.Response:
    household_id = path_uuid(request, "household_id")
    try:
        services, path = request.app[SERVICES], f"/households/{household_id}"
        saved = await services.call(session, "auth", path, HouseholdView, method="PUT", body=body)
    except UpstreamError as error:
        if error.upstream_code not in {"household_moved", "email_wrong", "email_owned", "school_unknown"}:
            raise
        view = await _view(request, session)
        if error.upstream_code == "school_unknown":
            household_form.unknown_school(form, error.facts)
            return await _show(request, session, person, view, form=form, status=422)
        if error.upstream_code != "household_moved":
            rows = [number for number, row in enumerate(form.guardians) if not row["gone"]]
            number = rows[error.facts["guardian"]]
            sentence = EMAIL_WRONG if error.upstream_code == "email_wrong" else EMAIL_OWNED
            form.wrong[f"g{number}_email"] = sentence.format(number=number + 1)
            return await _show(request, session, person, view, form=form, status=422)
        form.version, moved = str(view.version), household_form.differences(view, form)
        return await _show(request, session, person, view, form=form, status=409, moved=moved)
    return redirect(f"/mairie/familles/{household_id}?fait={'1' if saved.version > body.seen_version else 'rien'}")


@routes.post("/mairie/familles/{household_id}/inscriptions")
async def enrol(request: web.Request) -> web.Response:
    """Enrol a child, change the dates or end it; when days are booked outside them, ask first, with their number."""
    sent = await checked_form(request, enrolments.ENROLMENT)
    session, person = await require_staff(request, Permission.WRITE_HOUSEHOLDS)
    view, typed = await _view(request, session), enrolments.read(sent)
    body = enrolments.to_request(typed, await enrolments.book(request, session, view.household_id) or {})
    if body is None:
        return await _show(request, session, person, view, status=422, enrolling=typed)
    path = f"/households/{view.household_id}/children/{typed.child_id}/enrolments/{quote(typed.activity_id)}"
    while True:
        try:
            saved = await request.app[SERVICES].call(session, "planning", path, Enrolment, method="PUT", body=body)
            break
        except UpstreamError as error:
            if error.upstream_code != "enrolment_has_bookings":
                enrolments.refused(typed, error)
                return await _show(request, session, person, view, status=409, enrolling=typed)
            question = _ending(error, f"/mairie/familles/{view.household_id}#inscriptions")
            seen = question.numbers["bookings"]
        if asked := ask_first(request, sent, person, question):
            return asked
        body = body.model_copy(update={"cancel_bookings": True, "cancel_seen": seen})
    done = "annulees" if saved.cancelled else "inscription"
    return redirect(f"/mairie/familles/{view.household_id}?fait={done}")


@routes.get("/mairie/familles/{household_id}/donnees")
async def data(request: web.Request) -> web.Response:
    """All that auth keeps on the household, as a file to hand over."""
    session, _ = await require_staff(request, Permission.ERASE_HOUSEHOLDS)
    household_id = path_uuid(request, "household_id")
    _, raw = await request.app[SERVICES].file(session, "auth", f"/households/{household_id}/export")
    headers = {"Content-Disposition": f'attachment; filename="foyer-{household_id}.json"', "Cache-Control": "no-store"}
    return web.Response(body=raw, content_type="application/json", headers=headers)


@routes.post("/mairie/familles/{household_id}/effacement")
async def erase(request: web.Request) -> web.Response:
    """Forget the household, its reference typed once more."""
    sent = await checked_form(request, ERASURE)
    session, person = await require_staff(request, Permission.ERASE_HOUSEHOLDS)
    view = await _view(request, session)
    typed = sent.get("reference")
    if typed != view.reference:
        return await _show(request, session, person, view, status=422, not_erased=NOT_ITS_REFERENCE)
    if asked := ask_first(request, sent, person, _erasing(view)):
        return asked
    path = f"/households/{view.household_id}/erase"
    await request.app[SERVICES].call_no_content(session, "auth", path, body=Erasure(reference=view.reference))
    return redirect("/mairie/familles?fait=efface")


def _ending(error: UpstreamError, back: str) -> Question:
    """What is asked before booked days are cancelled."""
    booked, day = error.facts["bookings"], short_day(date.fromisoformat(error.facts["day"]))
    are = "sont annulées et ne seront pas comptées" if booked > 1 else "est annulée et ne sera pas comptée"
    says = f"{booked} réservation{'s' if booked > 1 else ''} en dehors de ces dates, à partir du {day}, {are}."
    button = f"Enregistrer et annuler {f'{booked} réservations' if booked > 1 else 'la réservation'}"
    return Question(
        "Changer les dates de l'inscription ?",
        (says, "Les places libérées vont à la liste d'attente."),
        button,
        back,
        {"bookings": booked},
    )
