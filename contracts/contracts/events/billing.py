"""Events of billing: checkouts, invoices, credit notes and credits."""

from enum import StrEnum
from typing import Literal
from uuid import UUID

from pydantic import Field, PositiveInt

from contracts.events.event import Event
from contracts.model import Contract, Day, Instant, Label, Month, PositiveCents, Reference, Version


class RunStatus(StrEnum):
    """Where a run stands; it works by itself while ``drafting`` or ``publishing``, and survives any stop."""

    DRAFTING = "drafting"
    READY = "ready"
    PUBLISHING = "publishing"
    DONE = "done"
    CANCELLED = "cancelled"


class CheckoutInvoice(Contract):
    """An invoice inside a checkout, with the part of it that is being paid and what is left of it afterwards."""

    invoice_id: UUID
    number: Reference
    month: Month
    amount_cents: PositiveCents
    left_cents: int = Field(default=0, ge=0)


class CheckoutOpened(Event):
    """A household may pay this amount, once, until ``expires_at``.

    ``household_address``, line by line, is for the banks that have to know where a payer lives (3-D Secure).
    """

    type = "billing.checkout.opened"

    checkout_id: UUID
    household_id: UUID
    household_name: Label
    household_reference: Reference
    household_address: tuple[Label, ...] = ()
    till: Reference
    amount_cents: PositiveCents
    currency: Literal["EUR"] = "EUR"
    invoices: tuple[CheckoutInvoice, ...]
    opened_at: Instant
    expires_at: Instant

    @property
    def subject(self) -> str:
        return f"checkout/{self.checkout_id}"


class RunProgressed(Event):
    """A monthly run went a step further, or came to rest; ``status`` is where it stands after that.

    ``households_done``, ``invoices`` and ``total_cents`` are of its present phase, preparing or publishing.
    """

    type = "billing.run.progressed"

    run_id: UUID
    month: Month
    status: RunStatus
    households: int
    households_done: int
    invoices: int
    total_cents: int
    progressed_at: Instant

    @property
    def subject(self) -> str:
        return f"run/{self.run_id}"


class InvoicePublished(Event):
    """An invoice that will never change any more."""

    type = "billing.invoice.published"

    invoice_id: UUID
    household_id: UUID
    number: Reference
    month: Month
    total_cents: PositiveCents
    due_on: Day
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
    due_on: Day
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
    """The cashier refunded a household's credit."""

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
    """An invoice is fully paid.

    ``payment_id`` is the payment, receipt, credit note or use of credit that settled it; ``means`` is ``credit`` for
    the last.
    """

    type = "billing.invoice.settled"

    invoice_id: UUID
    household_id: UUID
    number: Reference
    payment_id: UUID
    settled_at: Instant
    means: Literal["credit"] | None = None

    @property
    def subject(self) -> str:
        return f"invoice/{self.invoice_id}"


class ResidenceFrom(Contract):
    """From that day on the household lives in the town, or elsewhere."""

    first_day: Day
    resident: bool


class ResidenceChanged(Event):
    """The residences of a household by first day, as known now, in order; each differs from the one before.

    Before the first one the household counts as resident, as does every household without any. ``version`` grows with
    each change of the household.
    """

    type = "billing.residence.changed"

    household_id: UUID
    version: Version
    residences: tuple[ResidenceFrom, ...]

    @property
    def subject(self) -> str:
        return f"residence/{self.household_id}"


class UnmatchedReason(StrEnum):
    """Why money came in that no invoice was waiting for."""

    ALREADY_SETTLED = "already_settled"
    UNKNOWN_CHECKOUT = "unknown_checkout"


class PaymentUnmatched(Event):
    """Money taken by the bank beyond what was due: it is now a credit of the household.

    ``amount_cents`` is what the bank took; ``invoices`` are the numbers of those that it was for, settled before.
    """

    type = "billing.payment.unmatched"

    payment_id: UUID
    household_id: UUID
    surplus_cents: PositiveCents
    reason: UnmatchedReason
    recorded_at: Instant
    amount_cents: PositiveCents | None = None
    invoices: tuple[Reference, ...] = ()

    @property
    def subject(self) -> str:
        return f"payment/{self.payment_id}"
