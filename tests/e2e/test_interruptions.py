"""While a page is open: another tab, a deadline, the end of a session, a bank that is late, a service that is down."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import aiohttp
import asyncpg
import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect

from chassis.clock import today
from chassis.languages import catalogue
from chassis.testing import eventually
from contracts.model import Language
from gateway.languages import FOLDER
from gateway.pages.shared.sign_in import KEPT
from local_stack.demo import CANTEEN, Demo, id_of
from local_stack.stack import Stack
from tools import rare_screens

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

PHONE, DESK = (390, 844), (1280, 900)
IN_FRENCH, IN_ENGLISH = (PHONE, Language.FR, True), (DESK, Language.EN, False)
"""On a telephone in French with scripts, and on a desk in English without."""
both_ways = pytest.mark.parametrize(("size", "language", "scripts"), [IN_FRENCH, IN_ENGLISH])
FREE = f".cell.free input[value^='{id_of(CANTEEN)}|']"
Say = Any


def words(language: Language) -> Say:
    return catalogue(FOLDER, language).said


async def opened(browser: Browser, size: tuple[int, int], language: Language, scripts: bool) -> BrowserContext:
    return await browser.new_context(
        viewport={"width": size[0], "height": size[1]}, locale=f"{language}-FR", java_script_enabled=scripts
    )


async def signed_in(context: BrowserContext, stack: Stack, identifier: str, language: Language) -> Page:
    page = await context.new_page()
    await rare_screens.codes(page, stack, identifier)
    if await page.locator("html").get_attribute("lang") != language:
        await rare_screens.press(page, f".foot button[lang={language}]")
    return page


async def sql(stack: Stack, service: str, query: str, *arguments: Any) -> Any:
    connection = await asyncpg.connect(stack.databases[service])
    try:
        return await connection.fetchval(query, *arguments)
    finally:
        await connection.close()


async def free_month(page: Page, stack: Stack) -> list[str]:
    """Go to a month of the first child in which the canteen is free for a while; what its days are called."""
    await page.goto(f"{stack.gateway_url}/enfants")
    await rare_screens.press(page, ".cards a")
    for _ in range(4):
        boxes = page.locator(f"{FREE}[data-was='0']")
        if await boxes.count() >= 4:
            return [str(await boxes.nth(number).get_attribute("value")) for number in range(4)]
        await rare_screens.press(page, "div.choices .chip:last-child")
    raise AssertionError("no month has four free days")


def box(page: Page, day: str) -> Any:
    return page.locator(f"input[name=booked][value='{day}']")


async def validate(page: Page) -> None:
    await rare_screens.press(page, ".side .button")


async def is_told(page: Page, say: Say, heading: str, day: str, text: str) -> None:
    """Under that heading of the recap, that day is told so."""
    section = page.locator("section", has=page.get_by_role("heading", name=say(heading), exact=True))
    number = str(date.fromisoformat(day.partition("|")[2]).day)
    await expect(section.locator("li", has_text=number).filter(has_text=say(text))).not_to_have_count(0)


@both_ways
async def test_of_two_tabs_the_second_is_told_what_the_first_changed_and_overwrites_nothing(
    browser: Browser, stack: Stack, size: tuple[int, int], language: Language, scripts: bool
) -> None:
    context, say = await opened(browser, size, language, scripts), words(language)
    first = await signed_in(context, stack, "demo03" if scripts else "demo04", language)
    changed, booked, own, _ = await free_month(first, stack)
    await box(first, booked).check()
    await validate(first)
    await first.go_back()
    await first.reload()
    second = await context.new_page()
    await second.goto(first.url)
    await box(first, booked).uncheck()
    await box(first, changed).check()
    await validate(first)
    await rare_screens.press(first, "form[action$='/annuler'] button")
    await first.goto(second.url)
    await box(first, booked).uncheck()
    await validate(first)
    await box(second, changed).check()
    await box(second, own).check()
    await validate(second)
    await is_told(second, say, "Enregistré", own, "inscrit")
    await is_told(second, say, "Non enregistré", changed, "ce jour a été changé entre-temps, depuis un autre écran")
    await rare_screens.press(second, f"a.button[href='{second.url.removeprefix(stack.gateway_url)}']")
    ticks = [await box(second, day).is_checked() for day in (own, changed, booked)]
    assert ticks == [True, False, False], "what the first tab took back stays so, though the second had it ticked"
    await context.close()


async def with_notice(stack: Stack, notice: dict[str, Any] | None) -> dict[str, Any]:
    """Give the canteen another deadline, as the town hall's page does; what it was."""
    async with aiohttp.ClientSession() as http:
        town_hall = Demo(stack.url, http)
        await town_hall.sign_in()
        activities = (await town_hall._call("planning", "GET", "/activities"))["activities"]
        canteen = next(each for each in activities if each["label"] == CANTEEN)
        before: dict[str, Any] = canteen["booking_notice"]
        payload = {name: value for name, value in canteen.items() if name != "activity_id"}
        await town_hall._call("planning", "PUT", f"/activities/{id_of(CANTEEN)}", {**payload, "booking_notice": notice})
    return before


