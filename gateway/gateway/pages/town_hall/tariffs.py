"""/mairie/tarifs: the rules that make prices."""

import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from http import HTTPStatus
from typing import Any, TypeVar
from uuid import UUID, uuid4

from aiohttp import web
from pydantic import ValidationError

from chassis.http import path_uuid
from contracts.api.calendar import ActivityList
from contracts.api.tariffs import (
    AttendanceRules,
    Bracket,
    BracketPrices,
    EffortRate,
    FlatPrice,
    Formula,
    Tariff,
    TariffList,
    TariffRequest,
)
from contracts.failures import Unavailable
from contracts.identity import Permission
from contracts.versions import NONE_YET
from gateway.clients.services import SERVICES, UpstreamError
from gateway.forms.amounts import parse_cents, parse_whole
from gateway.forms.edit_conflicts import VERSION, VERSION_FIELD, has_changed, version
from gateway.forms.fields import FieldError, checkbox, choice, error_message, id_field, line, lines
from gateway.forms.schools import registered_name
from gateway.languages import short_day
from gateway.pages.shared import money_questions
from gateway.pages.shared.access import require_staff
from gateway.pages.shared.confirmation import ask_first
from gateway.pages.shared.rendering import checked_form, redirect, render
from gateway.pages.shared.school_list import list_schools

RESIDENCES = {"": None, "yes": True, "no": False}
FIELDS = (
    "label", "activity", "school", "resident", "valid_from", "valid_until", "kind", "unit_price", "brackets",
    "rate", "floor", "ceiling", "without_quotient", "siblings", "childcare", "care_part", "tariff_id",
    "by_attendance", "justified", "unjustified", "free_absences", "extra", "late_pickup",
)  # fmt: skip
USUAL = {"kind": "flat", "justified": "0", "unjustified": "100", "free_absences": "0", "extra": "0", "late_pickup": "0"}

RATE = re.compile(r"[0-9]{1,3}(?:[.,][0-9]{1,6})?")
BOXES = {"childcare": checkbox("Garde d'enfant"), "tariff_id": id_field("Tarif", always=True)}
CHOICES = {
    "kind": choice("Calcul du prix", "flat", "brackets", "proportional", always=True),
    "by_attendance": choice("Ce qui est facturé", "", "1", always=True),
    "resident": choice("Pour qui", *RESIDENCES, always=True),
}
NAMED = {
    "label": "Nom du tarif", "activity": "Activité", "school": "École", "valid_from": "Premier jour",
    "valid_until": "Dernier jour", "unit_price": "Prix", "rate": "Taux", "floor": "Plancher", "ceiling": "Plafond",
    "without_quotient": "Prix quand le QF n'est pas connu", "siblings": "Réduction des frères et sœurs",
    "justified": "Absence justifiée", "unjustified": "Absence non justifiée", "extra": "Supplément sans réservation",
    "free_absences": "Absences gratuites", "late_pickup": "Supplément départ en retard", "care_part": "Dont garde",
}  # fmt: skip
TARIFF = {
    **{name: line(label, length_max=300, always=True) for name, label in NAMED.items()},
    **CHOICES,
    **BOXES,
    "brackets": lines("Tranches", length_max=2_000, always=True),
}
TARIFF_END = {"valid_until": line("Dernier jour", always=True), **VERSION_FIELD}
WRONG_FORMULA = "Vérifiez le calcul du prix : montants positifs, tranches croissantes, plancher sous le plafond."
SAVED_BEFORE = "Cette page a déjà enregistré ce tarif. Pour un autre tarif, enregistrez de nouveau."
CHANGED = "Quelqu'un a modifié ce tarif entre-temps : le voici tel qu'il est."
WRONG_RULES = "Vérifiez les règles de pointage : pourcentages jusqu'à 100, ou 200 sans justification."

routes = web.RouteTableDef()


Part = TypeVar("Part")


class Unclear(ValueError):  # noqa: N818 - an answer
    """What was typed in a field cannot be read; its sentence is for the person who typed it."""


@routes.get("/mairie/tarifs")
async def tariffs(request: web.Request) -> web.Response:
    return await _tariffs(request)


async def _tariffs(
    request: web.Request,
    *,
    wrong: str = "",
    typed: dict[str, str] | None = None,
    ending: tuple[UUID, str] | None = None,
    status: int = HTTPStatus.UNPROCESSABLE_ENTITY,
) -> web.Response:
    """The page, with what was typed for a new tariff, or as the last day of one (``ending``)."""
    session, person = await require_staff(request, Permission.WRITE_TARIFFS)
    services = request.app[SERVICES]
    found = (await services.call(session, "billing", "/tariffs", TariffList)).tariffs
    labels = {each.activity_id: each.activity_label for each in found}
    try:
        offered = (await services.call(session, "planning", "/activities", ActivityList)).activities
        labels.update({each.activity_id: each.label for each in offered})
    except (Unavailable, UpstreamError):
        pass  # the activities that have a tariff are enough to go on with
    return render(
        request,
        "town_hall/tariffs.html",
        person,
        status=status if wrong else 200,
        tariffs=found,
        ending=ending,
        schools=await list_schools(request, session),
        version=version,
        activities=sorted(labels.items(), key=lambda each: each[1]),
        typed={**dict.fromkeys(FIELDS, ""), **USUAL, "tariff_id": str(uuid4()), **(typed or {})},
        wrong=wrong,
        is_saved="enregistre" in request.query,
    )


