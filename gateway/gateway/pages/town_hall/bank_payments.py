"""/mairie/paiements: what wants the till keeper, a day's receipts, a payment's file, and the decision."""

from aiohttp import web
from pydantic import ValidationError

from chassis.clock import today
from chassis.http import path_uuid
from contracts.api.payment_gateway import (
    CashDeskReport,
    DecisionKind,
    Payment,
    PaymentDecision,
    PaymentFile,
    PaymentList,
)
from contracts.events.payment import Means
from contracts.identity import Permission
from contracts.model import parse_day
from gateway.clients.services import SERVICES, UpstreamError
from gateway.forms.amounts import parse_cents
from gateway.forms.fields import NO_FIELDS, choice, hidden, line
from gateway.pages.shared import money_questions
from gateway.pages.shared import payment_messages as words
from gateway.pages.shared.access import require_staff
from gateway.pages.shared.confirmation import ask_first
from gateway.pages.shared.payment_calls import payment_mails
from gateway.pages.shared.rendering import checked_form, redirect, render

WITH_AMOUNT = (DecisionKind.REFUND, DecisionKind.CHARGE_BACK)
REFUSALS = {
    "invalid": "Il manque le motif, la preuve, ou le montant ne peut pas être lu. Rien n'a été enregistré.",
    "refund_too_high": "Ce montant dépasse ce qui reste de ce paiement. Rien n'a été enregistré.",
    "not_for_this_payment": "Cette décision n'est pas possible pour ce paiement. Rien n'a été enregistré.",
    "payment_changed": "Ce paiement a changé entre-temps : le voici tel qu'il est maintenant. Rien n'a été enregistré.",
    "idempotency_key_reused": "Ce formulaire a déjà été envoyé : rechargez la page, puis recommencez.",
    "bank_unreachable": "La banque ne répond pas. Vous pouvez recommencer : rien ne se fera deux fois.",
    "bank_refused": "La banque refuse ce remboursement. Rien n'a changé ; son espace en ligne dit pourquoi.",
    "bank_cannot": "Cette banque ne se laisse pas interroger : regardez dans son espace en ligne.",
    "no_account": "Le compte bancaire de ce paiement n'est plus configuré.",
}

DECISION = {
    "command": choice("Décision", *DecisionKind),
    "reason": line("Motif", length_max=500, always=True),
    "evidence": line("Preuve", length_max=500, always=True),
    "amount": line("Montant"),
    "means": choice("Payé par", *Means),
    "seen_version": hidden("État affiché"),
}

routes = web.RouteTableDef()


@routes.get("/mairie/paiements")
async def till(request: web.Request) -> web.Response:
    """The list of exceptions, a day's receipts account by account, the latest payments."""
    session, person = await require_staff(request, Permission.READ_PAYMENTS)
    try:
        day = parse_day(request.query.get("jour", ""))
    except ValueError:
        day = today()
    services = request.app[SERVICES]
    report = await services.call(session, "payment-gateway", f"/till?day={day}", CashDeskReport)
    latest = await services.call(session, "payment-gateway", "/payments", PaymentList)
    return render(
        request,
        "town_hall/bank_payments.html",
        person,
        report=report,
        payments=latest.payments,
        day=day,
        balance_cents=words.balance_cents(report.days),
        kinds=words.KINDS,
        states=words.STATES,
        signed=words.SIGNED_NOTICES,
    )


@routes.get("/mairie/paiements/{payment_id}")
async def payment_file(request: web.Request) -> web.Response:
    return await _file(request, asked="interroge" in request.query, done="decide" in request.query)


async def _file(
    request: web.Request,
    *,
    asked: bool = False,
    done: bool = False,
    refused: str = "",
    typed: dict[str, str] | None = None,
) -> web.Response:
    session, person = await require_staff(request, Permission.READ_PAYMENTS)
    payment_id = path_uuid(request, "payment_id")
    found = await request.app[SERVICES].call(session, "payment-gateway", f"/payments/{payment_id}/file", PaymentFile)
    mails = await payment_mails(request, session, found.household_id, payment_id)
    return render(
        request,
        "town_hall/bank_payment.html",
        person,
        status=409 if refused else 200,
        file=found,
        payment=found.timeline.payment,
        states=words.STATES,
        steps=words.staff_steps(found.timeline, mails or ()),
        mail_is_away=mails is None,
        verdicts=words.VERDICTS,
        commands=words.COMMANDS,
        differences=words.DIFFERENCES,
        means=words.MEANS,
        asked=asked,
        done=done,
        refused=refused,
        typed=typed or {},
    )


@routes.post("/mairie/paiements/{payment_id}/banque")
async def ask_again(request: web.Request) -> web.Response:
    """« Réinterroger la banque »."""
    await checked_form(request, NO_FIELDS)
    session, _person = await require_staff(request, Permission.READ_PAYMENTS)
    path = f"/payments/{path_uuid(request, 'payment_id')}"
    try:
        await request.app[SERVICES].call(session, "payment-gateway", f"{path}/look-up", Payment, method="POST")
    except UpstreamError as error:
        if error.upstream_code not in REFUSALS:
            raise
        return await _file(request, refused=REFUSALS[error.upstream_code])
    return redirect(f"/mairie/paiements/{request.match_info['payment_id']}?interroge=1")


@routes.post("/mairie/paiements/{payment_id}/decision")
async def decide(request: web.Request) -> web.Response:
    """A decision with its reason and proof, asked first; what was typed is kept when it is refused."""
    form = await checked_form(request, DECISION)
    session, person = await require_staff(request, Permission.READ_PAYMENTS)
    typed = {name: form.get(name) for name in ("command", "reason", "evidence", "amount", "means")}
    try:
        amount = typed["amount"] if typed["command"] in WITH_AMOUNT else ""
        cents = parse_cents(amount) if amount else None
        body = PaymentDecision(
            command=typed["command"],
            seen_version=form.get("seen_version"),
            reason=typed["reason"],
            evidence=typed["evidence"],
            amount_cents=cents,
            means=Means(typed["means"]) if typed["means"] else None,
        )
    except (ValueError, ValidationError):
        why = "invalid" if form.get("seen_version") else "payment_changed"
        return await _file(request, refused=REFUSALS[why], typed=typed)
    path, key, services = f"/payments/{path_uuid(request, 'payment_id')}", form.get("key"), request.app[SERVICES]
    found = await services.call(session, "payment-gateway", f"{path}/file", PaymentFile)
    if found.version == body.seen_version and (
        asked := ask_first(request, form, person, money_questions.decision(found, body))
    ):
        return asked
    try:
        await services.call(session, "payment-gateway", f"{path}/decisions", Payment, method="POST", body=body, key=key)
    except UpstreamError as error:
        if error.upstream_code not in REFUSALS:
            raise
        return await _file(request, refused=REFUSALS[error.upstream_code], typed=typed)
    return redirect(f"/mairie/paiements/{request.match_info['payment_id']}?decide=1")
