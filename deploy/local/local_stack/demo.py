"""The demo town: plainly fictional families, made through the services' own doors. Running it again changes nothing.

``python -m local_stack.demo`` fills services that run already: AUTH_URL, PLANNING_URL, … name them.
"""

import asyncio
import os
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import NAMESPACE_URL, UUID, uuid5
from zoneinfo import ZoneInfo

import aiohttp
import asyncpg

from local_stack.demo_tariffs import CANTEEN, TARIFFS
from local_stack.failures import StartError
from local_stack.stack import Stack

SECRET = "demo-2026-demo"  # noqa: S105 - printed on purpose: the demo town is for trying
SPACE = uuid5(NAMESPACE_URL, "urn:preau:demo")
SCHOOL = "École Jacques-Prévert"
CLASSES = ["Petite section", "Moyenne section", "Grande section", "CP", "CE1", "CE2", "CM1", "CM2"]
ACTIVITIES = (
    ("Périscolaire matin", "school_days", [1, 2, 4, 5]),
    (CANTEEN, "school_days", [1, 2, 4, 5]),
    ("Périscolaire soir", "school_days", [1, 2, 4, 5]),
    ("Mercredi", "wednesdays", [3]),
    ("Petites Vac. Matin", "small_holidays", [1, 2, 3, 4, 5]),
    ("Petites Vac. Après-midi", "small_holidays", [1, 2, 3, 4, 5]),
)


QUOTIENTS = (84_500, 61_200, 38_900, None, 112_000, 69_999, 154_000, 40_000, 52_300, 97_550, 88_000, 71_000)
"""The families' quotients, in cents, in their order; None has not given it. The last of them lives elsewhere."""
FAMILIES = (
    ("Dupont", "Camille", ("Léa", "Tom")),
    ("Martin", "Sofiane", ("Inès",)),
    ("Bernard", "Alice", ("Jules", "Zoé", "Malo")),
    ("Petit", "Nadia", ("Adam",)),
    ("Robert", "Paul", ("Rose",)),
    ("Moreau", "Lucie", ("Noé",)),
    ("Laurent-Delacroix de Saint-Exupéry", "Marie-Antoinette", ("Maximilien-Alexandre",)),
    ("Garcia", "Elena", ("Hugo", "Lina")),
    ("Roux", "Karim", ("Sami",)),
    ("Fontaine", "Julie", ("Agathe",)),
    ("Chevalier", "Marc", ("Basile",)),
    ("Nguyen", "Linh", ("Mai",)),
)
STAFF = (
    ("mairie", "Dominique Exemple", "administrator"),
    ("regie", "Claude Exemple", "till_keeper"),
    ("accueil", "Maxime Exemple", "clerk"),
)
CLUB, CLUB_PLACES = "Mercredi", 2
SHARED_FROM, SHARED_WITH = "Martin", "Petit"
STRIKE = "Grève du personnel"
ANNOUNCEMENT = "**Bienvenue sur le portail des familles de Saint-Aubin.**\n\nPensez à réserver avant la veille à 18 h."


def id_of(name: str) -> UUID:
    return uuid5(SPACE, name)


def codes() -> dict[str, Any]:
    """The codes that the table prints and the tests use."""
    parents = [
        {"identifier": f"demo{number:02d}", "secret": SECRET, "household": f"Famille {family[0]}"}
        for number, family in enumerate(FAMILIES, 1)
    ]
    staff = [{"identifier": name, "secret": SECRET, "household": None, "role": role} for name, _, role in STAFF]
    return {"parents": parents, "staff": staff}


def _canteen_days(view: Any) -> list[str]:
    """The days of a month on which the canteen can be booked."""
    canteen = str(id_of(CANTEEN))
    return [
        day["day"]
        for day in view["days"]
        for cell in day["cells"]
        if cell["state"] == "free" and cell["activity_id"] == canteen
    ]


