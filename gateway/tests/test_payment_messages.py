"""Every state, decision and exception has its words, and an amount is read as people type it."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from contracts.api.notifier import MailStatus, PaymentMail
from contracts.api.payment_gateway import (
    Actor,
    DecisionKind,
    IssueKind,
    Payment,
    PaymentStatus,
    PaymentTimeline,
    PaymentTransition,
    RemittanceKind,
    RemittedLine,
    SettledInvoice,
    Verification,
)
from contracts.api.remittances import DifferenceKind
from gateway.forms.amounts import parse_cents
from gateway.pages.shared import payment_messages as words

AT = datetime(2026, 11, 24, 9, tzinfo=UTC)


def test_nothing_is_without_words() -> None:
    assert set(words.STATES) == set(PaymentStatus)
    assert set(words.COMMANDS) == set(DecisionKind)
    assert set(words.KINDS) == set(IssueKind)
    assert set(words.PUBLISHERS) == set(Actor)
    assert set(words.VERDICTS) == set(Verification)
    assert set(words.GAPS) == set(DifferenceKind)


def story(*moves: tuple[PaymentStatus, PaymentStatus]) -> PaymentTimeline:
    payment = Payment(
        payment_id=uuid4(),
        checkout_id=uuid4(),
        status=moves[-1][1],
        amount_cents=4250,
        bank="payfip",
        payer_url=None,
        ticket_number=None,
        created_at=AT,
        changed_at=AT,
    )
    made = [
        PaymentTransition(
            from_status=origin,
            to_status=to,
            said_by=Actor.BANK,
            at=AT + timedelta(minutes=minute),
            amount_cents=100 if to is PaymentStatus.PARTIALLY_REFUNDED else None,
        )
        for minute, (origin, to) in enumerate(moves, start=1)
    ]
    return PaymentTimeline(payment=payment, first_notice_at=AT + timedelta(minutes=2), moves=tuple(made))


@pytest.mark.parametrize("to", [each for each in PaymentStatus if each is not PaymentStatus.CREATED])
def test_every_step_is_told_to_parent_and_staff(to: PaymentStatus) -> None:
    timeline = story((PaymentStatus.CREATED, PaymentStatus.PENDING), (PaymentStatus.PENDING, to))
    for told in (words.steps(timeline), words.staff_steps(timeline)):
        assert [step.at for step in told] == sorted(step.at for step in told)
        assert "a prévenu" in told[2].text
        assert all(step.text for step in told)


def test_a_won_dispute_and_a_checked_payment_are_told_as_such() -> None:
    won = story((PaymentStatus.DISPUTED, PaymentStatus.CONFIRMED))
    checked = story((PaymentStatus.REVIEW, PaymentStatus.CONFIRMED))
    assert "contestation est close" in words.steps(won)[1].text
    assert "mairie a vérifié" in words.steps(checked)[1].text


def mailed(status: MailStatus) -> PaymentMail:
    sent_at = AT + timedelta(minutes=4) if status is MailStatus.SENT else None
    return PaymentMail(
        kind="ticket", status=status, created_at=AT + timedelta(minutes=3), sent_at=sent_at, recipient="a@b.fr"
    )


def test_the_story_goes_on_to_settled_mailed_and_remitted() -> None:
    timeline = story((PaymentStatus.CREATED, PaymentStatus.PENDING), (PaymentStatus.PENDING, PaymentStatus.CONFIRMED))
    settled = SettledInvoice(number="2026-000042", settled_at=AT + timedelta(minutes=3))
    line = RemittedLine(
        kind=RemittanceKind.TAKEN,
        day=AT.date(),
        amount_cents=4250,
        file_name="releve.csv",
        line=2,
        imported_at=AT + timedelta(days=1),
    )
    timeline = timeline.model_copy(update={"settled": (settled,), "remitted": (line,)})
    mails = [mailed(MailStatus.SENT)]
    parent = words.steps(timeline.model_copy(update={"remitted": ()}), mails)
    assert [step.text for step in parent[-2:]] == [
        "Votre facture 2026-000042 est soldée",
        "Votre ticket a été envoyé par email",
    ]
    staff = words.staff_steps(timeline, mails)[-3:]
    assert "facturation" in staff[0].detail
    assert "a@b.fr" in staff[1].detail
    assert "ligne 2" in staff[2].detail
    assert words.is_complete(timeline, mails)
    assert not words.is_complete(timeline, [mailed(MailStatus.WAITING)])


def test_a_mail_that_waits_is_no_step_yet_and_one_that_failed_says_what_to_do() -> None:
    timeline = story((PaymentStatus.PENDING, PaymentStatus.CONFIRMED))
    assert len(words.steps(timeline, [mailed(MailStatus.WAITING)])) == len(words.steps(timeline))
    for status in (MailStatus.FAILED, MailStatus.BOUNCED):
        assert "téléchargez" in words.steps(timeline, [mailed(status)])[-1].text


@pytest.mark.parametrize(
    ("text", "cents"),
    [("12,50", 1250), ("12.5", 1250), ("1 200", 120_000), ("0,07 €", 7), ("1\u202f234,00\u00a0€", 123_400)],
)
def test_an_amount_is_read_as_people_type_it(text: str, cents: int) -> None:
    assert parse_cents(text) == cents


@pytest.mark.parametrize("text", ["", "-1", "1,234", "1e3", "douze", "١٢", "12,", "99999999", "1,2,3"])
def test_anything_else_is_not_an_amount(text: str) -> None:
    with pytest.raises(ValueError, match="amount"):
        parse_cents(text)
