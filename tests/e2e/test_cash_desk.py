"""A bank that wants a signed form, and the till keeper's list, in a real browser on the whole portal."""

import re
from typing import Any

import aiohttp
import asyncpg
import pytest
from playwright.async_api import Browser, Page, expect

from chassis.clock import today
from chassis.testing import eventually
from local_stack.banks import LYRA_TILL
from local_stack.demo import SECRET
from local_stack.stack import Stack

TILL = LYRA_TILL

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]


async def sign_in(page: Page, stack: Stack, identifier: str) -> None:
    await page.goto(f"{stack.gateway_url}/connexion")
    await page.get_by_label("Identifiant").fill(identifier)
    await page.get_by_label("Code secret").fill(SECRET)
    await page.get_by_role("button", name="Connexion", exact=True).click()


async def goes_to_pay(page: Page, stack: Stack, identifier: str) -> None:
    await sign_in(page, stack, identifier)
    await page.goto(f"{stack.gateway_url}/factures")
    await page.get_by_role("button", name="Régler les factures choisies").click()
    await page.get_by_role("button", name="Payer en ligne").click()


async def pays(page: Page) -> None:
    await page.get_by_label("Numéro de carte").fill("4970 1000 0000 0006")
    await page.get_by_role("button", name="Payer").click()


async def faults(stack: Stack, **switches: Any) -> None:
    async with aiohttp.ClientSession() as http, http.put(f"{stack.url('bank')}/api/faults", json=switches) as response:
        assert response.status == 200


async def left_cents(stack: Stack, ticket: str) -> int:
    """What is left on the invoices of a payment, known by its ticket."""
    payments = await asyncpg.connect(stack.databases["payment-gateway"])
    ledger = await asyncpg.connect(stack.databases["billing"])
    try:
        checkout = await payments.fetchval("SELECT checkout_id FROM payment WHERE ticket_number = $1", ticket)
        query = (
            "SELECT sum(e.amount_cents)::int FROM ledger_entry e JOIN checkout_invoice c USING (invoice_id) "
            "WHERE c.checkout_id = $1"
        )
        left: int = await ledger.fetchval(query, checkout)
        return left
    finally:
        await payments.close()
        await ledger.close()


async def test_a_parent_pays_by_a_form_that_sends_itself(phone: Page, stack: Stack) -> None:
    await goes_to_pay(phone, stack, "demo01")
    await pays(phone)
    await expect(phone.get_by_role("heading", name="Confirmation de paiement")).to_be_visible(timeout=60_000)
    await expect(phone.locator(".story")).to_contain_text("La banque a confirmé")


async def test_without_scripts_the_form_has_a_button(browser: Browser, stack: Stack) -> None:
    context = await browser.new_context(
        viewport={"width": 390, "height": 844}, locale="fr-FR", java_script_enabled=False
    )
    page = await context.new_page()
    await goes_to_pay(page, stack, "demo02")
    await page.get_by_role("button", name="Continuer vers la banque").click()
    await pays(page)
    await expect(page.get_by_role("heading", name="Confirmation de paiement")).to_be_visible(timeout=60_000)
    await context.close()


async def test_the_till_keeper_decides_of_a_payment_under_review(phone: Page, browser: Browser, stack: Stack) -> None:
    await faults(stack, amount_offset_cents=-100)
    await goes_to_pay(phone, stack, "demo03")
    await pays(phone)
    await expect(phone.get_by_role("heading", name="Paiement à vérifier")).to_be_visible(timeout=60_000)
    context = await browser.new_context(viewport={"width": 1280, "height": 900}, locale="fr-FR")
    keeper = await context.new_page()
    await sign_in(keeper, stack, "regie")
    await keeper.goto(f"{stack.gateway_url}/mairie/paiements")
    await keeper.get_by_role("link", name="À vérifier").click()
    await keeper.get_by_role("button", name="Réinterroger la banque").click()
    await expect(keeper.get_by_role("status")).to_contain_text("réinterrogée")
    await faults(stack, amount_offset_cents=0)  # not before: the answer to the question is what is confirmed
    await keeper.get_by_label("Confirmer").check()
    await keeper.get_by_label("Motif").fill("la banque a encaissé un euro de moins")
    await keeper.get_by_label("Preuve").fill("relevé du jour, ligne 3")
    twin = await context.new_page()
    await twin.goto(keeper.url)
    await keeper.get_by_role("button", name="Enregistrer la décision").click()
    await expect(keeper.get_by_role("heading", level=1)).to_contain_text("Confirmer : ")
    await keeper.get_by_role("button", name="Confirmer : ").click()
    await expect(keeper.get_by_role("status")).to_contain_text("enregistrée")
    await decided_too_late(twin)
    await by_hand(keeper, stack)
    ticket = await keeper.locator("dd", has_text="T-20").inner_text()

    async def one_euro_is_left() -> bool:
        return await left_cents(stack, ticket) == 100

    await eventually(one_euro_is_left)
    await keeper.get_by_label("Rembourser").check()
    await keeper.get_by_label("Montant à rendre").fill("99999")
    await keeper.get_by_label("Motif").fill("geste de la mairie")
    await keeper.get_by_label("Preuve").fill("virement 7")
    await keeper.get_by_role("button", name="Enregistrer la décision").click()
    await keeper.get_by_role("button", name=re.compile("Rembourser : 99.999,00")).click()
    await expect(keeper.get_by_role("alert")).to_contain_text("dépasse ce qui reste")
    await keeper.get_by_label("Montant à rendre").fill("1,50")
    await keeper.get_by_role("button", name="Enregistrer la décision").click()
    await keeper.get_by_role("button", name="Rembourser : 1,50 €").click()
    await expect(keeper.get_by_role("heading", level=1)).to_contain_text("remboursé en partie")

    async def it_is_due_again() -> bool:
        return await left_cents(stack, ticket) == 250

    await eventually(it_is_due_again)
    await phone.reload()
    await expect(phone.get_by_role("heading", level=1)).to_contain_text("remboursé en partie")
    await context.close()


