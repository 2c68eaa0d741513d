"""Who may open which door: every route of every service, asked by every kind of person, about one's own household and
another's. The routes come from the programs themselves; what was found is kept in ``docs/access.md``, so that a new
door, or one that opens to somebody new, shows in the change that makes it.

``RENEW=1 pytest tests/security -k readable`` (``make access``) writes the file anew.
"""

import importlib
import json
import os
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import jwt
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

FILE = Path(__file__).parents[2] / "docs" / "access.md"
PARTS = {"year": "2026", "announcement_id": "1", "kind": "invoice"}
"""What a path wants where it does not want a UUID."""
HEAD = """# Who may open which door

Written by `make access` from the running services, kept true by `tests/security/test_access.py`. ✓: the door opens
(what is behind it may still say no). ·: refused, or told that there is no such thing. "Own" and "other" are parents,
asking about their own household and about another's; the town hall's people ask about any.
"""
PEOPLE = ("nobody", "own", "other", "clerk", "till keeper", "administrator", "operator")
ROLES = {"clerk": Role.CLERK, "till keeper": Role.TILL_KEEPER, "administrator": Role.ADMINISTRATOR}
ROLES["operator"] = Role.OPERATOR
AWAY = "http://127.0.0.1:9"
HOUSEHOLD, CHILD, CHECKOUT = uuid4(), uuid4(), uuid4()

pytestmark = pytest.mark.timeout(300)


@dataclass
class Program:
    """A service that runs, and how to speak to it as somebody."""

    name: str
    client: TestClient[Any, Any]
    sign: Callable[..., str]
    ids: dict[str, str]

    def doors(self) -> list[tuple[str, str]]:
        """Method and path of every route but health."""
        app = self.client.app
        assert app is not None
        found = {
            (route.method, route.resource.canonical)
            for route in app.router.routes()
            if route.method != "HEAD" and route.resource is not None
        }
        return sorted((door for door in found if not door[1].startswith("/health/")), key=lambda door: door[::-1])

    async def ask(self, method: str, path: str, headers: dict[str, str], ids: dict[str, str]) -> tuple[int, Any]:
        """The status and the answer, without what differs by itself."""
        for part in [each.partition("}")[0] for each in path.split("{")[1:]]:
            path = path.replace(f"{{{part}}}", ids.get(part) or PARTS.get(part) or str(uuid4()))
        headers = {**headers, "Idempotency-Key": uuid4().hex}
        async with self.client.request(method, path, json={}, headers=headers) as response:
            body = await response.json() if "json" in response.content_type else (await response.read())
        if isinstance(body, dict):
            body.pop("request_id", None)
        return response.status, body

    async def opens(self, method: str, path: str, person: str) -> bool:
        """Whether the door lets that person in."""
        headers = {} if person == "nobody" else Tokens.headers(self.sign(_identity(person), audience=self.name))
        status, body = await self.ask(method, path, headers, self.ids)
        if status in {401, 403} or (status == 404 and body.get("detail") == "no such household"):
            return False
        is_owned = any(f"{{{name}}}" in path for name in ("payment_id", "checkout_id")) and "{household_id}" not in path
        return not is_owned or (status, body) != await self.ask(method, path, headers, {})


def _identity(person: str) -> Identity:
    household = {"own": HOUSEHOLD, "other": uuid4()}.get(person)
    roles = frozenset({ROLES.get(person, Role.PARENT)})
    return Identity(
        subject_id=uuid4(), session_id=uuid4(), name=person, roles=roles, household_id=household, email="a@b.fr"
    )


def _settings(name: str, database_url: str, amqp_url: str, auth_url: str) -> dict[str, Any]:
    """What `make run` gives the service, but for the servers of the test and neighbours that are away."""
    stack = Stack(Path("unused"))
    stack.ports = dict.fromkeys((*SERVICES, "gateway", "bank", "mail", "smtp"), 9)
    stack.secrets = defaultdict(lambda: "a" * 64, paybox_bank=bank_key())
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
    return Tokens.headers(program.sign(_identity("own"), audience=program.name))


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


async def test_the_doors_open_for_whom_the_readable_table_says(programs: list[Program]) -> None:
    lines = [HEAD]
    for program in programs:
        lines += [f"\n## {program.name}\n", f"| door | {' | '.join(PEOPLE)} |", "|---|" + ":-:|" * len(PEOPLE)]
        for method, path in program.doors():
            opens = {person: await program.opens(method, path, person) for person in PEOPLE}
            marks = " | ".join("✓" if opens[person] else "·" for person in PEOPLE)
            lines.append(f"| `{method} {path}` | {marks} |")
            of_household = any(part in path for part in ("{household_id}", "{payment_id}", "{checkout_id}"))
            assert not (of_household and (opens["other"] or opens["nobody"])), f"{method} {path} lets strangers in"
    text = "\n".join(lines) + "\n"
    if os.environ.get("RENEW"):
        FILE.write_text(text, encoding="utf-8")
    assert FILE.read_text(encoding="utf-8") == text, "a door has changed: `make access`, then read the difference"


