"""Who waits for one service keeps nobody from another, nor from another door of the same."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from chassis.clock import now
from contracts.api.auth import SignIn, Token
from contracts.failures import Unavailable
from contracts.identity import Identity, Role
from gateway.clients.services import CONNECTIONS_A_SERVICE_MAX, SIGN_IN, Services
from gateway.settings import Settings

MORE_THAN_FIT = CONNECTIONS_A_SERVICE_MAX + 50
PERSON = Identity(subject_id=uuid4(), session_id=uuid4(), name="A B", roles=frozenset({Role.PARENT}))
TOKEN = Token(token="a.b.c", expires_at=now() + timedelta(minutes=1), identity=PERSON)


class Slow:
    """A service that answers at ``/quick`` and ``/tokens``, and lets everybody else wait."""

    def __init__(self) -> None:
        self.waiting, self.full = 0, asyncio.Event()
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self.server = TestServer(app)

    async def _answer(self, request: web.Request) -> web.Response:
        if request.path == "/tokens":
            return web.Response(text=TOKEN.model_dump_json())
        if request.path != "/quick":
            self.waiting += 1
            if self.waiting >= CONNECTIONS_A_SERVICE_MAX:
                self.full.set()
            await asyncio.Event().wait()
        return web.json_response({})


@pytest.fixture
async def slow() -> AsyncIterator[dict[str, Slow]]:
    made = {"auth": Slow(), "billing": Slow()}
    for each in made.values():
        await each.server.start_server(shutdown_timeout=0.1)
    yield made
    for each in made.values():
        await each.server.close()


@pytest.fixture
async def services(slow: dict[str, Slow]) -> AsyncIterator[Services]:
    urls = {name: str(slow[name].server.make_url("")).rstrip("/") for name in slow}
    away = dict.fromkeys(("planning_url", "payment_gateway_url", "notifier_url"), urls["billing"])
    made = Services(
        Settings.model_construct(
            auth_url=urls["auth"],
            billing_url=urls["billing"],
            service_seconds_max=60,
            sign_in_seconds_max=60,
            public_url="http://x",
            **away,
        )
    )
    await made.start()
    yield made
    await made.stop()


@pytest.mark.parametrize(("name", "path"), [("auth", SIGN_IN), ("billing", "/slow")])
async def test_a_crowd_that_waits_keeps_nobody_else_waiting(
    services: Services, slow: dict[str, Slow], name: str, path: str
) -> None:
    payload = SignIn(identifier="a", secret=SecretStr("b"), client_address="10.0.0.1", user_agent="")

    async def waits() -> Any:
        return await (services.sign_in(payload) if path == SIGN_IN else services.raw(name, "GET", path))

    crowd = [asyncio.create_task(waits()) for _ in range(MORE_THAN_FIT)]
    await slow[name].full.wait()
    await services.raw("auth", "GET", "/quick")
    assert not any(each.done() for each in crowd)
    for each in crowd:
        each.cancel()
    found = await asyncio.gather(*crowd, return_exceptions=True)
    assert all(isinstance(each, asyncio.CancelledError | Unavailable) for each in found)


async def test_of_more_tokens_than_are_kept_the_oldest_go(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.clients.services.TOKENS_MAX", 3)
    sessions = [str(number) * 43 for number in range(6)]
    for session in sessions:
        assert (await services.token(session, "billing")).identity == PERSON
    kept = [services.kept(session, "billing") is not None for session in sessions]
    assert kept == [False, False, False, True, True, True]
