"""One household at the town hall's desk: seen, changed, told when somebody else was faster, and erased everywhere."""

import re
from datetime import date, timedelta
from typing import Any

import aiohttp
import asyncpg
import pytest
from playwright.async_api import Browser, Page, expect

from chassis.clock import today
from chassis.testing import eventually
from local_stack.demo import SECRET
from local_stack.stack import Stack

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]


async def sign_in(page: Page, stack: Stack, identifier: str) -> None:
    await page.goto(f"{stack.gateway_url}/connexion")
    await page.get_by_label("Identifiant").fill(identifier)
    await page.get_by_label("Code secret").fill(SECRET)
    await page.get_by_role("button", name="Connexion", exact=True).click()


async def open_household(page: Page, stack: Stack, search: str) -> None:
    await page.goto(f"{stack.gateway_url}/mairie/familles?q={search}")
    await page.locator("ul.families a").first.click()
    await expect(page.get_by_role("heading", name="Responsables")).to_be_visible()


async def ask(stack: Stack, service: str, query: str, *arguments: Any) -> Any:
    connection = await asyncpg.connect(stack.databases[service])
    try:
        return await connection.fetchval(query, *arguments)
    finally:
        await connection.close()


async def test_staff_change_a_household_and_what_is_typed_wrong_is_named(phone: Page, stack: Stack) -> None:
    await sign_in(phone, stack, "mairie")
    await open_household(phone, stack, "SA002")
    await expect(phone.get_by_label("Langue")).to_have_value("fr")
    await phone.get_by_label("Langue").select_option(label="Anglais")
    await phone.get_by_label("Classe").first.fill("CM2")
    await phone.get_by_label("Jours de ce foyer").first.select_option(label="Semaines paires")
    await phone.get_by_text("Garde par dates").first.click()
    await phone.get_by_label("Les jours de ce foyer, une période par ligne").first.fill("pendant Noël")
    await phone.get_by_text("Ajouter un responsable").click()
    new = phone.get_by_role("group", name="Nouveau responsable")
    await new.get_by_label("Prénom").fill("Sacha")
    await new.get_by_label("Nom", exact=True).fill("Roux")
    await phone.get_by_role("button", name="Enregistrer").click()
    await expect(phone.get_by_role("alert")).to_contain_text("les jours de garde s'écrivent")
    days = phone.get_by_label("Les jours de ce foyer, une période par ligne").first
    await expect(days).to_have_value("pendant Noël")
    await days.fill("du 19/12/2026 au 26/12/2026")
    await phone.get_by_role("button", name="Enregistrer").click()
    await expect(phone.get_by_role("status")).to_contain_text("C'est enregistré")
    await expect(phone.get_by_label("Classe").first).to_have_value("CM2")
    await expect(phone.get_by_label("Prénom").nth(1)).to_have_value("Sacha")
    await expect(phone.get_by_label("Langue")).to_have_value("en")
    in_english = "SELECT EXISTS (SELECT FROM household WHERE locale = 'en')"
    await eventually(lambda: ask(stack, "notifier", in_english))

    async def planning_knows() -> bool:
        query = "SELECT EXISTS (SELECT FROM household_child WHERE class_name = 'CM2' AND custody = 'even_weeks' "
        return bool(await ask(stack, "planning", query + 'AND custody_days = \'[["2026-12-19", "2026-12-26"]]\')'))

    await eventually(planning_knows)


async def test_a_change_made_elsewhere_is_told_and_not_overwritten(phone: Page, stack: Stack) -> None:
    await sign_in(phone, stack, "mairie")
    await open_household(phone, stack, "SA003")
    other = await phone.context.new_page()
    await open_household(other, stack, "SA003")
    await other.get_by_label("Adresse").fill("9 place de la Mairie\n00000 Saint-Aubin")
    await other.get_by_role("button", name="Enregistrer").click()
    await expect(other.get_by_role("status")).to_contain_text("C'est enregistré")
    await phone.get_by_label("Classe").first.fill("CM1")
    await phone.get_by_role("button", name="Enregistrer").click()
    told = phone.get_by_role("alert")
    await expect(told).to_contain_text("Quelqu'un a modifié ce foyer entre-temps")
    await expect(told).to_contain_text("9 place de la Mairie")
    await expect(phone.get_by_label("Classe").first).to_have_value("CM1")
    await phone.get_by_label("Adresse").fill("9 place de la Mairie\n00000 Saint-Aubin")
    await phone.get_by_role("button", name="Enregistrer ma saisie").click()
    await expect(phone.get_by_role("status")).to_contain_text("C'est enregistré")
    await expect(phone.get_by_label("Adresse")).to_have_value(re.compile("9 place de la Mairie"))


