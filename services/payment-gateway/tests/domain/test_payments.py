"""The transition function, on every word a bank may say."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.api.payment_gateway import PaymentStatus as S
from contracts.events.billing import CheckoutInvoice, CheckoutOpened
from contracts.events.payment import Means, Mode, Ticket
from payment_gateway.domain.payments import (
    LOOK_UP_DAYS,
    LOOK_UP_MINUTES,
    Answer,
    Attempt,
    Move,
    Word,
    decide,
    facts,
    next_look_up,
    page_can_open,
    paid_invoices,
    receipt_of,
    unasked,
)
from payment_gateway.domain.transitions import WAYS, drawing

START = datetime(2026, 11, 24, 9, tzinfo=UTC)
OPEN_FOR = timedelta(hours=1)
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
ATTEMPT = Attempt(
    payment_id=uuid4(),
    checkout=CHECKOUT,
    payer_id=uuid4(),
    payer_email="parent@example.org",
    bank="payfip",
    account="123456",
    mode=Mode.TEST,
    reference="REF0000001",
    amount_cents=4250,
    status=S.PENDING,
    bank_reference="op",
    payer_url="https://bank/page",
    ticket=None,
    created_at=START,
    changed_at=START,
)
PAID = Answer(Word.PAID, 4250, "123456", Mode.TEST, "REF0000001", means=Means.CARD, authorisation="000001", at=START)


def moved(attempt: Attempt, answer: Answer, minutes: float = 5) -> S | None:
    move = decide(attempt, answer, now=START + timedelta(minutes=minutes), open_for=OPEN_FOR)
    return move.to if move else None


def test_the_database_knows_the_same_table() -> None:
    folder = Path(__file__).parents[2] / "migrations"
    sql = "".join(file.read_text(encoding="utf-8") for file in sorted(folder.iterdir()))
    known = re.findall(r"\('(\w+)', '(\w+)', '(\w+)'\)", sql.split("CONSTRAINT known_move")[-1].split(";")[0])
    ours = [(origin, way.to, speaker) for way in WAYS for origin in way.origins for speaker in way.said_by]
    assert sorted(known) == sorted(ours)
    assert len(set(ours)) == len(ours), "two rows allow the same move"
    statuses = sql.split("status         text")[1].split("))")[0]
    assert set(re.findall(r"'(\w+)'", statuses)) == set(S)
    words = sql.split("last_word_check CHECK")[-1].split(";")[0]
    assert set(re.findall(r"'(\w+)'", words)) == set(Word)


def test_the_drawing_in_the_docs_is_not_stale() -> None:
    written = (Path(__file__).parents[4] / "docs" / "payments.md").read_text(encoding="utf-8")
    drawn = written.partition("<!-- drawn -->\n")[2].partition("<!-- end -->")[0]
    assert drawn == drawing(), "run `make transitions`"


@pytest.mark.parametrize("status", [S.PENDING, S.PROCESSING, S.REFUSED, S.CANCELLED, S.EXPIRED])
def test_a_success_is_taken_whenever_it_comes(status: S) -> None:
    assert moved(replace(ATTEMPT, status=status), PAID, minutes=9_000) is S.CONFIRMED


@pytest.mark.parametrize(
    "wrong",
    [{"amount_cents": 4249}, {"account": "999999"}, {"mode": Mode.PRODUCTION}, {"reference": "OTHER00001"}],
)
def test_what_differs_is_reviewed_and_never_confirmed(wrong: dict[str, object]) -> None:
    assert moved(ATTEMPT, replace(PAID, **wrong)) is S.REVIEW  # type: ignore[arg-type]


RESULTS = [Word.PAID, Word.REFUSED, Word.ABANDONED, Word.IN_PROGRESS, Word.UNKNOWN]


@pytest.mark.parametrize("word", RESULTS)
@pytest.mark.parametrize("status", [S.CONFIRMED, S.DISPUTED, S.REVIEW, S.FAILED])
def test_no_word_about_the_result_leaves_an_end(status: S, word: Word) -> None:
    assert moved(replace(ATTEMPT, status=status), replace(PAID, word=word), minutes=9_000) is None


@pytest.mark.parametrize(
    ("answer", "minutes", "to"),
    [
        (replace(PAID, word=Word.REFUSED), 5, S.REFUSED),
        (replace(PAID, word=Word.ABANDONED), 1.9, S.PROCESSING),
        (replace(PAID, word=Word.ABANDONED), 2, S.CANCELLED),
        (Answer(Word.IN_PROGRESS), 59, S.PROCESSING),
        (Answer(Word.IN_PROGRESS), 60, S.EXPIRED),
        (Answer(Word.UNKNOWN), 15, None),
        (Answer(Word.UNKNOWN), 16, S.EXPIRED),
    ],
)
def test_other_words(answer: Answer, minutes: float, to: S | None) -> None:
    assert moved(ATTEMPT, answer, minutes) is to


def test_look_ups_grow_rarer_and_stop_after_a_week() -> None:
    at, times = START, []
    while (following := next_look_up(START, now=at)) is not None:
        times.append(following - START)
        at = following
    assert times[:8] == [timedelta(minutes=minutes) for minutes in LOOK_UP_MINUTES]
    assert times[-1] == timedelta(days=LOOK_UP_DAYS)


def told(to: S, ticket: Ticket | None = None) -> list[str]:
    return [each.type for each in facts(ATTEMPT, Move(to, ""), ticket, now=START, decision_id=uuid4())]


def test_the_ticket_says_what_was_frozen() -> None:
    receipt = receipt_of(ATTEMPT, PAID, town="Ville", now=START)
    ticket = Ticket(**dict(receipt), number="T-2026-000001")
    assert told(S.CONFIRMED, ticket) == ["payment.confirmed"]
    assert (ticket.amount_cents, ticket.invoices, ticket.authorisation) == (4250, (INVOICE,), "000001")
    assert told(S.PROCESSING) == []
    assert told(S.EXPIRED) == ["payment.expired"]
    assert told(S.REVIEW) == ["payment.held"]


@given(taken=st.integers(1, 20_000), parts=st.lists(st.integers(1, 5_000), min_size=1, max_size=6))
def test_a_ticket_spreads_what_was_taken_over_the_invoices(taken: int, parts: list[int]) -> None:
    invoices = tuple(INVOICE.model_copy(update={"amount_cents": part}) for part in parts)
    paid = paid_invoices(invoices, taken)
    assert sum(each.amount_cents for each in paid) == min(taken, sum(parts))
    assert all(mine.amount_cents <= part for mine, part in zip(paid, parts, strict=False))


def test_the_banks_page_opens_for_a_quarter_of_an_hour() -> None:
    assert page_can_open(ATTEMPT, now=START + timedelta(minutes=14))
    assert not page_can_open(ATTEMPT, now=START + timedelta(minutes=15))


TAKEN = replace(ATTEMPT, status=S.CONFIRMED, taken_cents=4250)


@pytest.mark.parametrize(
    ("known_cents", "total_cents", "to", "more"),
    [
        (0, 1000, S.PARTIALLY_REFUNDED, 1000),
        (1000, 1000, None, None),
        (1000, 4250, S.REFUNDED, 3250),
        (1000, 500, None, None),
        (0, 4251, None, None),
    ],
)
def test_a_bank_says_how_much_is_back_in_all(
    known_cents: int, total_cents: int, to: S | None, more: int | None
) -> None:
    attempt = replace(TAKEN, refunded_cents=known_cents)
    move = decide(attempt, Answer(Word.GIVEN_BACK, total_cents), now=START, open_for=OPEN_FOR)
    assert (move.to, move.amount_cents) == (to, more) if move else to is None


@pytest.mark.parametrize(
    ("word", "cents", "to"),
    [
        (Word.PAID, 4250, None),
        (Word.GIVEN_BACK, 1000, None),
        (Word.CONTEST_WON, 4250, S.CONFIRMED),
        (Word.CONTEST_LOST, 4250, S.CHARGED_BACK),
        (Word.CONTEST_LOST, 1000, None),
    ],
)
def test_only_its_end_ends_a_dispute(word: Word, cents: int, to: S | None) -> None:
    disputed = replace(TAKEN, status=S.DISPUTED)
    assert moved(disputed, replace(PAID, word=word, amount_cents=cents)) is to
    assert moved(replace(TAKEN, last_word=Word.CONTEST_WON), replace(PAID, word=Word.CONTESTED)) is None


def test_an_attempt_nobody_can_ask_about_ends_after_half_an_hour() -> None:
    for minutes, to in ((29, None), (30, S.EXPIRED)):
        move = unasked(ATTEMPT, now=START + timedelta(minutes=minutes))
        assert (move.to if move else None) is to
    assert unasked(TAKEN, now=START + timedelta(days=1)) is None
