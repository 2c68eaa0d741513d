"""auth over HTTP, on a real database and broker."""

import asyncio
from typing import Any
from uuid import uuid4

import asyncpg
import jwt
import pytest
from aiohttp.test_utils import TestClient

from auth.__main__ import close_staff, create_staff, republish, rotate_keys
from auth.api import Hasher
from auth.app import build
from auth.settings import Settings
from chassis.testing import Probe, Tokens, eventually
from local_stack.testing import owner_url

CODES = {"identifier": "Camille.D", "secret": "un-bon-secret"}
HOUSEHOLD = {
    "reference": "F-0001",
    "name": "Famille Dupont",
    "address": ["1 rue de l'École", "56700 Saint-Aubin"],
    "guardians": [{"first_name": "Camille", "last_name": "Dupont", "email": "camille@example.org", **CODES}],
    "children": [
        {
            "first_name": "Léa",
            "last_name": "Dupont",
            "birth_date": "2018-04-17",
            "school": "École Jacques-Prévert",
            "class_name": "CE1",
        }
    ],
}


async def sign_in(client: TestClient[Any, Any], identifier: str, secret: str, address: str = "192.0.2.1") -> Any:
    body = {"identifier": identifier, "secret": secret, "client_address": address, "user_agent": "test"}
    return await client.post("/sessions", json=body)


async def token(client: TestClient[Any, Any], session: str, audience: str = "auth") -> str:
    response = await client.post("/tokens", json={"session": session, "audience": audience})
    assert response.status == 200, await response.text()
    return str((await response.json())["token"])


async def admin(client: TestClient[Any, Any]) -> dict[str, str]:
    response = await sign_in(client, "ADMIN", "admin-secret")
    return Tokens.headers(await token(client, (await response.json())["session"]))


async def household(client: TestClient[Any, Any], payload: dict[str, Any] = HOUSEHOLD) -> dict[str, Any]:
    response = await client.post("/households", json=payload, headers=await admin(client))
    assert response.status == 201, await response.text()
    made: dict[str, Any] = (await response.json())["household"]
    return made


async def test_a_parent_signs_in_reads_its_household_and_signs_out(client: TestClient[Any, Any], probe: Probe) -> None:
    made = await household(client)
    told = await probe.next("auth.household.changed")
    assert told.data["version"] == 1
    assert told.data["children"][0]["first_name"] == "Léa"
    assert (await probe.next("auth.guardian.changed")).data["email"] == "camille@example.org"
    response = await sign_in(client, " camille.d ", "un-bon-secret")
    assert response.status == 201
    signed_in = await response.json()
    assert signed_in["identity"]["roles"] == ["parent"]
    headers = Tokens.headers(await token(client, signed_in["session"]))
    response = await client.get(f"/households/{made['household_id']}", headers=headers)
    assert (await response.json())["reference"] == "F-0001"
    assert (await client.get(f"/households/{uuid4()}", headers=headers)).status == 404
    assert (await client.get("/households", headers=headers)).status == 403
    for _ in range(2):
        assert (await client.post("/sessions/end", json={"session": signed_in["session"]})).status == 204
    ended = await probe.next("auth.session.ended")
    assert ended.data["session_id"] == signed_in["identity"]["session_id"]
    refused = await client.post("/tokens", json={"session": signed_in["session"], "audience": "auth"})
    assert refused.status == 401
    assert (await refused.json(content_type=None))["code"] == "session_ended"


async def test_every_wrong_code_gets_the_same_answer(client: TestClient[Any, Any]) -> None:
    await household(client)
    answers = []
    for identifier, secret in (("camille.d", "wrong"), ("nobody-at-all", "wrong"), ("camille.d", "")):
        response = await sign_in(client, identifier, secret)
        body = await response.json(content_type=None)
        answers.append((response.status, body["code"], body["detail"]))
    assert set(answers) == {(401, "wrong_codes", "the two codes do not go together")}


