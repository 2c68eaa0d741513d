"""billing: prices, invoices and checkouts."""

from datetime import date
from enum import StrEnum
from uuid import UUID

from pydantic import Field

from contracts.model import Cents, Contract, Instant, Label, Month, PositiveCents, Reference


class TariffWish(Contract):
    """``PUT /tariffs/{activity_id}``: a flat price a day, from a date on."""

    activity_label: Label
    unit_price_cents: int = Field(strict=True, ge=0, le=1_000_00)
    valid_from: date


class Price(Contract):
    """What a day costs this household now, and why."""

    activity_id: UUID
    unit_price_cents: int
    explanation: Label


class PriceList(Contract):
    """``GET /households/{household_id}/prices``."""

    prices: tuple[Price, ...]


class InvoiceRunWish(Contract):
    """``POST /invoice-runs`` with an ``Idempotency-Key``: publish the invoices of a month."""

    month: Month
    due_on: date


class InvoicePreview(Contract):
    """``GET /invoice-runs/preview/{month}``: what a run would publish now."""

    month: Month
    invoices: int
    total_cents: int


class InvoiceRun(Contract):
    """What a run published."""

    run_id: UUID
    month: Month
    invoices: int
    total_cents: int


class InvoiceStatus(StrEnum):
    """Where a published invoice stands; derived from the ledger."""

    TO_PAY = "to_pay"
    PARTIALLY_PAID = "partially_paid"
    PAID = "paid"


class InvoiceSummary(Contract):
    """An invoice in a list. ``checkout_id`` is the open attempt that holds it, when there is one."""

    invoice_id: UUID
    number: Reference
    month: Month
    published_on: date
    due_on: date
    total_cents: PositiveCents
    left_cents: int = Field(ge=0)
    status: InvoiceStatus
    checkout_id: UUID | None = None


class InvoiceList(Contract):
    """``GET /households/{household_id}/invoices``; ``credit_cents`` is what the town owes the household."""

    to_pay: tuple[InvoiceSummary, ...]
    paid: tuple[InvoiceSummary, ...]
    credit_cents: int = Field(ge=0)


class InvoiceLine(Contract):
    """A line: so many days of an activity for a child at a unit price."""

    child_first_name: Label
    activity_label: Label
    count: int
    unit_price_cents: int
    amount_cents: Cents
    explanation: Label


class Invoice(Contract):
    """``GET /households/{household_id}/invoices/{invoice_id}``: as published, with all that its PDF shows."""

    summary: InvoiceSummary
    town: Label
    household_name: Label
    household_reference: Reference
    household_address: tuple[Label, ...]
    lines: tuple[InvoiceLine, ...]


class CheckoutWish(Contract):
    """``POST /households/{household_id}/checkouts`` with an ``Idempotency-Key``."""

    invoice_ids: tuple[UUID, ...] = Field(min_length=1, max_length=50)


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
