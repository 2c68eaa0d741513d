"""Pictures of the running product: ``python -m tools.screenshots [FOLDER]``.

Starts a portal of its own with the demo town and takes each page at phone and desk size. Without a folder it renews
the two pictures of the README in ``docs/images``; with one, every page is written there.
"""

import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from pathlib import Path

from playwright.async_api import Page, async_playwright

from chassis.languages import catalogue
from contracts.model import Language
from gateway.languages import FOLDER
from local_stack import demo
from local_stack.packages import chromium
from local_stack.stack import Stack
from tools.rare_screens import walk_rare_screens

IMAGES = Path(__file__).parents[1] / "docs" / "images"
README = ("planning-phone", "planning-desk")
SIZES = {"phone": (390, 844), "desk": (1280, 900)}
TOURS = (
    ("phone", "demo01", Language.FR),
    ("desk", "demo03", Language.FR),
    ("phone", "demo04", Language.EN),
    ("desk", "demo08", Language.EN),
)
LONG_NAMES = "demo07"
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
TOWN_HALL = {
    "families": "familles",
    "calendar": "calendrier",
    "attendance": "pointage",
    "tariffs": "tarifs",
    "runs": "factures",
    "till": "encaissements",
    "reminders": "relances",
    "payments": "paiements",
    "journal": "paiements/journal",
    "messages": "messages",
    "mails": "courrier",
    "style": "style",
}

REMITTANCE = "Date;Montant;Refdet\n24/11/2026;42,50;A1B2C3D4E5\n24/11/2026;7,00;F6G7H8\n"
"""A bank's file that names payments of another town."""

Shoot = Callable[[str, Page], Awaitable[None]]


async def sign_in(page: Page, stack: Stack, identifier: str, language: Language = Language.FR) -> None:
    """With the demo's codes."""
    say = catalogue(FOLDER, language).said
    await page.goto(f"{stack.gateway_url}/connexion")
    await page.get_by_label(say("Identifiant")).fill(identifier)
    await page.get_by_label(say("Code secret")).fill(demo.SECRET)
    await page.get_by_role("button", name=say("Connexion"), exact=True).click()
    await page.wait_for_load_state()


async def tour(page: Page, stack: Stack, identifier: str, shoot: Shoot, language: Language = Language.FR) -> None:
    """A parent's way through the portal, a picture a page, in the language that the parent chooses first."""
    say = catalogue(FOLDER, language).said
    await page.goto(f"{stack.gateway_url}/connexion")
    if await page.locator("html").get_attribute("lang") != language:
        await page.locator(f".foot button[lang={language}]").click()
    for name, path in (("forgotten", "codes-oublies"), ("help", "aide"), ("accessibility", "accessibilite")):
        await page.goto(f"{stack.gateway_url}/{path}")
        await shoot(name, page)
    await page.goto(f"{stack.gateway_url}/connexion")
    await shoot("sign-in", page)
    await sign_in(page, stack, identifier, language)
    await shoot("home", page)
    await page.get_by_role("link", name=say("Mon compte")).click()
    await shoot("account", page)
    await page.get_by_role("button", name=say("Créer une adresse")).click()
    await shoot("calendar-feed", page)
    await page.get_by_role("link", name=say("Planning"), exact=True).click()
    await shoot("children", page)
    await page.locator(".cards a").first.click()
    while await page.locator("input[data-was='0']").count() < 40:
        await page.get_by_role("link", name="›").click()
        await page.wait_for_load_state()
    for number in (1, 2, 5):
        await page.locator("input[data-was='0']").nth(number).check()
    await page.evaluate("scrollTo(0, 0)")
    await shoot("planning", page)
    await page.get_by_role("button", name=say("Valider mes modifications")).click()
    await page.wait_for_load_state()
    await shoot("recap", page)
    await page.get_by_role("link", name=say("Voir mes dernières modifications")).click()
    await shoot("changes", page)
    await page.get_by_role("link", name=say("Factures")).click()
    await shoot("invoices", page)
    await page.get_by_role("button", name=say("Régler les factures choisies")).click()
    await shoot("invoice-recap", page)
    await page.get_by_role("button", name=say("Payer en ligne")).click()
    await page.get_by_label("Numéro de carte").fill("4970 1000 0000 0022")
    await shoot("bank", page)
    await page.get_by_role("button", name="Payer").click()
    await shoot("waiting", page)
    await page.get_by_role("heading", name=say("Confirmation de paiement")).wait_for(timeout=60_000)
    await shoot("confirmation", page)


