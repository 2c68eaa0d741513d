"""Places that are wanted by many, in a real browser: offered for a while, and shared between siblings and schools."""

from datetime import date, timedelta
from typing import Any
from uuid import UUID

import aiohttp
import asyncpg
import pytest
from playwright.async_api import Browser, Page, ViewportSize, expect

from chassis.testing import eventually
from local_stack.demo import CLUB, SECRET, id_of
from local_stack.stack import Stack

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]


async def signed_in(browser: Browser, stack: Stack, identifier: str, *, scripts: bool = True) -> Page:
    """A telephone on which somebody is signed in."""
    size: ViewportSize = {"width": 390, "height": 844}
    context = await browser.new_context(viewport=size, locale="fr-FR", java_script_enabled=scripts)
    page = await context.new_page()
    await page.goto(f"{stack.gateway_url}/connexion")
    await page.get_by_label("Identifiant").fill(identifier)
    await page.get_by_label("Code secret").fill(SECRET)
    await page.get_by_role("button", name="Connexion", exact=True).click()
    await page.wait_for_load_state()
    return page


async def ask(stack: Stack, query: str, *arguments: Any) -> Any:
    connection = await asyncpg.connect(stack.databases["planning"])
    try:
        return await connection.fetchval(query, *arguments)
    finally:
        await connection.close()


async def child_of(stack: Stack, first_name: str) -> str:
    return str(await ask(stack, "SELECT child_id FROM household_child WHERE first_name = $1", first_name))


async def full_day(stack: Stack) -> date:
    """The day of the club that the demo town has filled."""
    day: date = await ask(stack, "SELECT day FROM occupation WHERE activity_id = $1 AND booked > 0", id_of(CLUB))
    return day


async def toggle(page: Page, stack: Stack, first_name: str, day: date, *, ticked: bool) -> None:
    """Tick or untick the club's day of a child, and validate."""
    await page.goto(f"{stack.gateway_url}/planning/{await child_of(stack, first_name)}/{day:%Y-%m}")
    await page.locator(f"input[name=booked][value='{id_of(CLUB)}|{day}']").set_checked(ticked)
    await page.get_by_role("button", name="Valider mes modifications").click()
    await expect(page.get_by_role("heading", name="Enregistré")).to_be_visible()


async def mailed(stack: Stack, recipient: str, subject: str) -> bool:
    async with aiohttp.ClientSession() as http, http.get(f"{stack.url('mail')}/api/mails") as response:
        return any(mail["to"] == recipient and subject in mail["subject"] for mail in await response.json())


async def save_club(page: Page, stack: Stack, **fields: str) -> None:
    """Change the club's rules as staff do: looked at first, then saved."""
    await page.goto(f"{stack.gateway_url}/mairie/calendrier/activites/{id_of(CLUB)}")
    for label, value in fields.items():
        await page.locator(f"#{label}").fill(value)
    await page.get_by_role("button", name="Voir le calendrier").click()
    await page.get_by_role("button", name="Enregistrer l'activité").click()
    await expect(page.get_by_role("status")).to_contain_text("L'activité est enregistrée")


async def test_a_freed_place_is_offered_refused_by_one_family_and_accepted_by_the_next(
    browser: Browser, stack: Stack
) -> None:
    town = await signed_in(browser, stack, "mairie")
    await town.goto(f"{stack.gateway_url}/mairie/calendrier/activites/{id_of(CLUB)}")
    await town.locator("#offer_hours").fill("200")
    await town.locator("form.sheet").evaluate("form => form.noValidate = true")
    await town.get_by_role("button", name="Voir le calendrier").click()
    await expect(town.get_by_role("alert")).to_contain_text("un nombre entier entre 1 et 168")
    await expect(town.locator("#offer_hours")).to_have_value("200")
    await save_club(town, stack, offer_hours="24")
    day = await full_day(stack)
    first, second = await signed_in(browser, stack, "demo05"), await signed_in(browser, stack, "demo06")
    await toggle(first, stack, "Rose", day, ticked=True)
    await toggle(second, stack, "Noé", day, ticked=True)
    holder = await signed_in(browser, stack, "demo12")
    await toggle(holder, stack, "Mai", day, ticked=False)

    await eventually(lambda: mailed(stack, "demo05@example.org", "Une place pour Rose"))
    await first.goto(f"{stack.gateway_url}/planning/{await child_of(stack, 'Rose')}")
    offer = first.locator("#offres")
    await expect(offer).to_contain_text("Une place vous est proposée")
    await offer.get_by_role("button", name="Refuser").click()
    await expect(first.locator(".lines")).to_contain_text("liste d'attente quittée")
    await expect(first.locator("#offres")).to_have_count(0)

    await eventually(lambda: mailed(stack, "demo06@example.org", "Une place pour Noé"))
    await second.goto(f"{stack.gateway_url}/planning/{await child_of(stack, 'Noé')}/{day:%Y-%m}")
    await expect(second.get_by_text("Place proposée")).to_be_visible()
    await second.locator("#offres").get_by_role("button", name="Accepter").click()
    await expect(second.locator(".lines")).to_contain_text("inscrit")
    query = "SELECT booked FROM booking WHERE child_id = $1::text::uuid AND activity_id = $2 AND day = $3"
    assert await ask(stack, query, await child_of(stack, "Noé"), id_of(CLUB), day)
    for page in (town, first, second, holder):
        await page.context.close()


