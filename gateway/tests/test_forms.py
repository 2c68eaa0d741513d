"""A form is ours when it carries the token of the session and does not say that it comes from elsewhere."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from pydantic import SecretStr

from chassis.http import problem_of
from contracts.failures import Refusal
from gateway.clients.services import SERVICES, Services
from gateway.forms.fields import line
from gateway.pages.shared.rendering import FormToken, checked_form, cookie_name
from gateway.settings import SETTINGS, Settings

PORTAL = "https://portail.example"
OURS = Settings.model_construct(public_url=PORTAL, csrf_secret=SecretStr("a secret of the tests alone"))


async def _form(request: web.Request) -> web.Response:
    return web.Response(text=FormToken(request).__html__())


async def _take(request: web.Request) -> web.Response:
    try:
        form = await checked_form(request, {"field": line("Champ")})
    except Refusal as refusal:
        return web.Response(status=problem_of(refusal).status)
    return web.Response(text=str(form["field"]))


@pytest.fixture
async def browser() -> AsyncIterator[TestClient[Any, Any]]:
    app = web.Application()
    app[SETTINGS], app[SERVICES] = OURS, Services.__new__(Services)
    app.router.add_get("/form", _form)
    app.router.add_post("/form", _take)
    async with TestClient(TestServer(app)) as client:
        yield client


async def sent(browser: Any, *, session: str = "s1", sent_by: str = "s1", **headers: str) -> int:
    name = cookie_name(OURS)
    token = await (await browser.get("/form", headers={"Cookie": f"{name}={session}"})).text()
    headers = {"Cookie": f"{name}={sent_by}", **headers}
    response = await browser.post("/form", data={"form_token": token, "field": "x"}, headers=headers)
    return int(response.status)


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (PORTAL, 200),
        ("https://elsewhere.example", 403),
        ("http://portail.example", 403),
        (f"{PORTAL}:8443", 403),
        (f"{PORTAL}.elsewhere.example", 403),
        ("null", 403),
    ],
)
async def test_a_form_that_says_that_it_comes_from_elsewhere_is_refused_with_a_good_token(
    browser: Any, origin: str, status: int
) -> None:
    assert await sent(browser, Origin=origin) == status


async def test_a_browser_that_does_not_say_where_a_form_comes_from_is_believed_its_token(browser: Any) -> None:
    assert await sent(browser) == 200


async def test_the_token_of_another_session_is_refused(browser: Any) -> None:
    assert await sent(browser, sent_by="s2") == 409
    assert await sent(browser, sent_by="s2", Origin=PORTAL) == 409
    assert await sent(browser, sent_by="s2", Origin="https://elsewhere.example") == 403


@pytest.mark.parametrize("given", ["", "0" * 96, "é" * 40])
async def test_a_token_that_is_none_is_refused(browser: Any, given: str) -> None:
    response = await browser.post("/form", data={"form_token": given, "field": "x"}, headers={"Origin": PORTAL})
    assert response.status == 403
