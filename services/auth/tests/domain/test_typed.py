"""What people type of themselves: an address in the form that servers take, a secret on whichever keyboard."""

import unicodedata

import pytest

from auth.domain.addresses import checked_email, typed_email
from auth.domain.chosen_secrets import check, is_published, normalized
from auth.domain.failures import EmailWrong, SecretRefused


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("ana@école.fr", "ana@xn--cole-9oa.fr"),
        ("ana@e\u0301cole.fr", "ana@xn--cole-9oa.fr"),
        ("Ana.B+c@Example.ORG", "Ana.B+c@example.org"),
        (" ana@xn--cole-9oa.fr ", "ana@xn--cole-9oa.fr"),
    ],
)
def test_an_address_is_kept_as_every_server_takes_it(typed: str, kept: str) -> None:
    assert checked_email(typed) == typed_email(typed) == kept
    assert checked_email(kept) == kept


@pytest.mark.parametrize("typed", ["é@example.org", "ana@", "a b@example.org", "ana@-.fr", f"{'x' * 65}@example.org"])
def test_an_address_to_which_no_mail_would_come_is_refused(typed: str) -> None:
    with pytest.raises(EmailWrong):
        checked_email(typed)
    assert typed_email(typed) == typed.strip()


def test_a_secret_is_one_secret_whichever_keyboard_it_was_typed_on() -> None:
    composed = "une forêt très éloignée"
    assert normalized(unicodedata.normalize("NFD", composed)) == normalized(composed) == composed
    assert is_published("ｄｅｍｏ-2026-demo")
    with pytest.raises(SecretRefused):
        check("ｐａｓｓｗｏｒｄ１２３", [], [])
    with pytest.raises(SecretRefused):
        check("e\u0301" * 6, [], [])  # twelve characters as typed, six to whoever reads them
