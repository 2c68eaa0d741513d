"""Tariffs, the monthly run and the till, in a real browser on the whole portal; and what a parent sees of them."""

import re

import asyncpg
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


async def account(page: Page, stack: Stack, reference: str) -> None:
    await page.goto(f"{stack.gateway_url}/mairie/encaissements")
    await page.get_by_label("Nom ou référence").fill(reference)
    await page.get_by_role("button", name="Chercher").click()
    await page.locator(".lines a").first.click()
    await expect(page.get_by_role("heading", name="Quotient familial")).to_be_visible()


async def test_a_till_keeper_takes_cash_and_the_parent_sees_it(phone: Page, stack: Stack) -> None:
    await sign_in(phone, stack, "regie")
    await account(phone, stack, "SA009")
    await phone.get_by_label("Montant reçu").fill("quarante euros")
    await phone.get_by_role("button", name="Encaisser").click()
    await expect(phone.get_by_role("alert")).to_contain_text("s'écrit comme 42,50")
    assert await phone.get_by_label("Montant reçu").input_value() == "quarante euros"
    await phone.get_by_label("Montant reçu").fill("9999")
    await phone.get_by_role("button", name="Encaisser").click()
    await phone.get_by_role("button", name=re.compile("Encaisser 9.999,00")).click()
    await expect(phone.get_by_role("alert")).to_contain_text("Ce montant dépasse les")
    due = re.findall(r"Doit ([\d,]+)", await phone.locator("h2").first.inner_text())[0]
    await phone.get_by_label("Montant reçu").fill(due)
    await phone.get_by_label("Moyen").first.select_option("cheque")
    await phone.get_by_role("button", name="Encaisser").click()
    await expect(phone.get_by_text("il restera 0,00 €")).to_be_visible()
    await phone.get_by_role("button", name=f"Encaisser {due} €").click()
    await expect(phone.get_by_role("status")).to_contain_text("enregistré")
    await expect(phone.get_by_role("heading", name="Ne doit rien")).to_be_visible()
    await phone.goto(f"{stack.gateway_url}/mairie/encaissements")
    await expect(phone.locator("tfoot")).to_contain_text(due)
    async with phone.expect_download() as download:
        await phone.get_by_role("link", name="Écritures comptables").click()
    assert (await download.value).suggested_filename.endswith(".csv")
    await sign_in(phone, stack, "demo09")
    await phone.goto(f"{stack.gateway_url}/factures")
    await expect(phone.get_by_text("Vous n'avez rien à régler.")).to_be_visible()


async def test_a_late_quotient_opens_a_credit_that_the_parent_reads(phone: Page, stack: Stack) -> None:
    await sign_in(phone, stack, "regie")
    await account(phone, stack, "SA005")
    await phone.get_by_label("QF").fill("250")
    await phone.get_by_label("Depuis le").fill("2020-09-01")
    await phone.get_by_role("button", name="Enregistrer le QF").click()
    await expect(phone.get_by_role("status")).to_contain_text("enregistré")
    assert not await phone.get_by_role("button", name="Publier cet avoir").count()  # a newer quotient holds
    since = re.findall(r"depuis le \w\w (\d\d)-(\d\d)-(\d{4})", await phone.locator(".money").nth(1).inner_text())[0]
    await phone.get_by_label("QF").fill("250")
    await phone.get_by_label("Depuis le").fill("-".join(reversed(since)))
    await phone.get_by_role("button", name="Enregistrer le QF").click()
    await phone.get_by_text("Corriger une facture").click()
    await phone.get_by_label("Montant de l'avoir").fill("9999")
    await phone.get_by_label("Motif").fill("Repas non servi")
    await phone.get_by_role("button", name="Publier l'avoir").click()
    await phone.get_by_role("button", name=re.compile("l'avoir de 9.999,00")).click()
    await expect(phone.get_by_role("alert")).to_contain_text("ne peut plus être corrigée que de")
    assert await phone.get_by_label("Motif").input_value() == "Repas non servi"
    await phone.get_by_role("button", name="Publier cet avoir").click()
    await expect(phone.get_by_text("coûtent moins avec ce qui est connu")).to_be_visible()
    await phone.get_by_role("button", name="Publier l'avoir de").click()
    await expect(phone.get_by_role("status")).to_contain_text("L'avoir est publié")
    await sign_in(phone, stack, "demo05")
    await phone.goto(f"{stack.gateway_url}/factures")
    await expect(phone.get_by_role("heading", name="Mes avoirs")).to_be_visible()
    path = await phone.get_by_role("link", name=re.compile("^Avoir A-")).get_attribute("href")
    answer = await phone.request.get(f"{stack.gateway_url}{path}")
    assert (await answer.body()).startswith(b"%PDF")