async def test_a_place_on_offer_waits_on_the_first_page_and_is_answered_there_without_scripts(
    browser: Browser, stack: Stack
) -> None:
    """Two pages of the same parent: the answer given on one is told on the other, and nothing else is undone."""
    town = await signed_in(browser, stack, "mairie")
    await save_club(town, stack, offer_hours="48")
    day = await full_day(stack)
    parent = await signed_in(browser, stack, "demo05", scripts=False)
    await toggle(parent, stack, "Rose", day, ticked=True)
    await parent.goto(stack.gateway_url)
    await expect(parent.locator("#offres")).to_have_count(0)
    holder = await signed_in(browser, stack, "demo06")
    await toggle(holder, stack, "Noé", day, ticked=False)
    await parent.reload()
    offer = parent.locator("#offres")
    await expect(offer.locator("li")).to_contain_text("Rose · ")
    await expect(offer.locator("li")).to_contain_text("Mercredi")
    await expect(offer).to_contain_text("proposée jusqu'au")
    other = await parent.context.new_page()
    await other.goto(stack.gateway_url)
    await offer.get_by_role("button", name="Accepter").click()
    await expect(parent.locator(".lines")).to_contain_text("inscrit")
    await parent.reload()  # the form is sent again: the same recap, and nothing done twice
    await expect(parent.locator(".lines")).to_contain_text("inscrit")
    await other.locator("#offres").get_by_role("button", name="Refuser").click()
    await expect(other.get_by_role("alert")).to_contain_text("ce jour a été changé entre-temps")
    await expect(other.get_by_role("alert")).to_contain_text("Ce jour reste inscrit")
    query = "SELECT array_agg(booked) FROM booking_change WHERE child_id = $1 AND activity_id = $2 AND day = $3"
    rose = UUID(await child_of(stack, "Rose"))
    assert await ask(stack, f"{query} AND NOT waiting", rose, id_of(CLUB), day) == [True]
    await other.goto(stack.gateway_url)
    await expect(other.locator("#offres")).to_have_count(0)
    for page in (town, parent, holder):
        await page.context.close()


async def test_an_answer_to_an_offer_leaves_the_ticks_that_were_not_sent_on_the_device(
    browser: Browser, stack: Stack
) -> None:
    town = await signed_in(browser, stack, "mairie")
    await save_club(town, stack, offer_hours="48")
    day = await full_day(stack)
    parent, holder = await signed_in(browser, stack, "demo09"), await signed_in(browser, stack, "demo05")
    await toggle(parent, stack, "Sami", day, ticked=True)
    await toggle(holder, stack, "Rose", day, ticked=False)
    month = f"{stack.gateway_url}/planning/{await child_of(stack, 'Sami')}/{day:%Y-%m}"
    await parent.goto(month)
    free = parent.locator(".cell.free input[name=booked]").last
    value = await free.get_attribute("value")
    await free.check()
    await parent.locator("#offres").get_by_role("button", name="Refuser").click()
    await expect(parent.locator(".lines")).to_contain_text("liste d'attente quittée")
    await parent.goto(month)
    await expect(parent.locator(f"input[name=booked][value='{value}']")).to_be_checked()
    for page in (town, parent, holder):
        await page.context.close()


async def test_a_place_that_a_family_lets_pass_is_told_to_it_by_mail_and_offered_to_the_next(
    browser: Browser, stack: Stack
) -> None:
    town = await signed_in(browser, stack, "mairie")
    await save_club(town, stack, offer_hours="48")
    rose = UUID(await child_of(stack, "Rose"))
    families = {"Sami": "demo09", "Agathe": "demo10", "Rose": "demo05", "Noé": "demo06"}
    pages = {name: await signed_in(browser, stack, identifier) for name, identifier in families.items()}
    day = await free_club_day(pages["Rose"], stack, f"{stack.gateway_url}/planning/{rose}")
    for name, page in pages.items():
        await toggle(page, stack, name, day, ticked=True)
    await toggle(pages["Sami"], stack, "Sami", day, ticked=False)
    over = "UPDATE waiting SET offered_until = now() WHERE child_id = $1 AND day = $2 RETURNING true"
    assert await ask(stack, over, rose, day)
    await eventually(lambda: mailed(stack, "demo05@example.org", "La place de Rose"))
    await eventually(lambda: mailed(stack, "demo06@example.org", "Une place pour Noé"))
    for name, offers in (("Rose", 0), ("Noé", 1)):
        await pages[name].goto(stack.gateway_url)
        await expect(pages[name].locator("#offres li")).to_have_count(offers)
    for page in (town, *pages.values()):
        await page.context.close()


