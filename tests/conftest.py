"""The whole portal, real processes and a real browser, started once for these tests."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright

from local_stack import demo
from local_stack.packages import chromium
from local_stack.stack import Stack

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
ARGUMENTS += ["--disable-sync", "--no-first-run"]


class Composed:
    """The portal that docker-compose.yml brought up (`make composed`), on the ports that were chosen for it."""

    @property
    def gateway_url(self) -> str:
        return self.url("portal")

    def url(self, name: str) -> str:
        return f"http://localhost:{os.environ[f'{name.upper()}_PORT']}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(request: pytest.FixtureRequest) -> AsyncIterator[Stack | Composed]:
    """The portal; its invoices are collected by the till that it is asked with, or that the module's ``TILL`` names.

    ``SETTINGS`` of the module are what a program gets besides, by its name.
    """
    if os.environ.get("PORTAL") == "composed":
        yield Composed()
        return
    folder = Path(tempfile.mkdtemp(prefix="preau-e2e-"))
    till = getattr(request, "param", None) or getattr(request.module, "TILL", "REGIE-ENFANCE")
    made = Stack(folder, durable=False, till=till, settings=getattr(request.module, "SETTINGS", {}))
    try:
        await made.start()
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
