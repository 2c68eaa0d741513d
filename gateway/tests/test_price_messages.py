"""A price says what made it, in the reader's language."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from uuid import UUID

import pytest

from contracts.api.tariffs import AttendanceRules, Price, PriceReason, PriceReasonKind
from contracts.model import Language
from gateway import languages
from gateway.pages.shared.price_messages import REASONS, attendance_explanation, price_explanation

PRICE = Price(
    activity_id=UUID(int=1),
    unit_price_cents=477,
    rule="Cantine 2026",
    reasons=(
        PriceReason(kind=PriceReasonKind.QUOTIENT, cents=1_245_50, since=date(2026, 9, 1)),
        PriceReason(kind=PriceReasonKind.RATE, percent=Decimal("0.5650")),
        PriceReason(kind=PriceReasonKind.RESIDENTS),
        PriceReason(kind=PriceReasonKind.SIBLING, rank=2, percent=Decimal(10)),
    ),
    explanation="Cantine 2026",
)
RULES = AttendanceRules(unjustified_percent=50, free_absences=1, extra_cents=200, late_pickup_cents=550)


@pytest.fixture(autouse=True)
def _french_again() -> Iterator[None]:
    yield
    languages.use_language(Language.FR)


def plain(text: str) -> str:
    return text.replace("\u00a0", " ").replace("\u202f", " ")


def test_every_reason_has_its_words() -> None:
    assert set(REASONS) == set(PriceReasonKind)


def test_in_french() -> None:
    assert plain(price_explanation(PRICE)) == (
        "QF 1 245,50 depuis le 01/09/2026 · taux d'effort 0,565 % · habitants · 2e enfant −10 %"
    )
    assert plain(attendance_explanation(RULES)) == (
        "D'après le pointage : absence justifiée non facturée · absence non justifiée 50 % du prix, sauf 1 par mois · "
        "sans réservation +2,00 € · départ en retard +5,50 €"
    )


def test_in_english() -> None:
    languages.use_language(Language.EN)
    assert plain(price_explanation(PRICE)) == (
        "family quotient 1,245.50 since 1 Sept 2026 · 0.565% of the quotient · residents · child number 2: −10%"
    )
    assert plain(attendance_explanation(RULES)) == (
        "By attendance: justified absence not charged · unjustified absence 50% of the price, but for 1 a month · "
        "without a booking +€2.00 · late pick-up +€5.50"
    )
