"""What billing says: what may be paid, what was published, what is settled."""

from datetime import date
from enum import StrEnum
from typing import Literal
from uuid import UUID

from pydantic import PositiveInt

from contracts.events.event import Event
from contracts.model import Contract, Instant, Label, Month, PositiveCents, Reference


class CheckoutInvoice(Contract):
    """An invoice inside a checkout, with the part of it that is being paid."""

    invoice_id: UUID
    number: Reference
    month: Month
    amount_cents: PositiveCents


class CheckoutOpened(Event):
    """A household may pay this amount, once, until ``expires_at``."""

    type = "billing.checkout.opened"

    checkout_id: UUID
    household_id: UUID
    household_name: Label
    household_reference: Reference
    till: Reference
    amount_cents: PositiveCents
    currency: Literal["EUR"] = "EUR"
    invoices: tuple[CheckoutInvoice, ...]
    opened_at: Instant
    expires_at: Instant

    @property
    def subject(self) -> str:
        return f"checkout/{self.checkout_id}"


class InvoicePublished(Event):
    """An invoice that will never change any more."""

    type = "billing.invoice.published"

    invoice_id: UUID
    household_id: UUID
    number: Reference
    month: Month
    total_cents: PositiveCents
    due_on: date
    published_at: Instant

    @property
    def subject(self) -> str:
        return f"invoice/{self.invoice_id}"


class InvoiceReminded(Event):
    """An invoice past its day, still unpaid: the household is reminded of it for the ``step``-th time, from 1 on."""

    type = "billing.invoice.reminded"

    invoice_id: UUID
    household_id: UUID
    number: Reference
    month: Month
    left_cents: PositiveCents
    due_on: date
    step: PositiveInt
    reminded_at: Instant

    @property
    def subject(self) -> str:
        return f"invoice/{self.invoice_id}"


class InvoiceCredited(Event):
    """A credit note corrects an invoice, which itself never changes."""

    type = "billing.invoice.credited"

    credit_note_id: UUID
    household_id: UUID
    number: Reference
    invoice_id: UUID
    invoice_number: Reference
    total_cents: PositiveCents
    reason: Label
    published_at: Instant

    @property
    def subject(self) -> str:
        return f"invoice/{self.invoice_id}"


class CreditRefunded(Event):
    """The till keeper gave back what the town owed a household."""

    type = "billing.credit.refunded"

    refund_id: UUID
    household_id: UUID
    amount_cents: PositiveCents
    means: Literal["cash", "cheque", "transfer"]
    reference: Label
    refunded_at: Instant

    @property
    def subject(self) -> str:
        return f"household/{self.household_id}"


class InvoiceSettled(Event):
    """Nothing is left to pay on this invoice. ``payment_id`` is the payment, receipt or credit note that settled it."""

    type = "billing.invoice.settled"

    invoice_id: UUID
    household_id: UUID
    number: Reference
    payment_id: UUID
    settled_at: Instant

    @property
    def subject(self) -> str:
        return f"invoice/{self.invoice_id}"


class UnmatchedReason(StrEnum):
    """Why money came in that no invoice was waiting for."""

    ALREADY_SETTLED = "already_settled"
    UNKNOWN_CHECKOUT = "unknown_checkout"


class PaymentUnmatched(Event):
    """Money taken by the bank beyond what was due: it is now a credit of the household."""

    type = "billing.payment.unmatched"

    payment_id: UUID
    household_id: UUID
    surplus_cents: PositiveCents
    reason: UnmatchedReason
    recorded_at: Instant

    @property
    def subject(self) -> str:
        return f"payment/{self.payment_id}"
