"""What the till keeper may decide, and what each decision does to the money."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.api.payment_gateway import Actor
from contracts.api.payment_gateway import DecisionKind as C
from contracts.api.payment_gateway import PaymentStatus as S
from contracts.events.billing import CheckoutInvoice, CheckoutOpened
from contracts.events.payment import Means, Mode, Ticket
from payment_gateway.domain.failures import NotForThisPayment, RefundTooHigh
from payment_gateway.domain.payments import Answer, Attempt, Move, Word, facts, receipt_of
from payment_gateway.domain.till import commands, decide_till
from payment_gateway.domain.transitions import may_move

START = datetime(2026, 11, 24, 9, tzinfo=UTC)
INVOICE = CheckoutInvoice(invoice_id=uuid4(), number="2026-000001", month=date(2026, 11, 1), amount_cents=4250)
CHECKOUT = CheckoutOpened(
    checkout_id=uuid4(),
    household_id=uuid4(),
    household_name="Famille Exemple",
    household_reference="F001",
    till="REGIE-1",
    amount_cents=4250,
    invoices=(INVOICE,),
    opened_at=START,
    expires_at=START + timedelta(minutes=30),
)
SAID = Answer(Word.PAID, 4249, "123456", Mode.TEST, "REF0000001", means=Means.CARD, at=START)
REVIEWED = Attempt(
    payment_id=uuid4(),
    checkout=CHECKOUT,
    payer_id=uuid4(),
    payer_email="parent@example.org",
    bank="payfip",
    account="123456",
    mode=Mode.TEST,
    reference="REF0000001",
    amount_cents=4250,
    status=S.REVIEW,
    bank_reference="op",
    payer_url="https://bank/page",
    ticket=None,
    created_at=START,
    changed_at=START,
    said=SAID,
)
RECEIPT = receipt_of(REVIEWED, replace(SAID, amount_cents=4250), town="Ville", now=START)
TICKET = Ticket(**dict(RECEIPT), number="T-2026-000001")
CONFIRMED = replace(REVIEWED, status=S.CONFIRMED, said=None, ticket=TICKET, taken_cents=4250)


def decided(attempt: Attempt, command: C, amount_cents: int | None = None) -> Move:
    move = decide_till(attempt, command, amount_cents, "parce que", now=START)
    assert move
    assert may_move(attempt.status, move.to, Actor.CASHIER)
    return move


def test_a_review_has_two_ways_out() -> None:
    assert commands(REVIEWED, now=START) == (C.CONFIRM, C.REFUND)
    assert decided(REVIEWED, C.CONFIRM).to is S.CONFIRMED
    back = decided(REVIEWED, C.REFUND)
    assert (back.to, back.amount_cents) == (S.REFUNDED, 4249)
    (event,) = facts(REVIEWED, back, None, now=START, decision_id=uuid4())
    assert event.model_dump()["was_confirmed"] is False
    assert receipt_of(REVIEWED, SAID, town="Ville", now=START).amount_cents == 4249


@pytest.mark.parametrize("said", [{"mode": Mode.PRODUCTION}, {"currency": "840"}, {"amount_cents": 0}])
def test_what_is_not_our_euros_is_never_counted(said: dict[str, object]) -> None:
    attempt = replace(REVIEWED, said=replace(SAID, **said))  # type: ignore[arg-type]
    assert commands(attempt, now=START) == (C.REFUND,)
    with pytest.raises(NotForThisPayment):
        decide_till(attempt, C.CONFIRM, None, "parce que", now=START)


@given(st.lists(st.integers(1, 5_000), max_size=8))
def test_never_more_goes_back_than_came(wanted: list[int]) -> None:
    attempt = CONFIRMED
    for cents in wanted:
        if attempt.status is S.REFUNDED:
            with pytest.raises(NotForThisPayment):
                decide_till(attempt, C.REFUND, cents, "parce que", now=START)
        elif cents > attempt.kept_cents:
            with pytest.raises(RefundTooHigh):
                decide_till(attempt, C.REFUND, cents, "parce que", now=START)
        else:
            move = decided(attempt, C.REFUND, cents)
            back = attempt.refunded_cents + (move.amount_cents or 0)
            assert (move.to is S.REFUNDED) == (back == attempt.taken_cents)
            attempt = replace(attempt, status=move.to, refunded_cents=back)
    assert 0 <= attempt.refunded_cents <= 4250


def test_a_dispute_is_won_or_lost() -> None:
    disputed = replace(CONFIRMED, status=decided(CONFIRMED, C.DISPUTE).to, refunded_cents=1000)
    assert decided(disputed, C.WIN).to is S.PARTIALLY_REFUNDED
    lost = decided(disputed, C.CHARGE_BACK)
    (event,) = facts(disputed, lost, None, now=START, decision_id=uuid4())
    assert (event.type, event.model_dump()["amount_cents"]) == ("payment.returned", 3250)
    assert decided(replace(disputed, refunded_cents=0), C.WIN).to is S.CONFIRMED


def test_a_card_is_disputed_and_a_debit_is_sent_back() -> None:
    debit = replace(CONFIRMED, ticket=TICKET.model_copy(update={"means": Means.DEBIT}))
    assert C.REVERSE in commands(debit, now=START)
    assert C.DISPUTE not in commands(debit, now=START)
    assert C.REVERSE not in commands(CONFIRMED, now=START)
    assert decided(debit, C.REVERSE).amount_cents == 4250


def test_a_surplus_may_be_left_on_the_households_account() -> None:
    assert C.ACKNOWLEDGE not in commands(CONFIRMED, now=START)
    surplus = replace(CONFIRMED, surplus_cents=50)
    assert C.ACKNOWLEDGE in commands(surplus, now=START)
    assert decide_till(surplus, C.ACKNOWLEDGE, None, "reste en avoir", now=START) is None


@pytest.mark.parametrize("status", [S.CREATED, S.PENDING, S.REFUSED, S.EXPIRED, S.REFUNDED, S.CHARGED_BACK, S.REVERSED])
def test_elsewhere_there_is_nothing_to_decide(status: S) -> None:
    assert commands(replace(CONFIRMED, status=status), now=START) == ()