async def test_a_month_is_prepared_and_given_up(phone: Page, stack: Stack) -> None:
    await sign_in(phone, stack, "regie")
    await phone.goto(f"{stack.gateway_url}/mairie/factures")
    await phone.get_by_label("À régler avant le").fill("2020-01-01")
    await phone.get_by_role("button", name="Préparer").click()
    await expect(phone.get_by_role("alert")).to_contain_text("déjà passée")
    await phone.goto(f"{stack.gateway_url}/mairie/factures")
    await phone.get_by_role("button", name="Préparer").click()
    await expect(phone.get_by_role("heading", name="À relire")).to_be_visible(timeout=60_000)
    await phone.get_by_role("button", name="Abandonner").click()
    await expect(phone.get_by_role("heading", name="Abandonnées")).to_be_visible()


async def test_a_tariff_that_overlaps_is_refused_and_what_was_typed_is_kept(phone: Page, stack: Stack) -> None:
    await sign_in(phone, stack, "regie")
    await phone.goto(f"{stack.gateway_url}/mairie/tarifs")
    await phone.get_by_label("Activité").select_option(label="Cantine")
    await phone.get_by_label("Nom du tarif").fill("Repas d'été")
    await phone.get_by_label("Premier jour").fill("2030-07-01")
    await phone.get_by_label("Selon la tranche").check()
    await phone.get_by_label("Une tranche par ligne").fill("400 = 1,00\n700 = 2,65\n4,20")
    await phone.get_by_role("button", name="Enregistrer le tarif").click()
    await expect(phone.get_by_role("alert")).to_contain_text("quand le QF n'est pas connu")
    await phone.get_by_label("Prix quand le QF").fill("4,20")
    await phone.get_by_role("button", name="Enregistrer le tarif").click()
    await expect(phone.get_by_role("alert")).to_contain_text("s'appliquerait aux mêmes jours")
    assert await phone.get_by_label("Nom du tarif").input_value() == "Repas d'été"
    first = phone.locator(".tariffs > li", has_text="Mercredi au taux d'effort")
    await first.locator("summary").click()
    await first.get_by_label("Dernier jour").fill("2030-06-30")
    await first.get_by_role("button", name="Terminer ce jour-là").click()
    await expect(phone.get_by_role("status")).to_contain_text("enregistré")
    await expect(phone.locator(".tariffs > li", has_text="Mercredi au taux d'effort")).to_contain_text("30-06-2030")


async def test_a_parent_reads_where_a_price_comes_from(phone: Page, stack: Stack) -> None:
    await sign_in(phone, stack, "demo06")
    await phone.goto(f"{stack.gateway_url}/planning")
    await phone.get_by_text("Comment ces prix sont calculés").click()
    await expect(phone.locator(".why")).to_contain_text("QF 699,99 depuis le")
    await expect(phone.locator(".why")).to_contain_text("tranche jusqu'à 700")


async def test_others_do_not_see_the_till(phone: Page, stack: Stack) -> None:
    for identifier in ("accueil", "demo06"):
        await sign_in(phone, stack, identifier)
        for path in ("factures", "tarifs", "encaissements", "encaissements/ecritures.csv"):
            response = await phone.goto(f"{stack.gateway_url}/mairie/{path}")
            assert response is not None
            assert response.status == 403, path


