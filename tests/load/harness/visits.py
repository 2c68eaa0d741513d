"""What each page weighs and when it is painted: visits by Chromium at the size of a phone.

Requests and bytes are those of the Performance APIs' navigation and
resource entries; script time is ``ScriptDuration`` of the DevTools protocol's ``Performance.getMetrics``.
"""

import asyncio
from collections.abc import Awaitable, Callable
from statistics import median

from playwright.async_api import BrowserContext, CDPSession, Page, async_playwright

from local_stack.packages import chromium
from tests.load.harness.figures import note, say

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
ARGUMENTS += ["--disable-sync", "--no-first-run"]
ROUNDS = 3
FIRST, AGAIN = "first visit", "again"
READ = """() => new Promise(done => {
  const found = {largest: 0, shift: 0};
  const hear = (type, keep) =>
    new PerformanceObserver(list => list.getEntries().forEach(keep)).observe({type, buffered: true});
  hear("largest-contentful-paint", each => { found.largest = each.startTime; });
  hear("layout-shift", each => { found.shift += each.hadRecentInput ? 0 : each.value; });
  setTimeout(() => {
    const [page] = performance.getEntriesByType("navigation");
    const sent = [page, ...performance.getEntriesByType("resource")].filter(each => each.transferSize > 0);
    const sum = of => sent.reduce((before, each) => before + of(each), 0);
    const [painted] = performance.getEntriesByName("first-contentful-paint");
    done({...found, painted: painted ? painted.startTime : NaN, requests: sent.length,
      bytes: sum(each => each.transferSize), plain: sum(each => each.decodedBodySize), page: page.encodedBodySize});
  }, 300);
})"""

Figures = dict[str, float]
"""Times in milliseconds; ``bytes`` as sent with their headers, ``plain`` uncompressed, ``page`` the HTML alone."""


async def script_milliseconds(devtools: CDPSession) -> float:
    """How long scripts have run so far."""
    told = await devtools.send("Performance.getMetrics")
    seconds: float = next(each["value"] for each in told["metrics"] if each["name"] == "ScriptDuration")
    return seconds * 1000


async def read(tab: Page, devtools: CDPSession, go: Callable[[], Awaitable[object]]) -> Figures:
    """Go to a page; its figures once it is at rest."""
    before = await script_milliseconds(devtools)
    await go()
    await tab.wait_for_load_state("networkidle")
    after = await script_milliseconds(devtools)
    figures: Figures = await tab.evaluate(READ)
    return {**figures, "script": after - before if after >= before else after}  # a new process counts from nothing


async def visit(context: BrowserContext, url: str, *, change: bool, forget: bool) -> Figures:
    """A page in a tab of its own; with ``change`` the recap of one day changed on it, ``forget``: with nothing kept."""
    tab = await context.new_page()
    devtools = await context.new_cdp_session(tab)
    await devtools.send("Performance.enable")
    if change:
        await tab.goto(url)
        await tab.locator("td.cell label").first.click()
        if forget:
            await devtools.send("Network.clearBrowserCache")
        button = tab.get_by_role("button", name="Valider mes modifications")
        figures = await read(tab, devtools, lambda: arrive(tab, button.click()))
        assert await tab.locator("h1#recap").count(), f"no recap but {await tab.title()}"
    else:
        figures = await read(tab, devtools, lambda: tab.goto(url))
    await tab.close()
    return figures


async def arrive(tab: Page, act: Awaitable[None]) -> None:
    """Do what leads to another page and wait for that one."""
    async with tab.expect_navigation():
        await act


async def weigh(gateway_url: str, session: str, planning: str) -> None:
    """Every page with an empty cache and once more, medians of a few rounds."""
    pages = {"sign-in": "/connexion", "home": "/", "planning": planning, "recap": planning, "invoices": "/factures"}
    note(f"  Chromium, 390 × 844, median of {ROUNDS}; bytes as sent")
    path = await asyncio.to_thread(chromium)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=str(path), args=ARGUMENTS)
        for name, address in pages.items():
            found: dict[str, list[Figures]] = {FIRST: [], AGAIN: []}
            for _ in range(ROUNDS):
                context = await browser.new_context(viewport={"width": 390, "height": 844}, locale="fr-FR")
                if name != "sign-in":
                    await context.add_cookies([{"name": "preau", "value": session, "url": gateway_url}])
                for turn, figures in found.items():
                    is_change, is_first = name == "recap", turn == FIRST
                    figures.append(await visit(context, gateway_url + address, change=is_change, forget=is_first))
                await context.close()
            for turn, figures in found.items():
                show(f"{name}, {turn}", figures)
        await browser.close()


def show(name: str, rounds: list[Figures]) -> None:
    """The medians of a page."""
    of = {each: median(figures[each] for figures in rounds) for each in rounds[0]}
    say(f"{name}: sent", of["bytes"] / 1000, "kB", at_most=60 if name == f"planning, {FIRST}" else None)
    say(f"{name}: of it the page itself", of["page"] / 1000, "kB")
    say(f"{name}: requests", of["requests"])
    say(f"{name}: first paint", of["painted"], "ms")
    say(f"{name}: largest paint", of["largest"], "ms")
    say(f"{name}: layout shift", of["shift"])
    say(f"{name}: scripts", of["script"], "ms")
