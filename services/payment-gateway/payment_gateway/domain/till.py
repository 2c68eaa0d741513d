"""What the till keeper may decide of an attempt, and what each decision does. Pure."""

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta

from contracts.api.payment_gateway import DecisionKind as C
from contracts.api.payment_gateway import PaymentStatus as S
from contracts.events.payment import Means
from payment_gateway.domain.failures import NotForThisPayment, RefundTooHigh
from payment_gateway.domain.payments import Answer, Attempt, Move, Word

_COUNTS = (S.CONFIRMED, S.PARTIALLY_REFUNDED)
_UNPAID = (S.PENDING, S.PROCESSING, S.REFUSED, S.CANCELLED, S.EXPIRED)
STUCK_AFTER = timedelta(minutes=30)
"""When a person may say how an attempt ended: the bank's page closed long ago, and the bank said nothing certain."""


def version_of(attempt: Attempt) -> str:
    """What a decision is taken on, in 16 hexadecimal digits: it changes whenever the money or its state does."""
    answer = attempt.said
    said = (answer.word, answer.amount_cents, answer.currency, answer.mode, answer.result) if answer else ()
    cents = (attempt.taken_cents, attempt.refunded_cents, attempt.surplus_cents)
    waits = (attempt.failed_refunds, attempt.failed_refund_cents, attempt.contradicted_cents)
    text = "/".join(str(each) for each in ("payment-state/1", attempt.status, *cents, *waits, *said))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def commands(attempt: Attempt, *, now: datetime) -> tuple[C, ...]:
    """What may be decided now."""
    seen = (C.SEEN,) if attempt.contradicted_cents else ()
    return seen + _about_failed_refunds(attempt) + _about_the_payment(attempt, now)


def _about_failed_refunds(attempt: Attempt) -> tuple[C, ...]:
    """A refund that was counted before it failed may count as paid again."""
    if not attempt.failed_refund_cents:
        return ()
    is_back = attempt.ticket is not None and attempt.status in (S.PARTIALLY_REFUNDED, S.REFUNDED)
    was_counted = is_back and attempt.failed_refund_cents <= attempt.refunded_cents
    return (C.REMADE, C.UNDO_REFUND) if was_counted else (C.REMADE,)


def _about_the_payment(attempt: Attempt, now: datetime) -> tuple[C, ...]:
    if attempt.status is S.REVIEW:
        may = (C.CONFIRM, C.REFUND) if can_count(attempt) else (C.REFUND,)
        return (*may, C.REFUSE) if _is_unrecognised(attempt) else may
    if attempt.status in _UNPAID:
        is_stuck = now - attempt.created_at >= STUCK_AFTER and attempt.bank_reference is not None
        ends = (C.CONFIRM, C.REFUSE) if attempt.status in (S.PENDING, S.PROCESSING) else (C.CONFIRM,)
        return ends if is_stuck else ()
    if attempt.status is S.DISPUTED:
        return C.WIN, C.CHARGE_BACK
    if attempt.status not in _COUNTS:
        return ()
    means = attempt.ticket.means if attempt.ticket else Means.CARD
    may = (C.REFUND, C.REVERSE if means is Means.DEBIT else C.DISPUTE)
    return (*may, C.ACKNOWLEDGE) if attempt.surplus_cents else may


def _is_unrecognised(attempt: Attempt) -> bool:
    return attempt.said is not None and attempt.said.word is Word.UNRECOGNISED


def can_count(attempt: Attempt) -> bool:
    """Whether an answer under review speaks of real euros: of the mode that was frozen, and of some amount.

    Of an unknown result whose amount could not be read, the amount that was frozen counts.
    """
    said = attempt.said
    if said is None or said.mode is not attempt.mode or said.currency != "EUR":
        return False
    return (said.amount_cents or 0) > 0 or (said.amount_cents is None and _is_unrecognised(attempt))


def wants_means(attempt: Attempt) -> bool:
    """Whether whoever confirms has to say how it was paid, because the bank did not."""
    return attempt.status in _UNPAID or (_is_unrecognised(attempt) and attempt.said is not None)


def confirmed_answer(attempt: Attempt, means: Means | None) -> Answer | None:
    """The answer that a till keeper's confirmation rests on: the bank's under review, else what was frozen.

    ``means`` is the till keeper's where the bank's answer does not say it.
    """
    if attempt.said is not None and attempt.status is S.REVIEW:
        return replace(attempt.said, means=means or attempt.said.means)
    if attempt.status not in _UNPAID:
        return None
    return Answer(
        Word.PAID, attempt.amount_cents, attempt.account, attempt.mode, attempt.reference, means=means or Means.CARD
    )


def decide_till(attempt: Attempt, command: C, amount_cents: int | None, reason: str, *, now: datetime) -> Move | None:
    """The move a decision asks for, None when it only takes the attempt off the list; ``NotForThisPayment``."""
    if command not in commands(attempt, now=now):
        raise NotForThisPayment("this cannot be decided of this payment now", status=attempt.status)
    if command in (C.ACKNOWLEDGE, C.REMADE, C.SEEN):
        return None
    if command is C.REFUND:
        return _refund(attempt, amount_cents, reason)
    if command is C.UNDO_REFUND:
        undone = attempt.failed_refund_cents
        to = S.CONFIRMED if undone == attempt.refunded_cents else S.PARTIALLY_REFUNDED
        return Move(to, reason, undone_cents=undone)
    if command is C.CHARGE_BACK and amount_cents and amount_cents != attempt.kept_cents:
        return _part(attempt, amount_cents, reason)
    to, back_cents = {
        C.CONFIRM: (S.CONFIRMED, None),
        C.REFUSE: (S.REFUSED, None),
        C.DISPUTE: (S.DISPUTED, None),
        C.WIN: (S.PARTIALLY_REFUNDED if attempt.refunded_cents else S.CONFIRMED, None),
        C.CHARGE_BACK: (S.CHARGED_BACK, attempt.kept_cents),
        C.REVERSE: (S.REVERSED, attempt.kept_cents),
    }[command]
    return Move(to, reason, back_cents)


def _refund(attempt: Attempt, amount_cents: int | None, reason: str) -> Move:
    """A part or the rest; what never counted goes back whole."""
    if attempt.status is S.REVIEW:
        return Move(S.REFUNDED, reason, said_cents(attempt))
    amount = amount_cents or attempt.kept_cents
    return Move(S.REFUNDED, reason, amount) if amount == attempt.kept_cents else _part(attempt, amount, reason)


def _part(attempt: Attempt, amount_cents: int, reason: str) -> Move:
    """A part goes back: given by the town, or taken by a dispute that is lost for it only."""
    if amount_cents > attempt.kept_cents:
        raise RefundTooHigh("more than what is left of this payment", left_cents=attempt.kept_cents)
    return Move(S.PARTIALLY_REFUNDED, reason, amount_cents)


def said_cents(attempt: Attempt) -> int:
    """What the answer under review says was taken; what was asked for when it says nothing usable."""
    said = attempt.said.amount_cents if attempt.said else None
    return said if said and said > 0 else attempt.amount_cents