class Demo:
    """The administrator's session against the services."""

    def __init__(self, url: Callable[[str], str], http: aiohttp.ClientSession) -> None:
        self._url, self._http = url, http
        self._session = ""
        self._shared: dict[str, Any] = {}
        self._month, self._booked_days, self._strike_day = "", 0, ""
        self._club: list[tuple[str, str]] = []

    async def fill(self) -> None:
        """Everything, once; what is there stays."""
        if (await self._call("auth", "GET", "/households"))["households"]:
            return
        await self._activities()
        await self._tariffs()
        await self._call("auth", "POST", "/schools", {"name": SCHOOL, "classes": CLASSES})
        for number, family in enumerate(FAMILIES, 1):
            await self._family(number, *family)
        await self._invoice()
        await self._fill_a_club_day()
        await self._call("planning", "POST", "/closures", {"day": self._strike_day, "reason": STRIKE})
        starts = datetime.now(ZoneInfo("Europe/Paris")).isoformat()
        await self._call("notifier", "POST", "/announcements", {"markdown": ANNOUNCEMENT, "starts_at": starts})

    async def sign_in(self) -> None:
        """As the administrator; PermissionError when there is none yet."""
        payload = {"identifier": STAFF[0][0], "secret": SECRET, "client_address": "127.0.0.1"}
        self._session = (await self._call("auth", "POST", "/sessions", payload, token=False))["session"]

    async def _activities(self) -> None:
        today = date.today()  # noqa: DTZ011 - a machine of one's own
        first = date(today.year - 1, 9, 1)
        for position, (label, period, weekdays) in enumerate(ACTIVITIES):
            notice = {"days_before": 1, "at": "18:00"}
            payload = {
                "label": label,
                "period": period,
                "weekdays": weekdays,
                "first_day": str(first),
                "last_day": str(date(first.year + 2, 8, 31)),
                "booking_notice": notice,
                "cancelling_notice": notice,
                "position": position,
                "capacity": CLUB_PLACES if label == CLUB else None,
            }
            await self._call("planning", "PUT", f"/activities/{id_of(label)}", payload)

    async def _tariffs(self) -> None:
        first = date(date.today().year - 1, 9, 1)  # noqa: DTZ011 - a machine of one's own
        for activity, label, rule in TARIFFS:
            names = {"label": label, "activity_id": str(id_of(activity)), "activity_label": activity}
            path = f"/tariffs/{id_of(f'tariff {activity} {label}')}"
            await self._call("billing", "PUT", path, {**names, "valid_from": str(first), **rule})

    async def _terms(self, number: int, household_id: str) -> None:
        """What a family told of itself, once billing has heard of the family."""
        first = date(date.today().year - 1, 9, 1)  # noqa: DTZ011 - a machine of one's own
        terms = {"quotient_cents": QUOTIENTS[number - 1], "resident": number < len(FAMILIES)}
        await self._until_known("billing", "PUT", f"/households/{household_id}/terms/{first}", terms)

    async def _family(self, number: int, name: str, guardian: str, children: tuple[str, ...]) -> None:
        payload: dict[str, Any] = {
            "reference": f"SA{number:03d}",
            "name": f"Famille {name}",
            "address": [f"{number} rue des Tilleuls", "00000 Saint-Aubin"],
            "guardians": [
                {
                    "first_name": guardian,
                    "last_name": name,
                    "email": f"demo{number:02d}@example.org",
                    "identifier": f"demo{number:02d}",
                    "secret": SECRET,
                }
            ],
            "children": [
                {
                    "first_name": child,
                    "last_name": name,
                    "birth_date": str(date(2018 + order, 3, 10 + order)),
                    "school": SCHOOL,
                    "class_name": ("CE1", "CP", "Grande section")[order],
                    "custody": "even_weeks" if name == SHARED_FROM else "free",
                }
                for order, child in enumerate(children)
            ],
        }
        if name == SHARED_WITH:
            payload["children"].append({**self._shared, "custody": "odd_weeks"})
        household = (await self._call("auth", "POST", "/households", payload))["household"]
        if name == SHARED_FROM:
            kept = ("child_id", "first_name", "last_name", "birth_date", "school", "class_name")
            self._shared = {field: household["children"][0][field] for field in kept}
        await self._terms(number, household["household_id"])
        for child in household["children"]:
            await self._child(household["household_id"], child["child_id"])

    async def _child(self, household_id: str, child_id: str) -> None:
        today = date.today()  # noqa: DTZ011 - a machine of one's own
        path = f"/households/{household_id}/children/{child_id}"
        span = {"first_day": str(today - timedelta(days=200)), "last_day": str(today + timedelta(days=220))}
        for label, *_ in ACTIVITIES:
            await self._until_known("planning", "PUT", f"{path}/enrolments/{id_of(label)}", span)
        month = today.replace(day=1)
        lines: list[dict[str, Any]] = []
        while not lines:
            month = (month - timedelta(days=1)).replace(day=1)
            view = await self._call("planning", "GET", f"{path}/months/{month:%Y-%m}")
            days = _canteen_days(view)
            lines = [{"activity_id": str(id_of(CANTEEN)), "day": day, "booked": True} for day in days]
        body = {"child_id": child_id, "seen_version": view["version"], "lines": lines}
        extra = {"Idempotency-Key": f"demo-{child_id}", "X-Channel": "import"}
        await self._call("planning", "POST", f"/households/{household_id}/bookings", body, more=extra)
        self._month = f"{month:%Y-%m}"
        self._club.append((household_id, child_id))
        self._booked_days += len(lines)
        to_come = today + timedelta(days=14)
        while not self._strike_day:
            view = await self._call("planning", "GET", f"{path}/months/{to_come:%Y-%m}")
            self._strike_day = next((day for day in _canteen_days(view) if day >= str(to_come)), "")
            to_come = (to_come.replace(day=1) + timedelta(days=32)).replace(day=1)

    async def _fill_a_club_day(self) -> None:
        """Take every place of a day of the club, with the families that came last: the others find a waiting list."""
        days: list[str] = []
        month = date.today() + timedelta(days=14)  # noqa: DTZ011 - a machine of one's own
        while not days:
            household_id, child_id = self._club[-1]
            path = f"/households/{household_id}/children/{child_id}/months/{month:%Y-%m}"
            view = await self._call("planning", "GET", path)
            club = str(id_of(CLUB))
            cells = [(day["day"], cell) for day in view["days"] for cell in day["cells"]]
            days = [day for day, cell in cells if cell["activity_id"] == club and cell["state"] == "free"]
            days = [day for day in days if day >= str(month)]
            month = (month.replace(day=1) + timedelta(days=32)).replace(day=1)
        for household_id, child_id in self._club[-CLUB_PLACES:]:
            line = {"activity_id": club, "day": days[0], "booked": True}
            body = {"child_id": child_id, "seen_version": 1000, "lines": [line]}
            more = {"Idempotency-Key": f"demo-club-{child_id}", "X-Channel": "import"}
            await self._call("planning", "POST", f"/households/{household_id}/bookings", body, more=more)

    async def _invoice(self) -> None:
        """Publish the month that was booked, once billing has heard of every day of it."""
        today = date.today()  # noqa: DTZ011 - a machine of one's own
        for _ in range(300):
            preview = await self._call("billing", "GET", f"/invoice-runs/preview/{self._month}")
            if preview["days"] == self._booked_days:
                break
            await asyncio.sleep(0.2)
        body = {"month": self._month, "due_on": str(today + timedelta(days=30)), "straight": True}
        key = {"Idempotency-Key": f"demo-{self._month}"}
        run = await self._call("billing", "POST", "/invoice-runs", body, more=key)
        for _ in range(300):
            if run["status"] == "done":
                return
            await asyncio.sleep(0.2)
            run = await self._call("billing", "GET", f"/invoice-runs/{run['run_id']}")
        raise RuntimeError(f"the demo's invoices are not published: {run}")

    async def _until_known(self, service: str, method: str, path: str, body: Any) -> None:
        for _ in range(100):
            try:
                await self._call(service, method, path, body)
            except LookupError:
                await asyncio.sleep(0.1)
            else:
                return
        raise RuntimeError(f"{service} never heard of {path}")

    async def _call(
        self,
        service: str,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: bool = True,
        more: dict[str, str] | None = None,
    ) -> Any:
        headers = dict(more or {})
        if token:
            payload = {"session": self._session, "audience": service}
            answer = await self._call("auth", "POST", "/tokens", payload, token=False)
            headers["Authorization"] = f"Bearer {answer['token']}"
        url = self._url(service) + path
        async with self._http.request(method, url, json=body, headers=headers) as response:
            if response.status == 404:
                raise LookupError(path)
            if response.status == 401:
                raise PermissionError(path)
            if response.status >= 400:
                raise RuntimeError(f"{method} {url}: {response.status} {await response.text()}")
            return await response.json()


