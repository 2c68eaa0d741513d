"""The parents of a day of chaos: what each will do is drawn beforehand, and each does it as a browser does.

They come by the gateway over HTTP, with forms, tokens and cookies. What does not answer they ask again, the same form
with the same key. A payment that did not begin they begin anew, and one that began unseen they follow from its page.
What they are told is done they remember, for it has to be true in the end.
"""

import asyncio
import html
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import uuid4

import aiohttp

from local_stack.browser import BANK_FORM, INVOICE, KEY, Browser, form_of
from tests.chaos.tenant import CANTEEN, CLUB, MOST_DAYS, Town

PATIENCE = 60
PAUSE_SECONDS = 1.0
BUSY = {429, 502, 503, 504}
CARDS = {"pay": "4970 1000 0000 0006", "debit": "4970 1000 0000 0030", "refuse": "4970 1000 0000 0014"}
AT_BANK = ("pay", "pay", "pay", "pay", "debit", "refuse", "abandon", "leave")
SHOWN = re.compile(r'name="shown" value="([\w-]{36}\|[\d-]{10})\|(\d)\|(\d)"')
VERSION = re.compile(r'name="version" value="(\d+)"')
PAYMENT = re.compile(r"/paiements/([\w-]{36})")
CONFIRMED = "Confirmation de paiement"
NOT_BEGUN, WAITING = "a pas commencé", "En attente du retour de la banque"
TO_BANK = re.compile(r'href="([^"]+)">Aller sur la page de la banque')
TITLE = re.compile(r"<h1[^>]*>([^<]*)")
PART = "10,00"
BANK_BUTTON = 'name="idop"'


@dataclass(frozen=True)
class Book:
    """Tick or untick the ``nth`` day that can be changed of the canteen, or of the club whose places are few."""

    nth: int
    is_club: bool
    is_double: bool


@dataclass(frozen=True)
class Pay:
    """Pay the first ``most`` invoices, or a part of them; ``at_bank`` is what is done there."""

    most: int
    is_part: bool
    is_double: bool
    at_bank: str
    comes_back: bool


@dataclass(frozen=True)
class Plan:
    """When a parent comes, in seconds from the opening, and what follows, each after a pause."""

    comes_at: float
    deeds: tuple[tuple[float, Book | Pay], ...]


def plan(seed: int, number: int, seconds: float) -> Plan:
    """What the parent of that number will do: the same for the same seed."""
    chance = Random(f"{seed}/parent/{number}")

    def book() -> Book:
        is_club = chance.random() < 0.4
        return Book(chance.randrange(4 if is_club else MOST_DAYS), is_club, chance.random() < 0.2)

    def pay() -> Pay:
        is_part, is_double = chance.random() < 0.25, chance.random() < 0.2
        return Pay(chance.choice((1, 2)), is_part, is_double, chance.choice(AT_BANK), chance.random() < 0.7)

    deeds: list[Book | Pay] = [book(), pay()]
    if chance.random() < 0.5:
        deeds.append(chance.choice((book, pay))())
    chance.shuffle(deeds)
    return Plan(chance.uniform(0, seconds), tuple((chance.uniform(0.2, 2.0), each) for each in deeds))


@dataclass
class Seen:
    """What the parents met, and what they were told is done."""

    answers: Counter[str] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)
    defects: list[str] = field(default_factory=list)
    deeds: Counter[str] = field(default_factory=Counter)
    days: dict[tuple[str, str], bool | None] = field(default_factory=dict)
    """By child and « activity|day »: whether the portal said it is booked; None when no answer came, or a place
    is waited for."""
    paid: set[str] = field(default_factory=set)


class GaveUp(Exception):  # noqa: N818 - people do
    """Asked again and again, and nobody answered."""


