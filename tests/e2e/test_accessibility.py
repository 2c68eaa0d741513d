"""Nobody is left out: axe-core (WCAG 2.2 AA) and every width on each screen, and a parent's whole way by keyboard."""

import os
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Locator, Page, expect

from chassis.languages import catalogue
from chassis.testing import eventually
from contracts.model import Language
from gateway.languages import FOLDER
from local_stack.demo import SECRET
from local_stack.stack import Stack
from tools import rare_screens, screenshots

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

STATUS = {**rare_screens.STATUS, "remittances-refused": 422, "household-wrong": 422}
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
AT_THE_BANK = "bank"
WIDTHS = {"narrow": 320, "phone": 390, "zoomed": 640, "desk": 1280}
"""The narrowest that WCAG names, a telephone, a desk at 200 %, a desk."""
SEEN_BY_AXE: tuple[tuple[str, Literal["light", "dark"]], ...] = (("narrow", "light"), ("desk", "dark"))
KEPT = os.environ.get("SCREENS", "")
"""Where a picture of every screen is kept, when a folder is named (`.ci/run` names one)."""
VIOLATIONS = """async (rules) => {
  const found = await axe.run({runOnly: {type: "tag", values: rules}, resultTypes: ["violations"]});
  const where = (each) => each.nodes.slice(0, 3).map((node) => node.target).join(", ");
  return found.violations.map((each) => `${each.id}: ${each.help}: ${where(each)}`);
}"""
ABOUT = """() => [document.documentElement.lang, document.querySelectorAll("h1").length,
  performance.getEntriesByType("navigation")[0].responseStatus, document.getAnimations().length]"""

STOPS_MAX = 400
STOP = """(wanted) => {
  const it = document.activeElement, style = getComputedStyle(it), box = it.getClientRects()[0];
  const there = box && document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
  const isSeen = there && (it.contains(there) || there.contains(it) && there !== document.body);
  const isMarked = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
  const name = it === document.body || isSeen && isMarked ? "" : it.outerHTML.slice(0, 160);
  return [it === wanted, name];
}"""
"""Whether the focus is where it is wanted; and what has it, if it cannot be seen there or is under something else."""


class Inspection:
    """Looks at each screen of a walk in every width, and keeps what is wrong with it in ``found``."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self.found: list[str] = []

    async def look(self, name: str, page: Page) -> None:
        if name == AT_THE_BANK:
            return
        lang, headings, status, moving = await page.evaluate(ABOUT)
        wanted = (self.language, 1, STATUS.get(name, 200), 0)
        if (lang, headings, status, moving) != wanted:
            self.found.append(f"{name}: its language, h1, status and animations are {lang, headings, status, moving}")
        await page.evaluate(Axe().axe_script)
        for size, scheme in SEEN_BY_AXE:
            await self._see(page, size, scheme)
            for violation in await page.evaluate(VIOLATIONS, RULES):
                self.found.append(f"{name}, {size}: {violation}")
        for size in WIDTHS:
            await self._see(page, size, "light")
            if await page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                self.found.append(f"{name}, {size}: wider than its window")
            if KEPT and size in screenshots.SIZES:
                await page.screenshot(path=Path(KEPT) / f"{name}-{size}-{self.language}.png", full_page=True)

    async def _see(self, page: Page, size: str, scheme: Literal["light", "dark"]) -> None:
        await page.set_viewport_size({"width": WIDTHS[size], "height": 844})
        await page.emulate_media(color_scheme=scheme)


@pytest.mark.parametrize(
    ("identifier", "language"), [("demo08", Language.FR), ("demo04", Language.EN), ("mairie", Language.FR)]
)
async def test_nobody_is_left_out_of_any_page(
    browser: Browser, stack: Stack, identifier: str, language: Language
) -> None:
    inspection = Inspection(language)
    context = await browser.new_context(viewport={"width": 390, "height": 844}, locale="fr-FR")
    page = await context.new_page()
    if identifier == "mairie":
        await screenshots.town_hall(page, stack, inspection.look)
    else:
        await screenshots.tour(page, stack, identifier, inspection.look, language)
        await context.clear_cookies()
        await rare_screens.walk_rare_screens(page, stack, screenshots.LONG_NAMES, inspection.look, language)
    await context.close()
    assert not inspection.found, "\n".join(inspection.found)


class Keys:
    """Tab, Space, Enter and letters; ``unseen`` keeps each stop at which nobody saw where the focus is."""

    def __init__(self, page: Page, language: Language) -> None:
        self.page, self.say = page, catalogue(FOLDER, language).said
        self.unseen: list[str] = []

    def named(self, role: Any, french: str) -> Locator:
        """The first thing with that name, in the page's language."""
        return self.page.get_by_role(role, name=self.say(french), exact=True).first

    async def reach(self, wanted: Locator) -> None:
        """Tab on until it has the focus."""
        handle = await wanted.element_handle()
        for _ in range(STOPS_MAX):
            await self.page.keyboard.press("Tab")
            is_there, unseen = await self.page.evaluate(STOP, handle)
            if unseen:
                self.unseen.append(f"{self.page.url}: {unseen}")
            if is_there:
                return
        raise AssertionError(f"Tab never comes to {wanted}")

    async def press(self, role: Any, french: str) -> None:
        await self.follow(self.named(role, french))

    async def follow(self, wanted: Locator) -> None:
        """Enter, on what leads to another page."""
        await self.reach(wanted)
        async with self.page.expect_navigation():
            await self.page.keyboard.press("Enter")

    async def tick(self, wanted: Locator) -> None:
        await self.reach(wanted)
        is_checked = await wanted.is_checked()
        await self.page.keyboard.press("Space")
        await expect(wanted).to_be_checked(checked=not is_checked)

    async def type(self, selector: str, text: str) -> None:
        await self.reach(self.page.locator(selector))
        await self.page.keyboard.press("ControlOrMeta+a")
        await self.page.keyboard.type(text)

    async def reads(self, french: str) -> None:
        """A heading of the page says so."""
        await expect(self.named("heading", french)).to_be_visible(timeout=60_000)