@routes.post("/mairie/tarifs")
async def save(request: web.Request) -> web.Response:
    """Keep a rule; what cannot be read or overlaps is told, and what was typed stays."""
    form = await checked_form(request, TARIFF)
    session, _person = await require_staff(request, Permission.WRITE_TARIFFS)
    typed = {name: form.get(name) for name in FIELDS}
    try:
        if typed["school"]:
            typed["school"] = registered_name(form, "school", typed["school"], await list_schools(request, session))
        body, tariff_id = _wish(typed), UUID(typed["tariff_id"])
    except FieldError as error:
        return await _tariffs(request, wrong=str(error), typed=typed)
    except Unclear as unclear:
        return await _tariffs(request, wrong=str(unclear), typed=typed)
    except ValueError as error:
        return await _tariffs(request, wrong=_sentence(error), typed=typed)
    try:
        services, path = request.app[SERVICES], f"/tariffs/{tariff_id}"
        await services.call(session, "billing", path, Tariff, method="PUT", body=body, version=NONE_YET)
    except UpstreamError as error:
        if has_changed(error):  # this rule was saved before, from the same page: what is typed now would be another
            return await _tariffs(request, wrong=SAVED_BEFORE, typed={**typed, "tariff_id": str(uuid4())})
        if error.upstream_code != "tariffs_overlap":
            raise
        return await _tariffs(request, wrong=_overlap(error.facts), typed=typed)
    return redirect("/mairie/tarifs?enregistre=1")


def _overlap(facts: dict[str, Any]) -> str:
    first, last = facts["valid_from"], facts["valid_until"]
    until = f" et jusqu'au {short_day(date.fromisoformat(last))}" if last else ""
    return (
        f"Le tarif « {facts['label']} », valable depuis le {short_day(date.fromisoformat(first))}{until}, "
        "s'appliquerait aux mêmes jours. "
        "Terminez-le d'abord, ou distinguez l'école ou la résidence."
    )


def _sentence(error: ValueError) -> str:
    """What to put right, when the rule as a whole makes no sense."""
    first = error.errors()[0] if isinstance(error, ValidationError) else {"loc": (), "msg": ""}
    named = {
        "label": "Donnez un nom au tarif, en 60 caractères au plus.",
        "valid_from": "Donnez le premier jour du tarif.",
        "sibling_percents": "Les réductions sont des pourcentages entre 0 et 100.",
    }
    return named.get(str(first["loc"][0]) if first["loc"] else "", "Le dernier jour du tarif suit son premier jour.")


def _wish(typed: dict[str, str]) -> TariffRequest:
    activity_id, _, activity_label = typed["activity"].partition("|")
    if not activity_label:
        raise Unclear("Choisissez une activité.")
    return TariffRequest(
        label=typed["label"],
        activity_id=activity_id,
        activity_label=activity_label,
        school=typed["school"] or None,
        resident=RESIDENCES.get(typed["resident"]),
        valid_from=typed["valid_from"],
        valid_until=typed["valid_until"] or None,
        formula=_sensible(_formula, typed, WRONG_FORMULA),
        sibling_percents=tuple(_percents(typed["siblings"])),
        childcare=bool(typed["childcare"]),
        **_care_part(typed),
        attendance=_sensible(_attendance, typed, WRONG_RULES) if typed["by_attendance"] else None,
    )


def _sensible(read: Callable[[dict[str, str]], Part], typed: dict[str, str], otherwise: str) -> Part:
    """A part of the rule; what to put right when it was read but makes no sense."""
    try:
        return read(typed)
    except ValidationError:
        raise Unclear(otherwise) from None


def _attendance(typed: dict[str, str]) -> AttendanceRules:
    return AttendanceRules(
        justified_percent=_number(typed["justified"], "La part due pour une absence justifiée"),
        unjustified_percent=_number(typed["unjustified"], "La part due pour une absence non justifiée"),
        free_absences=_number(typed["free_absences"], "Le nombre d'absences gratuites"),
        extra_cents=_amount(typed["extra"], "du supplément sans réservation"),
        late_pickup_cents=_amount(typed["late_pickup"], "du supplément pour un départ en retard"),
    )


def _care_part(typed: dict[str, str]) -> dict[str, int]:
    """« 1,20 » or « 30 % » of the price; nothing where the whole price is for care, or none of it."""
    text = typed["care_part"]
    if text and not typed["childcare"]:
        raise Unclear("« Dont garde » va avec la case « C'est de la garde d'enfant ».")
    if text.endswith("%"):
        percent = _number(text, "« Dont garde », en pourcentage,")
        if not 0 < percent < 100:
            raise Unclear("« Dont garde » est entre 1 % et 99 %, ou vide pour tout le prix.")
        return {"childcare_percent": percent}
    cents = _amount(text, "de « Dont garde »") if text else None
    if cents == 0:
        raise Unclear("« Dont garde » est plus que zéro, ou vide pour tout le prix.")
    return {"childcare_cents": cents} if cents else {}


