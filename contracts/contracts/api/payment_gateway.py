"""payment-gateway: payments at the bank, their states, and the cashier's decisions."""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from contracts.events.payment import Means
from contracts.model import Contract, Day, Instant, Label, PositiveCents, Reference


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
    PARTIALLY_REFUNDED = "partially_refunded"
    REFUNDED = "refunded"
    DISPUTED = "disputed"
    CHARGED_BACK = "charged_back"
    REVERSED = "reversed"


class PaymentRequest(Contract):
    """``POST /payments``: pay this checkout. Its id is the idempotency key: an open attempt is answered again."""

    checkout_id: UUID


class Payment(Contract):
    """An attempt as shown. ``payer_url`` is where the parent goes to pay, only while it can still be opened.

    ``taken_cents`` is what the bank took, once it is confirmed; ``refunded_cents`` what was given back until now.
    ``left_cents`` is what it leaves to pay of its invoices, ``credited_cents`` what was settled before and is now the
    household's credit.
    """

    payment_id: UUID
    checkout_id: UUID
    status: PaymentStatus
    amount_cents: PositiveCents
    bank: Reference
    payer_url: str | None
    ticket_number: Reference | None
    created_at: Instant
    changed_at: Instant
    taken_cents: int | None = None
    refunded_cents: int = Field(default=0, ge=0)
    left_cents: int = Field(default=0, ge=0)
    credited_cents: int = Field(default=0, ge=0)


class PaymentList(Contract):
    """``GET /payments`` for the town hall, newest first; ``GET /checkouts/{checkout_id}/payments`` for a household."""

    payments: tuple[Payment, ...]


class PayerForm(Contract):
    """``GET /payments/{payment_id}/form``: what the parent's browser posts to the bank, field by field, signed."""

    action: str
    fields: tuple[tuple[str, str], ...]


class Actor(StrEnum):
    """Who caused a transition."""

    BANK = "bank"
    PARENT = "parent"
    CLOCK = "clock"
    CASHIER = "till_keeper"


class PaymentTransition(Contract):
    """A transition of a payment. ``decided_by``, ``reason`` and ``evidence`` are visible to staff only.

    ``amount_cents`` was refunded by it; ``undone_cents`` counts again because a refund failed.
    """

    from_status: PaymentStatus
    to_status: PaymentStatus
    said_by: Actor
    at: Instant
    amount_cents: PositiveCents | None = None
    undone_cents: PositiveCents | None = None
    reason: str | None = None
    decided_by: str | None = None
    evidence: str | None = None


class SettledInvoice(Contract):
    """An invoice that this payment settled, as reported by billing."""

    number: Reference
    settled_at: Instant


class RemittanceKind(StrEnum):
    """Which way the money of a remittance's line went: to the town, or back."""

    TAKEN = "taken"
    RETURNED = "returned"


class StatementSource(StrEnum):
    """The source of a statement: the bank, which reports what it sent, or the treasury, which reports what arrived."""

    BANK = "bank"
    TREASURY = "treasury"


class RemittedLine(Contract):
    """Where a bank's remittance, or the treasury's statement, speaks of a payment."""

    source: StatementSource = StatementSource.BANK
    kind: RemittanceKind
    day: Day
    amount_cents: PositiveCents
    file_name: Label
    line: int
    imported_at: Instant


class PaymentTimeline(Contract):
    """``GET /payments/{payment_id}/timeline``: the attempt, when the bank first called about it, every move.

    Then what billing settled with it, and, for staff only, where the bank's remittances speak of it.
    """

    payment: Payment
    first_notice_at: Instant | None
    moves: tuple[PaymentTransition, ...]
    settled: tuple[SettledInvoice, ...] = ()
    remitted: tuple[RemittedLine, ...] = ()


class Verification(StrEnum):
    """The result of verifying a bank message on receipt."""

    HINT = "hint"
    VERIFIED = "verified"
    FORGED = "forged"
    UNKNOWN = "unknown"
    UNREADABLE = "unreadable"
    ANSWER = "answer"


class BankMessage(Contract):
    """A message of a bank as stored: the raw bytes, as text where possible.

    ``is_elsewhere``: it came from outside the bank's announced networks, which proves nothing either way.

    After the retention time only ``digest`` is kept: the SHA-256 of payment id, query and body, joined by NUL.
    """

    received_at: Instant
    verdict: Verification
    source: str
    is_elsewhere: bool = False
    text: str
    digest: str
    trimmed_at: Instant | None = None


class JournalEntry(BankMessage):
    """A message in the journal, with its payment, if any."""

    word_id: int
    bank: Reference
    payment_id: UUID | None
    reference: str | None
    bank_reference: str | None
    headers: dict[str, str]


