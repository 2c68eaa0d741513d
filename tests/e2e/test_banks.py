"""A parent pays, is refused and pays again, at every bank, in a real browser on the whole portal."""

import pytest
from playwright.async_api import Browser, Page, expect

from chassis.testing import eventually
from local_stack.banks import LYRA_TILL, PAYBOX_TILL, STRIPE_TILL
from local_stack.demo import SECRET
from local_stack.stack import Stack

ACCEPTED, REFUSED = "4970 1000 0000 0006", "4970 1000 0000 0014"
WANT_A_FORM = {LYRA_TILL, PAYBOX_TILL}

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(300),
    pytest.mark.parametrize(
        "till", ["REGIE-ENFANCE", LYRA_TILL, PAYBOX_TILL, STRIPE_TILL], indirect=True, scope="module"
    ),
]


async def goes_to_the_bank(page: Page, stack: Stack) -> None:
    await page.goto(f"{stack.gateway_url}/factures")
    await page.get_by_role("button", name="Régler les factures choisies").click()
    await page.get_by_role("button", name="Payer en ligne").click()
    await expect(page.get_by_label("Numéro de carte")).to_be_visible()


async def signs_in(page: Page, stack: Stack, identifier: str) -> None:
    await page.goto(f"{stack.gateway_url}/connexion")
    await page.get_by_label("Identifiant").fill(identifier)
    await page.get_by_label("Code secret").fill(SECRET)
    await page.get_by_role("button", name="Connexion", exact=True).click()


async def pays_with(page: Page, card: str) -> None:
    await page.get_by_label("Numéro de carte").fill(card)
    await page.get_by_role("button", name="Payer").click()


async def is_confirmed(page: Page, stack: Stack) -> None:
    """The page says so and has the ticket, and nothing is left to pay."""
    await expect(page.get_by_role("heading", name="Confirmation de paiement")).to_be_visible(timeout=60_000)
    await expect(page.locator(".story")).to_contain_text("La banque a confirmé")
    async with page.expect_download() as download:
        await page.get_by_role("link", name="TICKET").click()
    assert (await download.value).suggested_filename.startswith("justificatif-T-")

    async def nothing_is_left() -> bool:
        await page.goto(f"{stack.gateway_url}/factures")
        return bool(await page.get_by_text("Vous n'avez rien à régler.").count())

    await eventually(nothing_is_left, seconds=60)


async def test_a_parent_pays(phone: Page, stack: Stack) -> None:
    await signs_in(phone, stack, "demo01")
    await goes_to_the_bank(phone, stack)
    await pays_with(phone, ACCEPTED)
    await is_confirmed(phone, stack)


async def test_a_refused_card_pays_nothing_and_another_one_does(phone: Page, stack: Stack) -> None:
    await signs_in(phone, stack, "demo02")
    await goes_to_the_bank(phone, stack)
    await pays_with(phone, REFUSED)
    if stack.till == STRIPE_TILL:  # this bank keeps the payer on its page
        await expect(phone.get_by_role("alert")).to_contain_text("Votre carte a été refusée")
    else:
        refused = phone.get_by_role("heading", name="Paiement refusé par la banque")
        await expect(refused).to_be_visible(timeout=60_000)
        await expect(phone.locator(".story")).to_contain_text("rien n'a été prélevé")
        await phone.get_by_role("link", name="Recommencer").click()
        await goes_to_the_bank(phone, stack)
    await pays_with(phone, ACCEPTED)
    await is_confirmed(phone, stack)


async def test_without_scripts_a_button_leads_to_a_bank_that_wants_a_form(browser: Browser, stack: Stack) -> None:
    context = await browser.new_context(
        viewport={"width": 390, "height": 844}, locale="fr-FR", java_script_enabled=False
    )
    page = await context.new_page()
    await signs_in(page, stack, "demo03")
    await page.goto(f"{stack.gateway_url}/factures")
    await page.get_by_role("button", name="Régler les factures choisies").click()
    await page.get_by_role("button", name="Payer en ligne").click()
    if stack.till in WANT_A_FORM:
        await expect(page.get_by_role("heading", name="Vers la page de la banque")).to_be_visible()
        await page.get_by_role("button", name="Continuer vers la banque").click()
    await pays_with(page, ACCEPTED)
    await is_confirmed(page, stack)
    await context.close()
