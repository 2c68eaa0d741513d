"""The pictures of the parents' guide, taken from the running product: ``python -m tools.guide`` (``make guide``).

Walks through a portal of its own as a parent does, on a phone, and writes the pictures beside the guide's text, what
they were made of (``pictures.json``, by which a test detects that they are stale), and the guide as ``docs`` has it.
"""

import asyncio
import hashlib
import json
import re
import tempfile
from pathlib import Path

from playwright.async_api import Page, async_playwright

from contracts.model import Language
from local_stack import demo
from local_stack.packages import chromium
from local_stack.stack import Stack
from tools import screenshots

ROOT = Path(__file__).parents[1]
GATEWAY = ROOT / "gateway" / "gateway"
TEXT, MADE_OF = GATEWAY / "guide" / "parents.md", GATEWAY / "guide" / "pictures.json"
ENGLISH = GATEWAY / "guide" / "parents.en.md"
IMAGES = GATEWAY / "static" / "guide"
WRITTEN = ROOT / "docs" / "guide-parents.md"
PICTURES = {
    "sign-in": ("connexion", "shared/sign_in"),
    "planning": ("planning", "parents/planning"),
    "recap": ("recapitulatif", "parents/recap"),
    "children": ("enfants", "parents/children"),
    "changes": ("modifications", "parents/changes"),
    "invoices": ("factures", "parents/invoices"),
    "invoice-recap": ("recapitulatif-facture", "parents/invoice_recap"),
    "waiting": ("attente", "parents/payment"),
    "confirmation": ("confirmation", "parents/payment"),
    "account": ("compte", "parents/my_account"),
}
"""By the tour's name of a page: the picture's, and the template's."""
TOURS = ((Language.FR, IMAGES, "demo01"), (Language.EN, IMAGES / "en", "demo04"))
PART = re.compile(r'{% (?:from|include) "([\w/]+\.html)"')
SCRIPT = re.compile(r'asset\("(\w+\.js)"\)')


def made_of() -> dict[str, str]:
    """For each picture a digest of the templates, styles and scripts that draw its page."""
    found = {}
    for picture, template in PICTURES.values():
        pages = [GATEWAY / "templates" / name for name in ("shared/base.html", f"{template}.html")]
        pages += [GATEWAY / "templates" / name for name in PART.findall(pages[1].read_text(encoding="utf-8"))]
        scripts = [name for page in pages for name in SCRIPT.findall(page.read_text(encoding="utf-8"))]
        drawn_by = [*pages, GATEWAY / "static" / "style.css", *(GATEWAY / "static" / name for name in scripts)]
        found[picture] = hashlib.sha256(b"\0".join(file.read_bytes() for file in drawn_by)).hexdigest()
    return found


def as_in_docs() -> str:
    """The guide's text with its pictures found from ``docs``."""
    return TEXT.read_text(encoding="utf-8").replace("](", f"](../{IMAGES.relative_to(ROOT)}/")


async def take(stack: Stack) -> None:
    """Every picture of the guide, in each language."""
    path = await asyncio.to_thread(chromium)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=str(path), args=screenshots.ARGUMENTS)
        for language, folder, identifier in TOURS:

            async def shoot(name: str, page: Page, folder: Path = folder) -> None:
                if name in PICTURES:
                    await page.screenshot(path=folder / f"{PICTURES[name][0]}.png")

            context = await browser.new_context(
                viewport={"width": 390, "height": 760}, device_scale_factor=1.5, locale="fr-FR", color_scheme="light"
            )
            await screenshots.tour(await context.new_page(), stack, identifier, shoot, language)
            await context.close()
        await browser.close()


async def main() -> None:
    """Start a portal, take the pictures, forget the portal."""
    for _, folder, _ in TOURS:
        folder.mkdir(exist_ok=True)
        for picture, _ in PICTURES.values():
            (folder / f"{picture}.png").touch()  # the portal starts with every picture that its guide names
    stack = Stack(Path(tempfile.mkdtemp(prefix="preau-guide-")), durable=False)
    try:
        await stack.start()
        await demo.fill(stack)
        await take(stack)
    finally:
        await stack.stop()
        stack.forget()
    MADE_OF.write_text(json.dumps(made_of(), indent=1) + "\n", encoding="utf-8")
    WRITTEN.write_text(as_in_docs(), encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(main())
