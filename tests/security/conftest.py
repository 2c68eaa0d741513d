"""Every service as it runs, beside each other and with one family, for tests that ask all of their doors."""

import asyncio
import importlib
import json
import os
import re
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from auth.api import OWN_KEYS
from chassis.clock import now
from chassis.command import set_up
from chassis.database import DATABASE
from chassis.testing import Probe, Tokens, eventually
from contracts.events.auth import HouseholdChanged, HouseholdChild
from contracts.events.billing import CheckoutInvoice, CheckoutOpened
from contracts.identity import Identity, Role
from local_stack.banks import bank_key
from local_stack.stack import SERVICES, Stack

PARTS = {"year": "2026", "announcement_id": "1", "kind": "invoice"}
"""What a path wants where it does not want a UUID."""
ROLES = {"clerk": Role.CLERK, "till keeper": Role.CASHIER, "administrator": Role.ADMINISTRATOR}
ROLES["operator"] = Role.OPERATOR
AWAY = "http://127.0.0.1:9"
UNASKED = "positive_data_acceptance,unsupported_method,allow_header_conformance"
"""What a schema cannot say: a rule between two fields, and that two patterns of paths may fit one address."""
SEED = os.environ.get("SEED", "1")
"""Of what is drawn: the same in every run of the short form."""
EXAMPLES, PHASES = os.environ.get("EXAMPLES", "4"), os.environ.get("PHASES", "fuzzing")
"""The long form also goes through what a contract leaves to be broken, point by point (`coverage`)."""
CHECKED = (
    "--continue-on-failure",
    "--phases",
    PHASES,
    "--warnings",
    "off",
    "--no-color",
    "--exclude-checks",
    UNASKED,
)
AWAY_IS_AN_ANSWER = """[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", 503]
"""
"""A 503 is one too, if it is the problem that the document describes."""
HOUSEHOLD, CHILD, CHECKOUT = uuid4(), uuid4(), uuid4()


def filled(path: str, ids: dict[str, str]) -> str:
    """A path with something in each of its parts: of ``ids``, or nothing that is there."""
    for part in re.findall(r"{(\w+)", path):
        path = re.sub(rf"{{{part}[^}}]*}}", ids.get(part) or PARTS.get(part) or str(uuid4()), path)
    return path


@dataclass
class Program:
    """A service that runs, and how to speak to it as somebody."""

    name: str
    client: TestClient[Any, Any]
    sign: Callable[..., str]
    ids: dict[str, str]

    @staticmethod
    def person(who: str) -> Identity:
        """``own`` and ``other`` are parents; any other is named by a role of the town hall."""
        household = {"own": HOUSEHOLD, "other": uuid4()}.get(who)
        roles = frozenset({ROLES.get(who, Role.PARENT)})
        return Identity(
            subject_id=uuid4(), session_id=uuid4(), name=who, roles=roles, household_id=household, email="a@b.fr"
        )

    def routes(self) -> list[web.AbstractRoute]:
        """Every route but health, by its path."""
        app = self.client.app
        assert app is not None
        found = [each for each in app.router.routes() if each.method != "HEAD" and each.resource is not None]
        found = [each for each in found if not each.resource.canonical.startswith("/health/")]
        return sorted(found, key=lambda route: (route.resource.canonical, route.method))

    def doors(self) -> list[tuple[str, str]]:
        """Method and path of every route but health."""
        return [(route.method, route.resource.canonical) for route in self.routes()]

    async def ask(self, method: str, path: str, headers: dict[str, str], ids: dict[str, str]) -> tuple[int, Any]:
        """The status and the answer, without what differs by itself."""
        path = filled(path, ids)
        headers = {**headers, "Idempotency-Key": uuid4().hex}
        async with self.client.request(method, path, json={}, headers=headers) as response:
            body = await response.json() if "json" in response.content_type else (await response.read())
        if isinstance(body, dict):
            body.pop("request_id", None)
        return response.status, body

    async def opens(self, method: str, path: str, person: str) -> bool:
        """Whether the door lets that person in."""
        headers = {} if person == "nobody" else Tokens.headers(self.sign(self.person(person), audience=self.name))
        status, body = await self.ask(method, path, headers, self.ids)
        if status in {401, 403} or (status == 404 and body.get("detail") == "no such household"):
            return False
        is_owned = any(f"{{{name}}}" in path for name in ("payment_id", "checkout_id")) and "{household_id}" not in path
        return not is_owned or (status, body) != await self.ask(method, path, headers, {})


