"""A payer's name and address in the pieces that a bank wants."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payment_gateway.domain.payers import Payer, payer_of

TOWN = {"zip_code": "01999", "city": "Saint-Aubin"}


@pytest.mark.parametrize(
    ("address", "street", "more", "zip_code", "city"),
    [
        (("12 rue des Lilas", "01000 Bourg-en-Bresse"), "12 rue des Lilas", "", "01000", "Bourg-en-Bresse"),
        (("12 rue des Lilas, 01000 Bourg-en-Bresse",), "12 rue des Lilas", "", "01000", "Bourg-en-Bresse"),
        (
            ("Bât. B", "3 allée de l'Œuvre", "69003 Lyon Cedex 03"),
            "Bat. B",
            "3 allee de l Oeuvre",
            "69003",
            "Lyon Cedex 03",
        ),
        (("8 route de Évian", "74500 Évian-les-Bains", "FRANCE"), "8 route de Evian", "", "74500", "Evian-les-Bains"),
        (("1 rue 01000 Ville", "35000 Rennes"), "1 rue 01000 Ville", "", "35000", "Rennes"),
        (("Rue du Bac, Bruxelles",), "Rue du Bac Bruxelles", "", "01999", "Saint-Aubin"),
        (("12345",), "12345", "", "01999", "Saint-Aubin"),
        (("٠١٠٠٠ Ville",), "Ville", "", "01999", "Saint-Aubin"),
        ((), "Mairie", "", "01999", "Saint-Aubin"),
    ],
)
def test_addresses(address: tuple[str, ...], street: str, more: str, zip_code: str, city: str) -> None:
    payer = payer_of("Zoé de la Tour", address, **TOWN)
    assert payer == Payer("Zoe", "de la Tour", street, more, zip_code, city)


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("Sofiane Martin", "Sofiane", "Martin"),
        ("Jean-Étienne O'Neil", "Jean-Etienne", "O Neil"),
        ("Cher", "Cher", "Cher"),
        ("李小龙", "Foyer", "Foyer"),
        ("", "Foyer", "Foyer"),
        (
            "Maximilienne-Guillemette Taumatawhakatangihangakoauauotamatea",
            "Maximilienne-Guillemet",
            "Taumatawhakatangihanga",
        ),
    ],
)
def test_names(name: str, first: str, last: str) -> None:
    payer = payer_of(name, (), **TOWN)
    assert (payer.first_name, payer.last_name) == (first, last)


@given(st.text(), st.lists(st.text(max_size=80), max_size=5))
def test_whatever_they_are_called_the_bank_has_all_its_fields(name: str, address: list[str]) -> None:
    payer = payer_of(name, tuple(address), **TOWN)
    most = {"first_name": 22, "last_name": 22, "street": 50, "zip_code": 10, "city": 50}
    for field, length in most.items():
        value = getattr(payer, field)
        assert 0 < len(value) <= length
        assert value == value.strip()
        assert set(value) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.- ")
