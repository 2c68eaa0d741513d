"""What cannot be undone is asked first, for the fields and the numbers that were shown, and for no others."""

import re
from typing import Any
from uuid import uuid4

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from multidict import MultiDict

from contracts.identity import Identity, Role
from gateway import town
from gateway.pages.shared.confirmation import Question, ask_first
from gateway.settings import SETTINGS, Settings

PROOF = re.compile(r'name="confirmed" value="(\w+)"')
FIELDS = MultiDict([("day", "2026-12-24"), ("reason", 'Panne "totale"'), ("form_token", "one"), ("key", "a")])


@pytest.fixture
def clerk() -> Identity:
    return Identity(
        subject_id=uuid4(), session_id=uuid4(), name="Ada", roles=frozenset({Role.CLERK}), household_id=None
    )


def request(cookie: str = "preau=mine") -> web.Request:
    services = ("auth", "planning", "billing", "payment_gateway", "notifier")
    app = web.Application()
    app[SETTINGS] = Settings(
        amqp_url="amqp://127.0.0.1:9",
        http_port=0,
        public_url="http://127.0.0.1:9",
        bank_origins="http://127.0.0.1:9",
        town_name="Saint-Aubin",
        csrf_secret="s" * 32,
        **{f"{name}_url": "http://127.0.0.1:9" for name in services},
    )
    app[town.BRANDING] = town.load_branding(app[SETTINGS])
    headers = {"Cookie": cookie, "Host": "127.0.0.1:9"}
    return make_mocked_request("POST", "/mairie/calendrier/fermetures", headers=headers, app=app)


def question(bookings: int = 3) -> Question:
    says = (f"{bookings} réservations sont annulées.",)
    return Question("Fermer le jour ?", says, "Fermer", "/mairie/calendrier", {"bookings": bookings})


def asked(form: Any, person: Identity, bookings: int = 3, cookie: str = "preau=mine") -> web.Response | None:
    return ask_first(request(cookie), form, person, question(bookings))


def test_it_is_asked_once_and_done_when_the_person_says_yes(clerk: Identity) -> None:
    page = asked(FIELDS, clerk)
    assert page is not None
    assert page.text is not None
    assert page.status == 200
    assert "3 réservations sont annulées." in page.text
    assert 'name="reason" value="Panne &#34;totale&#34;"' in page.text, "nothing of what was typed is lost"
    assert page.text.count('name="form_token"') == 2, "of the form and of the way out of the portal"
    proof = PROOF.findall(page.text)[0]
    again = MultiDict([*FIELDS.items(), ("confirmed", proof)])
    again["form_token"], again["key"] = "another", "b"
    assert asked(again, clerk) is None


def test_another_number_another_field_or_another_session_is_asked_again(clerk: Identity) -> None:
    first = asked(FIELDS, clerk)
    assert first is not None
    assert first.text is not None
    yes = MultiDict([*FIELDS.items(), ("confirmed", PROOF.findall(first.text)[0])])
    moved = asked(yes, clerk, bookings=4)
    assert moved is not None
    assert moved.text is not None
    assert moved.status == 409
    assert "a changé entre-temps" in moved.text
    assert "4 réservations sont annulées." in moved.text
    other = yes.copy()
    other["day"] = "2026-12-25"
    for form, cookie in ((other, "preau=mine"), (yes, "preau=theirs")):
        page = asked(form, clerk, cookie=cookie)
        assert page is not None
        assert page.status == 409
    then = MultiDict([*FIELDS.items(), ("confirmed", PROOF.findall(moved.text)[0])])
    assert asked(then, clerk, bookings=4) is None
    for wrong in ("", "é" * 64, "0" * 64):
        assert asked(MultiDict([*FIELDS.items(), ("confirmed", wrong)]), clerk) is not None
