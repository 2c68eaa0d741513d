"""Calls about a payment that more than one page makes: start it, and find the mails that it led to."""

import asyncio
from uuid import UUID

from aiohttp import web

from contracts.api.notifier import PaymentMail, PaymentMails
from contracts.api.payment_gateway import Payment, PaymentList, PaymentRequest
from contracts.failures import Unavailable
from gateway.clients.services import SERVICES, UpstreamError

READY_TRIES = 25
READY_PAUSE_SECONDS = 0.2


async def start_payment(request: web.Request, session: str, checkout_id: str) -> Payment:
    """The attempt of a checkout, as soon as payment-gateway has heard of it."""
    services, body = request.app[SERVICES], PaymentRequest(checkout_id=checkout_id)
    for _attempt in range(READY_TRIES):
        try:
            return await services.call(session, "payment-gateway", "/payments", Payment, method="POST", body=body)
        except UpstreamError as error:
            if error.upstream_code in {"payment_unresolved", "checkout_over"} and "payment_id" in error.facts:
                found = await services.call(
                    session, "payment-gateway", f"/checkouts/{checkout_id}/payments", PaymentList
                )
                return found.payments[0].model_copy(update={"payer_url": None})
            if error.upstream_code != "checkout_not_ready":
                raise
        await asyncio.sleep(READY_PAUSE_SECONDS)
    raise Unavailable("the payment gateway has not heard of the checkout yet", retry_after_seconds=5)


async def payment_mails(
    request: web.Request, session: str, household_id: UUID | None, payment_id: UUID
) -> tuple[PaymentMail, ...] | None:
    """What notifier mailed about a payment; None while notifier is away, which hides nothing else of the story."""
    path = f"/households/{household_id}/payments/{payment_id}/mails"
    try:
        return (await request.app[SERVICES].call(session, "notifier", path, PaymentMails)).mails
    except Unavailable:
        return None