def _settings(name: str, database_url: str, amqp_url: str, auth_url: str) -> dict[str, Any]:
    """What `make run` gives the service, but for the servers of the test and neighbours that are away."""
    stack = Stack(Path("unused"))
    stack.ports = dict.fromkeys((*SERVICES, "gateway", "bank", "mail", "smtp"), 9)
    stack.secrets = defaultdict(lambda: "a" * 64, paybox_bank=bank_key(), lyra_rest="b" * 64)
    values = {
        key.lower(): json.loads(value) if value.startswith(("[", "{")) else value
        for key, value in stack._environment(name).items()
    }
    own = {"database_url": database_url, "amqp_url": amqp_url, "auth_url": auth_url, "http_port": 0}
    return {**values, **own}


@pytest_asyncio.fixture
async def programs(fresh_database: Any, amqp_url: str, tokens: Tokens, probe: Probe) -> AsyncIterator[list[Program]]:
    """Every service, with a household, its child and a payment of it."""
    made: list[Program] = []
    for name in SERVICES:
        package = name.replace("-", "_")
        main, folder = importlib.import_module(f"{package}.__main__"), importlib.import_module(f"{package}.settings")
        settings = folder.Settings(
            **_settings(name, await fresh_database(folder.MIGRATIONS), amqp_url, AWAY if name == "auth" else tokens.url)
        )
        if name != "auth":
            await set_up(main.SERVICE, settings)
        app = importlib.import_module(f"{package}.app").build(settings)
        client = TestClient(TestServer(app))
        await client.start_server()
        made.append(Program(name, client, await _signer(app) if name == "auth" else tokens.token, {}))
    for program in made:
        program.ids = {"household_id": str(HOUSEHOLD), "child_id": str(CHILD), "month": "2026-12"}
    await _populate(made, probe)
    yield made
    for program in made:
        await program.client.close()


async def _signer(app: web.Application) -> Callable[..., str]:
    """auth's own signature, for any identity."""
    keys = app[OWN_KEYS]
    await keys.jwks()
    assert keys._signing is not None
    key_id, key = keys._signing
    issuer = Tokens()
    issuer.key_id, issuer._key = key_id, key
    return issuer.token


async def _populate(programs: list[Program], probe: Probe) -> None:
    child = HouseholdChild(
        child_id=CHILD, first_name="Léa", last_name="A", birth_date=date(2018, 4, 17), school="S", class_name="CP"
    )
    family = {"household_id": HOUSEHOLD, "version": 1, "reference": "F-1", "name": "Famille A", "address": ("1 rue A",)}
    await probe.publish(HouseholdChanged(**family, active=True, children=(child,)))
    await probe.publish(_checkout())
    auth, payments = programs[0], next(each for each in programs if each.name == "payment-gateway")
    assert auth.client.app is not None
    async with auth.client.app[DATABASE].transaction() as tx:
        await tx.execute(
            "INSERT INTO household (household_id, reference, name, address) "
            "VALUES ($1, 'F-1', 'Famille A', '{1 rue A}')",
            HOUSEHOLD,
        )

    async def begun() -> UUID | None:
        headers = {**_own(payments), "Idempotency-Key": "one"}
        await payments.client.post("/payments", json={"checkout_id": str(CHECKOUT)}, headers=headers)
        assert payments.client.app is not None
        async with payments.client.app[DATABASE].transaction() as tx:
            found: UUID | None = await tx.fetchval("SELECT payment_id FROM payment LIMIT 1")
            return found

    payments.ids |= {"payment_id": str(await eventually(begun)), "checkout_id": str(CHECKOUT)}


