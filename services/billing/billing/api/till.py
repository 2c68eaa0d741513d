"""The till: money given at the counter, credits given back, the journal, and the accounting file."""

import csv
import io
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

from aiohttp import web

from billing.domain import ledger
from billing.domain.failures import (
    MoreThanCredit,
    MoreThanDue,
    NoSuchHousehold,
    NoSuchInvoice,
    PaymentUnderWay,
    WrongPeriod,
)
from billing.settings import SETTINGS
from billing.store import invoices, tariffs, till
from chassis import outbox
from chassis.clock import now, today
from chassis.database import DATABASE, Transaction
from chassis.http import idempotency_key, json_response, path_uuid, read_body
from chassis.idempotency import claim_key, store_answer
from chassis.identity import require
from contracts.api.billing import InvoiceSummary
from contracts.api.cash_desk import AccountList, Receipt, ReceiptRequest, RefundRequest
from contracts.events.billing import CreditRefunded, InvoiceSettled
from contracts.failures import Invalid
from contracts.identity import Permission
from contracts.model import parse_day

RECEIVED_DAYS_MAX = 62
JOURNAL_DAYS_MAX = 366
EXPORT_DAYS_MAX = 93
COLUMNS = (
    "date", "mouvement", "cle", "compte", "produit", "moyen", "regie", "foyer", "nom", "facture", "debit", "credit",
)  # fmt: skip
ACCOUNTS = {"receivable": "usagers", "revenue": "produits", "bank": "encaissements", "credit": "avances"}

routes = web.RouteTableDef()


@routes.get("/accounts")
async def get_accounts(request: web.Request) -> web.Response:
    require(request, Permission.COLLECT_MONEY)
    async with request.app[DATABASE].transaction() as tx:
        found = await till.accounts(tx, request.query.get("search", "").strip()[:100])
    return json_response(AccountList(accounts=tuple(found)))


@routes.post("/households/{household_id}/receipts")
async def post_receipt(request: web.Request) -> web.Response:
    """Take money in, once for a key: it pays what is due, oldest first."""
    person, key = require(request, Permission.COLLECT_MONEY), idempotency_key(request)
    household_id, body = path_uuid(request, "household_id"), await read_body(request, ReceiptRequest)
    if not today() - timedelta(days=RECEIVED_DAYS_MAX) <= body.received_on <= today():
        raise Invalid("received too long ago, or later than today", errors=[{"field": "received_on", "message": ""}])
    async with request.app[DATABASE].transaction() as tx:
        answer = await claim_key(tx, f"receipts/{household_id}", key, await request.read())
        if answer is None:
            receipt = await _take(request, tx, household_id, body, person.subject_id)
            answer = receipt.model_dump_json().encode()
            await store_answer(tx, f"receipts/{household_id}", key, answer)
    return web.Response(body=answer, status=201, content_type="application/json", charset="utf-8")


async def _take(request: web.Request, tx: Transaction, household_id: UUID, body: ReceiptRequest, by: UUID) -> Receipt:
    due = await _due(tx, household_id, body)
    await invoices.refuse_if_changed(tx, household_id, body.seen_balance_cents)
    online = [each.number for each in due if each.under_way]
    if online and not body.despite_payment:
        raise PaymentUnderWay("a payment of these invoices is under way", numbers=online)
    lefts = {each.invoice_id: each.left_cents for each in due}
    means, till_reference = body.means, request.app[SETTINGS].till_reference
    done = ledger.settle(body.amount_cents, list(lefts), lefts, means=means, till=till_reference)
    if done.surplus_cents and not body.keep_surplus:
        raise MoreThanDue("more money than is due", due_cents=sum(lefts.values()))
    at = now()
    (number,) = await invoices.next_numbers(tx, "R-", body.received_on.year, 1)
    receipt = await till.add_receipt(
        tx, household_id, body, number=number, surplus_cents=done.surplus_cents, by=by, at=at
    )
    movement = f"receipt/{receipt.receipt_id}"
    day, note = body.received_on, body.reference
    await invoices.add_ledger_transaction(tx, movement, household_id, done.entries, at, day=day, note=note)
    numbers = {each.invoice_id: each.number for each in due}
    await outbox.add(
        tx,
        *(
            InvoiceSettled(
                invoice_id=invoice_id,
                household_id=household_id,
                number=numbers[invoice_id],
                payment_id=receipt.receipt_id,
                settled_at=at,
            )
            for invoice_id in done.settled
        ),
    )
    return receipt