async def test_the_town_says_when_unpaid_invoices_are_reminded_of(phone: Page, stack: Stack) -> None:
    ledger = await asyncpg.connect(stack.databases["billing"])
    try:
        # An invoice never changes: one is made late as a month would make it.
        await ledger.execute("ALTER TABLE invoice DISABLE TRIGGER immutable")
        query = (
            "UPDATE invoice SET due_on = current_date - 10 WHERE household_name = 'Famille Chevalier' RETURNING number"
        )
        number = await ledger.fetchval(query)
    finally:
        await ledger.close()
    await sign_in(phone, stack, "regie")
    await phone.goto(f"{stack.gateway_url}/mairie/relances")
    await expect(phone.get_by_text("Aucun rappel n'est envoyé")).to_be_visible()
    await phone.get_by_label("1er rappel").fill("21")
    await phone.get_by_label("2e rappel").fill("7")
    await phone.get_by_role("button", name="Enregistrer").click()
    await expect(phone.get_by_role("alert")).to_contain_text("chacun plus grand")
    assert await phone.get_by_label("1er rappel").input_value() == "21"
    await phone.get_by_label("1er rappel").fill("7")
    await phone.get_by_label("2e rappel").fill("21")
    await phone.get_by_role("button", name="Voir l'effet").click()
    await expect(phone.get_by_role("status")).to_contain_text("1 facture")
    await phone.get_by_text("Ne plus rappeler").click()
    await phone.get_by_label("Pourquoi").fill("conteste un repas")
    await phone.get_by_role("button", name="Suspendre les rappels").click()
    await expect(phone.get_by_text("conteste un repas")).to_be_visible()
    await phone.get_by_label("1er rappel").fill("7")
    await phone.get_by_role("button", name="Enregistrer").click()
    await expect(phone.get_by_role("status")).to_contain_text("C'est enregistré")
    await phone.get_by_role("button", name=f"Rappeler de nouveau la facture {number}").click()
    await expect(phone.get_by_text("prochain rappel le")).to_be_visible()


async def test_a_message_for_an_activity_is_counted_before_it_goes(phone: Page, stack: Stack) -> None:
    await sign_in(phone, stack, "accueil")
    await phone.goto(f"{stack.gateway_url}/mairie/messages")
    await phone.get_by_label("Texte").fill("Menus de **Noël**")
    await phone.get_by_label("Pour", exact=True).select_option(label="Cantine")
    await phone.get_by_label("L'envoyer aussi").check()
    await phone.get_by_role("button", name="Aperçu").click()
    await expect(phone.get_by_role("status")).to_contain_text("12 familles verront ce message ; 12 mails partiront")
    await expect(phone.get_by_label("Pour", exact=True)).to_have_value(re.compile("activity_id:"))
    await phone.get_by_role("button", name="Enregistrer").click()
    await expect(phone.get_by_text("12 mails seront envoyés.")).to_be_visible()
    await phone.get_by_role("button", name="Envoyer à 12 familles").click()
    message = phone.locator("li", has_text="affiché · Cantine")
    await message.get_by_role("button", name="Ne plus afficher").click()
    await expect(phone.get_by_text("Aucune famille ne le voit plus")).to_be_visible()
    await phone.get_by_role("link", name="Ne rien faire").click()
    await expect(message).to_be_visible()
    await sign_in(phone, stack, "demo06")
    await expect(phone.get_by_text("Menus de Noël")).to_be_visible()


async def test_days_of_an_invoice_are_given_back_by_name(phone: Page, stack: Stack) -> None:
    await sign_in(phone, stack, "regie")
    await account(phone, stack, "SA003")
    await phone.get_by_text("Rendre des jours").click()
    await phone.get_by_role("button", name="Choisir les jours").click()
    await phone.get_by_label("Motif").fill("Repas non servi")
    await phone.get_by_role("button", name="Publier l'avoir").click()
    await expect(phone.get_by_role("alert")).to_contain_text("Choisissez au moins un jour")
    assert await phone.get_by_label("Motif").input_value() == "Repas non servi"
    before = await phone.locator("input[name=jour]").count()
    for number in range(2):
        await phone.locator("input[name=jour]").nth(number).check()
    await phone.get_by_role("button", name="Publier l'avoir").click()
    await expect(phone.get_by_text("pour 2 jours")).to_be_visible()
    await phone.get_by_role("button", name="Publier l'avoir de").click()
    await expect(phone.get_by_role("status")).to_contain_text("L'avoir est publié")
    await expect(phone.get_by_text("Repas non servi")).to_be_visible()
    await phone.get_by_text("Rendre des jours").click()
    await phone.get_by_role("button", name="Choisir les jours").click()
    await expect(phone.locator("input[name=jour]")).to_have_count(before - 2)


