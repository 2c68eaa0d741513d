"""Every form of the portal, as its pages have it: what is answered « enregistré » reads back as it was typed.

The pages of a family, an administrator and a cashier are walked by their links. Each form on them is sent back with one
field too many, which alone must be refused: so all of its own are declared, and nothing is done. The forms of what is
kept are sent with near misses of good values: what was saved must be what was typed, or it was refused.
``FORMS`` says how many of them for each form.
"""

import os
import random
import re
import unicodedata
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from html import unescape
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

import aiohttp
import pytest
import pytest_asyncio

from contracts.spans import parse_span
from local_stack import demo

FORMS, SEED = int(os.environ.get("FORMS", "12")), int(os.environ.get("SEED", "1"))
PEOPLE = ("demo03", "mairie", "regie")
ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|(?<=/)[0-9]{4}-[0-9]{2}(?=/|$)|(?<=/)[0-9]+(?=/|$)")
LEADS_ELSEWHERE = re.compile(
    r"^/(?:static|api|calendrier|ville)|\.(?:csv|ics)$|/(?:pdf|ticket|donnees|flux|fichier|banque)$"
)
ONE_TOO_MANY = "un_champ_de_trop"
ALIKE = 3
"""Pages of one pattern that are looked at."""
NEAR: dict[str, tuple[str, ...]] = {
    "date": (
        "2026-12-31",
        "31/12/2026",
        "20261231",
        "1606780800",
        "0001-01-01",
        "9999-12-31",
        "2026-02-30",
        " 2027-01-31",
    ),
    "datetime-local": ("2026-12-31T18:00", "2026-12-31", "2026-03-29T02:30", "2026-12-31T18:00+05:00", "1606780800"),
    "number": ("5", "5.0", "1e1", "٣", "+5", "-1", "1_0", " 7 ", "9" * 20, ""),
    "time": ("18:00", "25:00", "18h", "1800", ""),
    "email": ("ana@example.org", "ana@", "é@example.org", "ana@école.fr", "a b@example.org", " ana@example.org"),
    "checkbox": ("1", "on", "0", "yes"),
    "select": ("", "x", "FR"),
    "radio": ("", "x"),
    "hidden": ("", "abc", "-1", "٣", "1" * 30),
    "text": (
        *(
            "",
            "E\u0301cole Zoë",
            " a  b ",
            "'=1+1",
            "=1+1",
            "a\nb",
            "a\tb",
            "<b>&amp;",
            "x" * 200,
            "x" * 201,
            "a\u0085b",
        ),
        *("12 50", "1 200,50", "12,345", "10,,20", "du 19/12/2026 au 26/12/26", "\ufffd", "a\u00a0", "L'« Été »", "0"),
    ),
    "textarea": (
        *("", "une\r\ndeux\r\n\r\n trois", "le 24/12/2026\ndu 1/3/2027 au 07/03/2027", "du 19/12/2026 au 26/12/26"),
        *(
            "2026-12-24\n2026-12-26",
            "2026-12-24 2026-12-26",
            "École : 80\nÉcole : 90",
            "E\u0301cole",
            "a\x07b",
            "x" * 5_000,
        ),
        *("700 = 2,65\n4,20", "700 = 2,65 = 3\n4,20", "1\n2\n3\n4\n5", "1\n2\n3\n4\n5\n6"),
    ),
}

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(3_600)]


@dataclass
class Form:
    """A form as a page has it: what each of its fields is and holds."""

    method: str
    action: str
    page: str
    values: list[tuple[str, str]] = field(default_factory=list)
    kinds: dict[str, str] = field(default_factory=dict)
    buttons: list[tuple[str, str]] = field(default_factory=list)
    offered: dict[str, list[str]] = field(default_factory=dict)

    @property
    def pattern(self) -> str:
        names = ",".join(sorted(ID.sub("…", name) for name in {*self.kinds, *(name for name, _ in self.buttons)}))
        return f"{ID.sub('…', urlsplit(self.action).path)} [{re.sub('[0-9]+', '#', names)}]"

    def typed(self, name: str, text: str) -> list[tuple[str, str]]:
        """What a browser sends when that alone was changed."""
        return [*((of, value) for of, value in self.values if of != name), (name, text)]