async def signs_in(keys: Keys, stack: Stack, identifier: str, language: Language) -> None:
    page = keys.page
    await page.goto(f"{stack.gateway_url}/connexion")
    if await page.locator("html").get_attribute("lang") != language:
        await keys.follow(page.locator(f".foot button[lang={language}]"))
    await keys.type("#identifier", identifier)
    await keys.type("#secret", SECRET)
    await page.keyboard.press("Enter")
    await expect(page.locator("h1")).to_contain_text(keys.say("Bonjour {name}").partition(" ")[0])
    await expect(page.locator(".announcement")).to_contain_text("Bienvenue sur le portail des familles")


async def books_and_takes_it_back(keys: Keys, *, scripts: bool) -> None:
    page = keys.page
    await keys.follow(page.locator(".cards a").first)
    for _ in range(4):
        if await page.locator(".cell.free input[data-was='0']").count() >= 8:
            break
        await keys.follow(page.locator("div.choices .chip:last-child"))
    await keys.tick(page.locator(".cell.free input[data-was='0']").nth(5))
    await expect(page.locator("#sum")).to_contain_text(
        keys.say("1 changement") if scripts else keys.say("Cochez ou décochez des jours, puis validez.")
    )
    await keys.press("button", "Valider mes modifications")
    await keys.reads("Enregistré")
    await expect(page.locator(".lines")).to_contain_text(keys.say("inscrit"))
    await keys.press("button", "Annuler ces modifications")
    await expect(page.locator(".lines")).to_contain_text(keys.say("annulé"))
    await keys.press("link", "Voir mes dernières modifications")
    await expect(page.locator(".lines").first).to_contain_text(keys.say("annulé"))
    await keys.press("link", "Retour au planning")


async def fills_many_days(keys: Keys) -> None:
    page = keys.page
    while not await page.locator(".cell.free input[data-was='0']").count() >= 8:
        await keys.follow(page.locator("div.choices .chip:last-child"))
    await keys.reach(page.locator(".helpers summary"))
    await page.keyboard.press("Enter")
    await keys.tick(page.locator("#fill input[name=jour]").first)
    await keys.reach(page.locator("#fill input[name=sens][value='1']"))
    for key, value in (("ArrowRight", "0"), ("ArrowLeft", "1")):
        await page.keyboard.press(key)
        await expect(page.locator(f"#fill input[name=sens][value='{value}']")).to_be_checked()
    await keys.press("button", "Voir ce que cela change")
    await keys.reads("Ce qui va changer")
    await keys.follow(page.locator("main form button.button"))
    await keys.reads("Enregistré")


async def pays(keys: Keys) -> None:
    page = keys.page
    await keys.press("link", "Factures")
    await keys.press("button", "Régler les factures choisies")
    await keys.reads("Récapitulatif facture")
    await keys.press("button", "Payer en ligne")
    await page.get_by_label("Numéro de carte").fill("4970 1000 0000 0006")  # the bank's page is not ours
    await page.keyboard.press("Enter")
    await keys.reads("Confirmation de paiement")
    ticket = keys.named("link", "TICKET")
    await keys.reach(ticket)
    async with page.expect_download() as download:
        await page.keyboard.press("Enter")
    assert (await download.value).suggested_filename.startswith("justificatif-T-")
    await keys.press("link", "Retour")

    async def nothing_is_left() -> bool:
        await page.reload()
        return bool(await page.get_by_text(keys.say("Vous n'avez rien à régler.")).count())

    await eventually(nothing_is_left)


async def changes_the_account(keys: Keys, stack: Stack, identifier: str) -> None:
    page = keys.page
    await keys.tick(page.locator("#avertissement input[name=invoice_published]"))
    await keys.press("button", "Enregistrer")
    await expect(page.get_by_role("status")).to_contain_text(keys.say("C'est enregistré."))
    await keys.press("link", "Mon compte")
    await keys.type("#new-email", f"new-{identifier}@example.org")
    await keys.type("#email-current", SECRET)
    await keys.press("button", "Envoyer le message de confirmation")
    await expect(page.get_by_role("status")).to_be_visible()
    await page.goto(await rare_screens.mailed_link(stack, f"new-{identifier}@example.org"))
    await keys.press("button", "Confirmer mon adresse")
    await keys.press("link", "Aller sur le portail")


@pytest.mark.parametrize(
    ("width", "identifier", "language", "scripts"),
    [
        (390, "demo01", Language.FR, True),
        (1280, "demo02", Language.EN, True),
        (390, "demo05", Language.EN, False),
        (1280, "demo06", Language.FR, False),
    ],
)
async def test_everything_can_be_done_by_keyboard_and_the_focus_is_always_seen(
    browser: Browser, stack: Stack, width: int, identifier: str, language: Language, scripts: bool
) -> None:
    context = await browser.new_context(
        viewport={"width": width, "height": 844}, locale="fr-FR", java_script_enabled=scripts
    )
    keys = Keys(await context.new_page(), language)
    await signs_in(keys, stack, identifier, language)
    await books_and_takes_it_back(keys, scripts=scripts)
    await fills_many_days(keys)
    await pays(keys)
    await changes_the_account(keys, stack, identifier)
    await keys.press("button", "Déconnexion")
    await keys.reads("Connexion")
    await context.close()
    assert not keys.unseen, "\n".join(keys.unseen)
