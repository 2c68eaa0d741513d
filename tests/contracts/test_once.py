"""What is sent again is done once: every route that changes something, of every service, says how."""

import importlib
import inspect
import pkgutil
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from aiohttp import web

import gateway.pages
from gateway import app as gateway_app

SERVICES = ("auth", "planning", "billing", "payment_gateway", "notifier")
KEYED = re.compile(r"\b(idempotency_key|KEY_HEADER|book_once|_undo|_answer)\(?")
SAFE_AGAIN = {
    "auth POST /households": "the same household again is answered as it is; another under its reference is refused",
    "auth POST /sessions": "a sign-in is another session each time",
    "auth POST /sessions/state": "only reads",
    "auth POST /sessions/end": "an ended session stays ended",
    "auth POST /tokens": "a token is kept nowhere",
    "auth POST /sessions/first-secret": "the session's stage lets it through once",
    "auth POST /emails/confirmed": "the link is used once",
    "auth POST /sessions/one-time-code": "a code is accepted once",
    "auth PUT /account/secret": "the present secret is no longer the present one",
    "auth DELETE /account/sessions/{session_id}": "a closed session stays closed",
    "auth DELETE /account/sessions": "closed sessions stay closed",
    "auth POST /account/one-time-codes": "the key shown last is the one that counts",
    "auth PUT /account/one-time-codes": "refused once they are on",
    "auth POST /account/one-time-codes/end": "off stays off",
    "auth POST /resets/used": "the link is used once",
    "planning PUT /feed": "the address shown last is the one that counts",
    "planning DELETE /feed": "no address stays no address",
    "planning POST /feeds/read": "only reads",
    "planning PUT /activities/{activity_id}/attendance/{day}": "the same marks again change nothing",
    "planning POST /activities/preview": "only reads",
    "planning PUT /school-days/{day}": "the same decree again changes nothing",
    "billing DELETE /tariffs/{tariff_id}": "a removed tariff stays removed",
    "billing POST /households/{household_id}/quotes": "only reads",
    "billing POST /invoice-runs/{run_id}/publish": "a run is published once",
    "billing POST /invoice-runs/{run_id}/cancel": "a run is given up once",
    "notifier POST /announcements/{announcement_id:[0-9]{1,18}}/end": "an ended message stays ended",
    "notifier POST /bounces": "the same report again is the same row",
    "notifier POST /unsubscriptions": "unsubscribed stays unsubscribed",
    "payment_gateway POST /payments": "a checkout has one open attempt",
    "payment_gateway POST /payments/{payment_id}/look-up": "the bank is asked",
    "payment_gateway POST /payments/{payment_id}/abandon": "an abandoned attempt stays abandoned",
    "payment_gateway POST /remittances/{bank}": "a line of a file is taken once",
    "payment_gateway POST /webhooks/{bank}": "the journal has the same notification once",
}
"""The routes that want no key, and why."""


def _routes() -> dict[str, web.RouteDef]:
    return {
        f"{service} {route.method} {route.path}": route
        for service in SERVICES
        for route in importlib.import_module(f"{service}.api").ROUTES
        if isinstance(route, web.RouteDef) and route.method in {"POST", "PUT", "DELETE", "PATCH"}
    }


def _is_keyed(route: web.RouteDef) -> bool:
    """Whether the handler, or a function of its module that it calls, goes by the key of the request."""
    return _reaches(inspect.getmodule(route.handler), route, KEYED)


def test_every_route_that_changes_something_is_done_once_or_says_why_it_is_safe_again() -> None:
    routes = _routes()
    keyed = {name for name, each in routes.items() if getattr(each.handler, "is_idempotent", False) or _is_keyed(each)}
    assert sorted(set(routes) - keyed) == sorted(SAFE_AGAIN)


FORM = re.compile(r'<form[^>]*method="post".*?</form>', re.DOTALL)
TEMPLATES = Path(gateway_app.__file__).parent / "templates"
KEYLESS = {"bank_form.html", "unsubscribe.html"}
"""A form that goes to a bank, and the one of a mail's address, which changes nothing the second time."""


