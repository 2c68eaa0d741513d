"""/mairie/familles: the registry, its file (dry run, then applied), and the letters with the codes."""

from urllib.parse import quote
from uuid import UUID

from aiohttp import web

from chassis.request_bodies import body_limit
from contracts.api.auth import HouseholdList, HouseholdView, ImportApply, ImportStatus, ImportView, LettersRequest
from contracts.failures import NotFound
from contracts.identity import Identity, Permission
from gateway.clients.services import SERVICES, UpstreamError
from gateway.forms.fields import SubmittedForm, checkbox, file, id_field
from gateway.pages.shared.access import require_staff
from gateway.pages.shared.confirmation import Question, ask_first
from gateway.pages.shared.rendering import checked_form, redirect, render

SHOWN = 50
LETTERS_AT_ONCE = 200
FILE_BYTES_MAX = 16_777_216
NO_FILE = "Choisissez un fichier."
DONE = {"efface": "Le foyer est effacé. Ses documents comptables restent."}
_BACK = "/mairie/familles"

LETTERS = {"household_id": id_field("Foyer")}
FILE = {"file": file("Fichier")}
IMPORT = {"close_missing": checkbox("Fermer les foyers absents du fichier")}

routes = web.RouteTableDef()


async def _show(
    request: web.Request, session: str, person: Identity, *, wrong: str = "", status: int = 200
) -> web.Response:
    search = request.query.get("q", "").strip()[:100]
    path = f"/households?limit={SHOWN}&search={quote(search)}"
    found = await request.app[SERVICES].call(session, "auth", path, HouseholdList)
    values = {"found": found, "search": search, "wrong": wrong, "letters_at_once": LETTERS_AT_ONCE}
    values["done"] = DONE.get(request.query.get("fait", ""), "")
    may_write = person.may(Permission.WRITE_HOUSEHOLDS)
    return render(request, "town_hall/families.html", person, status=status, may_write=may_write, **values)


@routes.get("/mairie/familles")
async def families(request: web.Request) -> web.Response:
    session, person = await require_staff(request, Permission.READ_HOUSEHOLDS)
    return await _show(request, session, person)


@routes.get("/mairie/familles/fichier")
async def families_file(request: web.Request) -> web.Response:
    """The registry as the file that can be imported."""
    session, _ = await require_staff(request, Permission.READ_HOUSEHOLDS)
    disposition, raw = await request.app[SERVICES].file(session, "auth", "/households.csv")
    headers = {"Content-Disposition": disposition, "Cache-Control": "no-store"}
    return web.Response(body=raw, content_type="text/csv", headers=headers)


@routes.post("/mairie/familles/lettres")
async def letters(request: web.Request) -> web.Response:
    """New codes, as letters to print: of one household, or of the next that never had any."""
    form = await checked_form(request, LETTERS)
    session, person = await require_staff(request, Permission.READ_HOUSEHOLDS)
    body = LettersRequest(household_id=form.get("household_id") or None, limit=LETTERS_AT_ONCE)
    if body.household_id and (asked := await _ask_for_letters(request, form, session, person, body.household_id)):
        return asked
    try:
        services = request.app[SERVICES]
        disposition, pdf = await services.file(session, "auth", "/letters", method="POST", body=body)
    except UpstreamError as error:
        if error.upstream_code != "not_found":
            raise
        return await _show(request, session, person, wrong="Aucune lettre n'est à envoyer.", status=409)
    headers = {"Content-Disposition": disposition, "Cache-Control": "no-store"}
    return web.Response(body=pdf, content_type="application/pdf", headers=headers)


async def _ask_for_letters(
    request: web.Request, form: SubmittedForm, session: str, person: Identity, household_id: UUID
) -> web.Response | None:
    """New letters end what let a family in: it is asked first, with whom it shuts out."""
    view = await request.app[SERVICES].call(session, "auth", f"/households/{household_id}", HouseholdView)
    count, chosen = len(view.guardians), sum(each.signed_in_once for each in view.guardians)
    letters = f"{count} nouvelle{'s' if count > 1 else ''} lettre{'s' if count > 1 else ''}"
    says = [
        f"{view.name}, {view.reference} : {letters}, les codes précédents ne sont plus valables.",
        f"{chosen} code{'s' if chosen > 1 else ''} secret{'s' if chosen > 1 else ''} choisi{'s' if chosen > 1 else ''} "
        f"par la famille {'prennent' if chosen > 1 else 'prend'} fin, avec les sessions ouvertes et les codes à usage "
        "unique ; chaque adresse email est à confirmer de nouveau à la première connexion.",
    ]
    numbers = {"guardians": count, "chosen": chosen}
    question = Question("Nouvelle lettre ?", says[: 2 if chosen else 1], f"Imprimer {letters}", _BACK, numbers)
    return ask_first(request, form, person, question)


@routes.post("/mairie/familles/import")
@body_limit(FILE_BYTES_MAX)
async def send_file(request: web.Request) -> web.Response:
    """Have a file read; the next page shows what it would change."""
    session, person = await require_staff(request, Permission.READ_HOUSEHOLDS)
    form = await checked_form(request.clone(client_max_size=FILE_BYTES_MAX), FILE)
    sent = form.file("file")
    content = sent.file.read() if sent else b""
    if sent is None or not content:
        return await _show(request, session, person, wrong=NO_FILE, status=422)
    view = await request.app[SERVICES].send(session, "auth", "/imports", ImportView, content, sent.filename)
    return redirect(f"/mairie/familles/import/{view.import_id}")


@routes.get("/mairie/familles/import/{import_id}")
async def dry_run(request: web.Request) -> web.Response:
    """What the file would change, or did."""
    session, person = await require_staff(request, Permission.READ_HOUSEHOLDS)
    path = f"/imports/{_import_id(request)}"
    view = await request.app[SERVICES].call(session, "auth", path, ImportView)
    busy = view.status in {ImportStatus.READING, ImportStatus.APPLYING}
    return render(request, "town_hall/import.html", person, view=view, report=view.report, busy=busy)


@routes.post("/mairie/familles/import/{import_id}")
async def apply(request: web.Request) -> web.Response:
    """Do what was shown; pressed twice, it is done once."""
    form = await checked_form(request, IMPORT)
    session, person = await require_staff(request, Permission.READ_HOUSEHOLDS)
    path, body = f"/imports/{_import_id(request)}", ImportApply(close_missing=form.ticked("close_missing"))
    if body.close_missing:
        gone = (await request.app[SERVICES].call(session, "auth", path, ImportView)).report.gone
        says = f"{gone} foyer{'s' if gone > 1 else ''} absent{'s' if gone > 1 else ''} du fichier : "
        says += "leurs responsables ne peuvent plus se connecter, leurs réservations à venir sont annulées."
        title, back = (
            f"Fermer {gone} foyer{'s' if gone > 1 else ''} ?",
            f"/mairie/familles/import/{_import_id(request)}",
        )
        question = Question(title, (says,), "Enregistrer et fermer", back, {"gone": gone})
        if asked := ask_first(request, form, person, question):
            return asked
    await request.app[SERVICES].call(session, "auth", f"{path}/apply", ImportView, method="POST", body=body)
    return redirect(f"/mairie/familles/import/{_import_id(request)}")


def _import_id(request: web.Request) -> UUID:
    try:
        return UUID(request.match_info["import_id"])
    except ValueError as error:
        raise NotFound("no such import") from error
