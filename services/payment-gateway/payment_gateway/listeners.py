"""What the payment gateway hears."""

from chassis.database import Transaction
from chassis.inbox import Listeners
from contracts.events.billing import CheckoutOpened
from payment_gateway.settings import NAME
from payment_gateway.store import payments

listeners = Listeners(NAME)


@listeners.on(CheckoutOpened)
async def keep_checkouts(event: CheckoutOpened, tx: Transaction) -> None:
    """Know what may be paid, by whom and for how much."""
    await payments.save_checkout(tx, event)
