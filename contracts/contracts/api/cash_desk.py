"""billing: receipts of the cash desk, and the journal of all money received."""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from contracts.model import Cents, Contract, Day, Instant, Label, PositiveCents, Reference

Search = Annotated[str, StringConstraints(strip_whitespace=True, max_length=100)]


class CounterMeans(StrEnum):
    """The means of payment at the counter: « espèces », « chèque », « virement »."""

    CASH = "cash"
    CHEQUE = "cheque"
    TRANSFER = "transfer"


class ReceiptRequest(Contract):
    """``POST /households/{household_id}/receipts`` with an ``Idempotency-Key``: money given at the counter.

    It pays the named invoices, or all that are due, oldest first. More than is due is refused unless
    ``keep_surplus``: the rest is then the household's credit. Invoices that a payment holds are taken money for only
    ``despite_payment``: should that payment succeed too, its money is the household's credit. ``seen_balance_cents`` is
    what the household was shown to owe, less its credit: where it changed meanwhile, nothing is taken.
    """

    means: CounterMeans
    amount_cents: PositiveCents
    received_on: Day
    reference: Label | None = None
    invoice_ids: tuple[UUID, ...] = Field(default=(), max_length=50)
    keep_surplus: bool = False
    seen_balance_cents: Cents
    despite_payment: bool = False


class Receipt(Contract):
    """Money that was taken in, as it was entered; it never changes."""

    receipt_id: UUID
    number: Reference
    household_id: UUID
    means: CounterMeans
    amount_cents: PositiveCents
    surplus_cents: int = Field(ge=0)
    received_on: Day
    reference: Label | None
    recorded_at: Instant


class RefundRequest(Contract):
    """``POST /households/{household_id}/refunds`` with an ``Idempotency-Key``: give a credit back.

    ``seen_balance_cents`` is what the household was shown to owe, less its credit: where it changed, nothing is given.
    """

    means: CounterMeans
    amount_cents: PositiveCents
    reference: Label
    seen_balance_cents: Cents


class Account(Contract):
    """A household in the cashier's list: what it owes, and what the town owes it."""

    household_id: UUID
    name: Label
    reference: Reference
    due_cents: Cents
    credit_cents: Cents


class AccountList(Contract):
    """``GET /accounts?search=…``: households by name or reference, those that owe first."""

    accounts: tuple[Account, ...]


class Takings(Contract):
    """What came in on a day by one means."""

    day: Day
    means: Label
    count: int
    amount_cents: Cents


class Taking(Contract):
    """One movement of money. Negative when money was given back."""

    at: Instant
    day: Day
    means: Label
    key: Label
    number: Label | None
    household_name: Label
    household_reference: Reference
    amount_cents: Cents


class Journal(Contract):
    """``GET /journal?first=…&last=…``: the receipts of a period by day and means, and each of them."""

    first: Day
    last: Day
    takings: tuple[Takings, ...]
    entries: tuple[Taking, ...]
    total_cents: Cents