class Parent(Browser):
    """One of them."""

    def __init__(self, town: Town, http: aiohttp.ClientSession, number: int, intends: Plan, seen: Seen) -> None:
        super().__init__(town.stack.gateway_url, http)
        self.town, self.number, self.intends, self.seen = town, number, intends, seen
        self.bank_url = town.stack.url("bank")
        self.child = str(town.households[number]["children"][0]["child_id"])

    async def live(self) -> None:
        """Come, sign in, do everything; whoever gives up a deed goes on with the next."""
        await asyncio.sleep(self.intends.comes_at)
        await self._try("sign in", self._sign_in())
        for pause, deed in self.intends.deeds:
            await asyncio.sleep(pause)
            if isinstance(deed, Book):
                await self._try("book", self._book(deed))
            else:
                await self._try(f"pay: {deed.at_bank}", self._pay(deed))

    async def _try(self, name: str, deed: Awaitable[Any]) -> None:
        try:
            await deed
        except GaveUp:
            name = "given up"
        self.seen.deeds[name] += 1

    async def _patiently(self, ask: Callable[[], Awaitable[tuple[int, str, str]]]) -> tuple[int, str, str]:
        """An answer that is one: asked for again while nobody answers, or says to come back."""
        for _ in range(PATIENCE):
            try:
                status, text, leads = await ask()
            except (TimeoutError, aiohttp.ClientError) as error:
                self.seen.broken[type(error).__name__] += 1
            else:
                title = f" {html.unescape(' '.join(TITLE.findall(text)))}" if status >= 400 else ""
                self.seen.answers[f"{status}{title}"] += 1
                if status == 500:
                    self.seen.defects.append(f"a page says{title}")
                if status not in BUSY and status != 500 and "/connexion" not in leads:
                    return status, text, leads
                if "/connexion" in leads:
                    await self._sign_in()
            await asyncio.sleep(PAUSE_SECONDS)
        raise GaveUp

    async def _read(self, path: str) -> str:
        async def ask() -> tuple[int, str, str]:
            url = path if path.startswith("http") else self.gateway_url + path
            async with self.http.get(url, allow_redirects=False) as response:
                return response.status, await response.text(), response.headers.get("Location", "")

        return (await self._patiently(ask))[1]

    async def _sign_in(self) -> None:
        for _ in range(PATIENCE):
            try:
                if await self.give_codes(f"chaos{self.number:05d}") == 303:
                    return
            except (TimeoutError, aiohttp.ClientError, IndexError) as error:
                self.seen.broken[type(error).__name__] += 1
            await asyncio.sleep(PAUSE_SECONDS)
        raise GaveUp

    async def _send(self, path: str, page: str, fields: list[tuple[str, str]], *, twice: bool) -> tuple[int, str, str]:
        """A form, sent once or by a double tap: then the answer of the second tap is the one that is seen."""

        async def ask() -> tuple[int, str, str]:
            return await self.post(path, page, fields)

        if not twice:
            return await self._patiently(ask)
        return (await asyncio.gather(self._patiently(ask), self._patiently(ask)))[1]

    async def _book(self, deed: Book) -> None:
        path = f"/planning/{self.child}/{self.town.month}"
        page = await self._read(path)
        activity = CLUB if deed.is_club else CANTEEN
        cells = [each for each in SHOWN.findall(page) if each[0].startswith(activity)]
        if not cells or not VERSION.search(page):
            raise GaveUp
        cell, was, waits = cells[deed.nth % len(cells)]
        fields = [("version", VERSION.findall(page)[0]), ("key", uuid4().hex), ("shown", f"{cell}|{was}|{waits}")]
        fields += [] if was == "1" else [("booked", cell)]
        self.seen.days[(self.child, cell)] = None
        _, recap, _ = await self._send(path, page, fields, twice=deed.is_double)
        if "Enregistré</h2>" in recap and "liste d&#39;attente" not in recap and "liste d'attente" not in recap:
            self.seen.days[(self.child, cell)] = was != "1"

    async def _pay(self, deed: Pay) -> None:
        for _ in range(PATIENCE):
            leads = await self._begin(deed)
            if not leads or deed.at_bank == "leave":
                return
            page = await self._opened(leads)
            if NOT_BEGUN not in page:
                back = await self._at_bank(page, deed.at_bank)
                if back and deed.comes_back:
                    await self._come_back(back)
                return
            await asyncio.sleep(PAUSE_SECONDS)
        raise GaveUp

    async def _begin(self, deed: Pay) -> str:
        """Choose invoices and press the button, once or twice; where that leads."""
        chosen = INVOICE.findall(await self._read("/factures"))[: deed.most]
        if not chosen:
            return ""
        recap = await self._read("/factures/recapitulatif?" + "&".join(f"facture={each}" for each in chosen))
        keys = KEY.findall(recap)
        if not keys:
            raise GaveUp
        fields = [("facture", each) for each in INVOICE.findall(recap)] + [("key", keys[-1])]
        fields += [("amount", PART)] if deed.is_part and 'name="amount"' in recap else []
        return (await self._send("/paiements", recap, fields, twice=deed.is_double))[2]

    async def _opened(self, leads: str) -> str:
        """The bank's page, or the payment's once it knows whether the bank opened it."""
        for _ in range(PATIENCE):
            page = await self._read(leads)
            if WAITING not in page or TO_BANK.search(page):
                return page
            await asyncio.sleep(PAUSE_SECONDS)
        raise GaveUp

    async def _at_bank(self, page: str, what: str) -> str:
        """From the page that waits for the bank or the form that leads there to the bank's page, and its button.

        Where the bank sends the browser afterwards.
        """
        if link := TO_BANK.search(page):
            page = await self._read(html.unescape(link[1]))
        if BANK_FORM in page:
            page = (await self._tell_bank(*form_of(page, BANK_FORM)))[1]
        if BANK_BUTTON not in page:
            return ""
        action, sent = form_of(page, BANK_BUTTON)
        pressed = {"abandon": "1"} if what == "abandon" else {"card": CARDS[what]}
        return (await self._tell_bank(f"{self.bank_url}{action}", {**sent, **pressed}))[2]

    async def _tell_bank(self, url: str, fields: dict[str, str]) -> tuple[int, str, str]:
        async def ask() -> tuple[int, str, str]:
            async with self.http.post(url, data=fields, allow_redirects=False) as response:
                return response.status, await response.text(), response.headers.get("Location", "")

        return await self._patiently(ask)

    async def _come_back(self, leads: str) -> None:
        """From the bank to the payment's page, which says how it stands."""
        await self._read(leads)
        found = PAYMENT.search(leads)
        if found and CONFIRMED in await self._read(f"/paiements/{found[1]}"):
            self.seen.paid.add(found[1])


def browser_of(town: Town, number: int, connector: aiohttp.TCPConnector | None = None) -> aiohttp.ClientSession:
    """A browser's cookies and connections; through the proxy in front, it has an address of its own."""
    return aiohttp.ClientSession(
        cookie_jar=aiohttp.CookieJar(unsafe=True),
        connector=connector,
        connector_owner=connector is None,
        timeout=aiohttp.ClientTimeout(total=30),
        headers={"X-Forwarded-For": f"10.{number // 62_500}.{number // 250 % 250}.{number % 250 + 1}"},
    )


async def live(town: Town, seed: int, seconds: float, seen: Seen) -> None:
    """Everybody comes within so many seconds, and goes when done."""
    connector = aiohttp.TCPConnector(limit=0)

    async def one(number: int) -> None:
        async with browser_of(town, number, connector) as http:
            await Parent(town, http, number, plan(seed, number, seconds), seen).live()

    async with connector, asyncio.TaskGroup() as day:
        for number in range(len(town.households)):
            day.create_task(one(number))