async def test_the_children_s_days_are_in_the_calendar_of_a_telephone_until_it_is_revoked(
    phone: Page, stack: Stack
) -> None:
    await sign_in(phone, stack, "demo07")
    await phone.goto(f"{stack.gateway_url}/compte")
    await phone.get_by_role("button", name="Créer une adresse").click()
    address = await phone.get_by_label("Tous les enfants").input_value()
    async with aiohttp.ClientSession() as http:
        async with http.get(address) as response:
            content, tag = await response.text(), response.headers["ETag"]
            assert (response.status, response.content_type) == (200, "text/calendar")
            assert response.headers["Cache-Control"].startswith("private")
        assert content.startswith("BEGIN:VCALENDAR\r\n")
        async with http.get(address, headers={"If-None-Match": tag}) as response:
            assert (response.status, await response.read()) == (304, b"")
        await phone.goto(f"{stack.gateway_url}/compte")
        await phone.get_by_role("button", name="La supprimer").click()
        await expect(phone.get_by_role("status")).to_contain_text("est supprimée")
        async with http.get(address) as response:
            assert response.status == 404
    key = address.rpartition("/")[2].removesuffix(".ics")
    assert all(key not in log.read_text(encoding="utf-8") for log in (stack.folder / "log").iterdir())


async def test_an_erased_household_is_nameless_everywhere_but_on_what_the_law_keeps(phone: Page, stack: Stack) -> None:
    await sign_in(phone, stack, "mairie")
    await open_household(phone, stack, "SA001")
    household_id = phone.url.rpartition("/")[2].partition("?")[0]
    family = await ask(stack, "auth", "SELECT name FROM household WHERE household_id = $1", household_id)
    email = await ask(stack, "auth", "SELECT email FROM account WHERE household_id = $1 LIMIT 1", household_id)
    await phone.get_by_text("À la demande de la famille (RGPD)").click()
    await phone.get_by_label("Pour confirmer").fill("SA002")
    await phone.get_by_role("button", name="Effacer définitivement").click()
    await expect(phone.get_by_role("alert")).to_contain_text("Rien n'a été effacé")
    await phone.get_by_label("Pour confirmer").fill("SA001")
    await phone.get_by_role("button", name="Effacer définitivement").click()
    await expect(phone.get_by_role("heading", name="Effacer le foyer SA001 ?")).to_be_visible()
    await phone.get_by_role("button", name="Confirmer l'effacement").click()
    await expect(phone.get_by_role("status")).to_contain_text("Le foyer est effacé")

    async def left(service: str, table: str, text: str) -> bool:
        query = f"SELECT EXISTS (SELECT FROM {table} t WHERE strpos(t::text, $1) > 0)"
        return bool(await ask(stack, service, query, text))

    async def is_forgotten() -> bool:
        mails = [await left("notifier", table, email) for table in ("mail", "guardian")]
        children = "SELECT count(*) FROM household_child WHERE household_id = $1 AND first_name <> '(effacé)'"
        to_come = "SELECT count(*) FROM booking WHERE household_id = $1 AND booked AND day > current_date"
        kept = [await ask(stack, "planning", query, household_id) for query in (children, to_come)]
        return not any((*mails, *kept))

    await eventually(is_forgotten)
    assert not await left("auth", "account", email)
    assert await ask(stack, "planning", "SELECT count(*) FROM booking_change WHERE household_id = $1", household_id)
    assert await left("billing", "invoice", family)


async def book_a_day(page: Page, stack: Stack, identifier: str) -> tuple[str, str]:
    """A parent books the first day that is free; its activity and day."""
    await sign_in(page, stack, identifier)
    await page.get_by_role("link", name="Planning", exact=True).click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Planning de")
    for _ in range(3):
        if await page.locator(".cell.free input").count():
            break
        await page.get_by_role("link", name="›").click()
        await page.wait_for_load_state()
    free = page.locator(".cell.free input").first
    activity_id, _, day = (await free.get_attribute("value") or "").partition("|")
    await free.check()
    await page.get_by_role("button", name="Valider mes modifications").click()
    await expect(page.get_by_role("heading", name="Enregistré")).to_be_visible()
    return activity_id, day


