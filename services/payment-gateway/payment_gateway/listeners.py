"""What the payment gateway hears."""

from chassis.database import Transaction
from chassis.forgetting import forget_mentions
from chassis.inbox import Later, Listeners
from contracts.events.auth import HouseholdChanged
from contracts.events.billing import CheckoutOpened, InvoiceSettled, PaymentUnmatched
from payment_gateway.settings import NAME
from payment_gateway.store import payments, till

listeners = Listeners(NAME)


@listeners.on(CheckoutOpened)
async def keep_checkouts(event: CheckoutOpened, tx: Transaction) -> None:
    """Know what may be paid, by whom and for how much."""
    await payments.save_checkout(tx, event)


@listeners.on(HouseholdChanged)
async def forget_payers(event: HouseholdChanged, tx: Transaction) -> None:
    """Of a household that was erased keep its payments and tickets, and forget who paid and where they lived."""
    if not event.erased:
        return
    await payments.forget_payers(tx, event.household_id)
    if not await forget_mentions(tx, [event.household_id]):
        raise Later("an event of the household is still to leave")


@listeners.on(PaymentUnmatched)
async def note_surplus(event: PaymentUnmatched, tx: Transaction) -> None:
    """Put money beyond what was due on the till keeper's list."""
    await till.note_surplus(tx, event.payment_id, event.surplus_cents)


@listeners.on(InvoiceSettled)
async def note_settlements(event: InvoiceSettled, tx: Transaction) -> None:
    """Know how a payment's story ended."""
    await till.note_settlement(tx, event)