async def test_every_service_refuses_every_token_that_is_not_for_it(programs: list[Program]) -> None:
    for program in programs:
        person, door = _identity("administrator"), _protected(program)
        good = program.sign(person, audience=program.name)
        assert (await program.ask(*door, Tokens.headers(good), program.ids))[0] != 401, program.name
        for why, bad in _forged(program, person, good).items():
            assert (await program.ask(*door, Tokens.headers(bad), program.ids))[0] == 401, f"{program.name}: {why}"


def _protected(program: Program) -> tuple[str, str]:
    return {
        "auth": ("GET", "/households"),
        "planning": ("GET", "/activities"),
        "billing": ("GET", "/households/{household_id}/invoices"),
        "payment-gateway": ("GET", "/payments"),
        "notifier": ("GET", "/mails"),
    }[program.name]


def _forged(program: Program, person: Identity, good: str) -> dict[str, str]:
    """Every way a token can be wrong, by name."""
    head, body, signature = good.split(".")
    claims, header = jwt.decode(good, options={"verify_signature": False}), jwt.get_unverified_header(good)
    stranger, unknown = Tokens(), Tokens()
    stranger.key_id = header["kid"]
    altered = jwt.encode({**claims, "roles": ["operator"]}, "x" * 32, algorithm="HS256").split(".")[1]
    none = jwt.encode(claims, None, algorithm="none", headers={"kid": header["kid"]})
    return {
        "expired": program.sign(person, audience=program.name, seconds=-60),
        "another service's": program.sign(person, audience="somebody-else"),
        "two audiences": program.sign(person, audience=program.name, aud=[program.name, "somebody-else"]),
        "another issuer's": program.sign(person, audience=program.name, iss="somebody"),
        "a stranger's under our key id": stranger.token(person, audience=program.name),
        "an unknown key id": unknown.token(person, audience=program.name),
        "tampered claims": f"{head}.{altered}.{signature}",
        "tampered signature": f"{head}.{body}.{signature[:-6]}AAAAAA",
        "no algorithm": none,
        "a symmetric algorithm": jwt.encode(claims, "x" * 32, algorithm="HS256", headers={"kid": header["kid"]}),
        "not a token": "a.b.c",
    }


PUBLIC_PAGES = {
    ("GET", "/connexion"),
    ("GET", "/aide"),
    ("GET", "/api/v1/"),
    ("GET", "/api/v1/openapi.json"),
    ("GET", "/accessibilite"),
    ("GET", "/codes-oublies"),
    ("GET", "/codes-oublies/nouveau"),
    ("GET", "/email/confirmation"),
    ("GET", "/desabonnement/{unsubscribe_key}/{kind}"),
}
"""What the gateway shows to anybody. A form that is not ours is refused wherever it leads."""
BY_ADDRESS = {
    ("POST", "/desabonnement/{unsubscribe_key}/{kind}"),
    ("GET", "/calendrier/{key}.ics"),
    ("GET", "/calendrier/{key}/{child_id}.ics"),
}
"""Whose secret address is the right to it; what it opens is away in this test."""


SIGNING_IN = {"/api/v1/sessions", "/api/v1/sessions/one-time-code"}
"""Doors of the public API that want codes, and say so before anything else."""


async def test_no_page_of_the_gateway_opens_to_a_stranger(amqp_url: str, aiohttp_client: Any, probe: Probe) -> None:
    from gateway.app import build
    from gateway.settings import Settings

    stack_values = _settings("gateway", "", amqp_url, AWAY)
    app = build(Settings(**{**stack_values, "public_url": "http://portal.example"}))
    client = await aiohttp_client(app)
    for route in app.router.routes():
        door = path = route.resource.canonical if route.resource else ""
        if route.method == "HEAD" or path.startswith(("/health/", "/static", "/town.css", "/crest", "/webhooks/")):
            continue
        for part in [each.partition("}")[0] for each in path.split("{")[1:]]:
            path = path.replace(f"{{{part}}}", PARTS.get(part, str(uuid4())))
        headers = {"Host": "portal.example"}
        response = await client.request(route.method, path, headers=headers)
        if (route.method, door) in PUBLIC_PAGES:
            assert response.status == 200, path
        elif path.startswith("/api/v1/"):
            assert response.status == (422 if door in SIGNING_IN else 401), path
        elif (route.method, door) in BY_ADDRESS:
            assert response.status == 503, path
        elif route.method == "GET":
            assert response.url.path == "/connexion", path
        else:
            assert response.status == 403 or response.url.path == "/connexion", path
