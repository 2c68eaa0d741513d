"""The rare screens of parents: refused, empty, ended, in progress. Besides the tour of ``screenshots.py``."""

import re
from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from uuid import uuid4

import aiohttp
import pyotp
from playwright.async_api import Page, expect

from chassis.languages import catalogue
from chassis.testing import eventually
from contracts.model import Language
from gateway.languages import FOLDER
from local_stack.demo import SECRET, Demo
from local_stack.stack import Stack

Shoot = Callable[[str, Page], Awaitable[None]]
Say = Callable[[str], str]
LINK_USED = "x" * 40
UNSUBSCRIBING = "/desabonnement/0197a3c2-5b1e-7c40-9d11-2f8e6a4b0c01/recap"
REFUSED_CARD = "4970 1000 0000 0014"

STATUS = {
    "sign-in-wrong": 401,
    "forgotten-wrong": 422,
    "new-secret-over": 409,
    "email-over": 409,
    "not-found": 404,
    "first-secret-wrong": 422,
    "account-wrong": 422,
    "telephone-wrong": 422,
    "one-time-code-wrong": 422,
    "amount-wrong": 422,
    "at-the-bank-still": 409,
}
"""What these screens are answered with; every other one with 200."""


async def codes(page: Page, stack: Stack, identifier: str, secret: str = SECRET) -> None:
    """Type the two codes, in whatever language the form is."""
    await page.goto(f"{stack.gateway_url}/connexion")
    await type_codes(page, identifier, secret)


async def type_codes(page: Page, identifier: str, secret: str = SECRET) -> None:
    """The same, on the form that is there."""
    await page.locator("#identifier").fill(identifier)
    await page.locator("#secret").fill(secret)
    await press(page, "main button.button")


async def press(page: Page, selector: str) -> None:
    """Press the first of these, and wait for the page that comes."""
    async with page.expect_navigation():
        await page.locator(selector).first.click()


async def before_signing_in(page: Page, stack: Stack, shoot: Shoot, language: Language) -> None:
    """Wrong codes, a session that is over, links that were used."""
    await page.goto(f"{stack.gateway_url}/connexion?fin=1")
    if await page.locator("html").get_attribute("lang") != language:
        await press(page, f".foot button[lang={language}]")
    await shoot("sign-in-over", page)
    await codes(page, stack, f"nobody-{uuid4().hex[:8]}", "wrong-codes")
    await shoot("sign-in-wrong", page)
    await page.goto(f"{stack.gateway_url}/codes-oublies")
    await page.locator("#email").fill("nobody")
    await page.locator("form[action='/codes-oublies']").evaluate("form => form.noValidate = true")
    await press(page, "main button.button")
    await shoot("forgotten-wrong", page)
    await page.locator("#email").fill(f"{uuid4().hex[:8]}@example.org")
    await press(page, "main button.button")
    await shoot("forgotten-sent", page)
    await page.goto(f"{stack.gateway_url}/codes-oublies/nouveau?jeton={LINK_USED}")
    await shoot("new-secret", page)
    await page.locator("#secret").fill("three-blue-turtles")
    await press(page, "main button.button")
    await shoot("new-secret-over", page)
    await page.goto(f"{stack.gateway_url}/email/confirmation?jeton={LINK_USED}")
    await shoot("email-link", page)
    await press(page, "main button.button")
    await shoot("email-over", page)
    await page.goto(f"{stack.gateway_url}{UNSUBSCRIBING}")
    await shoot("unsubscribe", page)
    await page.goto(f"{stack.gateway_url}/nulle-part")
    await shoot("not-found", page)


