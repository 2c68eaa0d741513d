"""How often one may try, what may be a secret, and when sessions and links end."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from auth.domain import chosen_secrets
from auth.domain.access_codes import draw_identifier, draw_secret, typed, typed_identifier
from auth.domain.attempts import OF_ACCOUNT
from auth.domain.failures import SecretRefused
from auth.domain.sign_in import Link, SessionTimes, SetUp, stage
from contracts.api.auth import SessionStage

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
TOWN = ("Saint-Aubin", "https://familles.saint-aubin.fr")
IDLE, LONGEST = timedelta(minutes=30), timedelta(hours=12)


def test_a_session_ends_by_idleness_by_age_and_by_sign_out() -> None:
    used = SessionTimes(NOW, NOW, None)
    assert used.is_live(NOW + timedelta(minutes=29), idle=IDLE, longest=LONGEST)
    assert not used.is_live(NOW + timedelta(minutes=30), idle=IDLE, longest=LONGEST)
    busy = SessionTimes(NOW, NOW + timedelta(hours=11, minutes=59), None)
    assert not busy.is_live(NOW + timedelta(hours=12), idle=IDLE, longest=LONGEST)
    assert not SessionTimes(NOW, NOW, NOW).is_live(NOW, idle=IDLE, longest=LONGEST)


def test_no_account_can_be_tried_more_than_25_times_in_a_day() -> None:
    assert OF_ACCOUNT.attempts_within(timedelta(minutes=1)) == 5
    assert OF_ACCOUNT.attempts_within(timedelta(hours=1)) == 10
    assert 20 <= OF_ACCOUNT.attempts_within(timedelta(days=1)) <= 25


def test_access_codes_hold_no_letter_that_can_be_misread() -> None:
    choose = random.Random(7).choice
    drawn = [draw_identifier(choose) + draw_secret(choose) for _ in range(500)]
    assert not set("".join(drawn)) & set("o0i1lOIL")
    assert len(set(drawn)) == 500


def test_a_code_of_a_letter_may_be_typed_in_capitals_and_without_hyphens() -> None:
    assert typed("H4TN 8wkc-qz3m ") == typed("h4tn-8wkc-qz3m")
    assert typed_identifier(" K7MQ x2pd") == "k7mqx2pd"


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        ("soleil", "too_short"),
        ("Soleil2026!", "common"),
        ("M0td3p@sse!!!", "common"),
        ("azertyuiop", "common"),
        ("poiuytreza", "common"),
        ("aaaaaaaaaaaa", "common"),
        ("abcabcabcabc", "common"),
        ("0123456789", "common"),
        ("SoleilSoleil", "common"),
        ("Éléonore.2019", "personal"),
        ("k7mqx2pd-2026", "personal"),
        ("camille.dupont", "personal"),
        ("k7mqx2pdk7mqx2pd", "personal"),
        ("K7MQx2pd-k7mqx2pd!", "personal"),
        ("DupontDupont2019", "personal"),
        ("camilledupont1983", "personal"),
        ("dupont.k7mqx2pd", "personal"),
        ("Saint-Aubin", "personal"),
        ("saintaubin56700", "personal"),
        ("Mairie de Saint-Aubin", "personal"),
        ("$41nt-4ub1n!", "personal"),
        ("familles.saint-aubin.fr", "personal"),
        ("SoleilSoleilSoleil", "common"),
        ("demo-2026-demo", "common"),
    ],
)
def test_what_everybody_tries_and_what_one_is_called_is_no_secret(secret: str, reason: str) -> None:
    with pytest.raises(SecretRefused) as refusal:
        chosen_secrets.check(secret, ("k7mqx2pd", "Eléonore", "Dupont", "camille.dupont@example.org"), TOWN)
    assert refusal.value.facts["reason"] == reason


@pytest.mark.parametrize(
    "secret",
    [
        "trois tortues bleues",
        "un-bon-secret",
        "vélo rouge 56",
        "Xk9#vv2!qLp0",
        "πέντε μικρά γατάκια",
        "la mairie est rose",
        "dupont aime les tortues",
        "saint glinglin rit",
    ],
)
def test_three_words_are_a_good_secret_and_no_sign_is_forced(secret: str) -> None:
    chosen_secrets.check(secret, ("k7mqx2pd", "Camille", "Dupont", ""), TOWN)


def test_a_link_is_good_once_in_time_and_while_the_account_stays_as_it_was() -> None:
    link = Link(state=3, expires_at=NOW + timedelta(minutes=30), used_at=None)
    assert link.is_good(3, NOW)
    assert not link.is_good(4, NOW)
    assert not link.is_good(3, NOW + timedelta(minutes=30))
    assert not Link(3, link.expires_at, used_at=NOW).is_good(3, NOW)


def test_a_session_wants_the_telephone_first_then_the_secret_then_the_address() -> None:
    assert stage(SetUp.LETTER, wants_code=True) is SessionStage.ONE_TIME_CODE
    steps = [stage(each, wants_code=False) for each in (SetUp.LETTER, SetUp.EMAIL, SetUp.DONE)]
    assert steps == [SessionStage.CHOOSE_SECRET, SessionStage.CONFIRM_EMAIL, SessionStage.OPEN]