async def test_siblings_who_go_together_are_both_booked_or_neither(browser: Browser, stack: Stack) -> None:
    """Of the club's two places on a day only one is left, so neither sibling goes; a day later both do."""
    parent, neighbour = await signed_in(browser, stack, "demo08"), await signed_in(browser, stack, "demo09")
    hugo, lina = await child_of(stack, "Hugo"), await child_of(stack, "Lina")
    view = f"{stack.gateway_url}/planning/{hugo}"
    first = await free_club_day(parent, stack, view)
    await toggle(neighbour, stack, "Sami", first, ticked=True)

    async def together(day: date) -> None:
        await parent.goto(f"{view}/{day:%Y-%m}")
        await parent.get_by_text("Remplir plusieurs jours d'un coup").click()
        fill = parent.locator("#fill")
        await fill.locator(f"input[name=jour][value='{id_of(CLUB)}|{day.isoweekday()}']").check()
        await fill.get_by_label("Du", exact=True).fill(str(day))
        await fill.get_by_label("Au", exact=True).fill(str(day))
        await fill.get_by_label("Lina").check()
        await fill.get_by_label("Réserver seulement si tous ont une place").check()
        await fill.get_by_role("button", name="Voir ce que cela change").click()
        await expect(parent.get_by_role("heading", name="Ce qui va changer")).to_be_visible()

    async def booked(day: date) -> int:
        query = "SELECT count(*) FROM booking WHERE activity_id = $1 AND day = $2 AND booked AND child_id = ANY($3)"
        found: int = await ask(stack, query, id_of(CLUB), day, [hugo, lina])
        return found

    await together(first)
    await expect(parent.get_by_text("pas possible pour tous les enfants choisis").first).to_be_visible()
    assert await booked(first) == 0
    await together(first + timedelta(days=7))
    await parent.get_by_role("button", name="Valider").click()
    await expect(parent.get_by_role("heading", name="Enregistré")).to_have_count(2)
    assert await booked(first + timedelta(days=7)) == 2
    await parent.context.close()
    await neighbour.context.close()


async def free_club_day(page: Page, stack: Stack, view: str) -> date:
    """The first of two Wednesdays in a row that nobody has booked or is offered."""
    query = "SELECT array_agg(day) FROM occupation WHERE activity_id = $1 AND booked + held > 0"
    taken = await ask(stack, query, id_of(CLUB)) or []
    await page.goto(view)
    for _ in range(4):
        values = await page.locator(f".cell.free input[name=booked][value^='{id_of(CLUB)}|']").evaluate_all(
            "boxes => boxes.map(box => box.value)"
        )
        days = {date.fromisoformat(value.partition("|")[2]) for value in values}.difference(taken)
        if found := next((day for day in sorted(days) if day + timedelta(days=7) in days), None):
            return found
        await page.get_by_role("link", name="›").click()
        await page.wait_for_load_state()
    raise AssertionError("no month has two free club days in a row")


async def test_places_of_a_school_are_typed_line_by_line_and_hold_for_its_children_alone(
    browser: Browser, stack: Stack
) -> None:
    town = await signed_in(browser, stack, "mairie")
    school = await ask(stack, "SELECT school FROM household_child WHERE first_name = 'Agathe'")
    await town.goto(f"{stack.gateway_url}/mairie/calendrier/activites/{id_of(CLUB)}")
    places = town.get_by_label("Dont, par école")
    await places.fill("Prévert sans nombre")
    await town.get_by_role("button", name="Voir le calendrier").click()
    await expect(town.get_by_role("alert")).to_contain_text("Places par école")
    await expect(places).to_have_value("Prévert sans nombre")
    await places.fill(f"{school} : 0")
    await town.get_by_role("button", name="Voir le calendrier").click()
    await town.get_by_role("button", name="Enregistrer l'activité").click()
    await expect(town.get_by_role("status")).to_contain_text("L'activité est enregistrée")
    parent = await signed_in(browser, stack, "demo10")
    await parent.goto(f"{stack.gateway_url}/planning/{await child_of(stack, 'Agathe')}/{await full_day(stack):%Y-%m}")
    assert await parent.locator(f".cell.free input[name=booked][value^='{id_of(CLUB)}|']").count() == 0
    assert await parent.locator(f".cell.full input[name=booked][value^='{id_of(CLUB)}|']").count() > 0
    for page in (town, parent):
        await page.context.close()