async def letter(stack: Stack, language: Language) -> tuple[dict[str, str], str]:
    """The codes of a letter for a family without children, and an address for it."""
    name = uuid4().hex[:8]
    body = {
        "reference": f"NEW-{name}",
        "name": "Famille Neuve",
        "address": ["1 rue Neuve", "00000 Saint-Aubin"],
        "locale": language,
        "guardians": [{"first_name": "Ana", "last_name": "Neuve", "email": "ana@example.org"}],
    }
    async with aiohttp.ClientSession() as http:
        town_hall = Demo(stack.url, http)
        await town_hall.sign_in()
        made = await town_hall._call("auth", "POST", "/households", body)
    given: dict[str, str] = made["access_codes"][0]
    return given, f"{name}@example.org"


async def mailed_link(stack: Stack, to: str) -> str:
    """The link of the last mail to somebody, once it has come."""

    async def ask() -> str:
        async with aiohttp.ClientSession() as http, http.get(f"{stack.url('mail')}/api/mails") as response:
            texts = [mail["text"] for mail in await response.json() if mail["to"] == to]
        return re.findall(r"http://\S+", texts[-1])[0] if texts else ""

    return await eventually(ask)


async def the_first_time(page: Page, stack: Stack, shoot: Shoot, language: Language) -> None:
    """From the letter to a portal in which nothing is there yet, and one-time codes put into service."""
    given, email = await letter(stack, language)
    await codes(page, stack, given["identifier"], given["secret"])
    await shoot("first-secret", page)
    await page.locator("#secret").fill("password12")
    await page.locator("#email").fill(email)
    await press(page, "main button.button")
    await shoot("first-secret-wrong", page)
    await page.locator("#secret").fill("three-blue-turtles-swim")
    await press(page, "main button.button")
    await shoot("confirm-email", page)
    await page.goto(f"{stack.gateway_url}/premiere-connexion?corriger=1")
    await shoot("correct-email", page)
    await page.goto(await mailed_link(stack, email))
    await press(page, "main button.button")
    await shoot("email-confirmed", page)
    for name, path in (("home-empty", "/"), ("children-empty", "/enfants"), ("invoices-empty", "/factures")):
        await page.goto(f"{stack.gateway_url}{path}")
        await shoot(name, page)
    recovery = await one_time_codes(page, stack, shoot)
    await press(page, ".leave")
    await page.goto(f"{stack.gateway_url}/factures")
    await type_codes(page, given["identifier"], "three-blue-turtles-swim")
    await shoot("one-time-code", page)
    await page.locator("#code").fill("000000")
    await press(page, "main button.button")
    await shoot("one-time-code-wrong", page)
    await page.locator("#code").fill(recovery)
    await press(page, "main button.button")
    await expect(page).to_have_url(f"{stack.gateway_url}/factures")
    await press(page, ".leave")


async def one_time_codes(page: Page, stack: Stack, shoot: Shoot) -> str:
    """Put into service at « Mon compte », after one code that is not right; a code that replaces the telephone."""
    await page.goto(f"{stack.gateway_url}/compte")
    await page.locator("#codes-current").fill("three-blue-turtles-swim")
    await press(page, "#codes button")
    await shoot("telephone", page)
    key = await page.locator("input[name=telephone_key]").get_attribute("value")
    await page.locator("#code").fill("000000")
    await press(page, "main button.button")
    await shoot("telephone-wrong", page)
    await page.locator("#code").fill(pyotp.TOTP(str(key)).now())
    await press(page, "main button.button")
    await shoot("recovery-codes", page)
    return await page.locator(".recovery li").first.inner_text()


