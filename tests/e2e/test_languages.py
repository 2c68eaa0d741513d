"""Who reads the pages in which language: visitors, guardians, households, and the town hall; and English, whole."""

import re
from collections.abc import Iterator
from typing import Any

import aiohttp
import asyncpg
import pytest
from playwright.async_api import Browser, BrowserContext, Page, Response, expect

from chassis.languages import catalogue
from chassis.testing import eventually
from contracts.model import Language
from gateway.languages import FOLDER
from local_stack.demo import SECRET
from local_stack.stack import Stack
from tools import rare_screens, screenshots

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

PHONE = 390
WORDS = catalogue(FOLDER, Language.EN).words
AT_THE_BANK = "bank"
TEXT = """() => {
  const copy = document.documentElement.cloneNode(true);
  for (const each of copy.querySelectorAll('script, style, body [lang="fr"]')) each.remove();
  const spoken = ["aria-label", "alt", "title", "placeholder", "data-words", "data-one", "data-several", "data-other",
    "data-here"];
  const told = [...copy.querySelectorAll("*")].flatMap((each) => spoken.map((name) => each.getAttribute(name) ?? ""));
  return [copy.textContent, ...told].join("\\n");
}"""
"""What is read or read aloud of a page, but for what says itself that it is French."""


async def opened(browser: Browser, locale: str, *, scripts: bool = True) -> BrowserContext:
    return await browser.new_context(
        viewport={"width": PHONE, "height": 844}, locale=locale, java_script_enabled=scripts
    )


async def codes(page: Page, stack: Stack, identifier: str, secret: str = SECRET) -> None:
    """The two codes, whatever language the form is in."""
    await page.goto(f"{stack.gateway_url}/connexion")
    await page.locator("#identifier").fill(identifier)
    await page.locator("#secret").fill(secret)
    await page.locator("main button.button").click()
    await page.wait_for_load_state()


async def lang(page: Page) -> str | None:
    return await page.locator("html").get_attribute("lang")


async def ask(stack: Stack, service: str, query: str, *arguments: Any) -> Any:
    connection = await asyncpg.connect(stack.databases[service])
    try:
        return await connection.fetchval(query, *arguments)
    finally:
        await connection.close()


def french() -> Iterator[tuple[str, re.Pattern[str]]]:
    """The pieces of French that no English page may show: what stands between the values and tags of each sentence."""
    english = "\n".join(form for forms in WORDS.values() for form in forms).lower()
    for sentence, forms in WORDS.items():
        if forms[0] == sentence:
            continue
        for piece in re.split(r"{\w+}|%s|<[^>]*>", sentence):
            words = piece.strip(" .,:;()·")
            if len(words) > 2 and not re.search(rf"\b{re.escape(words.lower())}\b", english):
                yield sentence, re.compile(rf"(?<!\w){re.escape(words)}(?!\w)")


FRENCH = list(french())


async def test_the_search_for_french_words_knows_them() -> None:
    page = "Hello Camille. Mes factures à régler, Retour, Étape 3, Planning de Léa, jusqu'au 3"
    found = {sentence for sentence, piece in FRENCH if piece.search(page)}
    assert {"Mes factures à régler", "Retour", "Étape 3", "Planning de {child}", "jusqu'au {deadline}"} <= found
    assert not [piece for _, piece in FRENCH if piece.search("Save my changes. Total to pay. Invoice no. 3, €4.00")]


@pytest.mark.parametrize(("width", "identifier"), [(PHONE, "demo04"), (1280, "demo08")])
async def test_each_page_of_parents_is_in_english_and_in_nothing_else(
    browser: Browser, stack: Stack, width: int, identifier: str
) -> None:
    found: list[str] = []

    async def look(name: str, page: Page) -> None:
        if name == AT_THE_BANK:
            return
        if await lang(page) != "en":
            found.append(f"{name}: its lang is {await lang(page)}")
        text = await page.evaluate(TEXT)
        found.extend(f"{name}: « {piece.pattern} » of « {said} »" for said, piece in FRENCH if piece.search(text))

    context = await browser.new_context(viewport={"width": width, "height": 844}, locale="fr-FR")
    page = await context.new_page()
    await screenshots.tour(page, stack, identifier, look, Language.EN)
    await context.clear_cookies()
    if width == PHONE:
        await rare_screens.walk_rare_screens(page, stack, screenshots.LONG_NAMES, look, Language.EN)
    await context.close()
    assert not found, "\n".join(found)


