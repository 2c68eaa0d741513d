"""PayFiP's « objet »: letters, digits and single spaces; other signs are dropped, and never become spaces."""

import pytest

from payment_gateway.banks.payfip import plain


@pytest.mark.parametrize(
    ("text", "objet"),
    [
        ("18/09/2020  Établissement attestation hors-sol n#1234", "18092020 Etablissement attestation horssol n1234"),
        ("n°1234", "n1234"),
        ("L'école - Cœur d'Île", "Lecole Coeur dIle"),
        ("Cantine (nov.) & garderie/été", "Cantine nov garderieete"),
        ("\tNoël\r\n\N{NO-BREAK SPACE}2026\u2028", "Noel 2026"),
        ("  --  ", ""),
        ("a#" * 150, "a" * 100),
        ("é" * 99 + " b", "e" * 99),  # no space at the end of what is cut
        ("e\u0301te\u0301", "ete"),
        ("№ 7 ½", "No 7 12"),
    ],
)
def test_signs_are_dropped_accents_folded_and_spaces_kept_single(text: str, objet: str) -> None:
    assert plain(text) == objet
