"""Every page of the tour, looked at by axe-core (WCAG 2.2 AA) and for what runs off the side of a phone."""

import runpy
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page

from contracts.model import Language
from local_stack.stack import Stack

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

PICTURES = runpy.run_path(str(Path(__file__).parent / "screenshots.py"))
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
AT_THE_BANK = "bank"


@pytest.mark.parametrize(
    ("width", "identifier", "language", "scheme"),
    [
        (320, "demo08", Language.FR, "light"),
        (1280, "demo03", Language.FR, "dark"),
        (320, "demo04", Language.EN, "dark"),
    ],
)
async def test_nobody_is_left_out_of_any_page(
    browser: Browser, stack: Stack, width: int, identifier: str, language: Language, scheme: Literal["light", "dark"]
) -> None:
    found: list[str] = []

    async def look(name: str, page: Page) -> None:
        if name == AT_THE_BANK:
            return
        checked = await Axe().run(page, options={"runOnly": {"type": "tag", "values": RULES}})
        for violation in checked.response["violations"]:
            targets = [node["target"] for node in violation["nodes"]][:3]
            found.append(f"{name}: {violation['id']}: {violation['help']} {targets}")
        if await page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found.append(f"{name}: wider than its window")

    context = await browser.new_context(
        viewport={"width": width, "height": 800}, locale="fr-FR", color_scheme=scheme, reduced_motion="reduce"
    )
    page = await context.new_page()
    await PICTURES["tour"](page, stack, identifier, look, language)
    await context.clear_cookies()
    if language is Language.FR:
        await PICTURES["town_hall"](page, stack, look)
    await context.close()
    assert not found, "\n".join(found)