class Forms(HTMLParser):
    """The forms of a page, and where its links lead."""

    def __init__(self, page: str, html: str) -> None:
        super().__init__()
        self.page, self.found, self.links = page, list[Form](), list[str]()
        self._form: Form | None = None
        self._select = self._area = ""
        self._chosen: str | None = None
        self._text: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        of = {name: value or "" for name, value in attrs}
        if tag == "a" and of.get("href", "").startswith("/"):
            self.links.append(of["href"])
        if tag == "form":
            self._form = Form(of.get("method", "get"), urljoin(self.page, of.get("action") or self.page), self.page)
            self.found.append(self._form)
        if self._form is None:
            return
        if tag in {"input", "button"} and of.get("name"):
            self._input(tag, of)
        elif tag == "select":
            self._select, self._chosen = of["name"], None
            self._form.kinds[self._select] = "select"
        elif tag == "option" and self._select:
            self._form.offered.setdefault(self._select, []).append(of.get("value", ""))
            if self._chosen is None or "selected" in of:
                self._chosen = of.get("value", "")
        elif tag == "textarea":
            self._area, self._text = of["name"], []
            self._form.kinds[self._area] = "textarea"

    def _input(self, tag: str, of: dict[str, str]) -> None:
        assert self._form is not None
        kind = of.get("type", "text") if tag == "input" else "button"
        value = of.get("value", "on" if kind in {"checkbox", "radio"} else "")
        if kind == "button":
            self._form.buttons.append((of["name"], value))
            return
        self._form.kinds[of["name"]] = kind
        self._form.offered.setdefault(of["name"], []).append(value)
        if kind not in {"checkbox", "radio", "file"} or "checked" in of:
            self._form.values.append((of["name"], value))

    def handle_data(self, data: str) -> None:
        if self._area:
            self._text.append(data)

    def handle_endtag(self, tag: str) -> None:
        if self._form is None:
            return
        if tag == "select" and self._select:
            self._form.values.append((self._select, self._chosen or ""))
            self._select = ""
        elif tag == "textarea":
            self._form.values.append((self._area, "".join(self._text).removeprefix("\n")))
            self._area = ""
        elif tag == "form":
            self._form = None


@dataclass
class Person:
    """Somebody with a session, and the forms that the pages have for them."""

    http: aiohttp.ClientSession
    url: str
    cookie: dict[str, str]
    forms: dict[str, Form] = field(default_factory=dict)

    async def page(self, path: str) -> tuple[int, str]:
        async with self.http.get(self.url + path, headers=self.cookie) as answer:
            is_page = answer.content_type == "text/html"
            return answer.status, await answer.text() if is_page else ""

    async def send(self, form: Form, data: list[tuple[str, str]]) -> tuple[int, str, str]:
        """Status, where it leads, and the page."""
        async with self.http.post(self.url + form.action, data=data, headers=self.cookie, allow_redirects=False) as got:
            return got.status, got.headers.get("Location", ""), unescape(await got.text())

    async def walk(self) -> None:
        """Look at the pages that are linked, a few of each pattern, and keep a form of each kind."""
        left, seen, alike = ["/"], set[str](), dict[str, int]()
        while left:
            path = left.pop(0)
            pattern = ID.sub("…", path)
            if path in seen or alike.get(pattern, 0) >= ALIKE or LEADS_ELSEWHERE.search(urlsplit(path).path):
                continue
            seen.add(path)
            alike[pattern] = alike.get(pattern, 0) + 1
            status, html = await self.page(path)
            if status == 200 and html:
                found = Forms(path, html)
                left += [urlsplit(each)._replace(fragment="").geturl() for each in found.links]
                for form in found.found:
                    if form.method == "post" and form.action.startswith("/"):
                        self.forms.setdefault(form.pattern, form)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def people(stack: Any) -> AsyncIterator[dict[str, Person]]:
    async with aiohttp.ClientSession() as http:
        found = {}
        for name in PEOPLE:
            payload = {"identifier": name, "secret": demo.SECRET, "client_address": f"{name}.example"}
            async with http.post(f"{stack.url('auth')}/sessions", json=payload) as answer:
                session = (await answer.json())["session"]
            found[name] = Person(http, stack.gateway_url, {"Cookie": f"preau={session}"})
            await found[name].walk()
        yield found


@pytest.mark.parametrize("name", PEOPLE)
async def test_every_field_of_every_form_is_declared_and_one_too_many_is_refused_by_name(
    people: dict[str, Person], record_property: Any, name: str
) -> None:
    person, wrong = people[name], []
    for pattern, form in person.forms.items():
        status, _, text = await person.send(form, [*form.values, *form.buttons[:1], (ONE_TOO_MANY, "1")])
        said = re.findall(r"«\s*([^»]+?)\s*»", re.sub(r"<nav.*?</nav>|<footer.*?</footer>", "", text, flags=re.S))
        if status != 422 or said != [ONE_TOO_MANY]:
            wrong.append(f"{pattern}: {status} {said[:8]}")
    record_property("looked at", f"{name}: {len(person.forms)} forms")
    assert len(person.forms) > 8
    assert not wrong, "\n".join(wrong)


KEPT = {
    "demo03": ("/factures/avertissement",),
    "mairie": ("/mairie/familles/…", "/mairie/calendrier/activites/…"),
    "regie": ("/mairie/relances",),
}
"""The forms of what is kept, whose page shows it in the same fields."""
WRITTEN = {
    "mairie": {
        "/mairie/calendrier/fermetures": ("reason", {"day": "2027-01-12"}),
    },
    "regie": {
        "/mairie/tarifs": (
            "label",
            {"valid_from": "2031-01-01", "unit_price": "4,20", "kind": "flat", "by_attendance": ""},
        ),
    },
}
"""The forms of what is added, whose page shows it in a list: the field to look for, and what it takes besides."""


