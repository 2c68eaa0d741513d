"""/mairie/relances: when unpaid invoices are reminded of, which are late, and which are left in peace."""

from typing import Any

from aiohttp import web
from pydantic import ValidationError

from chassis.http import path_uuid
from contracts.api.reminders import STEPS_MAX, ReminderHold, ReminderList, ReminderPause, ReminderRule
from contracts.identity import Permission
from gateway.clients.services import SERVICES, UpstreamError
from gateway.forms.edit_conflicts import VERSION, VERSION_FIELD, differences, has_changed, version
from gateway.forms.fields import NO_FIELDS, checkbox, error_message, line
from gateway.pages.shared.access import require_staff
from gateway.pages.shared.rendering import checked_form, redirect, render

NAMES = tuple(f"step{number}" for number in range(1, STEPS_MAX + 1))
STEPS = ("1er rappel", "2e rappel", "3e rappel")
WRONG_DAYS = "Donnez des nombres de jours entre 1 et 180, chacun plus grand que le précédent. Rien n'a été enregistré."
WRONG_REASON = "Expliquez en quelques mots pourquoi cette facture n'est plus rappelée. Rien n'a été enregistré."
WAITS = {
    ReminderHold.BEING_PAID: "paiement en cours",
    ReminderHold.UNDER_REVIEW: "paiement vérifié par la régie",
    ReminderHold.PAUSED: "rappels suspendus",
}

DAYS_MAX = 180
RULE = {
    **VERSION_FIELD,
    **{name: line(f"Rappel {number}", length_max=10, always=True) for number, name in enumerate(NAMES, 1)},
    "preview": checkbox("Voir l'effet"),
}
PAUSE = {"reason": line("Motif", always=True)}

routes = web.RouteTableDef()


@routes.get("/mairie/relances")
async def reminders(request: web.Request) -> web.Response:
    return await _show(request, is_saved="fait" in request.query)


async def _show(
    request: web.Request,
    *,
    typed: dict[str, str] | None = None,
    tried: ReminderRule | None = None,
    seen: str = "",
    **more: Any,
) -> web.Response:
    """The rule that holds, or what another would do, with every invoice that is late."""
    session, person = await require_staff(request, Permission.COLLECT_MONEY)
    query = "&".join(f"days={each}" for each in tried.days or ("",)) if tried else ""
    found = await request.app[SERVICES].call(session, "billing", f"/reminders?{query}", ReminderList)
    known = dict(zip(NAMES, (str(each) for each in found.rule.days), strict=False))
    values = {"is_saved": False, "wrong": "", "moved": None, **more}
    return render(
        request,
        "town_hall/reminders.html",
        person,
        status=409 if values["moved"] is not None else 422 if values["wrong"] else 200,
        version=seen or version(found.rule),
        found=found,
        is_tried=tried is not None,
        typed=typed or {name: known.get(name, "") for name in NAMES},
        waits=WAITS,
        **values,
    )


@routes.post("/mairie/relances")
async def save(request: web.Request) -> web.Response:
    """« Voir l'effet » shows what a rule would do today; « Enregistrer » saves it."""
    form = await checked_form(request, RULE)
    session, _person = await require_staff(request, Permission.COLLECT_MONEY)
    typed = {name: form.get(name) for name in NAMES}
    try:
        days = [form.whole(name, 1, DAYS_MAX) for name in NAMES]
        rule = ReminderRule(days=tuple(each for each in days if each is not None))
    except ValueError as error:
        return await _show(request, typed=typed, wrong=error_message(error, WRONG_DAYS))
    services, path, seen = request.app[SERVICES], "/reminders/rule", form.get(VERSION)
    if form.ticked("preview"):
        return await _show(request, typed=typed, tried=rule, seen=seen)
    try:
        await services.call(session, "billing", path, ReminderList, method="PUT", body=rule, version=seen)
    except UpstreamError as error:
        if not has_changed(error):
            raise
        there = (await services.call(session, "billing", "/reminders", ReminderList)).rule
        now = dict(zip(NAMES, map(str, there.days), strict=False))
        return await _show(request, typed=typed, moved=differences(now, typed, dict(zip(NAMES, STEPS, strict=True))))
    return redirect("/mairie/relances?fait=1")


@routes.post("/mairie/relances/{invoice_id}/pause")
async def pause(request: web.Request) -> web.Response:
    """« Ne plus rappeler », with a reason."""
    form = await checked_form(request, PAUSE)
    session, _person = await require_staff(request, Permission.COLLECT_MONEY)
    try:
        body = ReminderPause(reason=form.get("reason"))
    except ValidationError:
        return await _show(request, wrong=WRONG_REASON)
    await request.app[SERVICES].call_no_content(session, "billing", f"/reminders/{_invoice(request)}/pause", body=body)
    return redirect("/mairie/relances")


@routes.post("/mairie/relances/{invoice_id}/reprise")
async def resume(request: web.Request) -> web.Response:
    """« Rappeler de nouveau »."""
    await checked_form(request, NO_FIELDS)
    session, _person = await require_staff(request, Permission.COLLECT_MONEY)
    await request.app[SERVICES].call_no_content(session, "billing", f"/reminders/{_invoice(request)}/resume")
    return redirect("/mairie/relances")


def _invoice(request: web.Request) -> str:
    return str(path_uuid(request, "invoice_id"))
