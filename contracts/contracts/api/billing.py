"""billing: runs, invoices, credit notes, certificates and checkouts."""

from datetime import date
from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator

from contracts.events.billing import RunStatus
from contracts.model import Cents, Contract, Day, FullName, Instant, Label, Month, PositiveCents, Reference

Explanation = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=400)]
"""Which rule made a price, from which quotient, with which reductions; in French, for parents and auditors."""


class InvoiceRunRequest(Contract):
    """``POST /invoice-runs`` with an ``Idempotency-Key``: prepare the invoices of a month.

    ``straight`` publishes as soon as the preparation finds nothing that stands in the way.
    """

    month: Month
    due_on: Day
    straight: bool = False


class InvoicePreview(Contract):
    """``GET /invoice-runs/preview/{month}``: what waits to be invoiced."""

    month: Month
    households: int
    days: int


class AnomalyKind(StrEnum):
    """What a person should look at before publishing. Only a missing tariff stands in the way."""

    TARIFF_MISSING = "tariff_missing"
    ATTENDANCE_UNCHECKED = "attendance_unchecked"
    QUOTIENT_MISSING = "quotient_missing"
    UNUSUAL_AMOUNT = "unusual_amount"
    OWES_NOTHING = "owes_nothing"


class Anomaly(Contract):
    """An anomaly of a household's invoice. ``amount_cents`` is the total that the invoice would have."""

    kind: AnomalyKind
    household_id: UUID
    household_name: Label
    household_reference: Reference
    detail: Label
    amount_cents: Cents


class InvoiceRun(Contract):
    """``GET /invoice-runs/{run_id}``: how far a run is. ``invoices`` and ``total_cents`` are of its present phase."""

    run_id: UUID
    month: Month
    due_on: Day
    status: RunStatus
    created_at: Instant
    households: int
    households_done: int
    invoices: int
    total_cents: int
    anomalies: tuple[Anomaly, ...] = ()
    anomalies_count: int = 0


class RunList(Contract):
    """``GET /invoice-runs``: newest first."""

    runs: tuple[InvoiceRun, ...]


class InvoiceStatus(StrEnum):
    """Where a published invoice stands; derived from the ledger."""

    TO_PAY = "to_pay"
    PARTIALLY_PAID = "partially_paid"
    PAID = "paid"


class PendingPayment(StrEnum):
    """Why an unpaid invoice cannot be paid now: a payment is in progress, or under review by the cashier."""

    BEING_PAID = "being_paid"
    UNDER_REVIEW = "under_review"


class InvoiceSummary(Contract):
    """An invoice in a list. ``checkout_id`` is the open attempt that holds it, when there is one, and ``under_way``
    where that stands.
    """

    invoice_id: UUID
    number: Reference
    month: Month
    published_on: Day
    due_on: Day
    total_cents: PositiveCents
    left_cents: int = Field(ge=0)
    status: InvoiceStatus
    checkout_id: UUID | None = None
    credited_cents: int = Field(default=0, ge=0)
    under_way: PendingPayment | None = None


class CreditNoteSummary(Contract):
    """A credit note (« avoir ») in a list."""

    credit_note_id: UUID
    number: Reference
    invoice_id: UUID
    invoice_number: Reference
    published_on: Day
    total_cents: PositiveCents
    reason: Label


class InvoiceList(Contract):
    """``GET /households/{household_id}/invoices``; ``credit_cents`` is what the town owes the household.

    Invoices that ask for money are ``to_pay``, or ``under_way`` as long as a payment holds them.
    ``part_cents_min`` is the least that may be paid online of what is due, where the town allows parts.
    """

    to_pay: tuple[InvoiceSummary, ...]
    paid: tuple[InvoiceSummary, ...]
    credit_cents: int = Field(ge=0)
    credit_notes: tuple[CreditNoteSummary, ...] = ()
    certificates: tuple["CertificateKey", ...] = ()
    part_cents_min: int | None = None
    under_way: tuple[InvoiceSummary, ...] = ()

    @property
    def owed(self) -> tuple[InvoiceSummary, ...]:
        """Every invoice that asks for money, oldest first."""
        return tuple(sorted((*self.to_pay, *self.under_way), key=lambda each: (each.published_on, each.number)))


class CertificateKey(Contract):
    """A year in which childcare was paid for a child: its certificate can be had."""

    year: int
    child_id: UUID
    child_first_name: Label


class InvoiceLine(Contract):
    """A line: so many days of an activity for a child at a unit price."""

    child_first_name: Label
    activity_label: Label
    count: int
    unit_price_cents: int
    amount_cents: Cents
    explanation: Explanation
    child_id: UUID | None = None
    childcare: bool = False
    childcare_cents: int | None = Field(default=None, exclude=True)
    """What of it counts for the tax credit: no part of the document."""