async def test_a_visitor_reads_what_the_browser_prefers_until_a_choice_and_needs_no_scripts(
    browser: Browser, stack: Stack
) -> None:
    context = await opened(browser, "en-GB", scripts=False)
    page = await context.new_page()
    answer = await page.goto(f"{stack.gateway_url}/codes-oublies")
    assert isinstance(answer, Response)
    assert answer.headers["content-language"] == await lang(page) == "en"
    await page.get_by_label("Email address").fill("nobody")
    await page.locator("form[action='/codes-oublies']").evaluate("form => form.noValidate = true")
    await page.get_by_role("button", name="Get a link").click()
    await expect(page.get_by_role("alert")).to_contain_text("This email address is not complete")
    await page.get_by_role("button", name="Français").click()
    assert page.url == f"{stack.gateway_url}/codes-oublies"
    await expect(page.get_by_role("heading", name="Codes oubliés ?")).to_be_visible()
    await codes(page, stack, "demo01", "wrong-codes")
    await expect(page.get_by_role("alert")).to_contain_text("Identifiant ou code secret incorrect")
    await page.get_by_role("button", name="English").click()
    assert (page.url, await lang(page)) == (f"{stack.gateway_url}/connexion", "en")
    await context.close()


async def test_a_guardian_s_choice_goes_with_the_account_and_stays_with_nobody_else(
    browser: Browser, stack: Stack
) -> None:
    context = await opened(browser, "en-GB")
    page = await context.new_page()
    await codes(page, stack, "demo06")
    assert await lang(page) == "fr", "the household's: none of its guardians has chosen"
    await page.goto(f"{stack.gateway_url}/compte")
    await page.get_by_role("button", name="English").click()
    assert (page.url, await lang(page)) == (f"{stack.gateway_url}/compte", "en")
    assert await ask(stack, "notifier", "SELECT count(*) FROM preference WHERE language = 'en'") == 1
    await page.get_by_role("button", name="Sign out").click()
    assert await lang(page) == "en"
    await codes(page, stack, "demo07")
    assert await lang(page) == "fr", "what the one before chose is theirs"
    await context.close()
    elsewhere = await opened(browser, "fr-FR")
    page = await elsewhere.new_page()
    await codes(page, stack, "demo06")
    assert await lang(page) == "en"
    await page.goto(f"{stack.gateway_url}/factures")
    await expect(page.get_by_label("Language of pages and emails")).to_have_value("en")
    await page.get_by_label("Language of pages and emails").select_option(label="my household's")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("status")).to_contain_text("C'est enregistré.")
    assert await ask(stack, "notifier", "SELECT count(*) FROM preference WHERE language = 'en'") == 0
    await elsewhere.close()


async def test_a_household_reads_its_language_and_the_town_hall_reads_french(browser: Browser, stack: Stack) -> None:
    desk = await opened(browser, "fr-FR")
    page = await desk.new_page()
    await codes(page, stack, "mairie")
    await page.goto(f"{stack.gateway_url}/mairie/familles?q=SA002")
    await page.locator("ul.families a").first.click()
    await page.get_by_label("Langue").select_option(label="Anglais")
    await page.get_by_role("button", name="Enregistrer").click()
    await expect(page.get_by_role("status")).to_contain_text("C'est enregistré")
    await page.goto(f"{stack.gateway_url}/compte")
    await page.get_by_role("button", name="English").click()
    await expect(page.get_by_role("heading", name="My account")).to_be_visible()
    await page.goto(f"{stack.gateway_url}/mairie/familles")
    assert await lang(page) == "fr"
    await expect(page.get_by_role("link", name="Mon compte")).to_be_visible()
    await expect(page.get_by_role("button", name="English")).to_have_count(0)
    await desk.close()
    home = await opened(browser, "fr-FR")
    page = await home.new_page()
    await codes(page, stack, "demo02")
    assert await lang(page) == "en"
    await page.goto(f"{stack.gateway_url}/nulle-part")
    await expect(page.get_by_role("heading", name="Page not found")).to_be_visible()
    await page.goto(f"{stack.gateway_url}/enfants")
    await page.locator(".cards a").first.click()
    while not await page.locator("input[data-was='0']").count():
        await page.get_by_role("link", name="›").click()
        await page.wait_for_load_state()
    box = page.locator("label:has(input[data-was='0'])").first
    await box.click()
    await expect(box.locator(".word")).to_have_text(re.compile("Added|Waiting list"))
    await expect(page.locator("#sum")).to_contain_text("1 change")
    await home.close()