@both_ways
async def test_a_deadline_that_passes_meanwhile_is_told_for_its_day_and_the_other_is_saved(
    browser: Browser, stack: Stack, size: tuple[int, int], language: Language, scripts: bool
) -> None:
    context, say = await opened(browser, size, language, scripts), words(language)
    page = await signed_in(context, stack, "demo05" if scripts else "demo06", language)
    late, _, _, early = await free_month(page, stack)
    month = page.url
    await box(page, late).check()
    await box(page, early).check()
    days = (date.fromisoformat(late.partition("|")[2]) - today()).days
    before = await with_notice(stack, {"days_before": days, "at": "00:00"})
    try:
        await validate(page)
        await is_told(page, say, "Enregistré", early, "inscrit")
        await is_told(page, say, "Non enregistré", late, "délai dépassé")
        await expect(page.locator(".refused")).to_contain_text(say("Ce jour reste <b>non inscrit</b>.").split("<b>")[0])
        await page.goto(month)
        await expect(box(page, early)).to_be_checked()
        await expect(box(page, late)).to_have_count(0)
    finally:
        await with_notice(stack, before)
    await context.close()


async def expire(stack: Stack, identifier: str) -> None:
    """Let every session of somebody be as old as one that nobody used; the gateway may not remember it either."""
    query = (
        "UPDATE session SET created_at = $1, last_used_at = $1 FROM account "
        "WHERE account.account_id = session.account_id AND identifier = $2"
    )
    await sql(stack, "auth", query, datetime.now(UTC) - timedelta(days=2), identifier)
    await stack.kill("gateway")
    await stack.restart("gateway")


@both_ways
async def test_a_session_that_ends_while_one_ticks_costs_no_tick(
    browser: Browser, stack: Stack, size: tuple[int, int], language: Language, scripts: bool
) -> None:
    identifier = "demo08" if scripts else "demo09"
    context, say = await opened(browser, size, language, scripts), words(language)
    page = await signed_in(context, stack, identifier, language)
    first, second, third, _ = await free_month(page, stack)
    month = page.url
    await box(page, first).check()
    await validate(page)
    await page.goto(month)
    await box(page, first).uncheck()
    await box(page, second).check()
    await box(page, third).check()
    await expire(stack, identifier)
    await validate(page)
    await expect(page.get_by_role("status")).to_contain_text(say(KEPT))
    await rare_screens.type_codes(page, identifier, "not-my-secret")
    await expect(page.get_by_role("alert")).to_be_visible()
    await rare_screens.type_codes(page, identifier)
    assert page.url.startswith(month)
    await expect(page.locator("#kept")).to_contain_text(
        say("Les jours que vous aviez cochés sont de nouveau affichés. Ils ne sont pas enregistrés.")
    )
    ticks = [await box(page, day).is_checked() for day in (first, second, third)]
    assert ticks == [False, True, True]
    await validate(page)
    await is_told(page, say, "Enregistré", first, "annulé")
    await is_told(page, say, "Enregistré", second, "inscrit")
    await is_told(page, say, "Enregistré", third, "inscrit")
    await context.close()


async def test_ticks_of_a_page_from_before_another_sign_in_are_shown_again_and_can_be_forgotten(
    browser: Browser, stack: Stack
) -> None:
    context = await opened(browser, PHONE, Language.FR, scripts=False)
    page = await signed_in(context, stack, "demo10", Language.FR)
    day, *_ = await free_month(page, stack)
    await box(page, day).check()
    other = await context.new_page()
    await other.goto(f"{stack.gateway_url}/")
    await rare_screens.press(other, ".leave")
    await rare_screens.type_codes(other, "demo10")
    await validate(page)
    await expect(page.get_by_role("heading", name="Votre session a changé entre-temps")).to_be_visible()
    await page.get_by_role("link", name="Réessayer").click()
    await expect(page.locator("#kept")).to_be_visible()
    await expect(box(page, day)).to_be_checked()
    await page.get_by_role("link", name="Les effacer").click()
    await expect(box(page, day)).not_to_be_checked()
    await context.close()


async def test_who_signs_in_is_shown_the_page_that_was_asked_for_and_no_other_site(
    browser: Browser, stack: Stack
) -> None:
    context = await opened(browser, PHONE, Language.FR, scripts=True)
    page = await context.new_page()
    for asked, shown in (("/factures", "/factures"), ("/connexion?vers=https://example.org/", "/")):
        await page.goto(f"{stack.gateway_url}{asked}")
        await rare_screens.type_codes(page, "demo11")
        await expect(page).to_have_url(f"{stack.gateway_url}{shown}")
        await rare_screens.press(page, ".leave")
    await context.close()


