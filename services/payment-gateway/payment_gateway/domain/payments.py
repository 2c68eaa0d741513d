"""An attempt at the bank, what the bank says of it, and the one transition function."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from contracts.api.payment_gateway import Actor
from contracts.api.payment_gateway import PaymentStatus as S
from contracts.events.billing import CheckoutInvoice, CheckoutOpened
from contracts.events.event import Event
from contracts.events.payment import (
    Means,
    Mode,
    PaymentConfirmed,
    PaymentExpired,
    PaymentHeld,
    PaymentRefunded,
    PaymentRefundUndone,
    PaymentRefused,
    PaymentReturned,
    Receipt,
    ReturnKind,
    Ticket,
    UnpaidOutcome,
)
from payment_gateway.domain.transitions import may_move

OPEN = frozenset({S.CREATED, S.PENDING, S.PROCESSING})
LOOKED_UP = frozenset({S.PENDING, S.PROCESSING, S.REFUSED, S.CANCELLED, S.EXPIRED})
"""Asked about on schedule: what ended unpaid too, for a payer may try another card on the bank's page."""

TAKEN = frozenset({S.CONFIRMED, S.PARTIALLY_REFUNDED, S.REFUNDED, S.REVIEW, S.DISPUTED})
"""The bank took money; what it signs later may say that some of it went back."""

LOOK_UP_MINUTES = (1, 2, 5, 10, 16, 30, 60, 120)
LOOK_UP_DAYS = 7
PAGE_OPENS_FOR = timedelta(minutes=15)
NEVER_OPENED_AFTER = timedelta(minutes=16)
ABANDONED_IS_FINAL_AFTER = timedelta(minutes=2)
OPENING_TAKES_AT_MOST = timedelta(seconds=30)
CENTS_MAX = 100_000_000_00
FIRST_YEAR, LAST_YEAR = 2000, 2100
NAME = re.compile(r"[!-~]([ -~]{0,198}[!-~])?")
"""What banks and we call something: ASCII that can be kept and shown, no space at its ends."""
UNASKED_ENDS_AFTER = timedelta(minutes=30)
"""When an attempt at a bank that cannot be asked ends without its notification: its page closes after 15 minutes."""


class Word(StrEnum):
    """What a bank's answer means, whatever the bank."""

    PAID = "paid"
    REFUSED = "refused"
    ABANDONED = "abandoned"
    IN_PROGRESS = "in_progress"
    UNKNOWN = "unknown"
    GIVEN_BACK = "given_back"
    CONTESTED = "contested"
    CONTEST_WON = "contest_won"
    CONTEST_LOST = "contest_lost"
    REFUND_FAILED = "refund_failed"
    UNRECOGNISED = "unrecognised"


_HAS_AMOUNT = (Word.PAID, Word.GIVEN_BACK, Word.CONTESTED, Word.CONTEST_LOST, Word.REFUND_FAILED)


@dataclass(frozen=True)
class Answer:
    """A bank's authoritative answer about one attempt; the fields after ``word`` are set on a result.

    ``amount_cents`` of a ``GIVEN_BACK`` is all that was given back until now, this time included; with the name of a
    ``refund``, it is that refund alone. ``refund`` also names one that failed. ``bank_payment`` is the bank's name for
    the money itself where that is another than the one of its page, and ``transaction`` that of what the answer speaks
    of, whatever became of it. ``given_back_cents`` is what is back by now of what is ``PAID``. ``result`` is the bank's
    own code of an ``UNRECOGNISED`` result.

    Whatever a signature proves, what is no amount, no name or no instant of a payment is a ``ValueError``.
    """

    word: Word
    amount_cents: int | None = None
    account: str | None = None
    mode: Mode | None = None
    reference: str | None = None
    means: Means | None = None
    authorisation: str | None = None
    at: datetime | None = None
    currency: str = "EUR"
    bank_payment: str | None = None
    refund: str | None = None
    transaction: str | None = None
    given_back_cents: int = 0
    result: str | None = None

    def __post_init__(self) -> None:
        amount, at = self.amount_cents, self.at
        if amount is None and self.word in _HAS_AMOUNT:
            raise ValueError("money without its amount")
        for cents in (self.given_back_cents, 0 if amount is None else amount):
            if not (type(cents) is int and 0 <= cents <= CENTS_MAX):
                raise ValueError("the amount is not one")
        names = (self.account, self.reference, self.authorisation, self.currency, self.bank_payment, self.refund)
        for name in (*names, self.transaction, self.result):
            if name is not None and not is_name(name):
                raise ValueError("a name is not one")
        if at is not None and not (at.tzinfo and FIRST_YEAR <= at.year <= LAST_YEAR):
            raise ValueError("the instant is not one of a payment")


