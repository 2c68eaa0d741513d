"""A door opens for a token that auth signed for this service, for nothing else."""

import base64
import json
import time
from typing import Any
from uuid import uuid4

import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from chassis.http import application, json_response, public
from chassis.identity import household_in_path, identity, require, use_identity
from chassis.settings import EdgeSettings
from chassis.testing import Tokens, eventually
from contracts.identity import Identity, Permission, Role

HOUSEHOLD = uuid4()


def build(auth_url: str) -> web.Application:
    async def me(request: web.Request) -> web.Response:
        return json_response(identity(request))

    async def staff_only(request: web.Request) -> web.Response:
        return json_response(require(request, Permission.PUBLISH_INVOICES))

    async def own(request: web.Request) -> web.Response:
        return web.json_response(str(household_in_path(request, Permission.READ_HOUSEHOLDS)))

    async def open_door(_request: web.Request) -> web.Response:
        return web.json_response("open")

    settings = EdgeSettings(amqp_url="amqp://unused", auth_url=auth_url, http_port=0)
    app = application("billing", settings)
    use_identity(app, settings, audience="billing")
    app.router.add_get("/me", me)
    app.router.add_get("/staff", staff_only)
    app.router.add_get("/households/{household_id}", own)
    app.router.add_get("/open", public(open_door))
    return app


@pytest.fixture
async def client(aiohttp_client: Any, tokens: Tokens) -> TestClient[Any, Any]:
    made: TestClient[Any, Any] = await aiohttp_client(build(tokens.url))
    return made


async def status(client: TestClient[Any, Any], path: str, token: str) -> int:
    response = await client.get(path, headers=Tokens.headers(token))
    return response.status


async def test_a_good_token_opens_and_a_missing_one_does_not(client: TestClient[Any, Any], tokens: Tokens) -> None:
    token = tokens.parent(HOUSEHOLD, audience="billing")
    response = await client.get("/me", headers=Tokens.headers(token))
    assert Identity.model_validate(await response.json()).household_id == HOUSEHOLD
    assert (await client.get("/me")).status == 401
    assert (await client.get("/me", headers={"Authorization": "Basic YTpi"})).status == 401
    assert (await client.get("/open")).status == 200
    assert (await client.get("/nowhere")).status == 404


async def test_tokens_that_are_not_for_us_are_refused(client: TestClient[Any, Any], tokens: Tokens) -> None:
    person = Identity(subject_id=uuid4(), session_id=uuid4(), name="A", roles=frozenset({Role.PARENT}))
    assert await status(client, "/me", tokens.token(person, audience="billing")) == 200
    assert await status(client, "/me", tokens.token(person, audience="planning")) == 401
    assert await status(client, "/me", tokens.token(person, audience="billing", iss="somebody")) == 401
    assert await status(client, "/me", tokens.token(person, audience="billing", exp=int(time.time()) - 60)) == 401
    assert await status(client, "/me", tokens.token(person, audience="billing", aud=["billing", "planning"])) == 401
    assert await status(client, "/me", tokens.token(person, audience="billing", roles=["emperor"])) == 401
    assert await status(client, "/me", tokens.token(person, audience="billing", sub="not-an-id")) == 401


async def test_forged_tokens_are_refused(client: TestClient[Any, Any], tokens: Tokens) -> None:
    good = tokens.parent(HOUSEHOLD, audience="billing")
    head, payload, signature = good.split(".")
    claims = jwt.decode(good, options={"verify_signature": False})
    stranger = Tokens()
    stranger.key_id = tokens.key_id
    other_key_id = Tokens()
    other_key_id.key_id = "unknown"
    public = base64.urlsafe_b64decode(tokens.jwks()["keys"][0]["x"] + "==")
    none_head = base64.urlsafe_b64encode(json.dumps({"alg": "none", "kid": tokens.key_id}).encode()).decode().strip("=")
    altered = base64.urlsafe_b64encode(json.dumps({**claims, "household_id": str(uuid4())}).encode()).decode()
    forged = [
        f"{head}.{altered.strip('=')}.{signature}",
        f"{head}.{payload}.{signature[:-4]}AAAA",
        f"{none_head}.{payload}.",
        jwt.encode(claims, public, algorithm="HS256", headers={"kid": tokens.key_id}),
        stranger.parent(HOUSEHOLD, audience="billing"),
        other_key_id.parent(HOUSEHOLD, audience="billing"),
        "not-a-token",
        "a.b.c",
    ]
    assert [await status(client, "/me", token) for token in forged] == [401] * len(forged)


async def test_a_parent_reaches_its_own_household_only(client: TestClient[Any, Any], tokens: Tokens) -> None:
    token = tokens.parent(HOUSEHOLD, audience="billing")
    assert await status(client, f"/households/{HOUSEHOLD}", token) == 200
    assert await status(client, f"/households/{uuid4()}", token) == 404
    assert await status(client, "/households/1", token) == 404
    assert await status(client, "/staff", token) == 403
    clerk = tokens.staff(Role.CLERK, audience="billing")
    assert await status(client, f"/households/{HOUSEHOLD}", clerk) == 200
    assert await status(client, "/staff", clerk) == 403
    assert await status(client, "/staff", tokens.staff(Role.CASHIER, audience="billing")) == 200


async def test_without_auth_a_first_token_waits_for_later(aiohttp_client: Any, tokens: Tokens) -> None:
    client = await aiohttp_client(build("http://127.0.0.1:9"))
    response = await client.get("/me", headers=Tokens.headers(tokens.parent(HOUSEHOLD, audience="billing")))
    assert response.status == 503
    assert response.headers["Retry-After"]


async def test_a_key_that_auth_publishes_no_more_opens_nothing_a_moment_later(
    aiohttp_client: Any, tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chassis.identity.KEYS_ASKED_AGAIN_SECONDS", 0.05)
    client = await aiohttp_client(build(tokens.url))
    stolen = tokens.parent(HOUSEHOLD, audience="billing")
    assert await status(client, "/me", stolen) == 200
    tokens.key_id = "the next one"

    async def refused() -> bool:
        return await status(client, "/me", stolen) == 401

    await eventually(refused)
    assert await status(client, "/me", tokens.parent(HOUSEHOLD, audience="billing")) == 200
