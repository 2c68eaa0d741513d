"""What the till keeper may decide of an attempt, and what each decision does. Pure."""

from contracts.api.payment_gateway import PaymentStatus as S
from contracts.api.payment_gateway import TillCommand as C
from contracts.events.payment import Means
from payment_gateway.domain.failures import NotForThisPayment, RefundTooHigh
from payment_gateway.domain.payments import Attempt, Move

_COUNTS = (S.CONFIRMED, S.PARTIALLY_REFUNDED)


def commands(attempt: Attempt) -> tuple[C, ...]:
    """What may be decided now."""
    return _about_failed_refunds(attempt) + _about_the_payment(attempt)


def _about_failed_refunds(attempt: Attempt) -> tuple[C, ...]:
    """A refund that was counted before it failed may count as paid again."""
    if not attempt.failed_refund_cents:
        return ()
    is_back = attempt.ticket is not None and attempt.status in (S.PARTIALLY_REFUNDED, S.REFUNDED)
    was_counted = is_back and attempt.failed_refund_cents <= attempt.refunded_cents
    return (C.REMADE, C.UNDO_REFUND) if was_counted else (C.REMADE,)


def _about_the_payment(attempt: Attempt) -> tuple[C, ...]:
    if attempt.status is S.REVIEW:
        return (C.CONFIRM, C.REFUND) if can_count(attempt) else (C.REFUND,)
    if attempt.status is S.DISPUTED:
        return C.WIN, C.CHARGE_BACK
    if attempt.status not in _COUNTS:
        return ()
    means = attempt.ticket.means if attempt.ticket else Means.CARD
    may = (C.REFUND, C.REVERSE if means is Means.DEBIT else C.DISPUTE)
    return (*may, C.ACKNOWLEDGE) if attempt.surplus_cents else may


def can_count(attempt: Attempt) -> bool:
    """Whether an answer under review speaks of real euros: of the mode that was frozen, and of some amount."""
    said = attempt.said
    return said is not None and said.mode is attempt.mode and said.currency == "EUR" and (said.amount_cents or 0) > 0


def decide_till(attempt: Attempt, command: C, amount_cents: int | None, reason: str) -> Move | None:
    """The move a decision asks for, None when it only takes the attempt off the list; ``NotForThisPayment``."""
    if command not in commands(attempt):
        raise NotForThisPayment("this cannot be decided of this payment now", status=attempt.status)
    if command in (C.ACKNOWLEDGE, C.REMADE):
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
