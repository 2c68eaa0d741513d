"""A town with its auth, its people, and what the mails would say."""

from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient

from auth.__main__ import create_staff
from auth.app import build
from auth.settings import Settings
from chassis.broker import declare
from chassis.encryption import Encryption
from chassis.testing import Probe, Tokens
from local_stack.testing import owner_url

ADDRESS = "192.0.2.1"
CHILD = {
    "first_name": "Léa",
    "last_name": "Dupont",
    "birth_date": "2018-04-17",
    "school": "École Jacques-Prévert",
    "class_name": "CE1",
}
HOUSEHOLD = {
    "reference": "F-0001",
    "name": "Famille Dupont",
    "address": ["1 rue de l'École", "56700 Saint-Aubin"],
    "guardians": [
        {
            "first_name": "Camille",
            "last_name": "Dupont",
            "email": "camille@example.org",
            "identifier": "camille.d",
            "secret": "un-bon-secret",
        }
    ],
    "children": [CHILD],
}


@dataclass
class Town:
    """auth over HTTP, an administrator, and the events that leave."""

    client: TestClient[Any, Any]
    settings: Settings
    probe: Probe

    async def post(self, path: str, body: Any = None, headers: dict[str, str] | None = None) -> ClientResponse:
        return await self.client.post(path, json=body, headers=headers)

    async def sign_in(
        self, identifier: str, secret: str, address: str = ADDRESS, device: str = "the usual telephone"
    ) -> ClientResponse:
        codes = {"identifier": identifier, "secret": secret}
        body = {**codes, "client_address": address, "user_agent": "Firefox/150", "device": f"{device:_<32}"}
        return await self.post("/sessions", body)

    async def session(self, identifier: str = "camille.d", secret: str = "un-bon-secret") -> str:  # noqa: S107
        response = await self.sign_in(identifier, secret)
        assert response.status == 201, await response.text()
        return str((await response.json())["session"])

    async def token_of(self, session: str, audience: str = "auth") -> ClientResponse:
        return await self.post("/tokens", {"session": session, "audience": audience})

    async def headers(self, session: str) -> dict[str, str]:
        response = await self.token_of(session)
        assert response.status == 200, await response.text()
        return Tokens.headers((await response.json())["token"])

    async def staff(self, identifier: str = "admin", secret: str = "admin-secret") -> dict[str, str]:  # noqa: S107
        return await self.headers(await self.session(identifier, secret))

    async def has_household(self, **changes: Any) -> dict[str, Any]:
        """A household; with the codes that were drawn for it, if any."""
        response = await self.post("/households", {**HOUSEHOLD, **changes}, await self.staff())
        assert response.status == 201, await response.text()
        body: dict[str, Any] = await response.json()
        return {**body["household"], "codes": body["access_codes"]}

    async def has_letter(self, **changes: Any) -> dict[str, str]:
        """A household whose guardian has the codes of a letter; those codes."""
        guardians = [{"first_name": "Nadia", "last_name": "Petit", "email": "nadia@example.org"}]
        made = await self.has_household(**{"reference": "F-0002", "guardians": guardians, "children": [], **changes})
        codes: dict[str, str] = made["codes"][0]
        return codes

    async def mailed(self, event_type: str) -> dict[str, Any]:
        """What the next mail of that kind is made from, the token of its link opened."""
        data = dict((await self.probe.next(event_type)).data)
        if sealed := data.pop("sealed_token", None):
            data["token"] = Encryption(self.settings.link_secret, "LINK_SECRET").decrypt(sealed.encode()).decode()
        return data

    async def sql(self, query: str, *arguments: Any) -> Any:
        """One value, read or changed as the owner of the tables."""
        connection = await asyncpg.connect(owner_url(self.settings.database_url))
        try:
            return await connection.fetchval(query, *arguments)
        finally:
            await connection.close()


async def code(response: ClientResponse) -> tuple[int, str]:
    """The status and the failure's name."""
    return response.status, (await response.json(content_type=None)).get("code", "")


@pytest.fixture
async def settings(database_url: str, amqp_url: str) -> Settings:
    await declare(amqp_url, [], [])
    return Settings(
        database_url=database_url,
        amqp_url=amqp_url,
        auth_url="http://unused",
        http_port=0,
        town_name="Saint-Aubin",
        public_url="https://familles.example",
        link_secret="the secret of the links, long enough",
        auth_key_secret="a secret of the tests, long enough to be accepted",
        argon2_time_cost=1,
        argon2_memory_kib=64,
    )


@pytest.fixture
async def client(aiohttp_client: Any, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> TestClient[Any, Any]:
    monkeypatch.setenv("STAFF_SECRET", "admin-secret")
    words = ["--identifier", "admin", "--name", "Ada Min", "--role", "administrator"]
    assert await create_staff(settings, words) == 0
    made: TestClient[Any, Any] = await aiohttp_client(build(settings))
    return made


@pytest.fixture
async def town(client: TestClient[Any, Any], settings: Settings, probe: Probe) -> Town:
    return Town(client, settings, probe)