async def test_an_unknown_identifier_and_a_letter_cost_a_verification_too(settings: Settings) -> None:
    hasher = Hasher(settings)
    verified: list[str] = []
    argon2_verify = hasher._argon2.verify

    class Counting:
        def verify(self, stored: str, secret: str) -> bool:
            verified.append(stored)
            return argon2_verify(stored, secret)

    hasher._argon2 = Counting()  # type: ignore[assignment]
    letter = hasher.letter_hash("h4tn-8wkc-qz3m")
    assert not await hasher.verify(None, "the secret of nobody")
    assert await hasher.verify(letter, "H4TN 8WKC QZ3M")
    assert not await hasher.verify(letter, "h4tn-8wkc-qz3n")
    assert not await hasher.verify(letter, "the secret of nobody")
    assert len(verified) == 4


async def test_a_lock_survives_a_restart_and_holds_on_two_replicas(
    client: TestClient[Any, Any], aiohttp_client: Any, settings: Settings
) -> None:
    await household(client)
    other = await aiohttp_client(build(settings))
    statuses = [(await sign_in(each, "camille.d", "wrong")).status for each in (client, other, client, other, client)]
    assert statuses == [401] * 5
    restarted = await aiohttp_client(build(settings))
    for each in (client, other, restarted):
        response = await sign_in(each, "camille.d", "un-bon-secret")
        assert response.status == 429
        assert 0 < int(response.headers["Retry-After"]) <= 61
    assert (await sign_in(restarted, "admin", "admin-secret")).status == 201


async def test_sessions_expire_and_unknown_ones_never_were(
    aiohttp_client: Any, client: TestClient[Any, Any], settings: Settings
) -> None:
    short = await aiohttp_client(build(settings.model_copy(update={"session_idle_seconds": 1})))
    session = (await (await sign_in(client, "admin", "admin-secret")).json())["session"]
    await asyncio.sleep(1.1)
    assert (await short.post("/tokens", json={"session": session, "audience": "auth"})).status == 401
    assert (await client.post("/tokens", json={"session": "x" * 43, "audience": "auth"})).status == 401
    assert (await client.post("/tokens", json={"session": session, "audience": "nobody"})).status == 422


async def test_tokens_of_other_services_and_forged_ones_are_refused(client: TestClient[Any, Any]) -> None:
    session = (await (await sign_in(client, "admin", "admin-secret")).json())["session"]
    good = await token(client, session)
    header = jwt.get_unverified_header(good)
    claims = jwt.decode(good, options={"verify_signature": False})
    assert claims["aud"] == "auth"
    assert claims["exp"] - claims["iat"] == 60
    forged = jwt.encode(claims, "x" * 32, algorithm="HS256", headers={"kid": header["kid"]})
    for bad in (await token(client, session, "billing"), forged, good[:-6] + "AAAAAA"):
        assert (await client.get("/households", headers=Tokens.headers(bad))).status == 401
    assert (await client.get("/households", headers=Tokens.headers(good))).status == 200
    keys = (await (await client.get("/.well-known/jwks.json")).json())["keys"]
    assert [key["kid"] for key in keys] == [header["kid"]]
    assert "d" not in keys[0]


async def test_a_household_is_written_once_and_a_shared_child_is_joined(client: TestClient[Any, Any]) -> None:
    first = await household(client)
    headers = await admin(client)
    again = await client.post("/households", json=HOUSEHOLD, headers=headers)
    assert again.status == 200
    assert (await again.json())["access_codes"] == []
    other = {**HOUSEHOLD, "name": "Autre famille"}
    assert (await client.post("/households", json=other, headers=headers)).status == 409
    child = {**first["children"][0], "custody": "odd_weeks"}
    shared = {
        **HOUSEHOLD,
        "reference": "F-0002",
        "children": [child],
        "guardians": [{"first_name": "A", "last_name": "B"}],
    }
    response = await client.post("/households", json=shared, headers=headers)
    body = await response.json()
    assert response.status == 201
    assert body["household"]["children"][0]["child_id"] == child["child_id"]
    codes = body["access_codes"][0]
    assert (await sign_in(client, codes["identifier"], codes["secret"])).status == 201
    unknown = {**shared, "reference": "F-0003", "children": [{**child, "child_id": str(uuid4())}]}
    assert (await client.post("/households", json=unknown, headers=headers)).status == 422
    taken = {**HOUSEHOLD, "reference": "F-0004"}
    assert (await client.post("/households", json=taken, headers=headers)).status == 409


