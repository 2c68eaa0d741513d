"""« Avoirs »: corrections of invoices, which themselves never change."""

from collections.abc import Mapping, Sequence
from uuid import UUID, uuid4

from aiohttp import web

from billing.domain import ledger
from billing.domain.failures import MoreThanInvoiced, NoSuchInvoice, NothingToCredit
from billing.domain.invoicing import credit_lines, creditable, shares, waived
from billing.settings import SETTINGS
from billing.store import invoices, usages
from billing.store.chain import add_to_chain
from billing.store.credit_notes import add_credit_note, credit_note
from billing.store.pdfs import kept_pdf
from chassis import outbox
from chassis.clock import day_of, now
from chassis.database import DATABASE, Transaction
from chassis.http import idempotency_key, json_response, path_uuid, read_body
from chassis.idempotency import claim_key, store_answer
from chassis.identity import household_in_path, require
from contracts.api.billing import (
    CreditNote,
    CreditNoteLine,
    CreditNoteRequest,
    CreditNoteSummary,
    Invoice,
    InvoicedDay,
    InvoicedDays,
)
from contracts.events.billing import InvoiceCredited, InvoiceSettled
from contracts.identity import Permission

routes = web.RouteTableDef()


@routes.post("/households/{household_id}/invoices/{invoice_id}/credit-notes")
async def post_credit_note(request: web.Request) -> web.Response:
    """Credit an invoice with whole days or with an amount, for a reason; once for a key."""
    person, key = require(request, Permission.PUBLISH_INVOICES), idempotency_key(request)
    household_id, invoice_id = path_uuid(request, "household_id"), path_uuid(request, "invoice_id")
    body = await read_body(request, CreditNoteRequest)
    async with request.app[DATABASE].transaction() as tx:
        answer = await claim_key(tx, f"credit-notes/{invoice_id}", key, await request.read())
        if answer is None:
            await invoices.lock_household(tx, household_id)
            found = await invoices.invoice(tx, household_id, invoice_id)
            if found is None:
                raise NoSuchInvoice("the household has no such invoice")
            await invoices.refuse_if_changed(tx, household_id, body.seen_balance_cents)
            if body.amount_cents:
                lines, products = _of_amount(found, body.amount_cents, body.reason)
            else:
                lines, products = await _of_days(tx, household_id, invoice_id, body)
            note = await publish_credit_note(
                request, tx, household_id, invoice_id, lines, products, reason=body.reason, by=person.subject_id
            )
            answer = note.model_dump_json().encode()
            await store_answer(tx, f"credit-notes/{invoice_id}", key, answer)
    return web.Response(body=answer, status=201, content_type="application/json", charset="utf-8")


def _of_amount(found: Invoice, cents: int, reason: str) -> tuple[list[CreditNoteLine], dict[str, int]]:
    """One line; what it takes from each activity is in proportion to what the invoice says of it."""
    amounts: dict[str, int] = {}
    for line in found.lines:
        amounts[line.activity_label] = amounts.get(line.activity_label, 0) + line.amount_cents
    parts = {label: part for label, part in shares(cents, amounts).items() if part}
    said = CreditNoteLine(child_first_name=None, label=reason, count=1, unit_credit_cents=cents, amount_cents=cents)
    return [said], parts


async def _of_days(
    tx: Transaction, household_id: UUID, invoice_id: UUID, body: CreditNoteRequest
) -> tuple[list[CreditNoteLine], dict[str, int]]:
    """Whole days at what each costs now; they are marked, so that no later invoice gives them back or charges them."""
    account = await usages.account_for_update(tx, household_id)
    charged = {(each.child_id, each.activity_id, each.day): each for each in creditable(account, invoice_id)}
    wanted = [(each.child_id, each.activity_id, each.day) for each in body.days]
    if not charged.keys() >= set(wanted):
        raise NothingToCredit("some of these days are not charged by this invoice")
    days = [charged[key] for key in wanted]
    await usages.mark(tx, [(each, waived(each)) for each in days])
    return credit_lines([(each, f"le {each.day:%d/%m/%Y}", each.price_cents) for each in days])


@routes.get("/households/{household_id}/invoices/{invoice_id}/days")
async def get_days(request: web.Request) -> web.Response:
    """The days that an invoice charges and that can be credited."""
    require(request, Permission.PUBLISH_INVOICES)
    household_id, invoice_id = path_uuid(request, "household_id"), path_uuid(request, "invoice_id")
    async with request.app[DATABASE].transaction() as tx:
        if not await invoices.summaries(tx, household_id, [invoice_id]):
            raise NoSuchInvoice("the household has no such invoice")
        found = creditable(await usages.account(tx, household_id), invoice_id)
    return json_response(
        InvoicedDays(
            days=tuple(
                InvoicedDay(
                    child_id=each.child_id,
                    activity_id=each.activity_id,
                    day=each.day,
                    child_first_name=each.child_first_name,
                    activity_label=each.activity_label,
                    amount_cents=each.price_cents,
                )
                for each in found
            )
        )
    )