class Issuer(Contract):
    """The issuer of a document, as of its day. ``till`` is where to pay at the counter."""

    town: Label
    siret: Annotated[str, StringConstraints(pattern=r"^[0-9]{14}$")]
    address: Label
    contact: Label
    till: Label


class Invoice(Contract):
    """``GET /households/{household_id}/invoices/{invoice_id}``: as published, with all that its PDF shows."""

    summary: InvoiceSummary
    town: Label
    issuer: Issuer
    household_name: Label
    household_reference: Reference
    household_address: tuple[Label, ...]
    lines: tuple[InvoiceLine, ...]


class DayKey(Contract):
    """A child's day of an activity."""

    child_id: UUID
    activity_id: UUID
    day: Day


class InvoicedDay(DayKey):
    """A day that an invoice charges, at what it costs now that credit notes were taken off."""

    child_first_name: Label
    activity_label: Label
    amount_cents: PositiveCents


class InvoicedDays(Contract):
    """``GET /households/{household_id}/invoices/{invoice_id}/days``: those that can still be credited."""

    days: tuple[InvoicedDay, ...]


class CreditNoteRequest(Contract):
    """``POST /households/{household_id}/invoices/{invoice_id}/credit-notes`` with an ``Idempotency-Key``.

    Either whole ``days``, which no later invoice then charges or gives back, or an ``amount_cents`` that is no day's.
    ``seen_balance_cents`` is what the household was shown to owe, less its credit: where it changed, nothing is made.
    """

    amount_cents: PositiveCents | None = None
    days: tuple[DayKey, ...] = Field(default=(), max_length=500)
    reason: Label
    seen_balance_cents: Cents

    @model_validator(mode="after")
    def _days_or_amount(self) -> Self:
        if (self.amount_cents is None) is not bool(self.days) or len(set(self.days)) != len(self.days):
            raise ValueError("a credit note is of days, each once, or of an amount")
        return self


class CreditNoteLine(Contract):
    """So many days of an activity for a child, each this much less than invoiced; or one amount without a child."""

    child_first_name: Label | None
    label: Label
    count: int = Field(ge=1)
    unit_credit_cents: PositiveCents
    amount_cents: PositiveCents


class CreditNote(Contract):
    """A published credit note with all that its PDF shows. It never changes."""

    summary: CreditNoteSummary
    issuer: Issuer
    household_name: Label
    household_reference: Reference
    household_address: tuple[Label, ...]
    lines: tuple[CreditNoteLine, ...]


class CertificateLine(Contract):
    """What was paid for one activity."""

    activity_label: Label
    amount_cents: PositiveCents


class Certificate(Contract):
    """« Attestation fiscale »: what a household paid in a year for the care of a child.

    ``alternating``: the child lives by turns with two households, and each declares it in the fields for that.
    """

    issuer: Issuer
    household_name: Label
    household_reference: Reference
    household_address: tuple[Label, ...]
    child_name: FullName
    birth_date: date | None
    year: int
    issued_on: Day
    lines: tuple[CertificateLine, ...]
    alternating: bool = False

    @property
    def is_running(self) -> bool:
        """Whether the year is not over: what is paid later is not in it yet."""
        return self.issued_on.year <= self.year

    @property
    def total_cents(self) -> int:
        return sum(line.amount_cents for line in self.lines)


class CheckoutRequest(Contract):
    """``POST /households/{household_id}/checkouts`` with an ``Idempotency-Key``.

    The household's credit pays first, so far as it goes; then all that is left of these invoices, or ``amount_cents``
    of it, oldest first, where the town allows parts.
    """

    invoice_ids: tuple[UUID, ...] = Field(min_length=1, max_length=50)
    amount_cents: PositiveCents | None = None


class RepricingRequest(Contract):
    """``POST /households/{household_id}/invoices/{invoice_id}/repricing`` with an ``Idempotency-Key``.

    ``credit_cents`` is the credit that was proposed, ``seen_balance_cents`` what the household was shown to owe, less
    its credit: where one of them changed, nothing is made.
    """

    credit_cents: PositiveCents
    seen_balance_cents: Cents


class CreditUse(Contract):
    """``POST /households/{household_id}/credit-uses`` with an ``Idempotency-Key``: have the household's credit pay
    these invoices, or all that can be paid, oldest first.
    """

    invoice_ids: tuple[UUID, ...] = Field(default=(), max_length=50)


class CreditUsed(Contract):
    """What a household's credit paid, and what is left of it."""

    used_cents: int = Field(ge=0)
    credit_cents: int = Field(ge=0)


class CheckoutStatus(StrEnum):
    """Where a checkout stands."""

    OPEN = "open"
    SETTLED = "settled"
    RELEASED = "released"


class Checkout(Contract):
    """What is being paid together. The amount is computed by billing, never sent by a browser."""

    checkout_id: UUID
    status: CheckoutStatus
    amount_cents: PositiveCents
    invoices: tuple[InvoiceSummary, ...]
    expires_at: Instant
