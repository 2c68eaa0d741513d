"""payment-gateway: attempts at the bank."""

from enum import StrEnum
from uuid import UUID

from contracts.model import Contract, Instant, PositiveCents, Reference


class PaymentStatus(StrEnum):
    """Where an attempt stands; PAYMENTS' state machine, the same for every bank."""

    CREATED = "created"
    PENDING = "pending"
    PROCESSING = "processing"
    CONFIRMED = "confirmed"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    FAILED = "failed"
    REVIEW = "review"


class PaymentWish(Contract):
    """``POST /payments``: pay this checkout. Its id is the idempotency key: an open attempt is answered again."""

    checkout_id: UUID


class Payment(Contract):
    """An attempt as shown. ``payer_url`` is the bank's page, only while it can still be opened."""

    payment_id: UUID
    checkout_id: UUID
    status: PaymentStatus
    amount_cents: PositiveCents
    bank: Reference
    payer_url: str | None
    ticket_number: Reference | None
    created_at: Instant
    changed_at: Instant


class PaymentList(Contract):
    """``GET /payments`` for the town hall, newest first; ``GET /checkouts/{checkout_id}/payments`` for a household."""

    payments: tuple[Payment, ...]
