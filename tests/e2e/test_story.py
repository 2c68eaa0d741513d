"""The main job, in a real browser, on the whole portal."""

import asyncio
from typing import Any

import aiohttp
import pytest
from playwright.async_api import Browser, Page, expect

from local_stack.demo import SECRET
from local_stack.stack import Stack

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]


async def sign_in(page: Page, stack: Stack, identifier: str, secret: str = SECRET) -> None:
    await page.goto(f"{stack.gateway_url}/connexion")
    await page.get_by_label("Identifiant").fill(identifier)
    await page.get_by_label("Code secret").fill(secret)
    await page.get_by_role("button", name="Connexion", exact=True).click()


async def mails(stack: Stack, recipient: str) -> list[dict[str, Any]]:
    async with aiohttp.ClientSession() as http, http.get(f"{stack.url('mail')}/api/mails") as response:
        return [mail for mail in await response.json() if mail["to"] == recipient]


async def test_wrong_codes_get_one_neutral_sentence(phone: Page, stack: Stack) -> None:
    await sign_in(phone, stack, "demo12", "wrong-secret")
    await expect(phone.get_by_role("alert")).to_contain_text("Ces deux codes ne vont pas ensemble")
    assert await phone.get_by_label("Identifiant").input_value() == "demo12"


async def test_a_parent_books_and_reads_the_recap_and_the_history(phone: Page, stack: Stack) -> None:
    await sign_in(phone, stack, "demo02")
    await expect(phone.get_by_role("heading", level=1)).to_contain_text("Bonjour Sofiane Martin")
    await phone.get_by_role("link", name="Inès Martin").click()
    await expect(phone.get_by_role("heading", level=1)).to_contain_text("Planning de Inès")
    for _ in range(3):
        boxes = phone.locator("input[data-was='0']")
        if await boxes.count() >= 2:
            break
        await phone.get_by_role("link", name="›").click()
    await boxes.nth(0).check()
    await expect(phone.locator("#sum")).to_contain_text("1 changement")
    await phone.get_by_role("button", name="Valider mes modifications").click()
    await expect(phone.get_by_role("heading", name="Enregistré")).to_be_visible()
    await expect(phone.locator(".lines")).to_contain_text("inscrit")
    await phone.get_by_role("link", name="Voir mes dernières modifications").click()
    await expect(phone.locator(".lines").first).to_contain_text("par internet le")


async def test_a_parent_pays_and_the_page_turns_by_itself(phone: Page, stack: Stack) -> None:
    async with aiohttp.ClientSession() as http:
        await http.put(f"{stack.url('bank')}/api/faults", json={"notice": "late", "late_seconds": 3})
    await sign_in(phone, stack, "demo01")
    await phone.goto(f"{stack.gateway_url}/factures")
    await phone.get_by_role("button", name="Régler les factures choisies").click()
    await expect(phone.get_by_role("heading", name="Récapitulatif facture")).to_be_visible()
    await phone.get_by_role("button", name="Payer en ligne").click()
    await phone.get_by_label("Numéro de carte").fill("4970 1000 0000 0022")
    await phone.get_by_role("button", name="Payer").click()
    await expect(phone.get_by_role("heading", name="En attente du retour de la banque")).to_be_visible()
    await expect(phone.get_by_role("heading", name="Confirmation de paiement")).to_be_visible(timeout=60_000)
    async with phone.expect_download() as download:
        await phone.get_by_role("link", name="TICKET").click()
    assert (await download.value).suggested_filename.startswith("justificatif-T-")
    await phone.get_by_role("link", name="Retour").click()
    for _ in range(100):
        await phone.reload()
        if await phone.get_by_text("Vous n'avez rien à régler.").count():
            break
        await asyncio.sleep(0.2)
    await expect(phone.get_by_text("Vous n'avez rien à régler.")).to_be_visible()
    for _ in range(100):
        found = await mails(stack, "demo01@example.org")
        if found:
            break
        await asyncio.sleep(0.2)
    await asyncio.sleep(1)
    (mail,) = await mails(stack, "demo01@example.org")
    assert mail["attachments"][0].startswith("justificatif-T-")