def _number(text: str, what: str) -> int:
    try:
        return parse_whole(text.removesuffix("%").strip())
    except ValueError:
        raise Unclear(f"{what} est un nombre entier, comme 50.") from None


def _formula(typed: dict[str, str]) -> Formula:
    if typed["kind"] == "brackets":
        return BracketPrices(
            brackets=tuple(_brackets(typed["brackets"])),
            without_quotient_cents=_amount(typed["without_quotient"], "du prix quand le QF n'est pas connu"),
        )
    if typed["kind"] == "proportional":
        rate = typed["rate"].removesuffix("%").strip()
        if not RATE.fullmatch(rate):
            raise Unclear("Le taux d'effort s'écrit comme 0,4375.")
        return EffortRate(
            rate_percent=Decimal(rate.replace(",", ".")),
            floor_cents=_amount(typed["floor"], "du plancher"),
            ceiling_cents=_amount(typed["ceiling"], "du plafond"),
            without_quotient_cents=_amount(typed["without_quotient"], "du prix quand le QF n'est pas connu"),
        )
    return FlatPrice(unit_price_cents=_amount(typed["unit_price"], "du prix"))


def _amount(text: str, what: str) -> int:
    try:
        return parse_cents(text)
    except ValueError:
        raise Unclear(f"Le montant {what} s'écrit comme 4,20.") from None


def _brackets(text: str) -> list[Bracket]:
    """One bracket a line: ``700 = 2,65``, and the price of the last one alone."""
    found = []
    for each in filter(None, (each.strip() for each in text.splitlines())):
        bound, sign, price = each.rpartition("=")
        up_to = _amount(bound, f"de la tranche « {each[:30]} »") if sign else None
        found.append(Bracket(up_to_cents=up_to, unit_price_cents=_amount(price, f"de la tranche « {each[:30]} »")))
    return found


def _percents(text: str) -> list[int]:
    """``10, 20`` as the reductions of the second child, the third, and so on."""
    try:
        return [parse_whole(each.strip().removesuffix("%").strip()) for each in text.split(",")] if text else []
    except ValueError:
        raise Unclear("Les réductions s'écrivent comme 10, 20.") from None


async def _tariff(request: web.Request, session: str) -> Tariff | None:
    """The tariff of the path, if it is still there."""
    found = (await request.app[SERVICES].call(session, "billing", "/tariffs", TariffList)).tariffs
    return next((each for each in found if each.tariff_id == path_uuid(request, "tariff_id")), None)


@routes.post("/mairie/tarifs/{tariff_id}/fin")
async def end(request: web.Request) -> web.Response:
    """End a rule on a day."""
    form = await checked_form(request, TARIFF_END)
    session, _person = await require_staff(request, Permission.WRITE_TARIFFS)
    tariff_id, services = path_uuid(request, "tariff_id"), request.app[SERVICES]
    tariff = await _tariff(request, session)
    try:
        until = form.day("valid_until")
        kept = tariff.model_dump(exclude={"tariff_id"}) if tariff else {}
        body = TariffRequest.model_validate({**kept, "valid_until": until})
    except ValueError as error:
        wrong = error_message(error, "Le dernier jour d'un tarif vient après son premier jour.")
        return await _tariffs(request, wrong=wrong, ending=(tariff_id, form.get("valid_until")))
    seen, path = form.get(VERSION), f"/tariffs/{tariff_id}"
    try:
        await services.call(session, "billing", path, Tariff, method="PUT", body=body, version=seen)
    except UpstreamError as error:
        if not has_changed(error):
            raise
        ending = (tariff_id, form.get("valid_until"))
        return await _tariffs(request, wrong=CHANGED, ending=ending, status=HTTPStatus.CONFLICT)
    return redirect("/mairie/tarifs?enregistre=1")


@routes.post("/mairie/tarifs/{tariff_id}/suppression")
async def remove(request: web.Request) -> web.Response:
    """Forget a rule that never made an invoice; asked first."""
    form = await checked_form(request, VERSION_FIELD)
    session, person = await require_staff(request, Permission.WRITE_TARIFFS)
    tariff_id, services = path_uuid(request, "tariff_id"), request.app[SERVICES]
    tariff = await _tariff(request, session)
    if tariff and (asked := ask_first(request, form, person, money_questions.tariff_removal(tariff))):
        return asked
    try:
        seen, path = form.get(VERSION), f"/tariffs/{tariff_id}"
        await services.call(session, "billing", path, Tariff, method="DELETE", version=seen)
    except UpstreamError as error:
        if has_changed(error):
            return await _tariffs(request, wrong=CHANGED, status=HTTPStatus.CONFLICT)
        if error.upstream_code != "tariff_used":
            raise
        return await _tariffs(
            request,
            wrong="Ce tarif a déjà servi à une facture : il ne peut pas être supprimé, donnez-lui un dernier jour.",
        )
    return redirect("/mairie/tarifs?enregistre=1")