async def test_a_tariff_by_attendance_keeps_what_was_typed_until_it_is_right(phone: Page, stack: Stack) -> None:
    await sign_in(phone, stack, "regie")
    await phone.goto(f"{stack.gateway_url}/mairie/tarifs")
    await phone.get_by_label("Activité").select_option(label="Périscolaire matin")
    await phone.get_by_label("Nom du tarif").fill("Matin d'une école")
    await phone.get_by_label("Premier jour").fill("2020-07-01")
    await phone.get_by_label("Dernier jour (facultatif)").fill("2020-07-31")
    await phone.get_by_label("Prix, en euros").fill("3")
    await phone.get_by_label("Ce qui est pointé").check()
    await phone.get_by_label("Absence non justifiée").fill("la moitié")
    await phone.get_by_label("Supplément départ en retard").fill("5,50")
    await phone.get_by_role("button", name="Enregistrer le tarif").click()
    await expect(phone.get_by_role("alert")).to_contain_text("un nombre entier, comme 50")
    await expect(phone.get_by_label("Ce qui est pointé")).to_be_checked()
    await phone.get_by_label("Absence non justifiée").fill("250")
    await phone.get_by_role("button", name="Enregistrer le tarif").click()
    await expect(phone.get_by_role("alert")).to_contain_text("pourcentages jusqu'à 100")
    await phone.get_by_label("Absence non justifiée").fill("50")
    await phone.get_by_label("Selon la tranche").check()
    await phone.get_by_label("Une tranche par ligne").fill("700 = 1,00\n400 = 2,65\n4,20")
    await phone.get_by_label("Prix quand le QF").fill("4,20")
    await phone.get_by_role("button", name="Enregistrer le tarif").click()
    await expect(phone.get_by_role("alert")).to_contain_text("tranches croissantes")
    await phone.get_by_label("Le même prix pour tous").check()
    await phone.get_by_label("Dont garde").fill("30 %")
    await phone.get_by_role("button", name="Enregistrer le tarif").click()
    await expect(phone.get_by_role("alert")).to_contain_text("va avec la case")
    await phone.get_by_label("C'est de la garde d'enfant").check()
    for wrong in ("100 %", "0", "la moitié"):
        await phone.get_by_label("Dont garde").fill(wrong)
        await phone.get_by_role("button", name="Enregistrer le tarif").click()
        await expect(phone.get_by_role("alert")).to_contain_text("Dont garde")
        await expect(phone.get_by_label("Dont garde")).to_have_value(wrong)
    await phone.get_by_label("Dont garde").fill("30 %")
    await phone.get_by_role("button", name="Enregistrer le tarif").click()
    kept = phone.locator(".tariffs > li", has_text="Matin d'une école")
    await expect(kept).to_contain_text("Facturé d'après le pointage")
    await expect(kept).to_contain_text("départ en retard +5,50")
    await expect(kept).to_contain_text("attestation fiscale, dont garde 30 %")


async def test_a_parent_pays_a_part_and_reads_what_is_left(phone: Page, stack: Stack) -> None:
    await sign_in(phone, stack, "demo07")
    await phone.goto(f"{stack.gateway_url}/factures")
    due = cents(await phone.locator(".invoices .amount").first.inner_text())
    await phone.get_by_role("button", name="Régler les factures choisies").click()
    for wrong, words in (("dix", "s'écrit comme 42,50"), ("5", "une partie entre 10,00")):
        await phone.get_by_label("Montant que vous payez").fill(wrong)
        await phone.get_by_role("button", name="Payer en ligne").click()
        await expect(phone.get_by_role("alert")).to_contain_text(words)
        assert await phone.get_by_label("Montant que vous payez").input_value() == wrong
    await phone.get_by_label("Montant que vous payez").fill("12,50")
    await phone.get_by_role("button", name="Payer en ligne").click()
    await phone.get_by_label("Numéro de carte").fill("4970 1000 0000 0006")
    await phone.get_by_role("button", name="Payer").click()
    await expect(phone.get_by_role("heading", name="Confirmation de paiement")).to_be_visible(timeout=60_000)
    left = await phone.get_by_text("Après ce paiement, il reste").inner_text()
    assert cents(left) == due - 1_250
    await phone.get_by_role("link", name="Retour").click()
    for _ in range(100):
        if cents(await phone.locator(".invoices .amount").first.inner_text()) == due - 1_250:
            return
        await phone.wait_for_timeout(200)
        await phone.reload()
    raise AssertionError("the invoice never said what is left")


