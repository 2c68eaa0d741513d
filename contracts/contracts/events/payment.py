"""Events of payment-gateway: verified results of payments."""

from enum import StrEnum
from typing import Literal
from uuid import UUID

from pydantic import Field

from contracts.events.billing import CheckoutInvoice
from contracts.events.event import Event
from contracts.model import Contract, Instant, Label, PositiveCents, Reference


class Means(StrEnum):
    """How the money came."""

    CARD = "card"
    DEBIT = "debit"
    TRANSFER = "transfer"


class Mode(StrEnum):
    """Whether real money moved."""

    TEST = "test"
    PRODUCTION = "production"


class Receipt(Contract):
    """What a payment paid, and how."""

    town: Label
    till: Label
    household_name: Label
    household_reference: Reference
    invoices: tuple[CheckoutInvoice, ...]
    amount_cents: PositiveCents
    means: Means
    mode: Mode
    bank_reference: Label
    authorisation: Label | None
    paid_at: Instant


class Ticket(Receipt):
    """A receipt with its number, « justificatif de paiement », with all that its PDF shows."""

    number: Reference


class PaymentConfirmed(Event):
    """The bank took the money."""

    type = "payment.confirmed"

    payment_id: UUID
    checkout_id: UUID
    household_id: UUID
    payer_id: UUID
    bank: Reference
    amount_cents: PositiveCents
    currency: Literal["EUR"] = "EUR"
    confirmed_at: Instant
    ticket: Ticket

    @property
    def subject(self) -> str:
        return f"payment/{self.payment_id}"


class UnpaidOutcome(StrEnum):
    """How an attempt ended without money."""

    REFUSED = "refused"
    CANCELLED = "cancelled"
    FAILED = "failed"


class PaymentRefused(Event):
    """The payment ended without money: the bank refused it, the payer cancelled, or the bank did not open it.

    ``was_held``: it was under review until the cashier found that the bank had taken nothing.
    """

    type = "payment.refused"

    payment_id: UUID
    checkout_id: UUID
    household_id: UUID
    payer_id: UUID
    amount_cents: PositiveCents
    outcome: UnpaidOutcome
    was_held: bool = False
    refused_at: Instant

    @property
    def subject(self) -> str:
        return f"payment/{self.payment_id}"


class PaymentExpired(Event):
    """The bank reports no money for this payment, and its time is over."""

    type = "payment.expired"

    payment_id: UUID
    checkout_id: UUID
    household_id: UUID
    payer_id: UUID
    amount_cents: PositiveCents
    expired_at: Instant

    @property
    def subject(self) -> str:
        return f"payment/{self.payment_id}"


class PaymentHeld(Event):
    """The bank took another amount than requested: until the cashier decides, its invoices cannot be paid again."""

    type = "payment.held"

    payment_id: UUID
    checkout_id: UUID
    household_id: UUID
    payer_id: UUID
    amount_cents: PositiveCents
    held_at: Instant

    @property
    def subject(self) -> str:
        return f"payment/{self.payment_id}"


class PaymentRefunded(Event):
    """Money went back to the payer; ``was_confirmed`` is false when the payment never counted as one."""

    type = "payment.refunded"

    payment_id: UUID
    checkout_id: UUID
    household_id: UUID
    payer_id: UUID
    refund_id: UUID
    amount_cents: PositiveCents
    refunded_cents: PositiveCents
    was_confirmed: bool
    refunded_at: Instant

    @property
    def subject(self) -> str:
        return f"payment/{self.payment_id}"


class PaymentRefundUndone(Event):
    """A refund that was counted failed at the bank later, and the cashier lets the money count again.

    ``refunded_cents`` is the total refunded after that; ``decision_id`` identifies the decision.
    """

    type = "payment.refund.undone"

    payment_id: UUID
    checkout_id: UUID
    household_id: UUID
    payer_id: UUID
    decision_id: UUID
    amount_cents: PositiveCents
    refunded_cents: int = Field(ge=0)
    undone_at: Instant

    @property
    def subject(self) -> str:
        return f"payment/{self.payment_id}"


class ReturnKind(StrEnum):
    """How the bank takes money back."""

    CHARGED_BACK = "charged_back"
    REVERSED = "reversed"


class PaymentReturned(Event):
    """The bank took back what it had given: a lost dispute of a card payment, or a direct debit sent back."""

    type = "payment.returned"

    payment_id: UUID
    checkout_id: UUID
    household_id: UUID
    payer_id: UUID
    amount_cents: PositiveCents
    how: ReturnKind
    returned_at: Instant

    @property
    def subject(self) -> str:
        return f"payment/{self.payment_id}"