def _own(program: Program) -> dict[str, str]:
    return Tokens.headers(program.sign(program.person("own"), audience=program.name))


def _checkout() -> CheckoutOpened:
    invoice = CheckoutInvoice(invoice_id=uuid4(), number="2026-000001", month=date(2026, 12, 1), amount_cents=4_200)
    return CheckoutOpened(
        checkout_id=CHECKOUT,
        household_id=HOUSEHOLD,
        household_name="Famille A",
        household_reference="F-1",
        till="REGIE-1",
        amount_cents=4_200,
        invoices=(invoice,),
        opened_at=now(),
        expires_at=now() + timedelta(hours=1),
    )


def _gateway(amqp_url: str, **more: Any) -> web.Application:
    main, folder = importlib.import_module("gateway.app"), importlib.import_module("gateway.settings")
    values = {**_settings("gateway", "", amqp_url, AWAY), "public_url": "http://portal.example", **more}
    app: web.Application = main.build(folder.Settings(**values))
    return app


@pytest.fixture
def gateway_alone(amqp_url: str, probe: Probe, aiohttp_client: Any) -> Callable[..., Any]:
    """A gateway whose services are all away, with further settings; a client of it."""
    return lambda **more: aiohttp_client(_gateway(amqp_url, **more))


def _paths(method: str, *but: str) -> list[str]:
    found = {
        each.resource.canonical
        for each in _gateway("amqp://nowhere").router.routes()
        if each.resource and each.method == method
    }
    return sorted(path for path in found if not path.startswith(but))


@pytest.fixture
def pages() -> list[str]:
    """The path of every page and file of the gateway, but those that are told for as long as one listens."""
    return [path for path in _paths("GET", "/health/", "/webhooks/") if not path.endswith("/flux")]


@pytest.fixture
def forms() -> list[str]:
    """The path that each form of the gateway leads to, but signing out."""
    return _paths("POST", "/api/", "/webhooks/", "/deconnexion")


@pytest.fixture
def somewhere() -> Callable[..., str]:
    """A path with something in each of its parts: what is known by its name, or what is not there."""
    return lambda path, **known: filled(path, known)


@pytest.fixture
def schemathesis(tmp_path: Path, record_property: Any) -> Callable[..., Any]:
    """schemathesis against a document, at an address, with a token; fails with what it found.

    ``known`` are ids of things that are there, by the names of parts of paths: every other request asks for them.
    """

    async def run(document: dict[str, Any], url: str, token: str, known: dict[str, str], *more: str) -> None:
        name, report = document["info"]["title"], tmp_path / "report.json"
        for door in (door for path in document["paths"].values() for door in path.values()):
            for each in door.get("parameters", []):
                if each["in"] == "path" and each["name"] in known:
                    each["schema"] = {"anyOf": [{"const": known[each["name"]]}, each["schema"]]}
        (tmp_path / "document.json").write_text(json.dumps(document), encoding="utf-8")
        (tmp_path / "schemathesis.toml").write_text(AWAY_IS_AN_ANSWER, encoding="utf-8")
        words = ["document.json", "--url", url, "-H", f"Authorization: Bearer {token}", "-n", EXAMPLES, "--seed", SEED]
        words += [*CHECKED, *more, "--report-json-path", str(report)]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "schemathesis.cli", "run", *words),
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
        )
        said, _ = await process.communicate()
        assert process.returncode == 0, said.decode()
        told = json.loads(report.read_text(encoding="utf-8"))
        looked_at = f"{told['operations']['tested']} doors, {told['test_cases']['generated']} requests"
        record_property("looked at", f"{name}: {looked_at}")

    return run