async def test_staff_end_an_enrolment_and_make_another_and_what_is_booked_past_the_end_is_told_first(
    browser: Browser, phone: Page, stack: Stack
) -> None:
    parent = await browser.new_context(viewport={"width": 390, "height": 844}, locale="fr-FR")
    activity_id, day = await book_a_day(await parent.new_page(), stack, "demo06")
    await sign_in(phone, stack, "accueil")
    await open_household(phone, stack, "SA006")
    section = phone.locator("#inscriptions")
    row = section.locator("li", has=phone.locator(f"input[name=activity][value^='{activity_id}']"))
    await row.get_by_text("Mettre fin ou changer les dates").click()
    await row.get_by_label("Du").fill("2026-09-02")
    await row.get_by_label("Dernier jour").fill("2026-09-01")
    await row.get_by_role("button", name="Enregistrer les dates").click()
    await expect(row.get_by_role("alert")).to_contain_text("Le dernier jour (01/09/2026) vient avant le premier")
    await expect(row.get_by_label("Dernier jour")).to_have_value("2026-09-01")
    await row.get_by_label("Dernier jour").fill(str(today()))
    await row.get_by_role("button", name="Enregistrer les dates").click()
    await expect(phone.get_by_text("1 réservation en dehors de ces dates")).to_be_visible()
    booked = "SELECT count(*) FROM booking WHERE activity_id = $1 AND booked AND day = $2"
    assert await ask(stack, "planning", booked, activity_id, date.fromisoformat(day)) >= 1
    await phone.get_by_role("button", name="Enregistrer et annuler la réservation").click()
    await expect(phone.get_by_role("status")).to_contain_text("les réservations en dehors sont annulées")

    async def billing_knows() -> bool:
        query = "SELECT count(*) FROM usage WHERE activity_id = $1 AND day = $2 AND booked AND household_id = $3"
        household_id = phone.url.rpartition("/")[2].partition("?")[0]
        return not await ask(stack, "billing", query, activity_id, date.fromisoformat(day), household_id)

    await eventually(billing_knows)

    async def is_told() -> bool:
        async with aiohttp.ClientSession() as http, http.get(f"{stack.url('mail')}/api/mails") as response:
            mails = [mail for mail in await response.json() if mail["to"] == "demo06@example.org"]
        return any("sont annulées par la mairie" in mail["subject"] for mail in mails)

    await eventually(is_told)
    channel = "SELECT channel FROM booking_change WHERE activity_id = $1 AND NOT booked ORDER BY position DESC LIMIT 1"
    assert await ask(stack, "planning", channel, activity_id) == "town_hall"
    await row.get_by_text("Mettre fin ou changer les dates").click()
    await row.get_by_label("Du").fill(str(today() - timedelta(days=9)))
    await row.get_by_label("Dernier jour").fill(str(today() - timedelta(days=1)))
    await row.get_by_role("button", name="Enregistrer les dates").click()
    await expect(row).to_contain_text("terminée le")
    await section.get_by_text("Inscrire à une activité").click()
    new = section.locator("details.add")
    await new.get_by_label("Activité", exact=True).select_option(index=1)
    await new.get_by_role("button", name="Inscrire").click()
    await expect(phone.get_by_role("status")).to_contain_text("Les dates de l'inscription sont enregistrées")
    await expect(section.get_by_text("terminée le")).to_have_count(0)
    await parent.close()


async def test_who_enrols_after_somebody_else_is_told_and_overwrites_nothing(phone: Page, stack: Stack) -> None:
    await sign_in(phone, stack, "accueil")
    await open_household(phone, stack, "SA005")
    other = await phone.context.new_page()
    await open_household(other, stack, "SA005")
    for page, day in ((other, "2027-01-15"), (phone, "2027-02-26")):
        row = page.locator("#inscriptions li").first
        await row.get_by_text("Mettre fin ou changer les dates").click()
        await row.get_by_label("Dernier jour").fill(day)
        await row.get_by_role("button", name="Enregistrer les dates").click()
    row = phone.locator("#inscriptions li").first
    await expect(row.get_by_role("alert")).to_contain_text("Quelqu'un a modifié cette inscription entre-temps")
    await expect(row.get_by_role("alert")).to_contain_text("15-01-2027")
    await expect(row.get_by_label("Dernier jour")).to_have_value("2027-02-26")