async def test_a_choice_is_no_way_out_of_the_portal_and_comes_from_its_own_pages(stack: Stack) -> None:
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{stack.gateway_url}/connexion", headers={"Accept-Language": "en"}) as shown:
            page = await shown.text()
        token = re.findall(r'name="form_token" value="(\w+)"', page)[-1]
        url, form = f"{stack.gateway_url}/langue", {"form_token": token, "langue": "en"}
        for back, leads_to in (
            ("/connexion?fin=1", "/connexion?fin=1"),
            ("https://example.org/", "/"),
            ("//example.org/", "/"),
            ("/\\example.org", "/"),
        ):
            async with http.post(url, data={**form, "retour": back}, allow_redirects=False) as answer:
                assert (answer.status, answer.headers["Location"]) == (303, leads_to)
        for wrong in ({"langue": "klingon"}, {"retour": "/a\r\nSet-Cookie: x=1"}):
            async with http.post(url, data={**form, **wrong}, allow_redirects=False) as answer:
                assert (answer.status, answer.cookies) == (422, {})
        async with http.post(url, data={"langue": "en"}, allow_redirects=False) as answer:
            assert answer.status == 403
        async with http.post(url, data={**form, "retour": "/"}, allow_redirects=False) as answer:
            kept = answer.cookies["preau-langue"]
            assert (kept.value, kept["httponly"], kept["samesite"], kept["path"]) == ("en", True, "Lax", "/")


async def test_a_first_sign_in_is_led_in_the_household_s_language(browser: Browser, stack: Stack) -> None:
    async with aiohttp.ClientSession() as http:
        payload = {"identifier": "mairie", "secret": SECRET, "client_address": "10.0.0.9"}
        async with http.post(f"{stack.url('auth')}/sessions", json=payload) as answer:
            session = (await answer.json())["session"]
        async with http.post(f"{stack.url('auth')}/tokens", json={"session": session, "audience": "auth"}) as answer:
            headers = {"Authorization": f"Bearer {(await answer.json())['token']}"}
        family = {
            "reference": "SA-EN",
            "name": "Smith family",
            "address": ["2 rue Neuve"],
            "locale": "en",
            "guardians": [{"first_name": "Jane", "last_name": "Smith", "email": "jane@example.org"}],
        }
        async with http.post(f"{stack.url('auth')}/households", json=family, headers=headers) as answer:
            letter = (await answer.json())["access_codes"][0]
    context = await opened(browser, "fr-FR")
    page = await context.new_page()
    await codes(page, stack, letter["identifier"], letter["secret"])
    await expect(page.get_by_role("heading", name="Choose your secret code")).to_be_visible()
    await page.get_by_label("Your secret code").fill("password12")
    await page.get_by_role("button", name="Continue").click()
    await expect(page.get_by_role("alert")).to_contain_text("This secret code is too easy to guess")
    await page.get_by_label("Your secret code").fill("three-blue-turtles-swim")
    await page.get_by_role("button", name="Continue").click()
    await expect(page.get_by_role("heading", name="Confirm your email address")).to_be_visible()
    asked = "SELECT EXISTS (SELECT FROM household WHERE locale = 'en')"
    await eventually(lambda: ask(stack, "notifier", asked))
    text = await page.evaluate(TEXT)
    assert [said for said, piece in FRENCH if piece.search(text)] == []
    await context.close()
