"""What billing hears."""

from uuid import UUID

from billing.domain import ledger
from billing.domain.returns import give_back
from billing.settings import NAME
from billing.store import checkouts, invoices, reminders, returns, usages
from chassis import outbox
from chassis.clock import now
from chassis.database import Transaction
from chassis.inbox import Later, Listeners
from contracts.api.billing import CheckoutStatus
from contracts.events.auth import HouseholdChanged
from contracts.events.billing import InvoiceSettled, PaymentUnmatched, UnmatchedReason
from contracts.events.payment import (
    PaymentConfirmed,
    PaymentExpired,
    PaymentHeld,
    PaymentRefunded,
    PaymentRefused,
    PaymentReturned,
    Returned,
)
from contracts.events.planning import BookingsChanged

listeners = Listeners(NAME)


@listeners.on(HouseholdChanged)
async def keep_households(event: HouseholdChanged, tx: Transaction) -> None:
    """Know whom to invoice."""
    await usages.save_household(tx, event)


@listeners.on(BookingsChanged)
async def keep_usage(event: BookingsChanged, tx: Transaction) -> None:
    """Know what to invoice."""
    await usages.save_usage(tx, event)


@listeners.on(PaymentConfirmed)
async def settle_invoices(event: PaymentConfirmed, tx: Transaction) -> None:
    """Settle the checkout's invoices, once for a payment; what is over becomes the household's credit."""
    ids = await checkouts.invoice_ids(tx, event.checkout_id)
    await invoices.lock_invoices(tx, ids)
    left = {each.invoice_id: each for each in await invoices.summaries(tx, event.household_id, ids)}
    mine = [invoice_id for invoice_id in ids if invoice_id in left]
    lefts = {each: left[each].left_cents for each in mine}
    done = ledger.settle(event.amount_cents, mine, lefts, means=event.ticket.means, till=event.ticket.till)
    at, key = now(), f"payment/{event.payment_id}"
    if not await invoices.add_ledger_transaction(tx, key, event.household_id, done.entries, at):
        return
    await returns.end_hold(tx, event.payment_id, event.checkout_id)
    await checkouts.close(tx, event.checkout_id, CheckoutStatus.SETTLED)
    for invoice_id in done.settled:
        await outbox.add(
            tx,
            InvoiceSettled(
                invoice_id=invoice_id,
                household_id=event.household_id,
                number=left[invoice_id].number,
                payment_id=event.payment_id,
                settled_at=at,
            ),
        )
    if done.surplus_cents:
        reason = UnmatchedReason.ALREADY_SETTLED if mine else UnmatchedReason.UNKNOWN_CHECKOUT
        await outbox.add(
            tx,
            PaymentUnmatched(
                payment_id=event.payment_id,
                household_id=event.household_id,
                surplus_cents=done.surplus_cents,
                reason=reason,
                recorded_at=at,
            ),
        )


@listeners.on(PaymentRefused)
async def release_refused(event: PaymentRefused, tx: Transaction) -> None:
    """The invoices can be paid again at once."""
    await release(tx, event.checkout_id)


@listeners.on(PaymentExpired)
async def release_expired(event: PaymentExpired, tx: Transaction) -> None:
    """The invoices can be paid again; money that still comes is settled or credited."""
    await release(tx, event.checkout_id)


async def release(tx: Transaction, checkout_id: UUID) -> None:
    """Let go of a checkout's invoices, unless it is settled, or waits for the till keeper."""
    await invoices.lock_invoices(tx, await checkouts.invoice_ids(tx, checkout_id))
    if await returns.is_held(tx, checkout_id):
        return
    await checkouts.close(tx, checkout_id, CheckoutStatus.RELEASED)


@listeners.on(PaymentHeld)
async def hold_reviewed(event: PaymentHeld, tx: Transaction) -> None:
    """Nobody pays these invoices again while the till keeper looks into a payment."""
    await invoices.lock_invoices(tx, await checkouts.invoice_ids(tx, event.checkout_id))
    await returns.hold(tx, event.payment_id, event.checkout_id)


@listeners.on(PaymentRefunded)
async def book_refunds(event: PaymentRefunded, tx: Transaction) -> None:
    """Money went back; what never counted as a payment only lets go of its invoices."""
    if event.was_confirmed:
        await _give_back(tx, event, f"refund/{event.refund_id}")
        return
    await returns.end_hold(tx, event.payment_id, event.checkout_id)
    await release(tx, event.checkout_id)


@listeners.on(PaymentReturned)
async def book_returns(event: PaymentReturned, tx: Transaction) -> None:
    """The bank took its money back: the household owes again what this paid.

    What was contested is left to people: nobody is reminded of it until the town hall says so.
    """
    is_new = await _give_back(tx, event, f"returned/{event.payment_id}")
    if is_new and event.how is Returned.CHARGED_BACK:
        contested = await checkouts.invoice_ids(tx, event.checkout_id)
        await reminders.pause(tx, contested, "paiement contesté auprès de la banque", None, now())


async def _give_back(tx: Transaction, event: PaymentRefunded | PaymentReturned, key: str) -> bool:
    """Undo so much of a payment in the ledger, once for its key; False when it was undone before."""
    await invoices.lock_household(tx, event.household_id)
    if not await returns.is_booked(tx, event.payment_id):
        raise Later("the payment itself is not in the ledger yet")
    credit = await invoices.credit_cents(tx, event.household_id)
    paid = await returns.paid_invoices(tx, event.household_id, event.checkout_id)
    await invoices.lock_invoices(tx, [invoice_id for invoice_id, _ in paid])
    entries = give_back(event.amount_cents, credit, paid)
    return await invoices.add_ledger_transaction(tx, key, event.household_id, entries, now())
