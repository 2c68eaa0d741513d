"""payment-gateway: attempts at the bank, what became of them, and what the till keeper decides."""

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
    """Whose word moved an attempt."""

    BANK = "bank"
    PARENT = "parent"
    CLOCK = "clock"
    CASHIER = "till_keeper"


class PaymentTransition(Contract):
    """One move of an attempt. Who decided, the reason and the evidence are told to staff only.

    ``amount_cents`` went back with it; ``undone_cents`` counts again, because a refund failed.
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
    """An invoice on which nothing is left to pay since this payment, as billing said it."""

    number: Reference
    settled_at: Instant


class RemittanceKind(StrEnum):
    """Which way the money of a remittance's line went: to the town, or back."""

    TAKEN = "taken"
    RETURNED = "returned"


class StatementSource(StrEnum):
    """Whose file speaks of money: the bank that says it sent it, or the treasury that says it arrived."""

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
    """What was made of a bank's word when it came."""

    HINT = "hint"
    VERIFIED = "verified"
    FORGED = "forged"
    UNKNOWN = "unknown"
    UNREADABLE = "unreadable"
    ANSWER = "answer"


class BankMessage(Contract):
    """One word of a bank as it was kept: raw, as text where it is text.

    ``is_elsewhere``: it came from outside the addresses that the bank announced, which proves nothing either way.

    After the retention time only ``digest`` is left of it: the SHA-256 of payment id, query and body, joined by NUL.
    """

    received_at: Instant
    verdict: Verification
    source: str
    is_elsewhere: bool = False
    text: str
    digest: str
    trimmed_at: Instant | None = None


class JournalEntry(BankMessage):
    """A word in the journal, with the payment it speaks of, if any."""

    word_id: int
    bank: Reference
    payment_id: UUID | None
    reference: str | None
    bank_reference: str | None
    headers: dict[str, str]


class Journal(Contract):
    """``GET /journal?reference=…&day=2026-11-24&verdict=forged&before=17``, newest first; every filter is optional.

    ``reference`` is a payment's id, our reference or the bank's; of what names no payment, any text of it.
    ``before`` in the answer asks for the next words, when there are more.
    """

    words: tuple[JournalEntry, ...]
    before: int | None


class Difference(Contract):
    """A fact of which the bank says something else than what was frozen before the parent left."""

    name: str
    frozen: str
    said: str


class DecisionKind(StrEnum):
    """What the till keeper may decide of an attempt."""

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
    """``POST /payments/{payment_id}/decisions`` with an ``Idempotency-Key``; ``amount_cents`` for a refund, or for the
    part of a payment for which a dispute is lost.

    ``evidence`` is where the proof is: the number of the bank's slip, of the letter, of the transfer. ``seen_version``
    is that of the file on which it was decided. ``means`` is how it was paid, where the bank did not say so.
    """

    command: DecisionKind
    seen_version: StateVersion
    reason: Sentence
    evidence: Sentence
    amount_cents: PositiveCents | None = None
    means: Means | None = None


class PaymentFile(Contract):
    """``GET /payments/{payment_id}/file``: all that staff need to decide, with the evidence.

    ``failed_refund_cents`` are of refunds that failed at the bank after they were counted, and wait for a decision.
    ``taken_cents`` is what the bank says it took, where it said so; ``commands`` what may be decided now. A bank that
    ``refunds`` makes a refund that is decided here; elsewhere it was made there before. ``version`` goes back with a
    decision. ``contradicted_cents`` is money that counts here and that the bank says it gave or took back.
    ``wants_means``: whoever confirms says how it was paid.
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
    """Why an attempt is in the till keeper's list."""

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
    """One account on one day: what was confirmed, what went back.

    Of the confirmed, ``remitted`` as the bank says, and ``arrived`` as the treasury says.
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
    """``GET /till?day=2026-11-24``: the till keeper's list, and that day's receipts account by account."""

    exceptions: tuple[PaymentIssue, ...]
    days: tuple[BankDay, ...]
    unknown_notices: tuple[UnknownNotifications, ...]
    signed_notices: tuple[SignedNotifications, ...] = ()