async def test_only_an_administrator_chooses_codes(
    client: TestClient[Any, Any], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAFF_SECRET", "clerk-secret")
    assert await create_staff(settings, ["--identifier", "clerk", "--name", "C", "--role", "clerk"]) == 0
    session = (await (await sign_in(client, "clerk", "clerk-secret")).json())["session"]
    headers = Tokens.headers(await token(client, session))
    assert (await client.post("/households", json=HOUSEHOLD, headers=headers)).status == 403


async def test_a_staff_account_that_is_renewed_or_closed_is_signed_out_at_once(
    client: TestClient[Any, Any], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["--identifier", "clerk", "--name", "C", "--role", "clerk"]
    for secret in ("clerk-secret", "clerk-secret-2"):
        monkeypatch.setenv("STAFF_SECRET", secret)
        assert await create_staff(settings, words) == 0
        session = (await (await sign_in(client, "clerk", secret)).json())["session"]
        await token(client, session)
        if secret == "clerk-secret":
            first = session
    assert (await client.post("/tokens", json={"session": first, "audience": "auth"})).status == 401
    assert await close_staff(settings, ["--identifier", "clerk"]) == 0
    assert (await client.post("/tokens", json={"session": session, "audience": "auth"})).status == 401
    assert (await sign_in(client, "clerk", "clerk-secret-2")).status == 401
    assert await close_staff(settings, ["--identifier", "clerk"]) == 1
    assert await create_staff(settings, words) == 0
    assert (await sign_in(client, "clerk", "clerk-secret-2")).status == 201


async def test_republish_tells_everything_again(client: TestClient[Any, Any], probe: Probe, settings: Settings) -> None:
    made = await household(client)
    await probe.next("auth.guardian.changed")
    assert await republish(settings, []) == 0
    again = await probe.next("auth.household.changed")
    assert again.data["household_id"] == made["household_id"]
    assert again.data["version"] == 1


async def test_a_new_signing_key_is_shown_before_it_signs_and_the_old_one_stays_until_its_tokens_are_over(
    client: TestClient[Any, Any], settings: Settings, aiohttp_client: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    async def replica() -> TestClient[Any, Any]:
        made: TestClient[Any, Any] = await aiohttp_client(build(settings))
        return made

    async def shown(each: TestClient[Any, Any]) -> set[str]:
        keys = (await (await each.get("/.well-known/jwks.json")).json())["keys"]
        return {key["kid"] for key in keys}

    async def signed(each: TestClient[Any, Any]) -> str:
        session = (await (await sign_in(each, "admin", "admin-secret")).json())["session"]
        return await token(each, session)

    old = await signed(client)
    old_id = jwt.get_unverified_header(old)["kid"]
    assert await rotate_keys(settings, []) == 0
    new_id = capsys.readouterr().out.strip()
    second = await replica()
    assert await shown(second) == {old_id, new_id}
    assert jwt.get_unverified_header(await signed(second))["kid"] == old_id
    await as_owner(settings, "UPDATE signing_key SET signs_from = signs_from - interval '5 minutes'")
    third = await replica()
    assert jwt.get_unverified_header(await signed(third))["kid"] == new_id
    assert (await third.get("/account", headers=Tokens.headers(old))).status == 200
    assert await rotate_keys(settings, ["--now"]) == 0
    stolen_id, fourth = capsys.readouterr().out.strip(), await replica()

    async def forgotten() -> bool:
        return await shown(third) == {stolen_id}

    await eventually(forgotten)
    for each in (third, fourth):
        assert await shown(each) == {stolen_id}
        assert (await each.get("/account", headers=Tokens.headers(old))).status == 401
        assert jwt.get_unverified_header(await signed(each))["kid"] == stolen_id


async def as_owner(settings: Settings, statement: str) -> None:
    """Change what the program cannot: only the owner of the tables may."""
    connection = await asyncpg.connect(owner_url(settings.database_url))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
