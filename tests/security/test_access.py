"""Who may open which door: every route of every service, asked by every kind of person, about one's own household and
another's. The routes come from the programs themselves; what was found is kept in ``docs/access.md``, so that a new
door, or one that opens to somebody new, shows in the change that makes it.

``RENEW=1 pytest tests/security -k readable`` (``make access``) writes the file anew.
"""

import os
from pathlib import Path
from typing import Any

import jwt
import pytest

from chassis.testing import Tokens
from contracts.identity import Identity

FILE = Path(__file__).parents[2] / "docs" / "access.md"
HEAD = """# Who may open which door

Written by `make access` from the running services, kept true by `tests/security/test_access.py`. ✓: the door opens
(what is behind it may still say no). ·: refused, or told that there is no such thing. "Own" and "other" are parents,
asking about their own household and about another's; the town hall's people ask about any.
"""
PEOPLE = ("nobody", "own", "other", "clerk", "till keeper", "administrator", "operator")

pytestmark = pytest.mark.timeout(300)


async def test_the_doors_open_for_whom_the_readable_table_says(programs: list[Any], record_property: Any) -> None:
    lines = [HEAD]
    for program in programs:
        lines += [f"\n## {program.name}\n", f"| door | {' | '.join(PEOPLE)} |", "|---|" + ":-:|" * len(PEOPLE)]
        for method, path in program.doors():
            opens = {person: await program.opens(method, path, person) for person in PEOPLE}
            marks = " | ".join("✓" if opens[person] else "·" for person in PEOPLE)
            lines.append(f"| `{method} {path}` | {marks} |")
            of_household = any(part in path for part in ("{household_id}", "{payment_id}", "{checkout_id}"))
            assert not (of_household and (opens["other"] or opens["nobody"])), f"{method} {path} lets strangers in"
    record_property("looked at", f"{sum(len(each.doors()) for each in programs)} doors × {len(PEOPLE)} kinds of people")
    text = "\n".join(lines) + "\n"
    if os.environ.get("RENEW"):
        FILE.write_text(text, encoding="utf-8")
    assert FILE.read_text(encoding="utf-8") == text, "a door has changed: `make access`, then read the difference"


async def test_every_service_refuses_every_token_that_is_not_for_it(programs: list[Any]) -> None:
    for program in programs:
        person, door = program.person("administrator"), _protected(program)
        good = program.sign(person, audience=program.name)
        assert (await program.ask(*door, Tokens.headers(good), program.ids))[0] != 401, program.name
        for why, bad in _forged(program, person, good).items():
            assert (await program.ask(*door, Tokens.headers(bad), program.ids))[0] == 401, f"{program.name}: {why}"


def _protected(program: Any) -> tuple[str, str]:
    return {
        "auth": ("GET", "/households"),
        "planning": ("GET", "/activities"),
        "billing": ("GET", "/households/{household_id}/invoices"),
        "payment-gateway": ("GET", "/payments"),
        "notifier": ("GET", "/mails"),
    }[program.name]


def _forged(program: Any, person: Identity, good: str) -> dict[str, str]:
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


async def test_no_page_of_the_gateway_opens_to_a_stranger(gateway_alone: Any, somewhere: Any) -> None:
    client = await gateway_alone()
    for route in client.app.router.routes():
        door = path = route.resource.canonical if route.resource else ""
        if route.method == "HEAD" or path.startswith(("/health/", "/static", "/town.css", "/crest", "/webhooks/")):
            continue
        path = somewhere(path)
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
