"""The whole portal, real processes and a real browser, started once for these tests."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright

from local_stack import demo
from local_stack.packages import chromium
from local_stack.stack import Stack
from tests.support.portal import PortalCopy, PreparedPortal

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
ARGUMENTS += ["--disable-sync", "--no-first-run"]


class Composed:
    """The portal that docker-compose.yml brought up (`make composed`), on the ports that were chosen for it."""

    @property
    def gateway_url(self) -> str:
        return self.url("portal")

    def url(self, name: str) -> str:
        return f"http://localhost:{os.environ[f'{name.upper()}_PORT']}"


@pytest.fixture(scope="session")
def prepared_portals() -> Iterator[Callable[[str], PreparedPortal]]:
    """The prepared portal of a cash desk, made when it is first asked for; their servers run until the last test."""
    made: dict[str, PreparedPortal] = {}
    with asyncio.Runner() as runner:

        def prepared(till: str) -> PreparedPortal:
            if till not in made:
                portal = PreparedPortal(Path(tempfile.mkdtemp(prefix="preau-portal-")), till)
                runner.run(portal.prepare())
                made[till] = portal
            return made[till]

        yield prepared
        for portal in made.values():
            runner.run(portal.close())


@pytest.fixture(scope="module")
def till(request: pytest.FixtureRequest) -> str:
    """The cash desk that collects the invoices: a parameter, or the module's ``TILL``."""
    chosen: str = getattr(request, "param", None) or getattr(request.module, "TILL", "REGIE-ENFANCE")
    return chosen


@pytest.fixture(scope="module")
def prepared_portal(request: pytest.FixtureRequest, till: str) -> PreparedPortal | None:
    """The portal that the module's is a copy of.

    None where the portal is composed, or the module wants servers of its own (``OWN_SERVERS``), to break them.
    """
    if os.environ.get("PORTAL") == "composed" or getattr(request.module, "OWN_SERVERS", False):
        return None
    prepared: PreparedPortal = request.getfixturevalue("prepared_portals")(till)
    return prepared


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(
    request: pytest.FixtureRequest, till: str, prepared_portal: PreparedPortal | None
) -> AsyncIterator[Stack | Composed]:
    """The portal, filled with the demo town. ``SETTINGS`` of the module are further settings of a program, by name."""
    if os.environ.get("PORTAL") == "composed":
        yield Composed()
        return
    folder, settings = Path(tempfile.mkdtemp(prefix="preau-e2e-")), getattr(request.module, "SETTINGS", {})
    made = (
        PortalCopy(folder, prepared_portal, settings)
        if prepared_portal
        else Stack(folder, durable=False, till=till, settings=settings)
    )
    try:
        await made.start()
        if not prepared_portal:
            await demo.fill(made)
        yield made
    finally:
        await made.stop()
        made.forget()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    path = await asyncio.to_thread(chromium)
    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(executable_path=str(path), args=ARGUMENTS)
        yield opened
        await opened.close()


@pytest_asyncio.fixture(loop_scope="module")
async def phone(browser: Browser) -> AsyncIterator[Page]:
    context = await browser.new_context(viewport={"width": 390, "height": 844}, locale="fr-FR")
    yield await context.new_page()
    await context.close()
