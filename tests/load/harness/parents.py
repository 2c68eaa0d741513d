"""Parents for the figures of the pages: each of a household of its own, signed in, with a month that is booked."""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

import aiohttp

from chassis.clock import today
from local_stack import demo, families
from local_stack.families import sql, until_none
from local_stack.stack import SERVICES, Stack

OWED = 2
FREE = re.compile(r'name="shown" value="([\w-]{36}\|[\d-]{10})\|0\|0"')
TOKEN = re.compile(r'name="form_token" value="(\w+)"')
VERSION = re.compile(r'name="version" value="(\d+)"')
CANTEEN = str(demo.id_of(demo.CANTEEN))
NO_HEADERS: Mapping[str, str] = {}
Form = Sequence[tuple[str, str]]


class NotServed(Exception):  # noqa: N818 - counted, by what it says
    """The portal answered something else than the page."""


class Parent:
    """Somebody with a telephone, a session and a day that changes its mind."""

    def __init__(self, number: int) -> None:
        self.number, self.identifier = number, f"bench{number:04d}"
        self.address = f"10.0.{number // 250}.{number % 250 + 1}"
        self.child_id = self.session = self.device = self.form_token = self.version = self.cell = ""
        self.is_booked = False

    def payload(self) -> dict[str, Any]:
        """The household as the town hall writes it down: one child or two."""
        home = {"reference": self.identifier, "name": f"Famille Exemple {self.number}", "address": ["1 rue du Préau"]}
        codes = {"identifier": self.identifier, "secret": demo.SECRET}
        child = {"last_name": "Exemple", "birth_date": "2018-03-10", "school": "École Prévert", "class_name": "CE1"}
        children = [{**child, "first_name": name} for name in ("Léa", "Tom")[: 1 + self.number % 2]]
        return {**home, "guardians": [{"first_name": "Camille", "last_name": "E", **codes}], "children": children}


class Crowd:
    """All the parents, over one client that keeps its connections as their browsers do."""

    def __init__(self, stack: Stack, http: aiohttp.ClientSession, parents: Sequence[Parent]) -> None:
        self.stack, self.parents, self._http = stack, parents, http
        self.month, self._anonymous = "", ""

    async def open(
        self, parent: Parent, path: str, says: str, form: Form = (), headers: Mapping[str, str] = NO_HEADERS
    ) -> str:
        """A page that says what it should; ``NotServed`` with the status and the title of any other."""
        cookies = f"preau={parent.session}; preau-appareil={parent.device}"
        sent = {"X-Forwarded-For": parent.address, "Cookie": cookies, **headers}
        url, method = self.stack.gateway_url + path, "POST" if form else "GET"
        async with self._http.request(method, url, data=form or None, headers=sent) as response:
            text = await response.text()
        if response.status != 200:
            title = re.search(r"<h1[^>]*>([^<]*)", text)
            raise NotServed(f"{response.status} {title[1] if title else ''}".strip())
        assert says in text, f"{path} does not say {says!r}: {text[:2000]}"
        return text

    async def sign_in(self, parent: Parent) -> None:
        """The two codes against a session, in a browser that is known from before."""
        form = {"form_token": self._anonymous, "identifier": parent.identifier, "secret": demo.SECRET}
        sent = {"X-Forwarded-For": parent.address, "Cookie": f"preau-appareil={parent.device}"}
        url = f"{self.stack.gateway_url}/connexion"
        async with self._http.post(url, data=form, headers=sent, allow_redirects=False) as response:
            if response.status != 303:
                raise NotServed(f"{response.status} instead of a session")
            parent.session = response.cookies["preau"].value
            parent.device = response.cookies["preau-appareil"].value

    async def sign_in_page(self, parent: Parent) -> None:
        """As whoever is not signed in sees it."""
        device = {"Cookie": f"preau-appareil={parent.device}"}
        text = await self.open(parent, "/connexion", 'name="identifier"', headers=device)
        self._anonymous = TOKEN.findall(text)[0]

    async def home(self, parent: Parent) -> None:
        await self.open(parent, "/", "Léa")

    async def planning(self, parent: Parent, headers: Mapping[str, str] = NO_HEADERS) -> str:
        return await self.open(parent, self.planning_path(parent), 'id="planning"', headers=headers)

    async def invoices(self, parent: Parent) -> None:
        await self.open(parent, "/factures", f"{today().year}-")

    async def recap(self, parent: Parent) -> None:
        """Change one day's mind."""
        cells = [("shown", f"{parent.cell}|{int(parent.is_booked)}|0")]
        cells += [] if parent.is_booked else [("booked", parent.cell)]
        await self.save(parent, cells)
        parent.is_booked = not parent.is_booked

    async def save(self, parent: Parent, cells: Form) -> None:
        """« Valider mes modifications », and the recap."""
        form = [("form_token", parent.form_token), ("version", parent.version), ("key", uuid4().hex), *cells]
        text = await self.open(parent, self.planning_path(parent), "Enregistré</h2>", form)
        parent.version = VERSION.findall(text)[0]

    async def open_month(self, parent: Parent) -> str:
        """The month, whose form belongs to the session and to what was saved so far."""
        text = await self.planning(parent)
        parent.form_token, parent.version = TOKEN.findall(text)[0], VERSION.findall(text)[0]
        return text

    async def prepare(self, parent: Parent) -> None:
        """Sign in and book the month but for a canteen day: about that one the parent will change its mind."""
        await self.sign_in(parent)
        free = FREE.findall(await self.open_month(parent))
        parent.cell = next(each for each in free if each.startswith(CANTEEN))
        cells = [("shown", f"{each}|0|0") for each in free] + [("booked", each) for each in free if each != parent.cell]
        await self.save(parent, cells)

    def planning_path(self, parent: Parent) -> str:
        return f"/planning/{parent.child_id}/{self.month}"

    async def choose_month(self, parent: Parent) -> None:
        """The first month to come with many days to book."""
        first = today()
        for _ in range(8):
            first = (first.replace(day=1) + timedelta(days=32)).replace(day=1)
            self.month = f"{first:%Y-%m}"
            if len(FREE.findall(await self.planning(parent))) > 10:
                return
        raise LookupError("no month to come has days to book")


async def settle(stack: Stack, http: aiohttp.ClientSession, parents: Sequence[Parent], owed: int = OWED) -> None:
    """The households, enrolled everywhere, each with so many invoices to pay."""
    households = await families.settle(stack, http, [each.payload() for each in parents])
    for parent, household in zip(parents, households, strict=True):
        parent.child_id = household["children"][0]["child_id"]
    await demo.owe(stack, owed)


async def as_if_long_there(stack: Stack) -> None:
    """Bring PostgreSQL's statistics up to date, as autovacuum does within minutes; this town is younger than that."""
    for service in SERVICES:
        await sql(stack, service, "VACUUM ANALYZE")


async def quiet(stack: Stack) -> None:
    """Wait until what was done so far has no work left: events said, PDFs made, mails sent."""
    for service in SERVICES:
        await until_none(stack, service, "SELECT count(*) FROM outbox WHERE published_at IS NULL")
    waiting = "SELECT count(*) FROM invoice i WHERE NOT EXISTS (SELECT FROM document_pdf p WHERE p.number = i.number)"
    await until_none(stack, "billing", waiting)
    await until_none(stack, "notifier", "SELECT count(*) FROM mail WHERE status = 'waiting'")
