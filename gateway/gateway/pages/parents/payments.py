"""P7 to P9: to the bank, waiting for its word, and what it said."""

from datetime import timedelta
from typing import Any

from aiohttp import web

from chassis.clock import now
from chassis.concurrency import streaming
from chassis.http import path_uuid
from contracts.api.billing import Checkout, CheckoutRequest, Invoice
from contracts.api.payment_gateway import (
    PayerForm,
    Payment,
    PaymentStatus,
    PaymentTimeline,
)
from contracts.failures import Invalid, Unavailable
from gateway.clients.services import SERVICES, UpstreamError
from gateway.forms.amounts import parse_cents
from gateway.forms.fields import NO_FIELDS, id_field, line
from gateway.languages import N_, _, decimal_amount, euros
from gateway.live import stream
from gateway.pages.shared.access import require_household
from gateway.pages.shared.invoice_recap import recap_page
from gateway.pages.shared.payment_calls import payment_mails, start_payment
from gateway.pages.shared.payment_messages import is_complete, steps
from gateway.pages.shared.rendering import checked_form, redirect, render, signed_in

WAITING = {PaymentStatus.CREATED, PaymentStatus.PENDING, PaymentStatus.PROCESSING}
STORY_ENDS_WITHIN = timedelta(minutes=1)

PAYMENT = {"facture": id_field(N_("Factures"), many=True, always=True), "amount": line(N_("Montant"))}

routes = web.RouteTableDef()


@routes.post("/paiements")
async def pay(request: web.Request) -> web.Response:
    """Hold the invoices, begin the attempt, and go to the bank's page; a second tap finds the first.

    An invoice that another payment holds is told with that payment: never paid together with what was not chosen.
    """
    form = await checked_form(request, PAYMENT)
    session, _person, household = await require_household(request)
    services = request.app[SERVICES]
    wanted, typed = form.getall("facture"), form.get("amount")
    try:
        amount = parse_cents(typed) if typed else None
    except ValueError:
        return await recap_page(
            request, wanted, wrong=_("Le montant s'écrit comme {example}.", example=decimal_amount(4250)), typed=typed
        )
    try:
        body = CheckoutRequest(invoice_ids=wanted, amount_cents=amount)
    except ValueError as error:
        raise Invalid("the form cannot be read", errors=[]) from error
    try:
        path, key = f"{household}/checkouts", form.get("key")
        checkout = await services.call(session, "billing", path, Checkout, method="POST", body=body, key=key)
    except UpstreamError as error:
        if error.upstream_code == "part_refused":
            return await recap_page(request, wanted, wrong=_part(error.facts), typed=typed)
        if error.upstream_code == "credit_suffices":  # since the recap was shown: it shows now what the credit pays
            return await recap_page(request, wanted)
        if error.upstream_code != "checkout_open":
            raise
        checkout = await services.call(session, "billing", f"{path}/{error.facts['checkout_id']}", Checkout)
    payment = await start_payment(request, session, str(checkout.checkout_id))
    held = {each.invoice_id for each in checkout.invoices}
    is_that = (
        held <= set(body.invoice_ids) and checkout.amount_cents == amount if amount else held == set(body.invoice_ids)
    )
    if not is_that:
        return redirect(f"/paiements/{payment.payment_id}?autre=1")
    return redirect(payment.payer_url or f"/paiements/{payment.payment_id}")


@routes.post("/factures/{invoice_id}/reprise")
async def resume(request: web.Request) -> web.Response:
    """« Reprendre »: go on with the payment that holds an invoice."""
    await checked_form(request, NO_FIELDS)
    session, _person, household = await require_household(request)
    path = f"{household}/invoices/{path_uuid(request, 'invoice_id')}"
    invoice = await request.app[SERVICES].call(session, "billing", path, Invoice)
    if invoice.summary.checkout_id is None:
        return redirect("/factures")
    payment = await start_payment(request, session, str(invoice.summary.checkout_id))
    return redirect(payment.payer_url or f"/paiements/{payment.payment_id}")


