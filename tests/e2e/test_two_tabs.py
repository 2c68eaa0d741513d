"""Two tabs on one page: the second save is refused, nothing is overwritten, and what was typed stays."""

import re

import pytest
from playwright.async_api import Page, expect

from local_stack.demo import SECRET
from local_stack.stack import Stack

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]


async def sign_in(page: Page, stack: Stack, identifier: str) -> None:
    await page.context.clear_cookies()
    await page.goto(f"{stack.gateway_url}/connexion")
    await page.get_by_label("Identifiant").fill(identifier)
    await page.get_by_label("Code secret").fill(SECRET)
    await page.get_by_role("button", name="Connexion", exact=True).click()
    await expect(page.get_by_role("button", name="Déconnexion")).to_be_visible()


async def tabs(page: Page, stack: Stack, path: str) -> tuple[Page, Page]:
    """The same page twice, the first of them to be sent first."""
    await page.goto(f"{stack.gateway_url}{path}")
    second = await page.context.new_page()
    await second.goto(page.url)
    return page, second


async def press(page: Page, name: str) -> int:
    """Press a button that sends a form; the status of the page that it leads to."""
    async with page.expect_navigation() as leads:
        await page.get_by_role("button", name=name, exact=True).click()
    response = await leads.value
    assert response is not None
    return response.status


async def link_to(page: Page, stack: Stack, path: str, name: str) -> str:
    await page.goto(f"{stack.gateway_url}{path}")
    href = await page.get_by_role("link", name=name).first.get_attribute("href")
    assert href is not None
    return href


async def test_of_two_who_edit_an_activity_the_second_is_told(phone: Page, stack: Stack) -> None:
    await sign_in(phone, stack, "mairie")
    path = await link_to(phone, stack, "/mairie/calendrier", "Périscolaire matin")
    first, second = await tabs(phone, stack, path)
    for page, places in ((first, "41"), (second, "42")):
        await page.get_by_label("Places par jour").fill(places)
        assert await press(page, "Voir le calendrier") == 200
    assert await press(first, "Enregistrer l'activité") == 200
    assert await press(second, "Enregistrer l'activité") == 409
    told = second.get_by_role("alert")
    await expect(told).to_contain_text("Ces informations ont changé entre-temps")
    await expect(told.locator("tr", has_text="41")).to_contain_text("42")
    await expect(second.get_by_label("Places par jour")).to_have_value("42")
    await first.goto(f"{stack.gateway_url}{path}")
    await expect(first.get_by_label("Places par jour")).to_have_value("41")
    assert await press(second, "Voir le calendrier") == 200
    assert await press(second, "Enregistrer l'activité") == 200, "who has seen what differs may replace it"
    await first.reload()
    await expect(first.get_by_label("Places par jour")).to_have_value("42")


async def test_of_two_who_end_or_remove_a_tariff_the_second_is_told(phone: Page, stack: Stack) -> None:
    await sign_in(phone, stack, "regie")
    await phone.goto(f"{stack.gateway_url}/mairie/tarifs")
    await phone.get_by_label("Activité").select_option(label="Cantine")
    await phone.get_by_label("Nom du tarif").fill("Pique-nique")
    await phone.get_by_label("Premier jour").fill("2019-07-01")
    await phone.get_by_label("Dernier jour (facultatif)").fill("2019-07-31")
    await phone.get_by_label("Prix, en euros").fill("3")
    assert await press(phone, "Enregistrer le tarif") == 200
    first, second = await tabs(phone, stack, "/mairie/tarifs")
    third = await phone.context.new_page()
    await third.goto(first.url)
    for page, day in ((first, "2019-07-20"), (second, "2019-07-25")):
        tariff = page.locator(".tariffs > li", has_text="Pique-nique")
        await tariff.locator("summary").click()
        await tariff.get_by_label("Dernier jour").fill(day)
        async with page.expect_navigation():
            await tariff.get_by_role("button", name="Terminer ce jour-là").click()
    await expect(second.get_by_role("alert")).to_contain_text("a modifié ce tarif entre-temps")
    kept = second.locator(".tariffs > li", has_text="Pique-nique")
    await expect(kept).to_contain_text(re.compile("20.07.2019"))
    await expect(kept.get_by_label("Dernier jour")).to_have_value("2019-07-25")
    tariff = third.locator(".tariffs > li", has_text="Pique-nique")
    await tariff.locator("summary").click()
    await tariff.get_by_role("button", name="Supprimer, s'il n'a jamais servi").click()
    await expect(third.get_by_role("heading", name="Supprimer le tarif « Pique-nique » ?")).to_be_visible()
    assert await press(third, "Supprimer ce tarif") == 409
    await expect(third.get_by_role("alert")).to_contain_text("a modifié ce tarif entre-temps")
    tariff = third.locator(".tariffs > li", has_text="Pique-nique")
    await tariff.locator("summary").click()
    await tariff.get_by_role("button", name="Supprimer, s'il n'a jamais servi").click()
    assert await press(third, "Supprimer ce tarif") == 200
    await expect(third.locator(".tariffs > li", has_text="Pique-nique")).to_have_count(0)


