"""What billing hears."""

from uuid import UUID

from billing.domain import ledger
from billing.domain.returns import give_back
from billing.settings import NAME
from billing.store import checkouts, invoices, reminders, returns, usages
from chassis import outbox
from chassis.clock import now
from chassis.database import Transaction
from chassis.erasure import erase_mentions
from chassis.inbox import Consumers, RetryLater
from contracts.api.billing import CheckoutStatus
from contracts.events.auth import HouseholdChanged
from contracts.events.billing import InvoiceSettled, PaymentUnmatched, UnmatchedReason
from contracts.events.payment import (
    PaymentConfirmed,
    PaymentExpired,
    PaymentHeld,
    PaymentRefunded,
    PaymentRefundUndone,
    PaymentRefused,
    PaymentReturned,
    ReturnKind,
)
from contracts.events.planning import AttendanceRecorded, BookingsChanged

consumers = Consumers(NAME)


@consumers.on(HouseholdChanged)
async def keep_households(event: HouseholdChanged, tx: Transaction) -> None:
    """Know whom to invoice; of one erased, keep the documents and forget the rest."""
    await usages.save_household(tx, event)
    if event.erased and not await erase_mentions(
        tx, [event.household_id, *await usages.invoice_ids(tx, event.household_id)]
    ):
        raise RetryLater("an event of the household is still to leave")


@consumers.on(BookingsChanged)
async def keep_usage(event: BookingsChanged, tx: Transaction) -> None:
    """Know what to invoice."""
    await usages.save_usage(tx, event)


@consumers.on(AttendanceRecorded)
async def keep_attendance(event: AttendanceRecorded, tx: Transaction) -> None:
    """Know who came, for the activities whose price depends on it."""
    await usages.save_attendance(tx, event)


@consumers.on(PaymentConfirmed)
async def settle_invoices(event: PaymentConfirmed, tx: Transaction) -> None:
    """Settle the checkout's invoices, once for a payment; what is over becomes the household's credit."""
    came = event.ticket.means, event.ticket.till
    if await _settle(tx, event, f"payment/{event.payment_id}", came):
        await returns.end_hold(tx, event.payment_id, event.checkout_id)
        await checkouts.close(tx, event.checkout_id, CheckoutStatus.SETTLED)


@consumers.on(PaymentRefundUndone)
async def settle_again(event: PaymentRefundUndone, tx: Transaction) -> None:
    """A refund failed: what it had made due again is paid after all, or is the household's credit."""
    came = await returns.how_it_came(tx, event.payment_id)
    if came is None:
        raise RetryLater("the payment itself is not in the ledger yet")
    await _settle(tx, event, f"refund-undone/{event.decision_id}", came)


async def _settle(
    tx: Transaction, event: PaymentConfirmed | PaymentRefundUndone, key: str, came: tuple[str, str]
) -> bool:
    """Spread an event's money over its checkout's invoices, once for its key; False when it was done before."""
    ids = await checkouts.invoice_ids(tx, event.checkout_id)
    await invoices.lock_invoices(tx, ids)
    left = {each.invoice_id: each for each in await invoices.summaries(tx, event.household_id, ids)}
    mine = [invoice_id for invoice_id in ids if invoice_id in left]
    lefts = {each: left[each].left_cents for each in mine}
    means, till = came
    done, at = ledger.settle(event.amount_cents, mine, lefts, means=means, till=till), now()
    if not await invoices.add_ledger_transaction(tx, key, event.household_id, done.entries, at):
        return False
    who = {"household_id": event.household_id, "payment_id": event.payment_id}
    for each in done.settled:
        await outbox.add(tx, InvoiceSettled(invoice_id=each, number=left[each].number, settled_at=at, **who))
    if done.surplus_cents:
        reason = UnmatchedReason.ALREADY_SETTLED if mine else UnmatchedReason.UNKNOWN_CHECKOUT
        surplus = {"surplus_cents": done.surplus_cents, "reason": reason, "recorded_at": at}
        before = [each for each in mine if lefts[each] == 0] or mine  # without any, they were paid in part
        surplus |= {"amount_cents": event.amount_cents, "invoices": tuple(left[each].number for each in before)}
        await outbox.add(tx, PaymentUnmatched(**surplus, **who))
    return True


@consumers.on(PaymentRefused)
async def release_refused(event: PaymentRefused, tx: Transaction) -> None:
    """The invoices can be paid again at once, also those that the till keeper had to decide about."""
    if event.was_held:
        await returns.end_hold(tx, event.payment_id, event.checkout_id)
    await release(tx, event.checkout_id)


@consumers.on(PaymentExpired)
async def release_expired(event: PaymentExpired, tx: Transaction) -> None:
    """The invoices can be paid again; money that still comes is settled or credited."""
    await release(tx, event.checkout_id)


async def release(tx: Transaction, checkout_id: UUID) -> None:
    """Let go of a checkout's invoices, unless it is settled, or waits for the till keeper."""
    await invoices.lock_invoices(tx, await checkouts.invoice_ids(tx, checkout_id))
    if await returns.is_held(tx, checkout_id):
        return
    await checkouts.close(tx, checkout_id, CheckoutStatus.RELEASED)


@consumers.on(PaymentHeld)
async def hold_reviewed(event: PaymentHeld, tx: Transaction) -> None:
    """Nobody pays these invoices again while the till keeper looks into a payment."""
    await invoices.lock_invoices(tx, await checkouts.invoice_ids(tx, event.checkout_id))
    await returns.hold(tx, event.payment_id, event.checkout_id)


@consumers.on(PaymentRefunded)
async def book_refunds(event: PaymentRefunded, tx: Transaction) -> None:
    """Money went back; what never counted as a payment only lets go of its invoices."""
    if event.was_confirmed:
        await _give_back(tx, event, f"refund/{event.refund_id}")
        return
    await returns.end_hold(tx, event.payment_id, event.checkout_id)
    await release(tx, event.checkout_id)


@consumers.on(PaymentReturned)
async def book_returns(event: PaymentReturned, tx: Transaction) -> None:
    """The bank took its money back: the household owes again what this paid.

    What was contested is left to people: nobody is reminded of it until the town hall says so.
    """
    is_new = await _give_back(tx, event, f"returned/{event.payment_id}")
    if is_new and event.how is ReturnKind.CHARGED_BACK:
        contested = await checkouts.invoice_ids(tx, event.checkout_id)
        await reminders.pause(tx, contested, "paiement contesté auprès de la banque", None, now())


async def _give_back(tx: Transaction, event: PaymentRefunded | PaymentReturned, key: str) -> bool:
    """Undo so much of a payment in the ledger, once for its key; False when it was undone before."""
    await invoices.lock_household(tx, event.household_id)
    came = await returns.how_it_came(tx, event.payment_id)
    if came is None:
        raise RetryLater("the payment itself is not in the ledger yet")
    credit = await invoices.credit_cents(tx, event.household_id)
    asked = await returns.asked(tx, event.household_id, event.checkout_id)
    means, till = came
    entries = give_back(event.amount_cents, credit, asked, means=means, till=till)
    return await invoices.add_ledger_transaction(tx, key, event.household_id, entries, now())