def _part(facts: dict[str, Any]) -> str:
    """What can be paid, when it is not what was typed."""
    due = euros(facts["due_cents"])
    if "minimum_cents" not in facts:
        return _("Ces factures se règlent en une fois : {amount}.", amount=due)
    least, most = euros(facts["minimum_cents"]), euros(facts["maximum_cents"])
    return _(
        "Vous pouvez payer le total de {amount}, ou une partie entre {least} et {most}.",
        amount=due,
        least=least,
        most=most,
    )


@routes.get("/paiements/{payment_id}/retour")
async def back(request: web.Request) -> web.Response:
    """The browser comes back: this proves nothing, so the bank is asked."""
    session, _person, _household = await require_household(request)
    payment_id = path_uuid(request, "payment_id")
    try:
        path = f"/payments/{payment_id}/look-up"
        await request.app[SERVICES].call(session, "payment-gateway", path, Payment, method="POST")
    except (Unavailable, UpstreamError):
        pass  # the waiting page says the truth: nothing is known yet
    return redirect(f"/paiements/{payment_id}")


@routes.get("/paiements/{payment_id}")
async def payment_page(request: web.Request) -> web.Response:
    """« En attente du retour de la banque », or how it ended."""
    session, person, _household = await require_household(request)
    payment_id = path_uuid(request, "payment_id")
    path = f"/payments/{payment_id}/timeline"
    timeline = await request.app[SERVICES].call(session, "payment-gateway", path, PaymentTimeline)
    payment = timeline.payment
    mails = (
        None if payment.status in WAITING else await payment_mails(request, session, person.household_id, payment_id)
    )
    is_fresh = payment.status is PaymentStatus.CONFIRMED and now() - payment.changed_at < STORY_ENDS_WITHIN
    return render(
        request,
        "parents/payment.html",
        person,
        payment=payment,
        steps=steps(timeline, mails or ()),
        has_mails=payment.status in WAITING or mails is not None,
        is_waiting=payment.status in WAITING,
        is_another="autre" in request.query,
        has_ticket=payment.ticket_number is not None,
        goes_on=is_fresh and not is_complete(timeline, mails or ()),
    )


@routes.get("/paiements/{payment_id}/banque")
async def bank_form(request: web.Request) -> web.Response:
    """The way to a bank that wants a form: signed, sent by itself, or by its button without scripts."""
    session, person, _household = await require_household(request)
    payment_id = path_uuid(request, "payment_id")
    try:
        path = f"/payments/{payment_id}/form"
        form = await request.app[SERVICES].call(session, "payment-gateway", path, PayerForm)
    except UpstreamError as error:
        if error.upstream_code != "no_form":
            raise
        return redirect(f"/paiements/{payment_id}")
    return render(request, "parents/bank_form.html", person, form=form, payment_id=payment_id)


@routes.get("/paiements/{payment_id}/flux", allow_head=False)
@streaming
async def live(request: web.Request) -> web.StreamResponse:
    """The status now, and again when something is heard of the payment."""
    session, person = await signed_in(request)
    payment_id, services = path_uuid(request, "payment_id"), request.app[SERVICES]

    async def ask() -> tuple[str, bool]:
        payment = await services.call(session, "payment-gateway", f"/payments/{payment_id}", Payment)
        return payment.status, payment.status in WAITING

    return await stream(request, ask, payment_id, person.session_id)


@routes.post("/paiements/{payment_id}/annulation")
async def abandon(request: web.Request) -> web.Response:
    await checked_form(request, NO_FIELDS)
    session, _person, _household = await require_household(request)
    payment_id = path_uuid(request, "payment_id")
    path = f"/payments/{payment_id}/abandon"
    await request.app[SERVICES].call(session, "payment-gateway", path, Payment, method="POST")
    return redirect(f"/paiements/{payment_id}")


@routes.get("/paiements/{payment_id}/ticket")
async def ticket(request: web.Request) -> web.Response:
    session, _person, _household = await require_household(request)
    path = f"/payments/{path_uuid(request, 'payment_id')}/ticket"
    disposition, raw = await request.app[SERVICES].file(session, "payment-gateway", path)
    headers = {"Content-Disposition": disposition, "Cache-Control": "no-store"}
    return web.Response(body=raw, content_type="application/pdf", headers=headers)
