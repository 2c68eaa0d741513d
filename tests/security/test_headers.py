"""The headers of every answer of the gateway: each route, each kind of refusal, with and without HTTPS."""

from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from contracts.model import Language
from gateway.pages.shared import rendering
from tests.support.headers import wrong, wrong_cookie

PORTAL, SECURE = "http://portal.example", "https://portal.example"
pytestmark = [pytest.mark.timeout(300)]


@pytest.mark.parametrize("public_url", [PORTAL, SECURE])
async def test_every_answer_to_a_stranger_has_its_headers(
    gateway_alone: Any, somewhere: Any, record_property: Any, public_url: str
) -> None:
    client, found, asked = await gateway_alone(public_url=public_url), [], 0
    doors = {(each.method, each.resource.canonical) for each in client.app.router.routes() if each.resource}
    ways: list[tuple[str, str, dict[str, Any]]] = [(method, somewhere(path), {}) for method, path in sorted(doors)]
    ways += [(method, somewhere(path), {}) for path in {path for _, path in doors} for method in ("PATCH", "OPTIONS")]
    ways += REFUSED
    for method, path, more in ways:
        headers = {"Host": "portal.example", **more.get("headers", {})}
        sent = {**more, "headers": headers, "allow_redirects": False}
        async with client.request(method, path, **sent) as answer:
            lines, asked = wrong(answer, is_secure=public_url == SECURE), asked + 1
            found += [f"{method} {path} {answer.status}: {line}" for line in lines if not path.startswith("/health/")]
    record_property("looked at", f"{asked} answers to a stranger, {public_url.partition(':')[0]}")
    assert not found, "\n".join(found)


REFUSED: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/nulle-part", {}),
    ("GET", "/%00", {}),
    ("GET", "/connexion", {"headers": {"Host": "another.example"}}),
    ("POST", "/api/v1/sessions", {"data": b"{", "headers": {"Content-Type": "application/json"}}),
    ("POST", "/api/v1/sessions", {"json": {"identifier": "a", "secret": "b"}}),
    ("POST", "/connexion", {"data": b"x" * 3_000_000}),
    ("POST", "/webhooks/payfip", {"data": b"x" * 20_000}),
    ("POST", "/webhooks/nobody", {}),
    ("GET", "/static/style.css", {"headers": {"If-None-Match": "*"}}),
]
"""404, another host, unreadable, away, too long: each by a way of its own."""


METHODS = ("HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "ANYTHING")


async def test_no_method_breaks_a_route(gateway_alone: Any, somewhere: Any) -> None:
    """A method that a route does not have is refused and no defect; a bank's webhook has no HEAD either."""
    client = await gateway_alone(public_url=PORTAL)
    paths = {each.resource.canonical for each in client.app.router.routes() if each.resource}
    found = []
    for path in sorted(paths):
        for method in METHODS:
            async with client.request(method, somewhere(path), allow_redirects=False) as answer:
                is_refused = answer.status in {400, 405}
                if answer.status == 500 or (path.startswith("/webhooks/") and not is_refused):
                    found.append(f"{method} {path}: {answer.status}")
    assert not found, "\n".join(found)


@pytest.mark.parametrize("public_url", [PORTAL, SECURE])
async def test_a_cookie_is_dropped_with_the_marks_it_was_given_with(gateway_alone: Any, public_url: str) -> None:
    """A browser heeds nothing else for a name that begins with ``__Host-``: a session that is left stays left."""
    client, is_secure = await gateway_alone(public_url=public_url), public_url == SECURE
    request, response = make_mocked_request("GET", "/", app=client.app), web.Response()
    rendering.set_session_cookie(request, response, "a-session")
    rendering.set_device_cookie(request, response, "a-device")
    rendering.set_language_cookie(request, response, Language.EN, of_account=False)
    given = [wrong_cookie(each, is_secure=is_secure) for each in response.cookies.values()]
    for name in list(response.cookies):
        rendering.delete_cookie(request, response, name)
    dropped = [wrong_cookie(each, is_secure=is_secure) for each in response.cookies.values()]
    assert given == dropped == [[], [], []]
    assert {int(each["max-age"]) for each in response.cookies.values()} == {0}