def is_name(text: object) -> bool:
    """Whether a bank's or our name for something can be kept and shown."""
    return isinstance(text, str) and NAME.fullmatch(text) is not None


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
    number: int = 1
    taken_cents: int | None = None
    refunded_cents: int = 0
    surplus_cents: int = 0
    credited_cents: int = 0
    said: Answer | None = None
    bank_payment: str | None = None
    payer_name: str = ""
    failed_refunds: int = 0
    failed_refund_cents: int = 0
    contradicted_cents: int = 0

    @property
    def kept_cents(self) -> int:
        """What the town holds of what the bank took."""
        return (self.taken_cents or 0) - self.refunded_cents

    @property
    def may_be_given_up(self) -> bool:
        """Whether the household may let go of it: not while the bank says that somebody is on its page."""
        return self.status in OPEN and self.bank_reference is not None and self.last_word is not Word.IN_PROGRESS


@dataclass(frozen=True)
class Heard:
    """An answer, when the bank was asked for it, and when to ask again."""

    answer: Answer
    asked_at: datetime
    again: datetime | None


@dataclass(frozen=True)
class Move:
    """Where an attempt goes, and why; ``amount_cents`` goes back with it, ``undone_cents`` counts again."""

    to: S
    reason: str
    amount_cents: int | None = None
    undone_cents: int | None = None


def differences(attempt: Attempt, answer: Answer) -> list[tuple[str, object, object]]:
    """What the bank took that is not what was frozen when the attempt was written: name, frozen, said."""
    frozen = (attempt.amount_cents, "EUR", attempt.account, attempt.mode, attempt.reference)
    taken = (answer.amount_cents, answer.currency, answer.account, answer.mode, answer.reference)
    names = ("amount", "currency", "account", "mode", "reference")
    found: list[tuple[str, object, object]] = []
    is_unknown = answer.word is Word.UNRECOGNISED
    if is_unknown:
        found.append(("result", "", answer.result or ""))
    told = zip(names, frozen, taken, strict=True)
    return found + [each for each in told if each[1] != each[2] and not (is_unknown and each[2] is None)]


def decide(attempt: Attempt, answer: Answer, *, now: datetime, open_for: timedelta) -> Move | None:
    """The move that the bank's answer asks for, or None when the attempt stays where it is."""
    move = _wanted(attempt, answer, now, open_for)
    return move if move and may_move(attempt.status, move.to, Actor.BANK) else None


def _wanted(attempt: Attempt, answer: Answer, now: datetime, open_for: timedelta) -> Move | None:
    age = now - attempt.created_at
    match answer.word:
        case Word.PAID if attempt.status in LOOKED_UP:
            different = ", ".join(name for name, _, _ in differences(attempt, answer))
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
            return Move(S.EXPIRED, "the bank knows of no payment") if age >= NEVER_OPENED_AFTER else None
    return _wanted_later(attempt, answer)


def _wanted_later(attempt: Attempt, answer: Answer) -> Move | None:
    """What becomes of money that was taken, or of a result that nobody here knows, unless a person has decided it.

    A dispute lost for a part only is left to the till keeper.
    """
    match answer.word:
        case Word.UNRECOGNISED if attempt.last_word is not Word.UNRECOGNISED:
            return Move(S.REVIEW, f"the bank's result is not known here: {answer.result or 'unreadable'}")
        case Word.GIVEN_BACK:
            return given_back(attempt, answer.amount_cents or 0)
        case Word.CONTESTED if attempt.last_word is not Word.CONTEST_WON:
            return Move(S.DISPUTED, "the payer's bank contests it")
        case Word.CONTEST_WON if attempt.status is S.DISPUTED:
            return Move(S.PARTIALLY_REFUNDED if attempt.refunded_cents else S.CONFIRMED, "the dispute is won")
        case Word.CONTEST_LOST if answer.amount_cents == attempt.kept_cents:
            return Move(S.CHARGED_BACK, "the dispute is lost", attempt.kept_cents)
    return None


def given_back(attempt: Attempt, total_cents: int) -> Move | None:
    """The move by which ``total_cents`` are back in all; None when that was known, or a dispute comes first.

    Once a refund failed, the bank's totals go up and down and come in any order: a person says what counts then.
    """
    if attempt.failed_refunds:
        return None
    more, all_of_it = total_cents - attempt.refunded_cents, total_cents >= (attempt.taken_cents or 0)
    if attempt.status not in (S.CONFIRMED, S.PARTIALLY_REFUNDED) or not 0 < more <= attempt.kept_cents:
        return None
    return Move(S.REFUNDED if all_of_it else S.PARTIALLY_REFUNDED, "the bank gave it back", more)


def contradicted_cents(attempt: Attempt, answer: Answer, *, failed_cents: int) -> int:
    """How much of what counts here the bank says it does not hold for the town, where no move says so already.

    It gave back more than is noted, beyond refunds that failed (``failed_cents`` in all), or it took the very
    transaction back that was confirmed before the money was sent. A person has to look, whatever the state.
    """
    match answer.word:
        case Word.GIVEN_BACK:
            return max(0, (answer.amount_cents or 0) - attempt.refunded_cents - failed_cents)
        case Word.REFUSED | Word.ABANDONED if attempt.status in (S.CONFIRMED, S.PARTIALLY_REFUNDED):
            is_the_same = answer.transaction is not None and answer.transaction == attempt.bank_payment
            return attempt.kept_cents if is_the_same else 0
    return 0


