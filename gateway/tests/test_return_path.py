"""Where a sign-in leads: to a page of the portal, with the ticks that were not saved, and nowhere else."""

from datetime import date
from uuid import UUID

import pytest
from multidict import MultiDict

from contracts.failures import Invalid
from gateway.forms.month import cell_key, changed, parse_ticks, query
from gateway.pages.shared.return_path import local_path

CANTEEN, CLUB = UUID("0197a3c2-5b1e-7c40-9d11-2f8e6a4b0c01"), UUID("0197a3c2-5b1e-7c40-9d11-2f8e6a4b0c02")
"""Made in the same millisecond: only their ends differ."""


def test_the_ticks_of_a_form_are_found_again_in_the_address_it_leads_to() -> None:
    shown = [f"{CANTEEN}|2026-12-0{day}|{was}|0" for day, was in ((1, 0), (3, 1), (4, 1))]
    booked = [f"{CANTEEN}|2026-12-01", f"{CANTEEN}|2026-12-04", f"{CLUB}|2026-12-09"]
    fields = [("shown", each) for each in [*shown, f"{CLUB}|2026-12-09|0|1"]] + [("booked", each) for each in booked]
    lines = changed(MultiDict(fields))
    assert [(line.day.day, line.booked, line.or_wait) for line in lines] == [
        (1, True, False),
        (3, False, False),
        (9, True, True),
    ]
    assert parse_ticks(query(lines).removeprefix("?coches=")) == {
        cell_key(CANTEEN, date(2026, 12, 1)): True,
        cell_key(CANTEEN, date(2026, 12, 3)): False,
        cell_key(CLUB, date(2026, 12, 9)): True,
    }


@pytest.mark.parametrize("text", ["", "_", "6a4b0c01.x.1", "6a4b0c01.²", "6a4b0c01.1", "<script>", "6a4b0c01.²2.1"])
def test_ticks_that_cannot_be_read_tick_nothing(text: str) -> None:
    assert parse_ticks(text) == {}


def test_a_form_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(Invalid):
        changed(MultiDict([("shown", "canteen|2026-12-01|1|0")]))


@pytest.mark.parametrize("text", ["/planning/x/2026-12?coches=6a4b0c01.1.1", "/factures", "/"])
def test_a_path_of_the_portal_is_gone_on_to(text: str) -> None:
    assert local_path(text) == text


@pytest.mark.parametrize("text", ["", "https://example.org/", "//example.org/", "/\\example.org", "/a\r\nX: 1", "x"])
def test_anything_else_leads_to_the_first_page(text: str) -> None:
    assert local_path(text) == "/"