def same(name: str, typed: str) -> str:
    """What is kept of what was typed: composed, its lines without the space around them; days as they are shown."""
    lines = [unicodedata.normalize("NFC", each).strip() for each in typed.replace("\r\n", "\n").strip().split("\n")]
    if name.endswith("_days"):
        return "\n".join(str(parse_span(each)) for each in lines if each)
    if name in {"days", "schools", "school_capacities"}:
        return "\n".join(sorted(re.sub(r"\s*:\s*", ":", each) for each in lines if each))
    return "\n".join(each for each in lines if each)


def form_at(person: Person, path: str) -> Form:
    return next(form for pattern, form in person.forms.items() if pattern.startswith(f"{path} "))


async def shown(person: Person, form: Form) -> Form:
    """The form as its page has it now."""
    _, html = await person.page(form.page)
    return next(each for each in Forms(form.page, html).found if each.pattern.split()[0] == form.pattern.split()[0])


DOES_MORE = re.compile(r"^form_token$|_gone$|_other$|^[gc][0-9]+_id$")
"""Fields that are not kept: by them a row goes, or somebody is named."""


def is_not_in_force(name: str, sent: dict[str, str]) -> bool:
    """Whether the field belongs to a rule that the radio buttons above it did not choose."""
    which, _, what = name.partition("_")
    rule = {"days": "days", "counting": "days", "weekday": "weekday", "until": "until"}.get(what)
    chosen = sent.get(f"{which}_kind")
    return chosen is not None and ((rule or chosen) != chosen or (what == "at" and chosen == "until"))


def was_saved(status: int, leads_to: str) -> bool:
    return status == 303 and any(sign in leads_to for sign in ("fait=", "enregistre="))


def saving(form: Form) -> list[tuple[str, str]]:
    """The button that saves, where there is another one beside it."""
    return [("action", "save")] if ("action", "preview") in form.buttons else []


@pytest.mark.parametrize("name", PEOPLE)
async def test_what_was_saved_reads_back_as_it_was_typed_or_it_was_refused(
    people: dict[str, Person], record_property: Any, name: str
) -> None:
    person, draw, wrong, counts = people[name], random.Random(SEED), list[str](), {"saved": 0, "refused": 0}
    for path in KEPT[name]:
        for _ in range(FORMS * len(form_at(person, path).kinds) // 4 + FORMS):
            form = await shown(person, form_at(person, path))
            changed = draw.choice(sorted(name for name in form.kinds if not DOES_MORE.search(name)))
            kind = form.kinds[changed]
            text = draw.choice((*NEAR.get(kind, NEAR["text"]), *form.offered.get(changed, ())))
            data = [*form.typed(changed, text), *saving(form)]
            status, leads_to, _ = await person.send(form, data)
            if not was_saved(status, leads_to):
                counts["refused"] += 1
                if status not in {200, 409, 422}:
                    wrong.append(f"{path} {changed}={text[:40]!r}: {status}")
                continue
            counts["saved"] += 1
            wrong += not_kept(path, data, await shown(person, form))
    record_property("looked at", f"{name}: {counts}")
    assert counts["saved"], "nothing was ever saved: the near misses are too far"
    assert counts["refused"]
    assert not wrong, "\n".join(wrong)


def not_kept(path: str, sent: list[tuple[str, str]], now: Form) -> list[str]:
    """The fields that do not show what was sent; ticks and their absence included."""
    found = []
    kind = dict(sent)
    for name in now.kinds:
        if DOES_MORE.search(name) or name == "version" or is_not_in_force(name, kind):
            continue
        typed = sorted(text for of, text in sent if of == name)
        kept = sorted(text for of, text in now.values if of == name)
        if now.kinds[name] == "checkbox" and len(now.offered[name]) == 1:
            is_kept = bool(typed) == bool(kept)
        elif now.kinds[name] == "number":
            is_kept = [int(each) for each in typed if each] == [int(each) for each in kept if each]
        else:
            is_kept = [same(name, each) for each in typed] == [same(name, each) for each in kept]
        if not is_kept:
            found.append(f"{path} {name}: {typed} was sent, {kept} is kept")
    return found


@pytest.mark.parametrize("name", sorted(WRITTEN))
async def test_what_was_added_is_shown_as_it_was_typed_or_it_was_refused(people: dict[str, Person], name: str) -> None:
    person, draw = people[name], random.Random(SEED)
    for path, (looked_for, besides) in WRITTEN[name].items():
        for text in draw.sample(NEAR["text"], min(FORMS, len(NEAR["text"]))):
            form = await shown(person, form_at(person, path))
            data = [(of, besides.get(of, value)) for of, value in form.values if of != looked_for]
            if "activity" in form.offered:
                data = [(of, form.offered[of][-1] if of == "activity" else value) for of, value in data]
            mine = f"{text}{draw.randrange(10**6):06}" if text else text
            status, leads_to, page = await person.send(form, [*data, (looked_for, mine)])
            assert status in {200, 303, 409, 422}, (path, mine, status)
            if was_saved(status, leads_to) or (status == 200 and 'role="status"' in page):
                _, html = await person.page(form.page)
                kept = " ".join(unicodedata.normalize("NFC", mine).split())
                assert kept in " ".join(unescape(re.sub("<[^>]+>", " ", html)).split()), (path, mine)