def unasked(attempt: Attempt, *, now: datetime) -> Move | None:
    """What the clock makes of an attempt whose bank says nothing and cannot be asked."""
    late = attempt.status in (S.PENDING, S.PROCESSING) and now - attempt.created_at >= UNASKED_ENDS_AFTER
    return Move(S.EXPIRED, "the bank said nothing, and cannot be asked") if late else None


def next_look_up(created_at: datetime, *, now: datetime) -> datetime | None:
    """When to ask the bank again: 1, 2, 5, 10, 16, 30, 60, 120 minutes after the start, then daily for 7 days."""
    steps = [timedelta(minutes=minutes) for minutes in LOOK_UP_MINUTES]
    steps += [timedelta(days=days) for days in range(1, LOOK_UP_DAYS + 1)]
    return next((created_at + step for step in steps if created_at + step > now), None)


def paid_invoices(invoices: tuple[CheckoutInvoice, ...], taken_cents: int) -> tuple[CheckoutInvoice, ...]:
    """The invoices with what the money that was taken pays of each and leaves of it, in their order."""
    paid, rest = [], taken_cents
    for invoice in invoices:
        if part := min(invoice.amount_cents, rest):
            left = invoice.left_cents + invoice.amount_cents - part
            paid.append(invoice.model_copy(update={"amount_cents": part, "left_cents": left}))
            rest -= part
    return tuple(paid)


def left_cents(attempt: Attempt) -> int:
    """What an attempt leaves to pay of its invoices, once the bank has taken its amount."""
    asked = sum(invoice.amount_cents + invoice.left_cents for invoice in attempt.checkout.invoices)
    return max(0, asked - (attempt.taken_cents or attempt.amount_cents))


def receipt_of(attempt: Attempt, answer: Answer, *, town: str, now: datetime) -> Receipt:
    """What a confirmed attempt's ticket says, for what the bank took."""
    taken = answer.amount_cents or attempt.amount_cents
    return Receipt(
        town=town,
        till=attempt.checkout.till,
        household_name=attempt.checkout.household_name,
        household_reference=attempt.checkout.household_reference,
        invoices=paid_invoices(attempt.checkout.invoices, taken),
        amount_cents=taken,
        means=answer.means or Means.CARD,
        mode=attempt.mode,
        bank_reference=attempt.bank_reference or attempt.reference,
        authorisation=answer.authorisation,
        paid_at=answer.at or now,
    )


_UNPAID = {S.REFUSED: UnpaidOutcome.REFUSED, S.CANCELLED: UnpaidOutcome.CANCELLED, S.FAILED: UnpaidOutcome.FAILED}
_TAKEN = {S.CHARGED_BACK: ReturnKind.CHARGED_BACK, S.REVERSED: ReturnKind.REVERSED}


def facts(attempt: Attempt, move: Move, ticket: Ticket | None, *, now: datetime, decision_id: UUID) -> list[Event]:
    """What the house must hear of a move; ``attempt`` is as it was before. ``decision_id`` names a refund."""
    to, amount = move.to, {"amount_cents": attempt.amount_cents}
    who = {
        "payment_id": attempt.payment_id,
        "checkout_id": attempt.checkout.checkout_id,
        "household_id": attempt.checkout.household_id,
        "payer_id": attempt.payer_id,
    }
    if ticket:
        taken = ticket.amount_cents
        return [PaymentConfirmed(**who, amount_cents=taken, bank=attempt.bank, confirmed_at=now, ticket=ticket)]
    if to in _UNPAID:
        was_held = attempt.status is S.REVIEW
        return [PaymentRefused(**who, **amount, outcome=_UNPAID[to], was_held=was_held, refused_at=now)]
    if to is S.EXPIRED or to is S.REVIEW:
        ended, held = PaymentExpired(**who, **amount, expired_at=now), PaymentHeld(**who, **amount, held_at=now)
        return [ended if to is S.EXPIRED else held]
    if to in _TAKEN:
        return [PaymentReturned(**who, amount_cents=attempt.kept_cents, how=_TAKEN[to], returned_at=now)]
    return _moved_back(attempt, move, who, now, decision_id)


def _moved_back(attempt: Attempt, move: Move, who: dict[str, UUID], now: datetime, decision_id: UUID) -> list[Event]:
    """Money that was given back, or a refund that failed and does not count any more."""
    if move.undone_cents:
        left, undone = attempt.refunded_cents - move.undone_cents, {"decision_id": decision_id, "undone_at": now}
        return [PaymentRefundUndone(**who, **undone, amount_cents=move.undone_cents, refunded_cents=left)]
    if move.amount_cents:
        return [
            PaymentRefunded(
                **who,
                refund_id=decision_id,
                amount_cents=move.amount_cents,
                refunded_cents=attempt.refunded_cents + move.amount_cents,
                was_confirmed=attempt.status is not S.REVIEW,
                refunded_at=now,
            )
        ]
    return []


def page_can_open(attempt: Attempt, *, now: datetime) -> bool:
    """The bank's page accepts a payer for 15 minutes after the attempt was opened."""
    return attempt.payer_url is not None and attempt.status in OPEN and now - attempt.created_at < PAGE_OPENS_FOR