async def months(page: Page, stack: Stack, shoot: Shoot, say: Say) -> None:
    """Months that are over, empty, closed in part; and what was refused or changes nothing."""
    await page.goto(f"{stack.gateway_url}/enfants")
    await press(page, ".cards a")
    view = page.url.rpartition("/")[0]
    today = date.today()  # noqa: DTZ011 - one's own machine
    await page.goto(f"{view}/{today.replace(day=1) - timedelta(days=1):%Y-%m}")
    await shoot("planning-over", page)
    await page.goto(f"{view}/{today.year + 2}-08")
    await shoot("planning-empty", page)
    await page.goto(view)
    while await page.locator("input[data-was='0']").count() < 4:
        await press(page, "div.choices .chip:last-child")
    month = page.url
    some = page.locator(".cell.free input").first
    activity = str(await some.get_attribute("value")).partition("|")[0]
    await page.goto(f"{month}/remplir?jour={activity}|{await some.get_attribute('data-weekday')}")
    await shoot("plan", page)
    await page.goto(f"{month}/remplir")
    await shoot("plan-nothing", page)
    await page.goto(month)
    await press(page, ".side .button")
    await shoot("recap-nothing", page)
    await page.goto(month)
    box = page.locator(".cell.free input[data-was='0']").nth(1)
    other = await page.context.new_page()
    await other.goto(month)
    for _ in range(2):
        await other.locator(f"input[value='{await box.get_attribute('value')}']").click()
        await press(other, ".side .button")
        await other.goto(month)
    await other.close()
    await page.locator(".cell.free input[data-was='0']").nth(0).check()
    await box.check()
    await press(page, ".side .button")
    await expect(page.get_by_role("heading", name=say("Non enregistré"))).to_be_visible()
    await shoot("recap-refused", page)
    await page.evaluate("scrollTo(0, 0)")


async def account(page: Page, stack: Stack, shoot: Shoot) -> None:
    """A wrong secret at « Mon compte », an address that waits, a preference that is saved."""
    await page.goto(f"{stack.gateway_url}/compte")
    await page.locator("#new-email").fill("nouvelle@example.org")
    await page.locator("#email-current").fill("not-my-secret")
    await press(page, "#email button")
    await shoot("account-wrong", page)
    await page.locator("#email-current").fill(SECRET)
    await press(page, "#email button")
    await shoot("account-waits", page)
    await page.goto(f"{stack.gateway_url}/factures")
    await press(page, "#avertissement button")
    await shoot("preferences-saved", page)


async def payments(page: Page, stack: Stack, shoot: Shoot) -> None:
    """An amount that cannot be paid, a payment that the bank still has, one that it refuses."""
    await page.goto(f"{stack.gateway_url}/factures")
    await press(page, "form[action='/factures/recapitulatif'] button")
    await page.locator("#amount").fill("3")
    await press(page, "form[action='/paiements'] button")
    await shoot("amount-wrong", page)
    await page.goto(f"{stack.gateway_url}/factures")
    await press(page, "form[action='/factures/recapitulatif'] button")
    second = await page.context.new_page()  # a tab that was open before the payment began
    await second.goto(f"{stack.gateway_url}/factures")
    await press(second, "form[action='/factures/recapitulatif'] button")
    await press(page, "form[action='/paiements'] button")
    bank = page.url
    await page.goto(f"{stack.gateway_url}/factures")
    await shoot("invoices-held", page)
    await second.locator("#amount").fill("20")
    await press(second, "form[action='/paiements'] button")
    await shoot("waiting-for-another", second)
    await press(second, "#payment form button")
    await shoot("at-the-bank-still", second)
    await second.close()
    await page.goto(bank)
    await page.get_by_label("Numéro de carte").fill(REFUSED_CARD)
    await page.get_by_role("button", name="Payer").click()
    await page.locator("#payment[data-status=refused]").wait_for(timeout=60_000)
    await shoot("payment-refused", page)


async def walk_rare_screens(
    page: Page, stack: Stack, identifier: str, shoot: Shoot, language: Language = Language.FR
) -> None:
    """All of them, those of somebody signed in as that family."""
    await before_signing_in(page, stack, shoot, language)
    await the_first_time(page, stack, shoot, language)
    await codes(page, stack, identifier)
    if await page.locator("html").get_attribute("lang") != language:
        await press(page, f".foot button[lang={language}]")
    await shoot("home-long-names", page)
    await months(page, stack, shoot, catalogue(FOLDER, language).said)
    await account(page, stack, shoot)
    await payments(page, stack, shoot)
