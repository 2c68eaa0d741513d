"""What the payment gateway hears."""

from chassis.database import Transaction
from chassis.erasure import erase_mentions
from chassis.inbox import Consumers, RetryLater
from contracts.events.auth import HouseholdChanged
from contracts.events.billing import CheckoutOpened, InvoiceSettled, PaymentUnmatched
from payment_gateway.settings import NAME
from payment_gateway.store import payments, till

consumers = Consumers(NAME)


@consumers.on(CheckoutOpened)
async def keep_checkouts(event: CheckoutOpened, tx: Transaction) -> None:
    """Know what may be paid, by whom and for how much."""
    await payments.save_checkout(tx, event)


@consumers.on(HouseholdChanged)
async def forget_payers(event: HouseholdChanged, tx: Transaction) -> None:
    """Of a household that was erased keep its payments and tickets, and forget who paid and where they lived."""
    if not event.erased:
        return
    await payments.forget_payers(tx, event.household_id)
    if not await erase_mentions(tx, [event.household_id]):
        raise RetryLater("an event of the household is still to leave")


@consumers.on(PaymentUnmatched)
async def note_surplus(event: PaymentUnmatched, tx: Transaction) -> None:
    """Put money beyond what was due on the till keeper's list."""
    await till.note_surplus(tx, event.payment_id, event.surplus_cents)


@consumers.on(InvoiceSettled)
async def note_settlements(event: InvoiceSettled, tx: Transaction) -> None:
    """Know how a payment's story ended."""
    await till.note_settlement(tx, event)
