"""What counts for the tax credit: care alone, of a child under six on 1 January."""

from datetime import date
from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from billing.domain.attendance import Basis, childcare
from billing.domain.certificates import opens_tax_credit
from contracts.api.tariffs import FlatPrice, Tariff


def tariff(**more: Any) -> Tariff:
    values = {"label": "Repas", "activity_label": "Cantine", "valid_from": date(2026, 9, 1), "childcare": True}
    formula = FlatPrice(unit_price_cents=425)
    return Tariff(**{"tariff_id": UUID(int=4), "activity_id": UUID(int=1), "formula": formula, **values, **more})


@pytest.mark.parametrize(
    ("birth_date", "year", "opens"),
    [
        (date(2020, 1, 2), 2026, True),
        (date(2020, 1, 1), 2026, False),  # six years old on that very day
        (date(2019, 12, 31), 2026, False),
        (date(2026, 6, 1), 2026, True),
        (date(2020, 1, 1), 2025, True),
    ],
)
def test_a_child_under_six_on_the_first_of_january_opens_it(birth_date: date, year: int, opens: bool) -> None:
    assert opens_tax_credit(birth_date, year) is opens


@pytest.mark.parametrize(
    ("basis", "price_cents", "care_cents"),
    [
        (Basis.BOOKED, 1_000, 1_000),
        (Basis.PRESENT, 1_000, 1_000),
        (Basis.PRESENT_LATE, 1_500, 1_000),
        (Basis.EXTRA, 1_300, 1_000),
        (Basis.EXTRA_LATE, 1_800, 1_000),
        (Basis.ABSENT, 1_000, 0),
        (Basis.ABSENT, 2_000, 0),
        (Basis.JUSTIFIED, 500, 0),
        (Basis.JUSTIFIED, 1_000, 0),
        (None, 1_000, 0),
    ],
)
def test_surcharges_and_absences_are_no_care(basis: Basis | None, price_cents: int, care_cents: int) -> None:
    assert childcare(tariff(), basis, price_cents, 1_000) == care_cents
    assert childcare(tariff(childcare=False), basis, price_cents, 1_000) == 0


@pytest.mark.parametrize(
    ("part", "base_cents", "care_cents"),
    [
        ({"childcare_cents": 120}, 425, 120),
        ({"childcare_cents": 120}, 100, 100),  # a price of little income is below the part
        ({"childcare_percent": 30}, 425, 128),  # 127.5, half a cent upwards
        ({"childcare_percent": 1}, 0, 0),
        ({}, 425, 425),
    ],
)
def test_of_a_canteen_the_part_for_looking_after_is_care_and_its_food_is_not(
    part: dict[str, int], base_cents: int, care_cents: int
) -> None:
    for basis, price_cents in ((Basis.PRESENT, base_cents), (Basis.EXTRA_LATE, base_cents + 700)):
        assert childcare(tariff(**part), basis, price_cents, base_cents) == care_cents
    assert childcare(tariff(**part), Basis.JUSTIFIED, base_cents, base_cents) == 0


def test_a_part_is_of_childcare_and_said_once() -> None:
    for wrong in (
        {"childcare": False, "childcare_cents": 120},
        {"childcare_cents": 120, "childcare_percent": 30},
        {"childcare_percent": 0},
        {"childcare_percent": 100},
        {"childcare_cents": 0},
    ):
        with pytest.raises(ValidationError):
            tariff(**wrong)