async def _due(tx: Transaction, household_id: UUID, body: ReceiptRequest) -> list[InvoiceSummary]:
    """The invoices that the money is for and that still ask for some, locked, oldest first."""
    if await tariffs.household(tx, household_id) is None:
        raise NoSuchHousehold("billing has not heard of this household")
    await invoices.lock_household(tx, household_id)
    wanted = list(body.invoice_ids) or None
    await invoices.lock_invoices(tx, [each.invoice_id for each in await invoices.summaries(tx, household_id, wanted)])
    found = await invoices.summaries(tx, household_id, wanted)
    if wanted and len(found) != len(set(wanted)):
        raise NoSuchInvoice("the household has no such invoice")
    return [each for each in reversed(found) if each.left_cents > 0]


@routes.post("/households/{household_id}/refunds")
async def post_refund(request: web.Request) -> web.Response:
    """Give a household's credit back, once for a key."""
    require(request, Permission.COLLECT_MONEY)
    key, household_id = idempotency_key(request), path_uuid(request, "household_id")
    body = await read_body(request, RefundRequest)
    async with request.app[DATABASE].transaction() as tx:
        answer = await claim_key(tx, f"refunds/{household_id}", key, await request.read())
        if answer is None:
            await invoices.lock_household(tx, household_id)
            await invoices.refuse_if_changed(tx, household_id, body.seen_balance_cents)
            credit = await invoices.credit_cents(tx, household_id)
            if body.amount_cents > credit:
                raise MoreThanCredit("more than the town owes the household", credit_cents=credit)
            entries = ledger.refunded(body.amount_cents, means=body.means, till=request.app[SETTINGS].till_reference)
            movement = f"credit-refund/{household_id}/{key}"
            at, gives = now(), body.model_dump(exclude={"seen_balance_cents"})
            await invoices.add_ledger_transaction(tx, movement, household_id, entries, at, note=body.reference)
            await outbox.add(tx, CreditRefunded(refund_id=uuid4(), household_id=household_id, refunded_at=at, **gives))
            answer = body.model_dump_json().encode()
            await store_answer(tx, f"refunds/{household_id}", key, answer)
    return web.Response(body=answer, status=201, content_type="application/json", charset="utf-8")


def _period(request: web.Request, days_max: int) -> tuple[date, date]:
    """``first`` and ``last`` of the query, both included; the present month without them."""
    try:
        first = parse_day(request.query.get("first", str(today().replace(day=1))))
        last = parse_day(request.query.get("last", str(today())))
    except ValueError:
        raise WrongPeriod("the days cannot be read", errors=[]) from None
    if not timedelta(0) <= last - first < timedelta(days=days_max):
        raise WrongPeriod("a period begins before it ends, and is not too long", days_max=days_max, errors=[])
    return first, last


@routes.get("/journal")
async def get_journal(request: web.Request) -> web.Response:
    """What came in and went out, by day and means."""
    require(request, Permission.READ_PAYMENTS)
    first, last = _period(request, JOURNAL_DAYS_MAX)
    async with request.app[DATABASE].transaction() as tx:
        return json_response(await till.journal(tx, first, last))


@routes.get("/exports/accounting")
async def get_accounting(request: web.Request) -> web.StreamResponse:
    """The ledger's entries of a period as a CSV that French spreadsheets open: ``;``, decimal comma, UTF-8 with BOM."""
    require(request, Permission.READ_PAYMENTS)
    first, last = _period(request, EXPORT_DAYS_MAX)
    name = f"ecritures-{first}-{last}.csv"
    response = web.StreamResponse(
        headers={"Content-Type": "text/csv; charset=utf-8", "Content-Disposition": f'attachment; filename="{name}"'}
    )
    async with request.app[DATABASE].transaction() as tx:
        await response.prepare(request)
        await response.write(b"\xef\xbb\xbf" + _csv(COLUMNS))
        async for row in till.entries(tx, first, last):
            await response.write(_csv(_row(row)))
    await response.write_eof()
    return response


def _row(row: Any) -> tuple[str, ...]:
    cents = row["amount_cents"]
    amount = f"{abs(cents) // 100},{abs(cents) % 100:02d}"
    words = (row["product"], row["means"], row["till"], row["reference"], row["name"], row["invoice_number"])
    return (
        f"{row['day']:%d/%m/%Y}",
        str(row["transaction_id"]),
        row["key"],
        ACCOUNTS[row["account"]],
        *(_text(each) for each in words),
        amount if cents > 0 else "",
        amount if cents < 0 else "",
    )


def _text(value: str | None) -> str:
    """A cell that no spreadsheet takes for a formula."""
    text = value or ""
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text


def _csv(cells: tuple[str, ...]) -> bytes:
    line = io.StringIO()
    csv.writer(line, delimiter=";", lineterminator="\r\n").writerow(cells)
    return line.getvalue().encode()
