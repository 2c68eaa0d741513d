"""What the payment gateway says: the bank's word, verified."""

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
    """The attempt ended without money: the bank refused, the parent gave up, or the bank would not open it.

    ``was_held``: it was under review until the till keeper found that the bank had taken nothing.
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
    """The bank, asked, knows of no money for this attempt, and its time is over."""

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
    """The bank took something else than what was asked: until the till keeper decides, nobody pays this again."""

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
    """A refund that was counted failed at the bank days later, and the till keeper lets the money count again.

    ``refunded_cents`` is what is given back in all after that; ``decision_id`` names the decision.
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