def unfinished(stack: Stack) -> Path:
    """A file that is there while the town is filled, and stays when that is interrupted."""
    return stack.folder / "demo-unfinished"


async def fill(stack: Stack) -> dict[str, Any]:
    """Fill the demo town when it is empty; the codes to sign in with. ``StartError`` when it is half filled."""
    async with aiohttp.ClientSession() as http:
        demo, mark = Demo(stack.url, http), unfinished(stack)
        try:
            await demo.sign_in()
        except PermissionError:
            mark.touch()
            for identifier, name, role in STAFF:
                payload = ("--identifier", identifier, "--name", name, "--role", role)
                await stack.command("auth", "create-staff", *payload, STAFF_SECRET=SECRET)
            await demo.sign_in()
        else:
            if mark.exists():
                names = ", ".join(sorted(urlsplit(dsn).path[1:] for dsn in stack.databases.values()))
                raise StartError(f"the demo town was left half filled: drop the databases {names}, and start again")
        await demo.fill()
        mark.unlink(missing_ok=True)
    return codes()


async def owe(stack: Stack, times: int = 1) -> None:
    """One more invoice of a meal for every family, so many times, published by billing's own command."""
    day = date.today().replace(day=1) - timedelta(days=1)  # noqa: DTZ011 - a machine of one's own
    for _ in range(times):
        connection = await asyncpg.connect(stack.databases["billing"])
        try:
            await connection.execute(
                "INSERT INTO usage (household_id, child_id, activity_id, day, booked, version, child_first_name, "
                "activity_label) SELECT household_id, gen_random_uuid(), $1, $2, true, 1, 'Alex', $3 FROM household",
                id_of(CANTEEN),
                day,
                CANTEEN,
            )
        finally:
            await connection.close()
        due = str(day + timedelta(days=60))
        await stack.command("billing", "publish-month", f"{day:%Y-%m}", "--due", due)


async def fill_running() -> None:
    """Fill the services that the environment names; the administrator's account exists."""
    async with aiohttp.ClientSession() as http:
        demo = Demo(lambda service: os.environ[f"{service.upper()}_URL"], http)
        await demo.sign_in()
        await demo.fill()


if __name__ == "__main__":
    asyncio.run(fill_running())
