"""What counts for the tax credit: care alone, of a child under six on 1 January."""

from datetime import date

import pytest

from billing.domain.attendance import Basis, childcare
from billing.domain.certificates import opens_tax_credit


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
        (Basis.JUSTIFIED, 500, 500),
        (None, 1_000, 0),
    ],
)
def test_surcharges_and_absences_without_a_reason_are_no_care(
    basis: Basis | None, price_cents: int, care_cents: int
) -> None:
    assert childcare(basis, price_cents, 1_000) == care_cents