async def owes_and_has_credit(stack: Stack, reference: str, cents: int) -> None:
    """A household whose money came twice, as when a payment is confirmed after the counter took the same."""
    ledger = await asyncpg.connect(stack.databases["billing"])
    try:
        movement = (
            "WITH t AS (INSERT INTO ledger_transaction (key, at, day) VALUES ('test/' || $1, now(), now()) "
            "RETURNING transaction_id) INSERT INTO ledger_entry (transaction_id, account, household_id, means, till, "
            "amount_cents) SELECT transaction_id, account, household_id, means, till, amount_cents FROM t, household, "
            "(VALUES ('bank', 'cash', 'REGIE', $2::bigint), ('credit', NULL, NULL, -$2::bigint)) "
            "AS leg (account, means, till, amount_cents) WHERE reference = $1"
        )
        await ledger.execute(movement, reference, cents)
    finally:
        await ledger.close()


async def test_the_cashier_has_a_credit_pay_in_one_press(phone: Page, stack: Stack) -> None:
    await owes_and_has_credit(stack, "SA011", 350)
    await sign_in(phone, stack, "regie")
    await account(phone, stack, "SA011")
    before = cents(await phone.locator("h2").first.inner_text())
    await phone.get_by_role("button", name="Régler les factures avec le crédit de 3,50 €").click()
    await expect(phone.get_by_role("status")).to_contain_text("Le crédit a été utilisé pour régler les factures.")
    assert cents(await phone.locator("h2").first.inner_text()) == before - 350
    await expect(phone.get_by_role("button", name="Régler les factures avec le crédit")).to_have_count(0)


async def test_a_family_has_its_credit_pay_in_one_press_and_the_rest_is_given_back(phone: Page, stack: Stack) -> None:
    await owes_and_has_credit(stack, "SA012", 500_000)
    await sign_in(phone, stack, "demo12")
    await phone.goto(f"{stack.gateway_url}/factures")
    await expect(phone.get_by_text(re.compile("Vous avez un crédit de 5.000,00"))).to_be_visible()
    await phone.get_by_role("button", name="Régler avec mon crédit").click()
    await expect(phone.get_by_role("status").first).to_contain_text("crédit")
    await expect(phone.get_by_text("Vous n'avez rien à régler.")).to_be_visible()
    await sign_in(phone, stack, "regie")
    await account(phone, stack, "SA012")
    credit = re.sub(r"\s", "", (await phone.locator("h2").first.inner_text()).rpartition("crédit de ")[2].strip("€ "))
    await phone.get_by_text("Rembourser le crédit").click()
    await phone.get_by_label("Montant rendu").fill(credit)
    await phone.locator("#refund_reference").fill("virement du 12")
    await phone.get_by_role("button", name="Rembourser", exact=True).click()
    await expect(phone.get_by_text("Le crédit de ce foyer est de")).to_contain_text(credit[-6:])
    await phone.get_by_role("button", name=re.compile(r"Rembourser [\d\s]+,\d\d")).click()
    await expect(phone.get_by_role("status")).to_contain_text("Le remboursement est enregistré.")
    await expect(phone.get_by_role("heading", name="Ne doit rien")).to_have_text("Ne doit rien")


async def test_the_page_of_a_run_follows_its_steps(phone: Page, stack: Stack) -> None:
    """What the page hears of a run: where it stands, how far it is, and how to say so."""
    await sign_in(phone, stack, "regie")
    await phone.goto(f"{stack.gateway_url}/mairie/factures")
    await phone.locator("td a").first.click()
    heard = await phone.evaluate(
        "new Promise((done) => new EventSource(location.pathname + '/flux')"
        ".addEventListener('status', (event) => done(event.data)))"
    )
    status, count, words = heard.split("|")
    assert status in {"done", "cancelled"}
    assert words == f"{count} foyers sur {count}"


def cents(text: str) -> int:
    """The first amount of a text."""
    found = re.search(r"(\d[\d\s]*),(\d\d)", text)
    assert found is not None, text
    return int("".join(found[1].split())) * 100 + int(found[2])
