"""The secret that README prints opens the demo town and nothing else."""

from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from auth.__main__ import create_staff, refuse_demo_accounts
from auth.app import build
from auth.settings import Settings
from chassis.command_errors import BadArgument, SetUpRefused

SECRET = "demo-2026-demo"
STAFF = ["--identifier", "mairie", "--name", "Dominique Exemple", "--role", "administrator"]
CODES = {"secret": SECRET, "client_address": "192.0.2.1", "user_agent": "Firefox/150"}
HOUSEHOLD = {
    "reference": "F-0001",
    "name": "Famille Dupont",
    "address": ["1 place de la Mairie"],
    "guardians": [{"first_name": "Camille", "last_name": "Dupont", "identifier": "demo01", "secret": SECRET}],
    "children": [],
}


@pytest.fixture
def of_demo(settings: Settings) -> Settings:
    return settings.model_copy(update={"demo_accounts": True})


@pytest.fixture
async def demo(aiohttp_client: Any, of_demo: Settings, monkeypatch: pytest.MonkeyPatch) -> TestClient[Any, Any]:
    """The demo town's auth, with its administrator."""
    monkeypatch.setenv("STAFF_SECRET", SECRET)
    assert await create_staff(of_demo, STAFF) == 0
    made: TestClient[Any, Any] = await aiohttp_client(build(of_demo))
    return made


async def signs_in(client: TestClient[Any, Any], identifier: str) -> int:
    response = await client.post("/sessions", json={**CODES, "identifier": identifier})
    return response.status


async def add_household(client: TestClient[Any, Any], household: dict[str, Any], **codes: str) -> tuple[int, str]:
    """The status of the answer, and the failure's name."""
    signed_in = await client.post("/sessions", json={**CODES, "identifier": "mairie", **codes})
    session = (await signed_in.json())["session"]
    token = await client.post("/tokens", json={"session": session, "audience": "auth"})
    headers = {"Authorization": f"Bearer {(await token.json())['token']}"}
    answer = await client.post("/households", json=household, headers=headers)
    return answer.status, (await answer.json()).get("code", "")


async def test_the_demo_towns_accounts_open_no_real_portal_and_set_up_refuses_to_go_on_over_them(
    demo: TestClient[Any, Any], settings: Settings, of_demo: Settings, aiohttp_client: Any
) -> None:
    assert await add_household(demo, HOUSEHOLD) == (201, "")
    assert await signs_in(demo, "demo01") == 201
    await refuse_demo_accounts(of_demo)
    real: TestClient[Any, Any] = await aiohttp_client(build(settings))
    assert [await signs_in(real, name) for name in ("mairie", "demo01")] == [401, 401]
    with pytest.raises(SetUpRefused, match="mairie, demo01"):
        await refuse_demo_accounts(settings)


async def test_a_town_with_secrets_of_its_own_is_set_up(
    settings: Settings, client: TestClient[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAFF_SECRET", "the-towns-own-secret")
    assert await create_staff(settings, STAFF) == 0
    await refuse_demo_accounts(settings)
    assert await signs_in(client, "mairie") == 401


async def test_nobody_is_given_the_published_secret(
    settings: Settings, client: TestClient[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = await add_household(client, HOUSEHOLD, identifier="admin", secret="admin-secret")
    assert refused == (422, "secret_refused")
    monkeypatch.setenv("STAFF_SECRET", SECRET)
    with pytest.raises(BadArgument, match="printed in the documentation"):
        await create_staff(settings, STAFF)


@pytest.mark.parametrize(
    ("secret", "why"),
    [
        ("", "missing"),
        ("x" * 201, "more than 200"),
        ("court-9", "too short"),
        ("motdepasse2026", "everybody tries"),
        ("P@ssw0rd2026!", "everybody tries"),
        ("aaaaaaaaaaaa", "everybody tries"),
        ("saint-aubin-2026", "a name"),
        ("mairie-2026-mairie", "everybody tries"),
        ("Dominique!2026", "a name"),
        (SECRET, "printed in the documentation"),
    ],
)
async def test_an_account_of_the_town_hall_has_a_secret_that_the_portal_would_let_its_owner_choose(
    settings: Settings, client: TestClient[Any, Any], monkeypatch: pytest.MonkeyPatch, secret: str, why: str
) -> None:
    monkeypatch.setenv("STAFF_SECRET", secret)
    with pytest.raises(BadArgument, match=why):
        await create_staff(settings, ["--identifier", "dgs-2", "--name", "Dominique Exemple", "--role", "clerk"])
    assert await signs_in(client, "dgs-2") == 401


async def test_outside_a_demo_alone_is_the_published_secret_refused(
    of_demo: Settings, demo: TestClient[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAFF_SECRET", "demo-2026-dem")
    with pytest.raises(BadArgument):
        await create_staff(of_demo.model_copy(update={"town_name": "Demo"}), STAFF)
    monkeypatch.setenv("STAFF_SECRET", SECRET)
    assert await create_staff(of_demo, STAFF) == 0
    assert await signs_in(demo, STAFF[1]) == 201


@pytest.mark.parametrize("identifier", ["dgs", "x" * 41, "dom exemple", "d.exemple!", "", "élodie"])
async def test_an_identifier_that_nobody_could_type_is_refused_in_one_sentence(
    settings: Settings, identifier: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAFF_SECRET", "the-towns-own-secret")
    with pytest.raises(BadArgument, match="an identifier has 4 to 40 letters"):
        await create_staff(settings, ["--identifier", identifier, "--name", "D", "--role", "clerk"])


async def test_a_guardians_identifier_keeps_to_the_same_rule(demo: TestClient[Any, Any]) -> None:
    guardian = {**HOUSEHOLD["guardians"][0], "identifier": "camille dupont"}
    assert await add_household(demo, {**HOUSEHOLD, "guardians": [guardian]}) == (422, "invalid")


async def test_capitals_in_an_identifier_do_not_matter(
    settings: Settings, client: TestClient[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAFF_SECRET", "the-towns-own-secret")
    words = ["--identifier", " D.Exemple@Mairie ", "--name", "D", "--role", "clerk"]
    assert await create_staff(settings, words) == 0
    codes = {**CODES, "identifier": "d.exemple@mairie", "secret": "the-towns-own-secret"}
    assert (await client.post("/sessions", json=codes)).status == 201