async def month_and_account(page: Page, stack: Stack, shoot: Shoot) -> None:
    """A month prepared and given up, a household with the days of an invoice, a sheet of attendance that is full."""
    await page.goto(f"{stack.gateway_url}/mairie/factures")
    await page.locator("#month").fill(f"{date.today() + timedelta(days=62):%Y-%m}")  # noqa: DTZ011 - one's own machine
    await page.get_by_role("button", name="Préparer").click()
    await page.get_by_role("heading", name="À relire").wait_for(timeout=60_000)
    await shoot("run-ready", page)
    await page.get_by_role("button", name="Abandonner").click()
    await page.goto(f"{stack.gateway_url}/mairie/encaissements?foyer=SA008")
    await page.locator(".lines a").first.click()
    await page.get_by_text("Rendre des jours").click()
    await shoot("household", page)
    await page.get_by_role("button", name="Choisir les jours").click()
    await shoot("credit-days", page)
    day = date.today().replace(day=1) - timedelta(days=20)  # noqa: DTZ011 - one's own machine
    await page.goto(f"{stack.gateway_url}/mairie/pointage")
    await page.get_by_label("Activité").select_option(label=demo.CANTEEN)
    await page.get_by_label("Jour").fill(str(day - timedelta(days=day.weekday())))
    await page.get_by_role("button", name="Voir la feuille").click()
    await shoot("attendance-day", page)


async def town_hall(page: Page, stack: Stack, shoot: Shoot) -> None:
    """The pages of an administrator, with the first of what each lists."""
    await sign_in(page, stack, "mairie")
    await shoot("town-hall", page)
    for name, path in TOWN_HALL.items():
        await page.goto(f"{stack.gateway_url}/mairie/{path}")
        await shoot(name, page)
        others = "".join(f":not([href$='{each}'])" for each in ("/fichier", "/journal", "/rapprochement"))
        one = page.locator(f"main a[href*='/mairie/{path}/']:not([href*='.csv']){others}")
        if await one.count():
            await one.first.click()
            await page.wait_for_load_state()
            await shoot(f"{name}-one", page)
    await month_and_account(page, stack, shoot)
    await page.goto(f"{stack.gateway_url}/mairie/familles?q=SA001")
    await page.locator("ul.families a").first.click()
    for words in ("Ajouter un enfant", "Cet enfant a déjà un autre foyer", "À la demande de la famille (RGPD)"):
        await page.get_by_text(words).click()
    await page.get_by_text("Garde par dates").first.click()
    await page.get_by_label("Les jours de ce foyer, une période par ligne").first.fill("pendant Noël")
    async with page.expect_navigation():
        await page.get_by_role("button", name="Enregistrer").click()
    await page.get_by_text("Ajouter un enfant").click()
    await page.get_by_text("À la demande de la famille (RGPD)").click()
    await shoot("household-wrong", page)
    await page.goto(f"{stack.gateway_url}/mairie/paiements/rapprochement")
    for name, content in (("remittances-refused", REMITTANCE + "hier;douze;A\n"), ("remittances", REMITTANCE)):
        await page.get_by_label("Fichier CSV").set_input_files(
            {"name": "releve.csv", "mimeType": "text/csv", "buffer": content.encode()}
        )
        await page.get_by_role("button", name="Envoyer le relevé").click()
        await page.wait_for_load_state()
        await shoot(name, page)


async def take(stack: Stack, folder: Path, wanted: tuple[str, ...]) -> None:
    """Every page at every size; only the ``wanted`` pictures are kept when some are named."""
    path = await asyncio.to_thread(chromium)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=str(path), args=ARGUMENTS)
        for size, identifier, language in TOURS[: 2 if wanted else None]:
            ending = size if language is Language.FR else f"{size}-{language}"

            async def shoot(name: str, page: Page, ending: str = ending) -> None:
                if not wanted or f"{name}-{ending}" in wanted:
                    await page.screenshot(path=folder / f"{name}-{ending}.png", full_page=not wanted)

            width, height = SIZES[size]
            context = await browser.new_context(viewport={"width": width, "height": height}, locale="fr-FR")
            page = await context.new_page()
            await tour(page, stack, identifier, shoot, language)
            await context.clear_cookies()
            if not wanted:
                await walk_rare_screens(page, stack, LONG_NAMES, shoot, language)
                await context.clear_cookies()
            if language is Language.FR:
                await town_hall(page, stack, shoot)
            await context.close()
        await browser.close()


async def main() -> None:
    """Start a portal, take the pictures, forget the portal."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    folder.mkdir(parents=True, exist_ok=True)
    stack = Stack(Path(tempfile.mkdtemp(prefix="preau-pictures-")), durable=False)
    try:
        await stack.start()
        await demo.fill(stack)
        await take(stack, folder, () if len(sys.argv) > 1 else README)
    finally:
        await stack.stop()
        stack.forget()


if __name__ == "__main__":
    asyncio.run(main())
