"""The portal with all its parts, asked by who is signed in: the public API by its own document, every page, every form.

What the API answers must be what the document promises, field by field. ``EXAMPLES`` says how many requests for each of
its doors, ``FORMS`` how many for each form.
"""

import json
import os
import random
import re
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from local_stack import demo
from tests.support.headers import wrong

SETTINGS = {"gateway": {"API_REQUESTS_A_MINUTE": "1000000"}}
DOCUMENT = Path(__file__).parents[2] / "docs" / "openapi.json"
TEMPLATES = Path(__file__).parents[2] / "gateway" / "gateway" / "templates"
TOKEN = re.compile(r'name="form_token" value="([^"]+)"')
FORMS, SEED = int(os.environ.get("FORMS", "3")), 10
SIGN_OUT = ("--exclude-operation-id", "signOut")
"""It would end the session of all others; ``test_only_a_live_session_opens_doors_and_a_cookie_is_none`` signs out."""

pytestmark = [pytest.mark.drill, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(14_400)]


async def test_the_public_api_keeps_to_its_document_whatever_is_asked(stack: Any, schemathesis: Any) -> None:
    url = f"{stack.gateway_url}/api/v1"
    async with aiohttp.ClientSession() as http:
        session = await signed_in(http, stack, "demo01")
        known = await _known(http, url, {"Authorization": f"Bearer {session}"})
    await schemathesis(json.loads(DOCUMENT.read_text("utf-8")), url, session, known, *SIGN_OUT)


async def _known(http: aiohttp.ClientSession, url: str, headers: dict[str, str]) -> dict[str, str]:
    """A child and an invoice of the family; nothing for who has none."""
    async with http.get(f"{url}/children", headers=headers) as answer:
        if answer.status != 200:
            return {}
        child = (await answer.json())["children"][0]
    async with http.get(f"{url}/invoices", headers=headers) as answer:
        invoice = (await answer.json())["to_pay"][0]
    return {"child_id": child["child_id"], "invoice_id": invoice["invoice_id"]}


async def signed_in(http: aiohttp.ClientSession, stack: Any, identifier: str) -> str:
    """A session for pages and the API alike, from an address of its own: what is tried at random locks the others,
    and now and then the family in whose name it is tried."""
    payload = {"identifier": identifier, "secret": demo.SECRET, "client_address": f"{identifier}.example"}
    async with http.post(f"{stack.url('auth')}/sessions", json=payload) as answer:
        assert answer.ok, await answer.text()
        session: str = (await answer.json())["session"]
    return session


@pytest.mark.parametrize("identifier", ["demo03", "mairie"])
async def test_every_page_of_who_is_signed_in_has_its_headers(
    stack: Any, pages: list[str], somewhere: Any, record_property: Any, identifier: str
) -> None:
    found, shown = list[str](), 0
    async with aiohttp.ClientSession() as http:
        session = await signed_in(http, stack, identifier)
        known = await _known(http, f"{stack.gateway_url}/api/v1", {"Authorization": f"Bearer {session}"})
        for path in pages:
            cookie = {"Cookie": f"preau={session}"}
            url = stack.gateway_url + somewhere(path, **known)
            async with http.get(url, headers=cookie, allow_redirects=False) as answer:
                shown += answer.status == 200
                found += [f"{path} {answer.status}: {line}" for line in wrong(answer, is_secure=False)]
    record_property("looked at", f"{len(pages)} pages for {identifier}, {shown} shown")
    assert not found, "\n".join(found)


NASTY = (
    "",
    "x" * 5_000,
    "9" * 5_000,
    "-1",
    "1e9",
    "\0",
    "²",
    "٣",
    "31/02/2026",
    "0000-00-00",
    "|",
    "||1|0",
    "{}",
    "é\u202e",
)
NAMED = re.compile(r'name="([a-z_]+)"')


@pytest.mark.parametrize("identifier", ["demo02", "mairie"])
async def test_whatever_a_form_holds_a_page_answers_and_nothing_breaks(
    stack: Any, forms: list[str], somewhere: Any, record_property: Any, identifier: str
) -> None:
    """Every form's door, the fields of all templates, values that nobody types; the form itself is ours."""
    draw, broken, answers = random.Random(SEED), list[str](), Counter[int]()
    names = sorted({name for each in TEMPLATES.rglob("*.html") for name in NAMED.findall(each.read_text("utf-8"))})
    async with aiohttp.ClientSession() as http:
        session = await signed_in(http, stack, identifier)
        known = await _known(http, f"{stack.gateway_url}/api/v1", {"Authorization": f"Bearer {session}"})
        cookie = {"Cookie": f"preau={session}"}
        async with http.get(f"{stack.gateway_url}/aide", headers=cookie) as answer:
            token = TOKEN.findall(await answer.text())[0]
        for path in forms * FORMS:
            values = [*NASTY, *known.values()]
            form = {name: draw.choice(values) for name in names if name != "form_token" and draw.random() < 0.7}
            url, data = stack.gateway_url + somewhere(path, **known), {**form, "form_token": token}
            async with http.post(url, data=data, headers=cookie, allow_redirects=False) as answer:
                answers[answer.status] += 1
                if answer.status == 500:
                    broken.append(f"{path}: {form}"[:400])
    record_property("looked at", f"{identifier}: {len(forms)} forms, answers {dict(sorted(answers.items()))}")
    assert not broken, "\n".join(broken)
