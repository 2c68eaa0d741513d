"""/mairie/factures: the monthly run, prepared, looked at, published or given up."""

from datetime import timedelta
from uuid import uuid4

from aiohttp import web

from chassis.clock import today
from chassis.concurrency import streaming
from chassis.http import path_uuid
from contracts.api.billing import AnomalyKind, InvoicePreview, InvoiceRun, InvoiceRunRequest, RunList
from contracts.events.billing import RunStatus
from contracts.identity import Permission
from gateway.clients.services import SERVICES, UpstreamError
from gateway.forms.fields import NO_FIELDS, error_message, line
from gateway.languages import euros, month, short_day
from gateway.live import stream
from gateway.pages.shared.access import require_staff
from gateway.pages.shared.confirmation import Question, ask_first
from gateway.pages.shared.rendering import checked_form, redirect, render

DUE_DAYS = 30
WORKING = {RunStatus.DRAFTING, RunStatus.PUBLISHING}
STATUSES = {
    RunStatus.DRAFTING: "en préparation",
    RunStatus.READY: "à relire",
    RunStatus.PUBLISHING: "publication en cours",
    RunStatus.DONE: "publiées",
    RunStatus.CANCELLED: "abandonnées",
}
ANOMALIES = {
    AnomalyKind.TARIFF_MISSING: "Sans tarif",
    AnomalyKind.ATTENDANCE_UNCHECKED: "Pointage non fait",
    AnomalyKind.QUOTIENT_MISSING: "QF non connu",
    AnomalyKind.UNUSUAL_AMOUNT: "Montant inhabituel",
    AnomalyKind.OWES_NOTHING: "Rien à facturer",
}

RUN = {"month": line("Mois", always=True), "due_on": line("Date limite de règlement", always=True)}

routes = web.RouteTableDef()


@routes.get("/mairie/factures")
async def runs(request: web.Request) -> web.Response:
    return await _runs(request)


async def _runs(request: web.Request, *, wrong: str = "", typed: dict[str, str] | None = None) -> web.Response:
    session, person = await require_staff(request, Permission.PUBLISH_INVOICES)
    services = request.app[SERVICES]
    found = (await services.call(session, "billing", "/invoice-runs", RunList)).runs
    month = (today().replace(day=1) - timedelta(days=1)).replace(day=1)
    preview = await services.call(session, "billing", f"/invoice-runs/preview/{month:%Y-%m}", InvoicePreview)
    usual = {"month": f"{month:%Y-%m}", "due_on": str(today() + timedelta(days=DUE_DAYS))}
    return render(
        request,
        "town_hall/runs.html",
        person,
        status=422 if wrong else 200,
        runs=found,
        open_run=next((each for each in found if each.status in {*WORKING, RunStatus.READY}), None),
        preview=preview,
        typed={**usual, **(typed or {})},
        wrong=wrong,
        statuses=STATUSES,
    )


@routes.post("/mairie/factures")
async def begin(request: web.Request) -> web.Response:
    """Prepare a month; a second press leads to the same run."""
    form = await checked_form(request, RUN)
    session, _person = await require_staff(request, Permission.PUBLISH_INVOICES)
    typed = {name: form.get(name) for name in ("month", "due_on")}
    try:
        body = InvoiceRunRequest(month=typed["month"], due_on=form.day("due_on"))
    except ValueError as error:
        wrong = error_message(error, "Donnez le mois et la date limite de règlement.")
        return await _runs(request, wrong=wrong, typed=typed)
    if body.due_on < today():
        return await _runs(request, wrong="La date limite de règlement est déjà passée.", typed=typed)
    key = form.get("key") or uuid4().hex
    try:
        run = await request.app[SERVICES].call(
            session, "billing", "/invoice-runs", InvoiceRun, method="POST", body=body, key=key
        )
    except UpstreamError as error:
        if error.upstream_code != "run_open":
            raise
        return redirect(f"/mairie/factures/{error.facts['run_id']}")
    return redirect(f"/mairie/factures/{run.run_id}")


@routes.get("/mairie/factures/{run_id}")
async def run(request: web.Request) -> web.Response:
    """How far a run is; while it works the page follows it by itself."""
    session, person = await require_staff(request, Permission.PUBLISH_INVOICES)
    path = f"/invoice-runs/{path_uuid(request, 'run_id')}"
    found = await request.app[SERVICES].call(session, "billing", path, InvoiceRun)
    blocking = sorted({each.detail for each in found.anomalies if each.kind is AnomalyKind.TARIFF_MISSING})
    return render(
        request,
        "town_hall/run.html",
        person,
        run=found,
        is_working=found.status in WORKING,
        progress=progress(found),
        blocking=blocking,
        statuses=STATUSES,
        anomalies=ANOMALIES,
    )


@routes.get("/mairie/factures/{run_id}/flux", allow_head=False)
@streaming
async def live(request: web.Request) -> web.StreamResponse:
    """Where the run is now, and again at each of its steps."""
    session, person = await require_staff(request, Permission.PUBLISH_INVOICES)
    run_id, services = path_uuid(request, "run_id"), request.app[SERVICES]

    async def ask() -> tuple[str, bool]:
        found = await services.call(session, "billing", f"/invoice-runs/{run_id}", InvoiceRun)
        return f"{found.status}|{found.households_done}|{progress(found)}", found.status in WORKING

    return await stream(request, ask, run_id, person.session_id)


def progress(run: InvoiceRun) -> str:
    """How far a run is."""
    return f"{run.households_done} foyers sur {run.households}"


async def _move(request: web.Request, session: str, word: str) -> web.Response:
    path = f"/invoice-runs/{path_uuid(request, 'run_id')}"
    await request.app[SERVICES].call(session, "billing", f"{path}/{word}", InvoiceRun, method="POST")
    return redirect(f"/mairie/factures/{request.match_info['run_id']}")


def _publishing(run: InvoiceRun) -> Question:
    many = "s" if run.invoices > 1 else ""
    says = (
        f"{run.invoices} facture{many} de {month(run.month)}, {euros(run.total_cents)} en tout, à régler avant le "
        f"{short_day(run.due_on)}.",
        "Une facture publiée ne change plus : elle se corrige par un avoir.",
        "Les familles qui l'ont demandé sont averties par mail.",
    )
    numbers = {"invoices": run.invoices, "total_cents": run.total_cents}
    title, back = f"Publier {run.invoices} facture{many} ?", f"/mairie/factures/{run.run_id}"
    return Question(title, says, f"Publier {run.invoices} facture{many}", back, numbers)


@routes.post("/mairie/factures/{run_id}/publication")
async def publish(request: web.Request) -> web.Response:
    """« Publier »: asked first, with how many invoices and how much."""
    form = await checked_form(request, NO_FIELDS)
    session, person = await require_staff(request, Permission.PUBLISH_INVOICES)
    path = f"/invoice-runs/{path_uuid(request, 'run_id')}"
    found = await request.app[SERVICES].call(session, "billing", path, InvoiceRun)
    if found.status is RunStatus.READY and (asked := ask_first(request, form, person, _publishing(found))):
        return asked
    return await _move(request, session, "publish")


@routes.post("/mairie/factures/{run_id}/abandon")
async def cancel(request: web.Request) -> web.Response:
    """« Abandonner »."""
    await checked_form(request, NO_FIELDS)
    session, _person = await require_staff(request, Permission.PUBLISH_INVOICES)
    return await _move(request, session, "cancel")
