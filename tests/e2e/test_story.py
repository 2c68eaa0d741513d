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


async def month_with(page: Page, selector: str, count: int) -> None:
    """Go on to the next month until it shows so many of something."""
    for _ in range(4):
        if await page.locator(selector).count() >= count:
            return
        await page.get_by_role("link", name="›").click()
        await page.wait_for_load_state()
    raise AssertionError(f"no month shows {count} of {selector}")


async def mails(stack: Stack, recipient: str) -> list[dict[str, Any]]:
    async with aiohttp.ClientSession() as http, http.get(f"{stack.url('mail')}/api/mails") as response:
        return [mail for mail in await response.json() if mail["to"] == recipient]


async def test_wrong_codes_get_one_neutral_sentence(phone: Page, stack: Stack) -> None:
    await sign_in(phone, stack, "demo12", "wrong-secret")
    await expect(phone.get_by_role("alert")).to_contain_text("Identifiant ou code secret incorrect")
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
    await expect(phone.get_by_role("heading", name="Enregistré", exact=True)).to_be_visible()
    await expect(phone.locator(".lines")).to_contain_text("inscrit")
    await phone.get_by_role("link", name="Voir mes dernières modifications").click()
    await expect(phone.locator(".lines").first).to_contain_text("par internet le")


async def test_many_days_are_seen_before_they_are_saved_and_taken_back(phone: Page, stack: Stack) -> None:
    await sign_in(phone, stack, "demo08")
    await phone.locator(".cards a").first.click()
    await month_with(phone, ".cell.free input", 8)
    await phone.get_by_text("Remplir plusieurs jours d'un coup").click()
    await phone.locator("#fill input[name=jour]").first.check()
    await phone.get_by_label("Lina").check()
    await phone.get_by_role("button", name="Voir ce que cela change").click()
    await expect(phone.get_by_role("heading", name="Ce qui va changer")).to_be_visible()
    await expect(phone.get_by_role("heading", name="Lina")).to_be_visible()
    await phone.get_by_role("button", name="Valider").click()
    await expect(phone.get_by_role("heading", name="Enregistré", exact=True)).to_have_count(2)
    await phone.get_by_role("button", name="Annuler ces modifications").first.click()
    await expect(phone.locator(".lines").first).to_contain_text("annulé")


async def test_a_full_day_offers_its_waiting_list(phone: Page, stack: Stack) -> None:
    await sign_in(phone, stack, "demo05")
    await phone.get_by_role("link", name="Planning", exact=True).click()
    await month_with(phone, ".cell.full input", 1)
    await phone.locator(".cell.full input").first.check()
    await phone.reload()
    await expect(phone.get_by_text("Les jours que vous aviez cochés sont de nouveau affichés.")).to_be_visible()
    await phone.get_by_role("button", name="Valider mes modifications").click()
    await expect(phone.locator(".lines")).to_contain_text("en liste d'attente, rang 1")
    await phone.get_by_role("link", name="Voir mes dernières modifications").click()
    await expect(phone.locator(".lines").first).to_contain_text("en liste d'attente")


async def test_the_planning_fills_and_the_list_is_joined_without_scripts(browser: Browser, stack: Stack) -> None:
    context = await browser.new_context(
        viewport={"width": 390, "height": 844}, locale="fr-FR", java_script_enabled=False
    )
    page = await context.new_page()
    await sign_in(page, stack, "demo06")
    await page.get_by_role("link", name="Planning", exact=True).click()
    await month_with(page, ".cell.full input", 1)
    await page.locator(".cell.full input").first.check()
    await page.get_by_role("button", name="Valider mes modifications").click()
    await expect(page.locator(".lines")).to_contain_text("en liste d'attente")
    await page.get_by_role("link", name="Retour au planning").click()
    await page.get_by_text("Remplir plusieurs jours d'un coup").click()
    await page.get_by_role("link", name="Remplir comme le mois précédent").click()
    await expect(page.get_by_role("heading", name="Ce qui va changer")).to_be_visible()
    await context.close()


async def test_the_town_hall_closes_a_booked_day_in_two_steps_and_the_family_is_told(phone: Page, stack: Stack) -> None:
    await sign_in(phone, stack, "demo09")
    await phone.get_by_role("link", name="Planning", exact=True).click()
    await month_with(phone, ".cell.free input", 4)
    box = phone.locator(".cell.free input").nth(2)
    day = (str(await box.get_attribute("value"))).partition("|")[2]
    await box.check()
    await phone.get_by_role("button", name="Valider mes modifications").click()
    await expect(phone.get_by_role("heading", name="Enregistré", exact=True)).to_be_visible()
    await phone.get_by_role("button", name="Déconnexion").click()
    await sign_in(phone, stack, "mairie")
    await phone.get_by_role("link", name="Calendrier").click()
    await phone.get_by_label("Jour", exact=True).first.fill(day)
    await phone.get_by_label("Motif").fill("Panne de chauffage")
    await phone.get_by_role("button", name="Fermer ce jour").click()
    await expect(phone.get_by_text("Rouvrir le jour ne rétablit pas les réservations")).to_be_visible()
    await phone.get_by_role("button", name="Fermer et annuler").click()
    await expect(phone.get_by_role("status")).to_contain_text("Le jour est fermé.")
    for _ in range(100):
        if any("Jour fermé" in mail["subject"] for mail in await mails(stack, "demo09@example.org")):
            break
        await asyncio.sleep(0.2)
    assert any("Jour fermé" in mail["subject"] for mail in await mails(stack, "demo09@example.org"))


async def test_the_town_hall_sees_a_calendar_before_it_is_saved_and_marks_a_sheet(phone: Page, stack: Stack) -> None:
    await sign_in(phone, stack, "accueil")
    await phone.get_by_role("link", name="Calendrier").click()
    await phone.get_by_role("link", name="Périscolaire soir").click()
    await phone.get_by_label("Période", exact=True).select_option(label="Jours choisis un par un")
    await phone.get_by_role("button", name="Voir le calendrier").click()
    await expect(phone.get_by_role("alert")).to_contain_text("À corriger")
    await phone.get_by_label("Période", exact=True).select_option(label="Jours d'école")
    await phone.get_by_role("button", name="Voir le calendrier").click()
    await expect(phone.get_by_role("heading", name="Le calendrier que cela donne")).to_be_visible()
    await phone.get_by_role("button", name="Enregistrer l'activité").click()
    await expect(phone.get_by_role("status")).to_contain_text("L'activité est enregistrée.")
    await phone.goto(f"{stack.gateway_url}/mairie/pointage")
    await phone.get_by_label("Un enfant présent sans réservation").select_option(index=1)
    await phone.get_by_role("button", name="Enregistrer le pointage").click()
    await expect(phone.get_by_role("status")).to_contain_text("Le pointage est enregistré.")
    await expect(phone.locator(".marks li")).to_have_count(1)


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
    context = await browser.new_context(
        viewport={"width": 390, "height": 844}, locale="fr-FR", java_script_enabled=False
    )
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
    await expect(page.get_by_role("heading", name="Enregistré", exact=True)).to_be_visible()
    await page.get_by_role("link", name="Factures").click()
    await page.get_by_role("button", name="Régler les factures choisies").click()
    await page.get_by_role("button", name="Payer en ligne").click()
    await page.get_by_label("Numéro de carte").fill("4970 1000 0000 0022")
    await page.get_by_role("button", name="Payer").click()
    await expect(page.get_by_role("heading", name="En attente du retour de la banque")).to_be_visible()
    await expect(page.get_by_role("heading", name="Confirmation de paiement")).to_be_visible(timeout=60_000)
    await context.close()
