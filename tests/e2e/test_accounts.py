"""Who they are: the letter's codes, forgotten ones, and sessions that die everywhere at once."""

import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from playwright.async_api import Page, expect

from chassis.testing import eventually
from local_stack.demo import SECRET, Demo
from local_stack.ports import claim
from local_stack.stack import Stack

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

CHOSEN, RENEWED = "trois tortues bleues", "quatre pommes vertes"
EMAIL = "ana.neuve@example.org"


async def sign_in(page: Page, stack: Stack, identifier: str, secret: str) -> None:
    await page.goto(f"{stack.gateway_url}/connexion")
    await page.get_by_label("Identifiant").fill(identifier)
    await page.get_by_label("Code secret").fill(secret)
    await page.get_by_role("button", name="Connexion", exact=True).click()


async def link_of_mail(stack: Stack, subject: str, to: str = EMAIL) -> str:
    """The link of the mail with that subject, once it has come."""

    async def ask() -> str:
        async with aiohttp.ClientSession() as http, http.get(f"{stack.url('mail')}/api/mails") as response:
            mails = [each for each in await response.json() if (each["subject"], each["to"]) == (subject, to)]
        return re.findall(r"http://\S+", mails[-1]["text"])[0] if mails else ""

    return await eventually(ask)


async def letter_codes(stack: Stack) -> dict[str, str]:
    """The codes of a letter for a family that is new."""
    payload = {
        "reference": "E2E-1",
        "name": "Famille Neuve",
        "address": ["1 rue Neuve", "00000 Saint-Aubin"],
        "guardians": [{"first_name": "Ana", "last_name": "Neuve", "email": "ana@example.org"}],
    }
    async with aiohttp.ClientSession() as http:
        town_hall = Demo(stack.url, http)
        await town_hall.sign_in()
        made = await town_hall._call("auth", "POST", "/households", payload)
    codes: dict[str, str] = made["access_codes"][0]
    return codes


async def test_from_the_letter_to_the_portal_and_back_in_when_the_codes_are_forgotten(
    phone: Page, stack: Stack
) -> None:
    codes = await letter_codes(stack)
    await sign_in(phone, stack, codes["identifier"], codes["secret"])
    await expect(phone.get_by_role("heading", name="Choisissez votre code secret")).to_be_visible()
    await phone.goto(f"{stack.gateway_url}/factures")
    await expect(phone.get_by_role("heading", name="Choisissez votre code secret")).to_be_visible()
    await phone.get_by_label("Votre code secret").fill("motdepasse2026")
    await phone.get_by_label("Votre adresse email").fill(EMAIL)
    await phone.get_by_role("button", name="Continuer").click()
    await expect(phone.get_by_role("alert")).to_contain_text("trop facile à deviner")
    assert await phone.get_by_label("Votre adresse email").input_value() == EMAIL
    await phone.get_by_label("Votre code secret").fill(CHOSEN)
    await phone.get_by_role("button", name="Continuer").click()
    await expect(phone.get_by_role("heading", name="Confirmez votre adresse email")).to_be_visible()
    other = await phone.context.new_page()
    await other.goto(await link_of_mail(stack, "Confirmez votre adresse email"))
    await other.get_by_role("button", name="Confirmer mon adresse").click()
    await expect(other.get_by_text("Adresse confirmée")).to_be_visible()
    await expect(phone.get_by_role("heading", name="Bonjour Ana Neuve")).to_be_visible(timeout=30_000)
    await phone.get_by_role("button", name="Déconnexion").click()
    await phone.get_by_role("link", name="Codes oubliés ?").click()
    await phone.get_by_label("Adresse email").fill(EMAIL)
    await phone.get_by_role("button", name="Recevoir un lien").click()
    await expect(phone.get_by_role("status")).to_contain_text("Si cette adresse est celle d'un compte")
    await phone.goto(await link_of_mail(stack, "Vos codes d'accès au portail des familles"))
    await phone.get_by_label("Votre nouveau code secret").fill(RENEWED)
    await phone.get_by_role("button", name="Enregistrer").click()
    await expect(phone.get_by_role("status")).to_contain_text("nouveau code secret est enregistré")
    await sign_in(phone, stack, codes["identifier"], RENEWED)
    await expect(phone.get_by_role("heading", name="Bonjour Ana Neuve")).to_be_visible()


async def test_one_is_told_of_a_new_device_and_closes_the_session_left_open_elsewhere(
    phone: Page, stack: Stack
) -> None:
    await sign_in(phone, stack, "demo05", SECRET)
    left_open = await phone.context.cookies()
    await phone.context.clear_cookies()
    await sign_in(phone, stack, "demo05", SECRET)
    await phone.goto(await link_of_mail(stack, "Nouvelle connexion à votre compte", "demo05@example.org"))
    await phone.get_by_role("button", name="fermer la session").first.click()
    await expect(phone.get_by_role("status")).to_contain_text("La session est fermée")
    await expect(phone.get_by_text("connecté nulle part ailleurs")).to_be_visible()
    await phone.context.clear_cookies()
    await phone.context.add_cookies(left_open)  # type: ignore[arg-type]
    await phone.goto(f"{stack.gateway_url}/compte")
    await expect(phone.get_by_role("heading", name="Connexion")).to_be_visible()


@asynccontextmanager
async def second_gateway(stack: Stack) -> AsyncIterator[str]:
    """Another replica of the gateway, on a port of its own."""
    program = stack._program("gateway", [])
    port = claim(18_080)
    program.environment = {**program.environment, "HTTP_PORT": str(port)}
    program.log = program.log.with_name("gateway-2.log")
    await program.start()
    url = f"http://127.0.0.1:{port}"
    try:

        async def ready() -> bool:
            try:
                async with aiohttp.ClientSession() as http, http.get(f"{url}/health/ready") as response:
                    return response.status == 200
            except aiohttp.ClientError:
                return False

        await eventually(ready)
        yield url
    finally:
        await program.stop()


async def test_a_stolen_cookie_dies_at_sign_out_on_every_gateway(stack: Stack) -> None:
    host = stack.gateway_url.removeprefix("http://")
    async with second_gateway(stack) as other, aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:

        async def ask(gateway: str, method: str, path: str, cookie: str = "", **fields: str) -> Any:
            headers = {"Host": host, **({"Cookie": f"preau={cookie}"} if cookie else {})}
            data = fields or None
            return await http.request(method, gateway + path, headers=headers, data=data, allow_redirects=False)

        async def token_of(page: Any) -> str:
            return re.findall(r'name="form_token" value="(\w+)"', await page.text())[-1]

        form = await token_of(await ask(stack.gateway_url, "GET", "/connexion"))
        codes = {"identifier": "demo06", "secret": SECRET, "form_token": form}
        signed_in = await ask(stack.gateway_url, "POST", "/connexion", **codes)
        cookie = signed_in.cookies["preau"].value
        pages = [await ask(gateway, "GET", "/compte", cookie) for gateway in (stack.gateway_url, other)]
        assert [page.status for page in pages] == [200, 200]
        left = await ask(stack.gateway_url, "POST", "/deconnexion", cookie, form_token=await token_of(pages[0]))
        since = time.monotonic()
        assert left.status == 303
        assert (await ask(stack.gateway_url, "GET", "/compte", cookie)).status == 303

        async def is_dead() -> bool:
            return bool((await ask(other, "GET", "/compte", cookie)).status == 303)

        await eventually(is_dead)
        print(f"dead on the other gateway after {time.monotonic() - since:.3f} s")  # noqa: T201 - a figure for who looks