async def test_of_two_who_change_the_rule_of_reminders_the_second_is_told(phone: Page, stack: Stack) -> None:
    await sign_in(phone, stack, "regie")
    first, second = await tabs(phone, stack, "/mairie/relances")
    for page, days in ((first, "8"), (second, "12")):
        await page.get_by_label("1er rappel").fill(days)
    assert await press(first, "Enregistrer") == 200
    assert await press(second, "Enregistrer") == 409
    await expect(second.get_by_role("alert").locator("tr", has_text="8")).to_contain_text("12")
    await expect(second.get_by_label("1er rappel")).to_have_value("12")
    await first.reload()
    await expect(first.get_by_label("1er rappel")).to_have_value("8")


async def test_of_two_tabs_of_a_parent_s_preferences_the_second_is_told(phone: Page, stack: Stack) -> None:
    await sign_in(phone, stack, "demo06")
    first, second = await tabs(phone, stack, "/factures")
    await first.get_by_label("Recevoir les messages de la mairie").uncheck()
    await second.get_by_label("Être averti par mail de la mise en ligne").check()
    await second.get_by_label("Recevoir un rappel").uncheck()
    assert await press(first, "Enregistrer") == 200
    assert await press(second, "Enregistrer") == 409
    await expect(second.get_by_role("alert")).to_contain_text("Recevoir les messages de la mairie")
    await expect(second.get_by_label("Être averti par mail de la mise en ligne")).to_be_checked()
    await expect(second.get_by_label("Recevoir un rappel")).not_to_be_checked()
    await first.reload()
    await expect(first.get_by_label("Recevoir les messages de la mairie")).not_to_be_checked()
    await expect(first.get_by_label("Recevoir un rappel")).to_be_checked()


async def test_of_two_cashiers_at_one_account_the_second_is_told(phone: Page, stack: Stack) -> None:
    await sign_in(phone, stack, "regie")
    await phone.goto(f"{stack.gateway_url}/mairie/encaissements?foyer=SA010")
    href = await phone.locator(".lines a").first.get_attribute("href")
    assert href is not None
    first, second = await tabs(phone, stack, href)
    third = await phone.context.new_page()
    await third.goto(first.url)
    for page in (first, second):
        await page.get_by_label("Montant reçu").fill("3,50")
        await page.get_by_label("Référence", exact=False).first.fill("chèque 778")
        assert await press(page, "Encaisser") == 200
        await expect(page.get_by_role("heading", name="Encaisser 3,50 € ?")).to_be_visible()
        await expect(page.get_by_text("Un encaissement ne change plus")).to_be_visible()
    assert await press(first, "Encaisser 3,50 €") == 200
    await expect(first.get_by_role("status")).to_contain_text("enregistré")
    assert await press(second, "Encaisser 3,50 €") == 409
    await expect(second.get_by_role("alert")).to_contain_text("Ce qui était annoncé a changé entre-temps")
    assert await press(second, "Encaisser 3,50 €") == 409
    await expect(second.get_by_role("alert")).to_contain_text("Ce compte a changé entre-temps")
    await expect(second.get_by_label("Montant reçu")).to_have_value("3,50")
    await expect(second.get_by_label("Référence", exact=False).first).to_have_value("chèque 778")
    for page, quotient in ((first, "640"), (third, "750")):
        await page.get_by_label("QF").fill(quotient)
        await page.get_by_label("Habite la commune").uncheck()
    assert await press(first, "Enregistrer le QF") == 200
    assert await press(third, "Enregistrer le QF") == 409
    await expect(third.get_by_role("alert")).to_contain_text("entre-temps")
    await expect(third.get_by_label("QF")).to_have_value("750")
    await expect(third.get_by_label("Habite la commune")).not_to_be_checked()
