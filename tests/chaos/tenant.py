"""A portal of its own for a day of chaos: two replicas of every program, a wire to every server, and a town that owes.

Nothing is patched. Every program is told the addresses of wires in the place of those of PostgreSQL, RabbitMQ, the
bank's service and the mail server; the parents and the bank come in by the gateway.
"""

import asyncio
import re
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import aiohttp

from chassis.clock import today
from local_stack import demo, families
from local_stack.replicas import Replicas
from local_stack.stack import PROGRAMS, SERVICES, Stack
from local_stack.wires import Wire

DRAIN_SECONDS = 3
CLUB_PLACES, CANTEEN_DAYS, MONTHS_OWED = 3, 6, 2
MOST_DAYS = 12
"""Of the canteen in the month that is to be booked, at least."""
CANTEEN, CLUB = str(demo.id_of(demo.CANTEEN)), str(demo.id_of(demo.CLUB))
BROWSERS_WAY = {"PAYFIP_PAYER_URL", "BANK_ORIGINS"}
"""Settings by which a browser goes to the bank: it takes no wire."""
ADDRESS = re.compile(r"127\.0\.0\.1:(\d+)")
SERVERS = ("postgresql", "rabbitmq", "bank", "smtp")
SOON = {"RETRY_DELAYS_SECONDS": "[1, 3, 5]", "DELIVERIES_MAX": "60"}
"""Rungs of seconds in the place of minutes, and as many more tries: a listener is patient for minutes either way."""
SETTINGS: dict[str, dict[str, str]] = {
    **dict.fromkeys(SERVICES, SOON),
    "auth": {**SOON, "ARGON2_TIME_COST": "1", "ARGON2_MEMORY_KIB": "1024"},
    "notifier": {**SOON, "MAIL_RETRY_SECONDS": "1", "SMTP_SECONDS_MAX": "3", "MAILS_A_MINUTE_A_DOMAIN": "100000"},
    "gateway": {"PROXIES_IN_FRONT": "1"},
    "mail": {"MAILS_KEPT": "100000"},
}


def payload(number: int) -> dict[str, Any]:
    """A household of one child, as the town hall writes it down."""
    identifier = f"chaos{number:05d}"
    guardian = {"first_name": "Camille", "last_name": "Exemple", "email": f"{identifier}@mail{number % 7}.example.org"}
    child = {"first_name": "Léa", "last_name": "Exemple", "birth_date": "2018-03-10", "school": "École Prévert"}
    return {
        "reference": identifier,
        "name": f"Famille Exemple {number}",
        "address": ["1 rue du Préau", "00000 Saint-Aubin"],
        "guardians": [{**guardian, "identifier": identifier, "secret": demo.SECRET}],
        "children": [{**child, "class_name": "CE1"}],
    }