@pytest.mark.parametrize("template", sorted(TEMPLATES.rglob("*.html")), ids=lambda each: each.name)
def test_every_form_of_the_portal_carries_its_key(template: Path) -> None:
    """The form token is another each time it is written, and every call that is made for the form has a key of it."""
    text = template.read_text(encoding="utf-8")
    macros = {name for name, body in re.findall(r"macro (\w+)\([^)]*\) %}(.*?){% endmacro", text, re.DOTALL)
              if "form_token" in body}  # fmt: skip
    for form in FORM.findall(text):
        is_ours = template.name not in KEYLESS
        assert not is_ours or "form_token" in form or any(f"{name}(" in form for name in macros), form[:200]


def _page_modules() -> list[ModuleType]:
    """The modules of all pages, in every folder."""
    found = pkgutil.walk_packages(gateway.pages.__path__, "gateway.pages.")
    return [importlib.import_module(each.name) for each in found]


def test_every_page_that_takes_a_form_reads_it_as_ours() -> None:
    seen = 0
    for module in _page_modules():
        for route in getattr(module, "routes", ()):
            if isinstance(route, web.RouteDef) and route.method == "POST" and "unsubscribe" not in route.path:
                seen += 1
                sources = [inspect.getsource(route.handler)]
                sources += [inspect.getsource(each) for name in re.findall(r"\b(_\w+)\(", sources[0])
                            if inspect.isfunction(each := getattr(module, name, None))]  # fmt: skip
                assert any("checked_form(" in each for each in sources), f"{route.method} {route.path}"
    assert seen > 40


ASKED_FIRST = {
    "/mairie/familles/lettres": "ends codes, chosen secrets, sessions and confirmed addresses",
    "/mairie/familles/import/{import_id}": "closes households",
    "/mairie/familles/{household_id}": "closes accounts and takes children out of a household",
    "/mairie/familles/{household_id}/inscriptions": "cancels bookings",
    "/mairie/familles/{household_id}/effacement": "erases people",
    "/mairie/calendrier/fermetures": "cancels bookings",
    "/mairie/factures/{run_id}/publication": "publishes invoices, which never change",
    "/mairie/messages": "sends mails",
    "/mairie/messages/{announcement_id:[0-9]+}/fin": "takes a message away, which cannot be shown again",
    "/mairie/encaissements/{household_id}": "takes money in, which never changes",
    "/mairie/encaissements/{household_id}/remboursement": "gives money back",
    "/mairie/encaissements/{household_id}/avoir": "publishes a credit note, which never changes",
    "/mairie/encaissements/{household_id}/jours": "publishes a credit note, which never changes",
    "/mairie/paiements/{payment_id}/decision": "decides of money, and may have the bank give it back",
    "/mairie/tarifs/{tariff_id}/suppression": "removes a tariff",
}
"""The forms whose act cannot be undone, and what it does: `gateway.pages.shared.confirmation` asks before it."""
CAN_BE_UNDONE = {
    "/mairie/ecoles": "a school is renamed and closed",
    "/mairie/ecoles/{school_id}": "the former name is typed again",
    "/mairie/familles/import": "only reads the file; applying it is asked first",
    "/mairie/calendrier/activites/{activity_id}": "the former calendar is typed again; bookings are never left behind",
    "/mairie/calendrier/decrets": "the former day is typed again; bookings are never left behind",
    "/mairie/pointage": "another mark replaces it",
    "/mairie/factures": "a run that is prepared is given up",
    "/mairie/factures/{run_id}/abandon": "the month is prepared again",
    "/mairie/tarifs": "a tariff that made no invoice is removed, another ends",
    "/mairie/tarifs/{tariff_id}/fin": "another last day replaces it",
    "/mairie/encaissements/{household_id}/credit": "the family's own money pays its own debt, in one press",
    "/mairie/encaissements/{household_id}/quotient": "another quotient of the same day replaces it",
    "/mairie/relances": "the former rule is typed again",
    "/mairie/relances/{invoice_id}/pause": "is resumed",
    "/mairie/relances/{invoice_id}/reprise": "is paused",
    "/mairie/paiements/{payment_id}/banque": "asks the bank, and changes what the bank says has changed",
    "/mairie/paiements/rapprochement": "a statement is read; the same line is kept once, and moves no money",
    "/mairie/paiements/rapprochement/ecart": "explains a difference, and moves no money",
    "/mairie/courrier/{mail_id}": "sends one mail again to whom it was for",
}
"""The other forms of the town hall, and what undoes them, or why there is nothing to undo."""
ASKING = re.compile(r"\bask_first\(")