class Journal(Contract):
    """``GET /journal?reference=…&day=2026-11-24&verdict=forged&before=17``, newest first; every filter is optional.

    ``reference`` is a payment id, our reference or the bank's; for messages without a payment, any text in them.
    ``before`` in the response asks for the next page.
    """

    words: tuple[JournalEntry, ...]
    before: int | None


class Difference(Contract):
    """A value that differs between the bank's message and what was stored before the payer left."""

    name: str
    frozen: str
    said: str


class DecisionKind(StrEnum):
    """What the cashier may decide about a payment."""

    CONFIRM = "confirm"
    REFUND = "refund"
    DISPUTE = "dispute"
    WIN = "win"
    CHARGE_BACK = "charge_back"
    REVERSE = "reverse"
    ACKNOWLEDGE = "acknowledge"
    UNDO_REFUND = "undo_refund"
    REMADE = "remade"
    REFUSE = "refuse"
    SEEN = "seen"


StateVersion = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
"""What a decision is taken on, as one value: it changes whenever the payment's money or state does."""

Sentence = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=500)]


class PaymentDecision(Contract):
    """``POST /payments/{payment_id}/decisions`` with an ``Idempotency-Key``; ``amount_cents`` is the amount of a
    refund, or of a lost dispute.

    ``evidence`` refers to the proof: the number of the bank's slip, letter or transfer. ``seen_version`` is that of
    the file on which the decision is based. ``means`` is the means of payment, if the bank did not report it.
    """

    command: DecisionKind
    seen_version: StateVersion
    reason: Sentence
    evidence: Sentence
    amount_cents: PositiveCents | None = None
    means: Means | None = None


class PaymentFile(Contract):
    """``GET /payments/{payment_id}/file``: everything staff need to decide, with the evidence.

    ``failed_refund_cents`` are refunds that failed at the bank after they were counted, and need a decision.
    ``taken_cents`` is what the bank took, if it reported it; ``commands`` lists the possible decisions. A bank that
    ``refunds`` carries out a refund decided here; elsewhere it was made there before. ``version`` is sent back with a
    decision. ``contradicted_cents`` counts here while the bank reports otherwise. ``wants_means``: a confirmation must
    name the means of payment.
    """

    version: StateVersion
    timeline: PaymentTimeline
    household_id: UUID
    household_name: Label
    household_reference: Reference
    till: Label
    account: Label
    mode: str
    reference: Label
    bank_reference: str | None
    taken_cents: int | None
    surplus_cents: int
    failed_refund_cents: int = 0
    contradicted_cents: int = 0
    wants_means: bool = False
    differences: tuple[Difference, ...]
    words: tuple[BankMessage, ...]
    bank_can_be_asked: bool
    bank_refunds: bool
    commands: tuple[DecisionKind, ...]


class IssueKind(StrEnum):
    """Why a payment is in the cashier's list of issues."""

    REVIEW = "review"
    DISPUTED = "disputed"
    SURPLUS = "surplus"
    REFUND_FAILED = "refund_failed"
    CONTRADICTED = "contradicted"
    UNANSWERED = "unanswered"


class PaymentIssue(Contract):
    """An attempt that wants a person. ``amount_cents`` is the money at stake."""

    kind: IssueKind
    payment_id: UUID
    household_name: Label
    household_reference: Reference
    amount_cents: int
    since: Instant


class BankDay(Contract):
    """One bank account on one day: what was confirmed, and what was returned.

    Of the confirmed, ``remitted`` as reported by the bank and ``arrived`` as reported by the treasury.
    """

    bank: Reference
    account: Label
    mode: str
    confirmed: int
    confirmed_cents: int
    returned: int
    returned_cents: int
    remitted: int
    remitted_cents: int
    arrived: int = 0
    arrived_cents: int = 0


class UnknownNotifications(Contract):
    """Calls that spoke of nothing known here in one hour; only the first of them are kept."""

    bank: Reference
    hour: Instant
    seen: int


class SignedNotificationKind(StrEnum):
    """Why a notification that a bank signed did not reach a payment."""

    UNKNOWN = "unknown"
    UNREADABLE = "unreadable"


class SignedNotifications(Contract):
    """Notifications that a bank signed and that reached no payment, in one hour."""

    bank: Reference
    kind: SignedNotificationKind
    hour: Instant
    seen: int


class CashDeskReport(Contract):
    """``GET /till?day=2026-11-24``: the payment issues, and the day's confirmed payments by account."""

    exceptions: tuple[PaymentIssue, ...]
    days: tuple[BankDay, ...]
    unknown_notices: tuple[UnknownNotifications, ...]
    signed_notices: tuple[SignedNotifications, ...] = ()
