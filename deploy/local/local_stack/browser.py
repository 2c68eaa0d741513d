"""A browser without its window: cookies of its own, and forms that carry their page's token."""

import html
import re
from typing import Any

import aiohttp

from local_stack.demo import SECRET

TOKEN = re.compile(r'name="form_token" value="(\w+)"')
KEY = re.compile(r'name="key" value="(\w+)"')
INVOICE = re.compile(r'name="facture" value="([\w-]+)"')
HIDDEN = re.compile(r'type="hidden" name="([^"]+)" value="([^"]*)"')
FORM = re.compile(r'<form[^>]* action="([^"]*)"')
BANK_FORM = 'id="bank"'
"""In the page that sends a browser on to a bank which wants a form."""


class Browser:
    """Somebody's, at the portal's address."""

    def __init__(self, gateway_url: str, http: aiohttp.ClientSession) -> None:
        self.gateway_url, self.http = gateway_url, http

    async def get(self, path: str) -> tuple[int, str]:
        async with self.http.get(self.gateway_url + path) as response:
            return response.status, await response.text()

    async def post(self, path: str, page: str, fields: Any) -> tuple[int, str, str]:
        """Post a form of ``page``; status, text and where it leads."""
        form = aiohttp.FormData([("form_token", TOKEN.findall(page)[-1]), *fields])
        async with self.http.post(self.gateway_url + path, data=form, allow_redirects=False) as response:
            return response.status, await response.text(), response.headers.get("Location", "")

    async def give_codes(self, identifier: str) -> int:
        """Sign in with a demo secret; the status, 303 when it was right."""
        _, page = await self.get("/connexion")
        return (await self.post("/connexion", page, [("identifier", identifier), ("secret", SECRET)]))[0]

    async def sign_out(self) -> None:
        _, page = await self.get("/")
        status, _, _ = await self.post("/deconnexion", page, [])
        assert status == 303


def form_of(page: str, marker: str = "<form") -> tuple[str, dict[str, str]]:
    """Where the form goes that begins at ``marker`` or holds it, and its hidden fields."""
    begins = page.rindex("<form", 0, page.index(marker) + len("<form"))
    text = page[begins:].partition("</form>")[0]
    action = FORM.findall(text)[0]
    return html.unescape(action), {name: html.unescape(value) for name, value in HIDDEN.findall(text)}
