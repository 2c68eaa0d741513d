"""« Avoirs »: corrections of invoices, which themselves never change."""

from collections.abc import Mapping, Sequence
from uuid import UUID, uuid4

from aiohttp import web

from billing.domain import chain, ledger
from billing.domain.failures import MoreThanInvoiced, NoSuchInvoice
from billing.domain.invoicing import shares
from billing.settings import SETTINGS
from billing.store import invoices
from billing.store.chain import add_to_chain
from billing.store.credit_notes import add_credit_note, credit_note
from billing.store.pdfs import kept_pdf
from chassis import outbox
from chassis.clock import now, today
from chassis.database import DATABASE, Transaction
from chassis.http import idempotency_key, path_uuid, read_body
from chassis.idempotency import recall, remember
from chassis.identity import household_in_path, require
from contracts.api.billing import CreditNote, CreditNoteLine, CreditNoteSummary, CreditNoteWish, Invoice
from contracts.events.billing import InvoiceCredited, InvoiceSettled
from contracts.identity import Permission

routes = web.RouteTableDef()


@routes.post("/households/{household_id}/invoices/{invoice_id}/credit-notes")
async def post_credit_note(request: web.Request) -> web.Response:
    """Credit an invoice with an amount, for a reason; once for a key."""
    person, key = require(request, Permission.PUBLISH_INVOICES), idempotency_key(request)
    household_id, invoice_id = path_uuid(request, "household_id"), path_uuid(request, "invoice_id")
    wish = await read_body(request, CreditNoteWish)
    async with request.app[DATABASE].transaction() as tx:
        answer = await recall(tx, f"credit-notes/{invoice_id}", key, await request.read())
        if answer is None:
            await invoices.lock_household(tx, household_id)
            found = await invoices.invoice(tx, household_id, invoice_id)
            if found is None:
                raise NoSuchInvoice("the household has no such invoice")
            amounts: dict[str, int] = {}
            for line in found.lines:
                amounts[line.activity_label] = amounts.get(line.activity_label, 0) + line.amount_cents
            products = {label: cents for label, cents in shares(wish.amount_cents, amounts).items() if cents}
            cents = wish.amount_cents
            lines = [
                CreditNoteLine(
                    child_first_name=None, label=wish.reason, count=1, unit_credit_cents=cents, amount_cents=cents
                )
            ]
            note = await publish_credit_note(
                request, tx, household_id, invoice_id, lines, products, reason=wish.reason, by=person.subject_id
            )
            answer = note.model_dump_json().encode()
            await remember(tx, f"credit-notes/{invoice_id}", key, answer)
    return web.Response(body=answer, status=201, content_type="application/json", charset="utf-8")


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
    (number,) = await invoices.next_numbers(tx, "A-", today().year, 1)
    note = CreditNote(
        summary=CreditNoteSummary(
            credit_note_id=uuid4(),
            number=number,
            invoice_id=invoice_id,
            invoice_number=found.summary.number,
            published_on=today(),
            total_cents=total,
            reason=reason,
        ),
        issuer=request.app[SETTINGS].issuer,
        household_name=found.household_name,
        household_reference=found.household_reference,
        household_address=found.household_address,
        lines=tuple(lines),
    )
    await add_credit_note(tx, household_id, note, now(), by)
    await add_to_chain(tx, [(number, chain.digest(note))])
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
