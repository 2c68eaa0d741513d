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
        auth.NewDeviceUsed,
        planning.BookingsChanged,
        planning.EnrolmentChanged,
        planning.PlaceGranted,
        planning.PlaceOffered,
        planning.OfferLapsed,
        planning.AttendanceRecorded,
        billing.CheckoutOpened,
        billing.RunProgressed,
        billing.InvoicePublished,
        billing.InvoiceReminded,
        billing.InvoiceCredited,
        billing.CreditRefunded,
        billing.InvoiceSettled,
        billing.PaymentUnmatched,
        billing.ResidenceChanged,
        payment.PaymentConfirmed,
        payment.PaymentRefused,
        payment.PaymentExpired,
        payment.PaymentHeld,
        payment.PaymentRefunded,
        payment.PaymentRefundUndone,
        payment.PaymentReturned,
    )
}

EVENT_NAMESPACES = {
    "auth": "auth",
    "planning": "planning",
    "billing": "billing",
    "payment-gateway": "payment",
    "notifier": "notifier",
}
"""The namespace of the events of each program; a program that is not listed publishes none."""

LIVE_EVENTS = (
    auth.SessionEnded,
    billing.RunProgressed,
    payment.PaymentConfirmed,
    payment.PaymentRefused,
    payment.PaymentExpired,
    payment.PaymentHeld,
)
"""The events that the gateway consumes live; its broker account may bind these keys and no other."""

__all__ = ["EVENTS", "EVENT_NAMESPACES", "LIVE", "Event"]
