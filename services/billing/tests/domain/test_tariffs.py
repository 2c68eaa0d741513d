"""What a day costs, computed exactly, and why; and days turned into the lines of an invoice."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from billing.domain.attendance import Basis
from billing.domain.invoicing import Invoiced, Usage, cheaper, draft, shares, unusual
from billing.domain.tariffs import FRENCH, Child, Household, PriceBook, overlapping, price, rounded
from contracts.api.billing import AnomalyKind
from contracts.api.tariffs import Bracket, BracketPrices, EffortRate, FlatPrice, PriceReasonKind, Tariff, Terms

MONTH = date(2026, 11, 1)
CANTEEN, CHILD, HOUSEHOLD, RULE = UUID(int=1), UUID(int=2), UUID(int=3), UUID(int=4)
FLAT = FlatPrice(unit_price_cents=425)
BRACKETS = BracketPrices(
    brackets=(
        Bracket(up_to_cents=400_00, unit_price_cents=100),
        Bracket(up_to_cents=900_00, unit_price_cents=250),
        Bracket(up_to_cents=None, unit_price_cents=480),
    ),
    without_quotient_cents=480,
)
EFFORT = EffortRate(rate_percent=Decimal("0.4375"), floor_cents=120, ceiling_cents=650, without_quotient_cents=650)


def tariff(formula: Any = FLAT, **more: Any) -> Tariff:
    values = {"label": "Cantine 2026", "activity_label": "Cantine", "valid_from": date(2026, 9, 1), **more}
    return Tariff(**{"tariff_id": uuid4(), "activity_id": CANTEEN, "formula": formula, **values})


def terms(quotient: int | None, *, resident: bool = True, since: date = date(2026, 9, 1)) -> Terms:
    return Terms(valid_from=since, quotient_cents=quotient, resident=resident)


def said(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("quotient", "rate", "cents"),
    [
        (845_00, "0.4375", 370),  # 369.6875
        (1_000_00, "0.3335", 334),  # 333.5: half a cent upwards
        (1_000_00, "0.33349", 333),
        (100_00, "2.5050", 251),  # 250.5
        (123_45, "1.0000", 123),  # 123.45
        (0, "1.0000", 0),
        (999_999_99, "0.0001", 100),  # 99.999999
    ],
)
def test_a_share_of_the_quotient_is_exact_and_rounded_once(quotient: int, rate: str, cents: int) -> None:
    if len(rate.partition(".")[2]) > 4:
        with pytest.raises(ValidationError):
            EffortRate(rate_percent=Decimal(rate), floor_cents=0, ceiling_cents=1, without_quotient_cents=1)
        return
    formula = EffortRate(rate_percent=Decimal(rate), floor_cents=0, ceiling_cents=1_000_00, without_quotient_cents=1)
    assert price(tariff(formula), terms(quotient), 1).unit_price_cents == cents


@pytest.mark.parametrize(
    ("cents", "percent", "expected"),
    [(425, 10, 383), (425, 50, 213), (5, 10, 5), (5, 30, 4), (1, 50, 1), (425, 100, 0), (333, 33, 223)],
)
def test_a_siblings_reduction_is_rounded_half_up(cents: int, percent: int, expected: int) -> None:
    rule = tariff(FlatPrice(unit_price_cents=cents), sibling_percents=(percent,))
    assert price(rule, None, 2).unit_price_cents == expected
    assert price(rule, None, 1).unit_price_cents == cents


def test_each_child_has_the_reduction_of_its_own_rank_and_the_last_one_holds_for_all_who_follow() -> None:
    rule = tariff(FlatPrice(unit_price_cents=10_00), sibling_percents=(10, 20, 50))
    assert [price(rule, None, rank).unit_price_cents for rank in range(1, 7)] == [10_00, 9_00, 8_00, 5_00, 5_00, 5_00]
    none_for_the_second = tariff(FlatPrice(unit_price_cents=10_00), sibling_percents=(0, 20))
    assert [price(none_for_the_second, None, rank).unit_price_cents for rank in (2, 3)] == [10_00, 8_00]


def test_half_a_cent_goes_up() -> None:
    assert [rounded(Decimal(each)) for each in ("0.5", "1.5", "2.5", "2.4999", "-0.5")] == [1, 2, 3, 2, -1]


@pytest.mark.parametrize(
    ("quotient", "cents", "words"),
    [
        (400_00, 100, "tranche jusqu'à 400"),
        (400_01, 250, "tranche jusqu'à 900"),
        (900_00, 250, "tranche jusqu'à 900"),
        (900_01, 480, "tranche au-dessus de 900"),
    ],
)
def test_a_bracket_holds_up_to_its_bound(quotient: int, cents: int, words: str) -> None:
    made = price(tariff(BRACKETS), terms(quotient), 1)
    assert made.unit_price_cents == cents
    assert words in said(made.explanation)


def test_a_price_says_which_rule_which_quotient_and_which_reductions_made_it() -> None:
    rule = tariff(EFFORT, sibling_percents=(10, 20), resident=True)
    assert said(price(rule, terms(845_00), 1).explanation) == (
        "Cantine 2026 · QF 845 depuis le 01/09/2026 · taux d'effort 0,4375 % · habitants"
    )
    assert said(price(rule, terms(10_00), 3).explanation).endswith("tarif plancher · habitants · 3e enfant −20 %")
    assert "tarif plafond" in price(rule, terms(9_000_50), 1).explanation
    assert "QF 9 000,50" in said(price(rule, terms(9_000_50), 1).explanation)
    assert price(rule, terms(845_00), 5).unit_price_cents == price(rule, terms(845_00), 3).unit_price_cents
    assert price(tariff(), terms(845_00), 2).explanation == "Cantine 2026"


def test_a_price_brings_the_facts_that_made_it_for_who_words_them() -> None:
    assert set(FRENCH) == set(PriceReasonKind)
    made = price(tariff(EFFORT, sibling_percents=(10,), resident=False), terms(10_00), 2)
    assert (made.rule, [each.model_dump(mode="json", exclude_none=True) for each in made.reasons]) == (
        "Cantine 2026",
        [
            {"kind": "quotient", "cents": 10_00, "since": "2026-09-01"},
            {"kind": "rate", "percent": "0.4375"},
            {"kind": "floor"},
            {"kind": "non_residents"},
            {"kind": "sibling", "rank": 2, "percent": "10"},
        ],
    )
    assert [each.kind for each in price(tariff(BRACKETS), terms(900_01), 1).reasons] == ["quotient", "bracket_above"]


def test_without_a_quotient_the_declared_price_holds_and_says_so() -> None:
    for known in (None, terms(None)):
        made = price(tariff(EFFORT), known, 1)
        assert (made.unit_price_cents, made.quotient_cents) == (650, None)
        assert said(made.explanation) == "Cantine 2026 · QF non connu : tarif prévu dans ce cas"
        assert [each.kind for each in made.reasons] == [PriceReasonKind.QUOTIENT_UNKNOWN]
        assert made.quotient_from is None


def test_a_price_keeps_the_quotient_that_made_it_and_none_that_did_not() -> None:
    known = terms(845_00, since=date(2026, 9, 15))
    by_effort, flat = price(tariff(EFFORT), known, 1), price(tariff(), known, 1)
    assert (by_effort.quotient_cents, by_effort.quotient_from) == (845_00, date(2026, 9, 15))
    assert (flat.quotient_cents, flat.quotient_from) == (None, None)


def test_an_effort_that_is_just_the_floor_or_the_ceiling_is_neither() -> None:
    rule = tariff(
        EffortRate(rate_percent=Decimal("0.5"), floor_cents=100, ceiling_cents=500, without_quotient_cents=500)
    )
    for quotient, cents in ((200_00, 100), (1_000_00, 500)):
        made = price(rule, terms(quotient), 1)
        assert made.unit_price_cents == cents
        assert [each.kind for each in made.reasons] == [PriceReasonKind.QUOTIENT, PriceReasonKind.RATE]


def test_a_rule_holds_from_its_first_day_to_its_last() -> None:
    rule = tariff(valid_until=date(2026, 12, 31))
    book, family = PriceBook([rule]), Household(HOUSEHOLD)
    days = [date(2026, 8, 31), date(2026, 9, 1), date(2026, 12, 31), date(2027, 1, 1)]
    assert [book.price(CANTEEN, day, family, CHILD) is not None for day in days] == [False, True, True, False]
    assert book.activities == [CANTEEN]


def test_a_child_that_is_not_known_yet_is_priced_as_the_eldest() -> None:
    book = PriceBook([tariff(sibling_percents=(50,))])
    made = book.price(CANTEEN, MONTH, Household(HOUSEHOLD, children=((CHILD, Child(rank=2)),)), uuid4())
    assert made is not None
    assert made.unit_price_cents == 425


@given(st.lists(st.integers(0, 2_000_00), min_size=2, max_size=20), st.integers(1, 4))
def test_prices_never_fall_as_quotients_rise_and_are_never_negative(quotients: list[int], rank: int) -> None:
    for formula in (BRACKETS, EFFORT):
        rule = tariff(formula, sibling_percents=(10, 25, 100))
        prices = [price(rule, terms(each), rank).unit_price_cents for each in sorted(quotients)]
        assert prices == sorted(prices)
        assert prices[0] >= 0


@pytest.mark.parametrize(
    "brackets",
    [
        [(400_00, 100), (900_00, 200)],
        [(None, 100), (None, 200)],
        [(900_00, 100), (400_00, 150), (None, 200)],
        [(400_00, 300), (None, 200)],
        [],
    ],
)
def test_brackets_that_make_no_sense_are_refused(brackets: list[tuple[int | None, int]]) -> None:
    with pytest.raises(ValidationError):
        BracketPrices(
            brackets=tuple(Bracket(up_to_cents=bound, unit_price_cents=cents) for bound, cents in brackets),
            without_quotient_cents=1,
        )


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        ({}, {}, True),
        ({"school": "Prévert"}, {}, True),
        ({"school": "Prévert"}, {"school": "Ferry"}, False),
        ({"school": "Prévert"}, {"school": "Prévert"}, True),
        ({"resident": True}, {"resident": False}, False),
        ({"resident": True}, {}, True),
        ({"resident": False}, {"resident": False}, True),
        ({"valid_until": date(2026, 12, 31)}, {"valid_from": date(2027, 1, 1)}, False),
        ({"valid_until": date(2026, 12, 31)}, {"valid_from": date(2026, 12, 31)}, True),
        ({}, {"activity_id": UUID(int=9)}, False),
    ],
)
def test_two_rules_that_both_apply_are_found(one: dict[str, Any], other: dict[str, Any], *, meet: bool) -> None:
    first, second = tariff(**one), tariff(**other)
    assert (overlapping(first, [second]) is not None) is meet
    assert (overlapping(second, [first]) is not None) is meet
    assert overlapping(first, [first]) is None


def test_the_rule_of_the_school_the_residence_and_the_day_applies() -> None:
    book = PriceBook(
        [
            tariff(FlatPrice(unit_price_cents=300), school="Prévert", resident=True, valid_until=date(2026, 12, 31)),
            tariff(FlatPrice(unit_price_cents=310), school="Prévert", resident=True, valid_from=date(2027, 1, 1)),
            tariff(FlatPrice(unit_price_cents=900), resident=False),
            tariff(FlatPrice(unit_price_cents=400), school="Ferry", resident=True),
        ]
    )
    moved = (terms(None), terms(None, resident=False, since=date(2026, 11, 10)))
    household = Household(HOUSEHOLD, moved, ((CHILD, Child("Prévert")), (UUID(int=8), Child("Ferry", 2))))
    at_home = Household(HOUSEHOLD, (), household.children)

    def cents(who: Household, day: date, child: UUID = CHILD) -> int | None:
        made = book.price(CANTEEN, day, who, child)
        return made.unit_price_cents if made else None

    assert cents(household, date(2026, 11, 9)) == 300
    assert cents(household, date(2026, 11, 10)) == 900
    assert cents(at_home, date(2027, 1, 1)) == 310
    assert cents(at_home, date(2027, 1, 1), UUID(int=8)) == 400
    assert cents(at_home, date(2026, 8, 31)) is None
    assert cents(at_home, date(2026, 11, 9), UUID(int=99)) is None


def test_the_newest_word_about_a_day_holds() -> None:
    household = Household(HOUSEHOLD, (terms(500_00), terms(900_00, since=date(2026, 11, 1)), terms(450_00)))
    assert [household.on(day) for day in (date(2026, 8, 1), date(2026, 10, 1), date(2026, 11, 1))] == [
        None,
        terms(450_00),
        terms(900_00, since=date(2026, 11, 1)),
    ]


def usage(day: date, *, booked: bool = True, invoiced: int | None = None) -> Usage:
    was = Invoiced(UUID(int=7), invoiced, invoiced, RULE) if invoiced is not None else None
    basis, seen_as = Basis.BOOKED if booked else None, Basis.BOOKED if was else None
    return Usage(HOUSEHOLD, CHILD, CANTEEN, day, basis, seen_as, "Léa", "Cantine", was)


@given(
    days=st.lists(st.tuples(st.integers(0, 29), st.booleans()), max_size=30, unique_by=lambda pair: pair[0]),
    quotient=st.integers(0, 2_000_00),
    formula=st.sampled_from([FLAT, BRACKETS, EFFORT]),
)
def test_a_draft_is_the_sum_of_its_lines_which_are_the_sum_of_its_days(
    days: list[tuple[int, bool]], quotient: int, formula: Any
) -> None:
    usages = [
        usage(MONTH + timedelta(days=number), booked=booked, invoiced=None if booked else 300)
        for number, booked in days
    ]
    rule, household = tariff(formula, tariff_id=RULE), Household(HOUSEHOLD, (terms(quotient),))
    cents = price(rule, terms(quotient), 1).unit_price_cents
    each = draft(usages, household, PriceBook([rule]), MONTH)
    assert each.total_cents == sum(cents if booked else -300 for _, booked in days)
    assert each.total_cents == sum(line.count * line.unit_price_cents for line in each.lines)
    assert each.total_cents == sum(each.products.values())
    assert each.is_due == (each.total_cents > 0)


def test_days_at_two_prices_are_two_lines_and_a_cancelled_one_is_a_correction() -> None:
    rules = [
        tariff(FlatPrice(unit_price_cents=400), label="Automne", tariff_id=RULE, valid_until=date(2026, 11, 14)),
        tariff(FlatPrice(unit_price_cents=450), label="Hiver", valid_from=date(2026, 11, 15)),
    ]
    usages = [usage(date(2026, 11, 10)), usage(date(2026, 11, 12)), usage(date(2026, 11, 20))]
    usages += [usage(date(2026, 10, 6), booked=False, invoiced=390), usage(date(2026, 10, 7))]
    each = draft(usages, Household(HOUSEHOLD), PriceBook(rules), MONTH)
    assert [(line.count, line.unit_price_cents, line.explanation) for line in each.lines] == [
        (-1, 390, "régularisation"),
        (2, 400, "Automne"),
        (1, 400, "régularisation · Automne"),
        (1, 450, "Hiver"),
    ]
    assert each.total_cents == 1_260


def test_a_missing_price_is_named_and_nothing_is_due_by_halves() -> None:
    other = Usage(HOUSEHOLD, CHILD, UUID(int=5), MONTH, Basis.BOOKED, None, "Léa", "Mercredi", None)
    each = draft([usage(MONTH), other], Household(HOUSEHOLD), PriceBook([tariff()]), MONTH)
    assert each.missing == ("Mercredi",)
    assert not each.is_due


def test_an_amount_far_from_the_usual_one_is_unusual() -> None:
    assert unusual(400_00, [50_00, 70_00]) is not None
    assert unusual(180_00, [50_00, 70_00]) is None
    assert unusual(90_00, [10_00]) is None
    assert unusual(400_00, []) is None
    taken_back = draft(
        [usage(MONTH, booked=False, invoiced=425)], Household(HOUSEHOLD), PriceBook([tariff(tariff_id=RULE)]), MONTH
    )
    assert [each.kind for each in taken_back.findings] == [AnomalyKind.OWES_NOTHING]
    assert draft([], Household(HOUSEHOLD), PriceBook([]), MONTH).findings == ()


def test_a_late_quotient_makes_invoiced_days_cheaper_and_never_dearer() -> None:
    invoiced = [
        usage(MONTH, invoiced=480),
        usage(date(2026, 11, 2), invoiced=480),
        usage(date(2026, 11, 3), invoiced=90),
    ]
    household = Household(HOUSEHOLD, (terms(500_00, since=date(2026, 11, 2)),))
    (days,) = cheaper(invoiced, household, PriceBook([tariff(BRACKETS, tariff_id=RULE)])).values()
    assert [(each.usage.day.day, each.worth and each.worth.cents, each.credit_cents) for each in days] == [
        (2, 250, 230)
    ]


@given(st.dictionaries(st.integers(), st.integers(0, 50_000), max_size=8), st.floats(0, 1))
def test_shares_sum_to_what_was_paid_and_never_exceed_a_line(amounts: dict[int, int], part: float) -> None:
    total = sum(amounts.values())
    paid = int(total * part)
    given_out = shares(paid, amounts)
    assert sum(given_out.values()) == paid
    assert all(0 <= given_out[key] <= amounts[key] for key in amounts)