async def publish_credit_note(
    request: web.Request,
    tx: Transaction,
    household_id: UUID,
    invoice_id: UUID,
    lines: Sequence[CreditNoteLine],
    products: Mapping[str, int],
    *,
    reason: str,
    by: UUID,
) -> CreditNote:
    """Number, keep, link, book and tell a credit note; the caller holds the household.

    What was already paid beyond what the invoice asks from now on becomes the household's credit.
    """
    total = sum(line.amount_cents for line in lines)
    found = await _creditable(tx, household_id, invoice_id, total)
    at = now()
    (number,) = await invoices.next_numbers(tx, "A-", day_of(at).year, 1)
    note = CreditNote(
        summary=CreditNoteSummary(
            credit_note_id=uuid4(),
            number=number,
            invoice_id=invoice_id,
            invoice_number=found.summary.number,
            published_on=day_of(at),
            total_cents=total,
            reason=reason,
        ),
        issuer=request.app[SETTINGS].issuer,
        household_name=found.household_name,
        household_reference=found.household_reference,
        household_address=found.household_address,
        lines=tuple(lines),
    )
    await add_credit_note(tx, household_id, note, at, by)
    await add_to_chain(tx, [number])
    await _book(tx, household_id, note, products, left_cents=found.summary.left_cents)
    return note


async def _creditable(tx: Transaction, household_id: UUID, invoice_id: UUID, cents: int) -> Invoice:
    """The invoice, locked, if it can still be credited with this much."""
    await invoices.lock_invoices(tx, [invoice_id])
    found = await invoices.invoice(tx, household_id, invoice_id)
    if found is None:
        raise NoSuchInvoice("the household has no such invoice")
    creditable = found.summary.total_cents - found.summary.credited_cents
    if cents > creditable:
        raise MoreThanInvoiced("an invoice is not credited for more than it said", creditable_cents=creditable)
    return found


async def _book(
    tx: Transaction, household_id: UUID, note: CreditNote, products: Mapping[str, int], *, left_cents: int
) -> None:
    """Write the correction in the ledger and tell it; ``left_cents`` is what was left to pay before it."""
    said, at = note.summary, now()
    entries = ledger.credited(said.invoice_id, products)
    movement = f"credit-note/{said.credit_note_id}"
    await invoices.add_ledger_transaction(tx, movement, household_id, entries, at, note=said.number)
    left = left_cents - said.total_cents
    if kept := ledger.overpaid(said.invoice_id, left):
        movement = f"credit-kept/{said.credit_note_id}"
        await invoices.add_ledger_transaction(tx, movement, household_id, kept, at, note=said.number)
    await _tell(tx, household_id, note, settles=left_cents > 0 >= left)


async def _tell(tx: Transaction, household_id: UUID, note: CreditNote, *, settles: bool) -> None:
    said, at = note.summary, now()
    await outbox.add(
        tx,
        InvoiceCredited(
            credit_note_id=said.credit_note_id,
            household_id=household_id,
            number=said.number,
            invoice_id=said.invoice_id,
            invoice_number=said.invoice_number,
            total_cents=said.total_cents,
            reason=said.reason,
            published_at=at,
        ),
    )
    if settles:
        await outbox.add(
            tx,
            InvoiceSettled(
                invoice_id=said.invoice_id,
                household_id=household_id,
                number=said.invoice_number,
                payment_id=said.credit_note_id,
                settled_at=at,
            ),
        )


@routes.get("/households/{household_id}/credit-notes/{credit_note_id}/pdf")
async def get_pdf(request: web.Request) -> web.Response:
    household_id, note_id = household_in_path(request, Permission.READ_HOUSEHOLDS), path_uuid(request, "credit_note_id")
    async with request.app[DATABASE].transaction() as tx:
        found = await credit_note(tx, household_id, note_id)
    if found is None:
        raise NoSuchInvoice("the household has no such credit note")
    content = await kept_pdf(request.app[DATABASE], found)
    name = f"avoir-{found.summary.number}.pdf"
    headers = {"Content-Disposition": f'inline; filename="{name}"'}
    return web.Response(body=content, content_type="application/pdf", headers=headers)
