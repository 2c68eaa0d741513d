"""Opening a checkout: what a household pays together, its amount computed here."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from aiohttp import web

from billing.domain.checkouts import parts
from billing.domain.failures import (
    AlreadyPaid,
    CheckoutOpen,
    CreditSuffices,
    NoSuchCheckout,
    NoSuchInvoice,
    PaymentUnderWay,
)
from billing.settings import SETTINGS
from billing.store import checkouts, invoices
from billing.store.credit_uses import use_credit
from chassis import outbox
from chassis.clock import now
from chassis.database import DATABASE, Transaction
from chassis.http import idempotency_key, json_response, path_uuid, read_body
from chassis.idempotency import claim_key, store_answer
from chassis.identity import household_in_path, identity
from contracts.api.billing import CheckoutRequest, CreditUse, CreditUsed, InvoiceSummary, PendingPayment
from contracts.events.billing import CheckoutInvoice, CheckoutOpened
from contracts.failures import Forbidden
from contracts.identity import Permission

routes = web.RouteTableDef()


@routes.post("/households/{household_id}/checkouts")
async def post_checkout(request: web.Request) -> web.Response:
    """Hold the chosen invoices for one payment; the same key answers the same checkout."""
    household_id, key = household_in_path(request, Permission.READ_HOUSEHOLDS), idempotency_key(request)
    if identity(request).household_id != household_id:
        raise Forbidden("only the household itself pays online")
    body = await read_body(request, CheckoutRequest)
    async with request.app[DATABASE].transaction() as tx:
        answer = await claim_key(tx, f"checkouts/{household_id}", key, await request.read())
        if answer is None:
            chosen = await _payable(tx, household_id, body)
            if await use_credit(tx, household_id, body.invoice_ids, identity(request).subject_id, now()):
                chosen = await _asking(tx, household_id, body)
            lefts = {each.invoice_id: each.left_cents for each in chosen}
            paid = parts(lefts, body.amount_cents, request.app[SETTINGS].part_cents_min)
            event = await _open(request, tx, household_id, [(each, paid.get(each.invoice_id, 0)) for each in chosen])
            await outbox.add(tx, event)
            opened = await checkouts.checkout(tx, household_id, event.checkout_id)
            assert opened is not None, "it was opened by the statements above"
            answer = opened.model_dump_json().encode()
            await store_answer(tx, f"checkouts/{household_id}", key, answer)
    return web.Response(body=answer, status=201, content_type="application/json", charset="utf-8")


async def _asking(tx: Transaction, household_id: UUID, body: CheckoutRequest) -> list[InvoiceSummary]:
    """Of the chosen invoices, oldest first, those that still ask for money once the credit has paid."""
    found = [each for each in reversed(await invoices.summaries(tx, household_id, body.invoice_ids)) if each.left_cents]
    if not found:
        raise CreditSuffices("the household's credit pays all of it")
    return found


async def _payable(tx: Transaction, household_id: UUID, body: CheckoutRequest | CreditUse) -> list[InvoiceSummary]:
    """The chosen invoices, oldest first, if every one of them can be paid now."""
    await invoices.lock_household(tx, household_id)
    await invoices.lock_invoices(tx, body.invoice_ids)
    chosen = list(reversed(await invoices.summaries(tx, household_id, body.invoice_ids)))
    if len(chosen) != len(set(body.invoice_ids)):
        raise NoSuchInvoice("the household has no such invoice")
    for invoice in chosen:
        if invoice.left_cents == 0:
            raise AlreadyPaid("nothing is left to pay", number=invoice.number)
        if invoice.under_way is PendingPayment.UNDER_REVIEW and invoice.checkout_id is None:
            raise PaymentUnderWay("a payment of this invoice is under review", numbers=[invoice.number])
        if invoice.checkout_id:
            raise CheckoutOpen("this invoice is being paid", checkout_id=str(invoice.checkout_id))
    return chosen


async def _open(
    request: web.Request, tx: Transaction, household_id: UUID, chosen: list[tuple[InvoiceSummary, int]]
) -> CheckoutOpened:
    """Hold the invoices of which something is paid; the others stay free."""
    settings, at = request.app[SETTINGS], now()
    expires_at = at + timedelta(seconds=settings.checkout_seconds)
    held = tuple(
        CheckoutInvoice(
            invoice_id=invoice.invoice_id,
            number=invoice.number,
            month=invoice.month,
            amount_cents=part,
            left_cents=invoice.left_cents - part,
        )
        for invoice, part in chosen
        if part
    )
    checkout_id = await checkouts.add_checkout(tx, household_id, held, opened_at=at, expires_at=expires_at)
    household: Any = await checkouts.household(tx, household_id)
    return CheckoutOpened(
        checkout_id=checkout_id,
        household_id=household_id,
        household_name=household["name"],
        household_reference=household["reference"],
        household_address=tuple(household["address"]),
        till=settings.till_reference,
        amount_cents=sum(each.amount_cents for each in held),
        invoices=held,
        opened_at=at,
        expires_at=expires_at,
    )


@routes.post("/households/{household_id}/credit-uses")
async def post_credit_use(request: web.Request) -> web.Response:
    """Have the household's credit pay its invoices, once for a key: at the family's wish, or by the till keeper."""
    household_id, person = household_in_path(request, Permission.COLLECT_MONEY), identity(request)
    key, body = idempotency_key(request), await read_body(request, CreditUse)
    async with request.app[DATABASE].transaction() as tx:
        answer = await claim_key(tx, f"credit-uses/{household_id}", key, await request.read())
        if answer is None:
            if body.invoice_ids:
                await _payable(tx, household_id, body)
            used = await use_credit(tx, household_id, body.invoice_ids or None, person.subject_id, now())
            left = await invoices.credit_cents(tx, household_id)
            answer = CreditUsed(used_cents=used, credit_cents=max(0, left)).model_dump_json().encode()
            await store_answer(tx, f"credit-uses/{household_id}", key, answer)
    return web.Response(body=answer, status=201, content_type="application/json", charset="utf-8")


@routes.get("/households/{household_id}/checkouts/{checkout_id}")
async def get_checkout(request: web.Request) -> web.Response:
    household_id = household_in_path(request, Permission.READ_HOUSEHOLDS)
    async with request.app[DATABASE].transaction() as tx:
        found = await checkouts.checkout(tx, household_id, path_uuid(request, "checkout_id"))
    if found is None:
        raise NoSuchCheckout("the household has no such checkout")
    return json_response(found)