async def decided_too_late(page: Page) -> None:
    """A colleague's decision on what was to be verified a moment ago: refused, and what was typed stays."""
    await page.get_by_label("Rembourser").check()
    await page.get_by_label("Motif").fill("argent inconnu")
    await page.get_by_label("Preuve").fill("relevé, ligne 4")
    await page.get_by_role("button", name="Enregistrer la décision").click()
    await expect(page.get_by_role("alert")).to_contain_text("a changé entre-temps")
    await expect(page.get_by_label("Motif")).to_have_value("argent inconnu")
    await expect(page.get_by_label("Preuve")).to_have_value("relevé, ligne 4")
    await page.close()


async def by_hand(page: Page, stack: Stack) -> None:
    """Decisions and receipts that no page of ours sends: without what was shown, unconfirmed, confirmed by oneself."""
    form = {"form_token": await page.locator("input[name=form_token]").first.input_value()}
    decision = {"command": "refund", "reason": "geste", "evidence": "virement 7"}
    path = page.url.partition("?")[0] + "/decision"
    version = await page.locator("input[name=seen_version]").input_value()
    for more in ({}, {"seen_version": "0" * 16}):
        answer = await page.request.post(path, form={**form, **decision, **more})
        assert answer.status == 409
        assert "a changé entre-temps" in await answer.text(), more
    for more in ({}, {"confirmed": "0" * 64}):
        answer = await page.request.post(path, form={**form, **decision, "seen_version": version, **more})
        assert "Rembourser : " in await answer.text(), "it is asked, and not done"
    await page.goto(f"{stack.gateway_url}/mairie/encaissements?foyer=SA006")
    href = await page.locator(".lines a").first.get_attribute("href")
    account = f"{stack.gateway_url}{href}"
    receipt = {"amount": "1,00", "means": "cash", "received_on": str(today()), "reference": ""}
    for more, words in (
        ({}, "Ce compte a changé entre-temps"),
        ({"seen_balance_cents": ""}, "Ce compte a changé entre-temps"),
        ({"seen_balance_cents": "1"}, "<h1>Encaisser 1,00"),
    ):
        answer = await page.request.post(account, form={**form, **receipt, **more})
        assert words in await answer.text(), more
    assert await receipts(stack) == 0
    await page.goto(path.removesuffix("/decision"))


async def receipts(stack: Stack) -> int:
    ledger = await asyncpg.connect(stack.databases["billing"])
    try:
        count: int = await ledger.fetchval("SELECT count(*) FROM receipt")
        return count
    finally:
        await ledger.close()


async def test_a_parent_does_not_see_the_till(phone: Page, stack: Stack) -> None:
    await sign_in(phone, stack, "demo04")
    await expect(phone.get_by_role("button", name="Déconnexion")).to_be_visible()
    response = await phone.goto(f"{stack.gateway_url}/mairie/paiements")
    assert response is not None
    assert response.status == 403


async def test_the_story_ends_settled_and_mailed_and_the_banks_remittance_is_compared(
    phone: Page, browser: Browser, stack: Stack
) -> None:
    await goes_to_pay(phone, stack, "demo05")
    await pays(phone)
    story = phone.locator(".story")
    await expect(story).to_contain_text("est soldée", timeout=60_000)
    await expect(story).to_contain_text("Votre ticket a été envoyé par email", timeout=60_000)
    context = await browser.new_context(viewport={"width": 390, "height": 844}, locale="fr-FR")
    keeper = await context.new_page()
    await sign_in(keeper, stack, "regie")
    await keeper.goto(f"{stack.gateway_url}/mairie/paiements/{phone.url.rpartition('/')[2]}")
    await expect(keeper.locator(".story")).to_contain_text("demo05@example.org")
    reference = await keeper.locator("dd code").first.inner_text()
    await keeper.goto(f"{stack.gateway_url}/mairie/paiements/rapprochement")
    await keeper.get_by_label("Compte", exact=True).select_option("lyra-12345678")
    await _sends(keeper, f"Date;Montant;Référence\n{today():%d/%m/%Y};0,01;{reference}\n")
    await expect(keeper.locator(".cases li")).to_contain_text("Le montant n'est pas le même")
    await keeper.get_by_text("Classer cet écart").click()
    await keeper.get_by_label("Explication").fill("fichier d'essai")
    await keeper.get_by_role("button", name="Classer").click()
    await expect(keeper.get_by_text("disent la même chose")).to_be_visible()
    await _sends(keeper, "Date;Montant;Référence\nhier;0,01;X\n")
    await expect(keeper.get_by_role("alert")).to_contain_text("hier")
    await keeper.goto(f"{stack.gateway_url}/mairie/paiements/journal")
    await keeper.get_by_label("Référence").fill(reference)
    await keeper.get_by_role("button", name="Chercher").click()
    await keeper.locator("summary").first.click()
    await expect(keeper.get_by_role("link", name=reference).first).to_be_visible()
    await context.close()


async def _sends(keeper: Page, content: str) -> None:
    file = {"name": "releve.csv", "mimeType": "text/csv", "buffer": content.encode()}
    await keeper.get_by_label("Fichier CSV").set_input_files(file)  # type: ignore[arg-type]
    await keeper.get_by_role("button", name="Envoyer le relevé").click()
