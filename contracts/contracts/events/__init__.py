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
        auth.EmailReplaced,
        planning.BookingsChanged,
        planning.PlaceGranted,
        planning.AttendanceRecorded,
        billing.CheckoutOpened,
        billing.RunProgressed,
        billing.InvoicePublished,
        billing.InvoiceCredited,
        billing.InvoiceSettled,
        billing.PaymentUnmatched,
        payment.PaymentConfirmed,
        payment.PaymentRefused,
        payment.PaymentExpired,
        payment.PaymentHeld,
        payment.PaymentRefunded,
        payment.PaymentReturned,
    )
}

__all__ = ["EVENTS", "Event"]
