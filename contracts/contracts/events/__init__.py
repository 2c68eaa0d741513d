"""Every event of the house, by its type."""

from contracts.events import auth, billing, payment, planning
from contracts.events.event import Event

EVENTS: dict[str, type[Event]] = {
    event.type: event
    for event in (
        auth.HouseholdChanged,
        auth.GuardianChanged,
        auth.SessionEnded,
        auth.ResetRequested,
        auth.EmailGiven,
        planning.BookingsChanged,
        billing.CheckoutOpened,
        billing.InvoicePublished,
        billing.InvoiceSettled,
        billing.PaymentUnmatched,
        payment.PaymentConfirmed,
        payment.PaymentRefused,
        payment.PaymentExpired,
    )
}

__all__ = ["EVENTS", "Event"]
