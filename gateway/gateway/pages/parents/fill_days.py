"""P2's helpers: many days by one rule, seen before they are saved; and a change taken back."""

from datetime import date, timedelta
from typing import Any
from uuid import UUID

from aiohttp import web
from pydantic import ValidationError

from chassis.clock import today
from chassis.http import path_month, path_uuid
from contracts.api.bookings import (
    BookingOutcome,
    LineRefusal,
    PlanChild,
    PlanOutcome,
    PlanRequest,
    UndoRequest,
    WeekSlot,
)
from contracts.failures import Invalid
from gateway.clients.services import SERVICES
from gateway.forms.fields import NO_FIELDS, SubmittedForm, checkbox, choice, hidden, id_field, line, read
from gateway.languages import N_
from gateway.pages.shared.access import require_household
from gateway.pages.shared.booking_recap import by_activity, price_list, recap
from gateway.pages.shared.planning_messages import refusal_message
from gateway.pages.shared.rendering import checked_form, render

PLAN = {
    "comme": line(N_("Modèle"), length_max=40),
    "jour": hidden(N_("Jours de la semaine"), many=True),
    "sens": choice(N_("Réserver ou annuler"), "1", "0"),
    "du": line(N_("Du"), length_max=10),
    "au": line(N_("Au"), length_max=10),
    "aussi": id_field(N_("Autres enfants"), many=True),
    "ensemble": checkbox(N_("Ensemble")),
    "vu": hidden("vu", many=True),
    "attente": checkbox(N_("Liste d'attente")),
}

routes = web.RouteTableDef()


@routes.get("/planning/{child_id}/{month}/remplir")
async def preview(request: web.Request) -> web.Response:
    """What a rule would change, and what it could not; nothing is saved yet."""
    session, person, household = await require_household(request)
    child_id, first = path_uuid(request, "child_id"), path_month(request)
    sent = read(PLAN, request.query)
    plan = _plan(sent, child_id, first, preview=True)
    path, services = f"{household}/plans", request.app[SERVICES]
    shown = await services.call(session, "planning", path, PlanOutcome, method="POST", body=plan) if plan else None
    prices = await price_list(request, session, household)
    cents = {activity_id: price.unit_price_cents for activity_id, price in (prices or {}).items()}
    outcomes = shown.outcomes if shown else ()
    parts = [
        {
            "outcome": outcome,
            "changed": by_activity([line for line in outcome.lines if line.refusal is None]),
            "refused": by_activity([line for line in outcome.lines if line.refusal is not None]),
            "change_cents": _change_cents(outcome, cents),
        }
        for outcome in outcomes
    ]
    count = sum(line.refusal is None for outcome in outcomes for line in outcome.lines)
    return render(
        request,
        "parents/plan.html",
        person,
        child_id=child_id,
        month=first,
        plan=plan,
        parts=parts,
        has_prices=prices is not None,
        count=count,
        has_full=not (plan and plan.together)
        and any(line.refusal is LineRefusal.FULL for outcome in outcomes for line in outcome.lines),
        fields=_fields(sent),
        why=refusal_message,
    )


@routes.post("/planning/{child_id}/{month}/remplir")
async def fill(request: web.Request) -> web.Response:
    """Do what was previewed; an edit made since is told, not overwritten."""
    form = await checked_form(request, PLAN)
    session, person, household = await require_household(request)
    child_id, first = path_uuid(request, "child_id"), path_month(request)
    plan = _plan(form, child_id, first, preview=False)
    if plan is None:
        return recap(request, person, child_id, first, ())
    key, path = form.get("key"), f"{household}/plans"
    services = request.app[SERVICES]
    done = await services.call(session, "planning", path, PlanOutcome, method="POST", body=plan, key=key)
    return recap(request, person, child_id, first, done.outcomes)


@routes.post("/planning/{child_id}/{month}/annuler")
async def undo(request: web.Request) -> web.Response:
    """Take the change of a recap back, as far as deadlines allow."""
    form = await checked_form(request, NO_FIELDS)
    session, person, household = await require_household(request)
    child_id, first = path_uuid(request, "child_id"), path_month(request)
    try:
        body = UndoRequest(child_id=child_id, version=form.get("version"))
    except ValidationError as error:
        raise Invalid("the form cannot be read", errors=[]) from error
    key, path, services = form.get("key"), f"{household}/undo", request.app[SERVICES]
    outcome = await services.call(session, "planning", path, BookingOutcome, method="POST", body=body, key=key)
    return recap(request, person, child_id, first, (outcome,))


def _plan(form: SubmittedForm, child_id: UUID, first: date, *, preview: bool) -> PlanRequest | None:
    """The rule of the form; None when no weekday was chosen.

    ``comme`` is the week before this one, the month before the shown one, or a child; without it, ``jour`` holds
    ``activity|weekday`` and ``sens`` says booked (1) or not (0).
    """
    try:
        children = [child_id, *(UUID(each) for each in form.getall("aussi"))]
        pairs = [each.partition("|") for each in form.getall("vu")]
        seen = {UUID(child): int(version) for child, _, version in pairs}
        first_day = form.day("du") or first
        last_day = form.day("au") or _month_end(first)
        rule = _rule(form, first)
        if rule is None:
            return None
        return PlanRequest(
            children=tuple(PlanChild(child_id=each, seen_version=seen.get(each)) for each in dict.fromkeys(children)),
            first_day=max(first_day, today()),
            last_day=max(last_day, today()),
            or_wait=form.ticked("attente"),
            together=form.ticked("ensemble"),
            preview=preview,
            **rule,
        )
    except ValueError as error:
        raise Invalid("the days cannot be read", errors=[]) from error


def _rule(form: SubmittedForm, first: date) -> dict[str, Any] | None:
    match form.get("comme"):
        case "":
            booked = form.get("sens", "1") == "1"
            pairs = [each.split("|") for each in form.getall("jour")]
            week = tuple(WeekSlot(activity_id=UUID(of), weekday=int(day), booked=booked) for of, day in pairs)
            return {"week": week} if week else None
        case "semaine":
            monday = today() - timedelta(days=today().weekday() + 7)
            return {"like_first_day": monday, "like_last_day": monday + timedelta(days=6)}
        case "mois":
            before = first - timedelta(days=1)
            return {"like_first_day": before.replace(day=1), "like_last_day": before}
        case child:
            return {"like_child_id": UUID(child)}


def _fields(form: SubmittedForm) -> list[tuple[str, str]]:
    """The form's fields, to be sent again by the page that confirms."""
    return [
        (name, value)
        for name in form
        if name in {"comme", "jour", "sens", "du", "au", "aussi", "ensemble"}
        for value in form.getall(name)
    ]


def _month_end(first: date) -> date:
    return (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)


def _change_cents(outcome: BookingOutcome, cents: dict[UUID, int]) -> int | None:
    changed = [line for line in outcome.lines if line.refusal is None]
    if not all(line.activity_id in cents for line in changed):
        return None
    return sum(cents[line.activity_id] * (1 if line.wished else -1) for line in changed)
