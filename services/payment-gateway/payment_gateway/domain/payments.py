"""An attempt at the bank, what the bank says of it, and the one transition function."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from contracts.api.payment_gateway import PaymentStatus as S
from contracts.events.billing import CheckoutOpened
from contracts.events.event import Event
from contracts.events.payment import (
    Means,
    Mode,
    PaymentConfirmed,
    PaymentExpired,
    PaymentRefused,
    Ticket,
    Unpaid,
)

TRANSITIONS: dict[S, frozenset[S]] = {
    S.CREATED: frozenset({S.PENDING, S.FAILED}),
    S.PENDING: frozenset({S.PROCESSING, S.CONFIRMED, S.REFUSED, S.CANCELLED, S.EXPIRED, S.REVIEW}),
    S.PROCESSING: frozenset({S.CONFIRMED, S.REFUSED, S.CANCELLED, S.EXPIRED, S.REVIEW}),
    S.REFUSED: frozenset({S.CONFIRMED, S.REVIEW}),
    S.CANCELLED: frozenset({S.CONFIRMED, S.REVIEW}),
    S.EXPIRED: frozenset({S.CONFIRMED, S.REVIEW}),
    S.CONFIRMED: frozenset(),
    S.FAILED: frozenset(),
    S.REVIEW: frozenset(),
}
"""Every move there is; the database knows the same table. Nothing leaves ``confirmed``."""

OPEN = frozenset({S.CREATED, S.PENDING, S.PROCESSING})
LOOKED_UP = frozenset({S.PENDING, S.PROCESSING, S.CANCELLED, S.EXPIRED})

LOOK_UP_MINUTES = (1, 2, 5, 10, 16, 30, 60, 120)
LOOK_UP_DAYS = 7
PAGE_OPENS_FOR = timedelta(minutes=15)
NEVER_OPENED_AFTER = timedelta(minutes=16)
ABANDONED_IS_FINAL_AFTER = timedelta(minutes=2)
OPENING_TAKES_AT_MOST = timedelta(minutes=1)


class Word(StrEnum):
    """What a bank's answer means, whatever the bank."""

    PAID = "paid"
    REFUSED = "refused"
    ABANDONED = "abandoned"
    IN_PROGRESS = "in_progress"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Answer:
    """A bank's authoritative answer about one attempt; the fields after ``word`` are set on a result."""

    word: Word
    amount_cents: int | None = None
    account: str | None = None
    mode: Mode | None = None
    reference: str | None = None
    means: Means | None = None
    authorisation: str | None = None
    at: datetime | None = None


@dataclass(frozen=True)
class Attempt:
    """One attempt as it is stored."""

    payment_id: UUID
    checkout: CheckoutOpened
    payer_id: UUID
    payer_email: str
    bank: str
    account: str
    mode: Mode
    reference: str
    amount_cents: int
    status: S
    bank_reference: str | None
    payer_url: str | None
    ticket: Ticket | None
    created_at: datetime
    changed_at: datetime
    last_word: Word | None = None

    @property
    def may_be_given_up(self) -> bool:
        """Whether the household may let go of it: not while the bank says that somebody is on its page."""
        return self.status in OPEN and self.bank_reference is not None and self.last_word is not Word.IN_PROGRESS


@dataclass(frozen=True)
class Move:
    """Where an attempt goes, and why."""

    to: S
    reason: str


def differences(attempt: Attempt, answer: Answer) -> list[str]:
    """What the bank took that is not what was frozen when the attempt was written."""
    frozen = (attempt.amount_cents, attempt.account, attempt.mode, attempt.reference)
    taken = (answer.amount_cents, answer.account, answer.mode, answer.reference)
    names = ("amount", "account", "mode", "reference")
    return [name for name, mine, theirs in zip(names, frozen, taken, strict=True) if mine != theirs]


def decide(attempt: Attempt, answer: Answer, *, now: datetime, open_for: timedelta) -> Move | None:
    """The move that the bank's answer asks for, or None when the attempt stays where it is."""
    move = _wanted(attempt, answer, now, open_for)
    return move if move and move.to in TRANSITIONS[attempt.status] else None


def _wanted(attempt: Attempt, answer: Answer, now: datetime, open_for: timedelta) -> Move | None:
    age = now - attempt.created_at
    match answer.word:
        case Word.PAID:
            different = ", ".join(differences(attempt, answer))
            paid = Move(S.CONFIRMED, "the bank took the money")
            return Move(S.REVIEW, f"the bank's {different} differs") if different else paid
        case Word.REFUSED:
            return Move(S.REFUSED, "the bank refused")
        case Word.ABANDONED:
            fresh = answer.at is not None and now - answer.at < ABANDONED_IS_FINAL_AFTER
            last = Move(S.CANCELLED, "given up at the bank")
            return Move(S.PROCESSING, "given up at the bank a moment ago, not final yet") if fresh else last
        case Word.IN_PROGRESS:
            late = Move(S.EXPIRED, "the bank still has no result")
            return late if age >= open_for else Move(S.PROCESSING, "the bank has no result yet")
        case Word.UNKNOWN:
            return Move(S.EXPIRED, "the bank's page was never opened") if age >= NEVER_OPENED_AFTER else None


def next_look_up(created_at: datetime, *, now: datetime) -> datetime | None:
    """When to ask the bank again: 1, 2, 5, 10, 16, 30, 60, 120 minutes after the start, then daily for 7 days."""
    steps = [timedelta(minutes=minutes) for minutes in LOOK_UP_MINUTES]
    steps += [timedelta(days=days) for days in range(1, LOOK_UP_DAYS + 1)]
    return next((created_at + step for step in steps if created_at + step > now), None)


def ticket_of(attempt: Attempt, answer: Answer, *, number: str, town: str, now: datetime) -> Ticket:
    """The receipt of a confirmed attempt."""
    return Ticket(
        number=number,
        town=town,
        till=attempt.checkout.till,
        household_name=attempt.checkout.household_name,
        household_reference=attempt.checkout.household_reference,
        invoices=attempt.checkout.invoices,
        amount_cents=attempt.amount_cents,
        means=answer.means or Means.CARD,
        mode=attempt.mode,
        bank_reference=attempt.bank_reference or attempt.reference,
        authorisation=answer.authorisation,
        paid_at=answer.at or now,
    )


_UNPAID = {S.REFUSED: Unpaid.REFUSED, S.CANCELLED: Unpaid.CANCELLED, S.FAILED: Unpaid.FAILED}


def facts(attempt: Attempt, to: S, ticket: Ticket | None, *, now: datetime) -> list[Event]:
    """What the house must hear of a move."""
    who = {
        "payment_id": attempt.payment_id,
        "checkout_id": attempt.checkout.checkout_id,
        "household_id": attempt.checkout.household_id,
        "payer_id": attempt.payer_id,
        "amount_cents": attempt.amount_cents,
    }
    if ticket:
        return [PaymentConfirmed(**who, bank=attempt.bank, confirmed_at=now, ticket=ticket)]
    if to in _UNPAID:
        return [PaymentRefused(**who, outcome=_UNPAID[to], refused_at=now)]
    if to is S.EXPIRED:
        return [PaymentExpired(**who, expired_at=now)]
    return []


def page_can_open(attempt: Attempt, *, now: datetime) -> bool:
    """The bank's page accepts a payer for 15 minutes after the attempt was opened."""
    return attempt.payer_url is not None and attempt.status in OPEN and now - attempt.created_at < PAGE_OPENS_FOR