@both_ways
async def test_the_back_button_shows_nothing_private_after_signing_out(
    browser: Browser, stack: Stack, size: tuple[int, int], language: Language, scripts: bool
) -> None:
    context, say = await opened(browser, size, language, scripts), words(language)
    page = await signed_in(context, stack, "demo07", language)
    for path in ("/factures", "/compte"):
        await page.goto(f"{stack.gateway_url}{path}")
    await rare_screens.press(page, ".leave")
    for _ in range(3):
        await page.go_back()
        await expect(page.get_by_role("heading", name=say("Connexion"))).to_be_visible()
        assert "demo07" not in await page.content()
        assert "Laurent" not in await page.content()
    await context.close()


async def bank(stack: Stack, **faults: Any) -> None:
    usual = {"notice": "once", "service_down": False}
    async with (
        aiohttp.ClientSession() as http,
        http.put(f"{stack.url('bank')}/api/faults", json={**usual, **faults}) as answer,
    ):
        assert answer.status == 200


async def at_the_bank(stack: Stack, id_op: str, deed: str) -> None:
    address = f"{stack.url('bank')}/api/operations/{id_op}/{deed}"
    async with aiohttp.ClientSession() as http, http.post(address) as answer:
        assert answer.status == 200


async def goes_to_the_bank(page: Page, stack: Stack) -> str:
    """With every invoice; the bank's reference."""
    await page.goto(f"{stack.gateway_url}/factures")
    await rare_screens.press(page, "form[action='/factures/recapitulatif'] button")
    await rare_screens.press(page, "form[action='/paiements'] button")
    return page.url.partition("idop=")[2]


async def pays(page: Page) -> None:
    await page.get_by_label("Numéro de carte").fill("4970 1000 0000 0006")
    await page.get_by_role("button", name="Payer").click()


async def says_neither_paid_nor_failed(page: Page, stack: Stack, say: Say) -> None:
    await expect(page.get_by_role("heading", name=say("En attente du retour de la banque"))).to_be_visible()
    other = await page.context.new_page()
    await other.goto(f"{stack.gateway_url}/factures")
    await expect(other.get_by_role("heading", name=say("Mes factures en cours de paiement"))).to_be_visible()
    await other.close()


async def is_confirmed(page: Page, say: Say) -> None:
    heading = page.get_by_role("heading", name=say("Confirmation de paiement"))
    await expect(heading).to_be_visible(timeout=60_000)
    await page.context.close()


@both_ways
async def test_back_from_the_bank_before_its_notification_one_waits_and_the_page_turns_by_itself(
    browser: Browser, stack: Stack, size: tuple[int, int], language: Language, scripts: bool
) -> None:
    context, say = await opened(browser, size, language, scripts), words(language)
    page = await signed_in(context, stack, "demo01" if scripts else "demo02", language)
    id_op = await goes_to_the_bank(page, stack)
    await bank(stack, notice="never", service_down=True)
    await pays(page)
    await says_neither_paid_nor_failed(page, stack, say)
    await bank(stack)
    await at_the_bank(stack, id_op, "notify")
    await is_confirmed(page, say)


@both_ways
async def test_back_from_the_bank_after_its_notification_it_is_paid_at_once(
    browser: Browser, stack: Stack, size: tuple[int, int], language: Language, scripts: bool
) -> None:
    context, say = await opened(browser, size, language, scripts), words(language)
    page = await signed_in(context, stack, "demo03" if scripts else "demo04", language)
    await bank(stack)
    id_op = await goes_to_the_bank(page, stack)
    await at_the_bank(stack, id_op, "pay")
    query = "SELECT payment_id::text FROM payment WHERE bank_reference = $1 AND status = 'confirmed'"
    payment = await eventually(lambda: sql(stack, "payment-gateway", query, id_op))
    await page.goto(f"{stack.gateway_url}/paiements/{payment}/retour")
    await expect(page.locator("#payment")).to_have_attribute("data-status", "confirmed")
    await is_confirmed(page, say)


@both_ways
async def test_back_from_the_bank_without_any_notification_the_bank_is_asked(
    browser: Browser, stack: Stack, size: tuple[int, int], language: Language, scripts: bool
) -> None:
    context, say = await opened(browser, size, language, scripts), words(language)
    page = await signed_in(context, stack, "demo05" if scripts else "demo06", language)
    await goes_to_the_bank(page, stack)
    await bank(stack, notice="never", service_down=True)
    await pays(page)
    await says_neither_paid_nor_failed(page, stack, say)
    await bank(stack, notice="never")
    back = f"{page.url}/retour"

    async def is_asked() -> bool:
        return 'data-status="confirmed"' in await (await context.request.get(back)).text()

    await eventually(is_asked)
    await is_confirmed(page, say)