class Town:
    """The portal and what leads to it; ``households`` are those of the crowd, ``month`` is the one they will book.

    ``spoiled`` are the unreadable messages that were slipped in, by queue and message id.
    """

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.wires: dict[str, Wire] = {}
        self.replicas: dict[str, Replicas] = {}
        self.households: list[dict[str, Any]] = []
        self.month = ""
        self.spoiled: set[tuple[str, str]] = set()

    async def open(self, parents: int, replicas: int) -> None:
        """Everything runs, ``parents`` families owe two months, and their next months are to be booked."""
        await self.stack.start()
        await demo.fill(self.stack)
        async with aiohttp.ClientSession() as http:
            wishes = [payload(number) for number in range(parents)]
            self.households = await families.settle(self.stack, http, wishes)
            await self._owe(http)
        capacity = "UPDATE activity SET capacity = $2 WHERE activity_id = $1"
        await families.sql(self.stack, "planning", capacity, demo.id_of(demo.CLUB), CLUB_PLACES)
        for name in SERVERS:
            wire = self.wires[name] = Wire(f"tcp://127.0.0.1:{self.stack.ports[name]}")
            await wire.mend()
        for name in PROGRAMS:
            told = self._told(name)
            made = Replicas(self.stack, name, drain_seconds=DRAIN_SECONDS, count=replicas, **told)
            self.replicas[name] = made
        await asyncio.gather(*(each.start() for each in self.replicas.values()))

    async def close(self) -> None:
        await asyncio.gather(*(each.stop() for each in self.replicas.values()))
        await asyncio.gather(*(each.cut() for each in self.wires.values()))
        await self.stack.stop()

    async def is_up(self) -> None:
        """Wait until every replica has said that it is ready; one that ended by itself is an error."""
        await asyncio.gather(*(each.are_ready() for each in self.replicas.values()))

    def _told(self, name: str) -> dict[str, str]:
        """The settings of a program in which a server's address becomes its wire's."""
        ports = {str(self.stack.ports[server]): str(wire.port) for server, wire in self.wires.items()}
        environment = self.stack.another(name).environment
        told = {
            setting: ADDRESS.sub(lambda found: f"127.0.0.1:{ports.get(found[1], found[1])}", value)
            for setting, value in environment.items()
            if setting not in BROWSERS_WAY
        }
        if "SMTP_PORT" in environment:
            told["SMTP_PORT"] = ports[environment["SMTP_PORT"]]
        return {setting: value for setting, value in told.items() if value != environment[setting]}

    async def _owe(self, http: aiohttp.ClientSession) -> None:
        """Canteen days of months that are over, booked by the town hall at planning's door, and their invoices."""
        planning, administrator = self.stack.url("planning"), families.Administrator(self.stack, http)
        months = past_months()
        days = [
            day for month in months for day in (await self._canteen_days(http, administrator, month))[:CANTEEN_DAYS]
        ]
        month = today()
        while not self.month:
            month = (month.replace(day=1) + timedelta(days=32)).replace(day=1)
            if len(await self._canteen_days(http, administrator, month)) > MOST_DAYS:
                self.month = f"{month:%Y-%m}"

        async def book(household: dict[str, Any]) -> None:
            child = household["children"][0]["child_id"]
            lines = [{"activity_id": CANTEEN, "day": day, "booked": True} for day in days]
            body = {"child_id": child, "seen_version": 1000, "lines": lines}
            headers = await administrator.headers("planning")
            headers |= {"Idempotency-Key": f"owe-{child}", "X-Channel": "import"}
            url = f"{planning}/households/{household['household_id']}/bookings"
            async with http.post(url, json=body, headers=headers) as response:
                assert response.status == 200, await response.text()

        await families.each_of(self.households, book)
        booked = (
            "SELECT $1 - count(*) AS count FROM usage WHERE booked AND day = ANY($2::date[]) AND household_id = ANY($3)"
        )
        ids = [each["household_id"] for each in self.households]
        wanted = len(days) * len(ids)
        await families.until_none(
            self.stack, "billing", booked, wanted, [date.fromisoformat(each) for each in days], ids
        )
        for month in months:
            due = str(today() + timedelta(days=30))
            await self.stack.command("billing", "publish-month", f"{month:%Y-%m}", "--due", due)

    async def _canteen_days(
        self, http: aiohttp.ClientSession, administrator: families.Administrator, month: date
    ) -> list[str]:
        household = self.households[0]
        child = household["children"][0]["child_id"]
        path = f"/households/{household['household_id']}/children/{child}/months/{month:%Y-%m}"
        headers = await administrator.headers("planning")
        async with http.get(self.stack.url("planning") + path, headers=headers) as response:
            view = await response.json()
        cells = [(day["day"], cell) for day in view["days"] for cell in day["cells"]]
        return [day for day, cell in cells if cell["activity_id"] == CANTEEN and cell["state"] == "free"]


def past_months() -> list[date]:
    """The last months with days of school in them, the latest first: July and August have none."""
    found, month = list[date](), today().replace(day=1)
    while len(found) < MONTHS_OWED:
        month = (month - timedelta(days=1)).replace(day=1)
        if month.month not in {7, 8}:
            found.append(month)
    return found


@asynccontextmanager
async def town(parents: int, *, replicas: int = 2, till: str = "REGIE-ENFANCE") -> AsyncIterator[Town]:
    """A town whose servers keep their data as in production, gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="preau-chaos-"))
    stack = Stack(folder, till=till, settings=SETTINGS)
    made = Town(stack)
    try:
        await made.open(parents, replicas)
        yield made
    finally:
        await made.close()
        stack.forget()
        shutil.rmtree(folder, ignore_errors=True)