def test_what_cannot_be_undone_is_asked_first_by_one_mechanism() -> None:
    asking, others = set[str](), set[str]()
    for module in _page_modules():
        for route in getattr(module, "routes", ()):
            if isinstance(route, web.RouteDef) and route.method == "POST":
                (asking if _reaches(module, route, ASKING) else others).add(route.path)
    assert asking == set(ASKED_FIRST)
    assert {each for each in others if each.startswith("/mairie/")} == set(CAN_BE_UNDONE)


def _reaches(module: Any, route: web.RouteDef, words: re.Pattern[str]) -> bool:
    """Whether the handler, or a function of its module that it calls, has these words."""
    left, seen = [inspect.getsource(route.handler)], set[str]()
    while left:
        source = left.pop()
        if words.search(source):
            return True
        for name in set(re.findall(r"\b(_\w+)\(", source)) - seen:
            seen.add(name)
            if inspect.isfunction(found := getattr(module, name, None)):
                left.append(inspect.getsource(found))
    return False


VERSIONED = {
    "auth PUT /households/{household_id}",
    "auth PUT /schools/{school_id}",
    "planning PUT /households/{household_id}/children/{child_id}/enrolments/{activity_id}",
    "planning PUT /activities/{activity_id}",
    "planning POST /households/{household_id}/bookings",
    "billing PUT /tariffs/{tariff_id}",
    "billing DELETE /tariffs/{tariff_id}",
    "billing PUT /households/{household_id}/terms/{day}",
    "billing PUT /reminders/rule",
    "notifier PUT /preferences",
}
"""What two people can edit: the change carries the version of what was shown."""
NOT_EDITED = {
    "auth PUT /account/secret": "one's own, with the present one",
    "auth PUT /account/email": "one's own, with the present secret",
    "auth PUT /account/one-time-codes": "one's own, with a code of the key that was shown",
    "planning PUT /feed": "another address each time",
    "planning PUT /activities/{activity_id}/attendance/{day}": "each mark is an act of its own",
    "planning PUT /school-days/{day}": "a decree is typed whole, never edited",
}
COMPARED = re.compile(r"check_version\(|seen_version|SeenVersion|\bcheck\(|seen\b")


def test_whatever_two_people_can_edit_has_a_version() -> None:
    puts = {name for name in _routes() if " PUT " in name}
    assert puts == {each for each in VERSIONED if " PUT " in each} | set(NOT_EDITED)
    for name in VERSIONED - {"planning POST /households/{household_id}/bookings"}:
        route = _routes()[name]
        assert _reaches(inspect.getmodule(route.handler), route, COMPARED), name


FORMS_OF_WHAT_IS_EDITED = (
    *("parents/invoices", "parents/offers", "parents/planning", "town_hall/activity", "town_hall/household"),
    *("town_hall/household_account", "town_hall/reminders", "town_hall/schools", "town_hall/tariffs"),
)


@pytest.mark.parametrize("name", FORMS_OF_WHAT_IS_EDITED)
def test_every_form_that_edits_carries_the_version_of_what_it_shows(name: str) -> None:
    text = (TEMPLATES / f"{name}.html").read_text(encoding="utf-8")
    assert re.search(r'name="version" value="{{', text)