async def test_signing_out_ends_the_session(phone: Page, stack: Stack) -> None:
    await sign_in(phone, stack, "demo03")
    await expect(phone.get_by_role("heading", level=1)).to_contain_text("Bonjour Alice Bernard")
    cookies = await phone.context.cookies()
    await phone.get_by_role("button", name="Déconnexion").click()
    await expect(phone.get_by_role("heading", name="Connexion")).to_be_visible()
    await phone.context.add_cookies(cookies)  # type: ignore[arg-type]
    await phone.goto(f"{stack.gateway_url}/planning")
    await expect(phone.get_by_role("heading", name="Connexion")).to_be_visible()


async def test_another_households_pages_are_not_found(phone: Page, stack: Stack) -> None:
    await sign_in(phone, stack, "demo04")
    for path in ("planning/00000000-0000-0000-0000-000000000000/2026-12", "planning/x/y", "paiements/x", "nothing"):
        response = await phone.goto(f"{stack.gateway_url}/{path}")
        assert response is not None
        assert response.status == 404
    response = await phone.goto(f"{stack.gateway_url}/mairie")
    assert response is not None
    assert response.status == 403


async def test_the_whole_story_without_scripts(browser: Browser, stack: Stack) -> None:
    context = await browser.new_context(viewport={"width": 390, "height": 844}, java_script_enabled=False)
    page = await context.new_page()
    await sign_in(page, stack, "demo09")
    await page.get_by_role("link", name="Planning", exact=True).click()
    boxes = page.locator("input[name='booked']:not(:checked)")
    for _ in range(4):
        if await boxes.count():
            break
        await page.get_by_role("link", name="›").click()
    await boxes.nth(0).check()
    await page.get_by_role("button", name="Valider mes modifications").click()
    await expect(page.get_by_role("heading", name="Enregistré")).to_be_visible()
    await page.get_by_role("link", name="Factures").click()
    await page.get_by_role("button", name="Régler les factures choisies").click()
    await page.get_by_role("button", name="Payer en ligne").click()
    await page.get_by_label("Numéro de carte").fill("4970 1000 0000 0022")
    await page.get_by_role("button", name="Payer").click()
    await expect(page.get_by_role("heading", name="En attente du retour de la banque")).to_be_visible()
    await expect(page.get_by_role("heading", name="Confirmation de paiement")).to_be_visible(timeout=60_000)
    await context.close()


async def test_the_whole_story_by_keyboard_alone(phone: Page, stack: Stack) -> None:
    async def press_on(role: Any, name: str) -> None:
        """Tab to what has that name, and press it."""
        wanted = phone.get_by_role(role, name=name, exact=True).first
        for _ in range(400):
            if await wanted.evaluate("it => it === document.activeElement"):
                break
            await phone.keyboard.press("Tab")
        await expect(wanted).to_be_focused()
        await phone.keyboard.press("Enter")
        await phone.wait_for_load_state()

    await phone.goto(f"{stack.gateway_url}/connexion")
    await phone.get_by_label("Identifiant").focus()
    await phone.keyboard.type("demo10")
    await phone.keyboard.press("Tab")
    await phone.keyboard.type(SECRET)
    await phone.keyboard.press("Enter")
    await expect(phone.get_by_role("heading", level=1)).to_contain_text("Bonjour Julie Fontaine")
    await press_on("link", "Factures")
    await press_on("button", "Régler les factures choisies")
    await press_on("button", "Payer en ligne")
    await phone.get_by_label("Numéro de carte").fill("4970 1000 0000 0006")
    await phone.get_by_role("button", name="Payer").press("Enter")
    await expect(phone.get_by_role("heading", name="Confirmation de paiement")).to_be_visible(timeout=60_000)
    await press_on("link", "Retour")
    await press_on("button", "Déconnexion")
    await expect(phone.get_by_role("heading", name="Connexion")).to_be_visible()
