"""Whoever floods the portal, or guesses, takes nothing away from anybody else; at a portal as it runs."""

import asyncio
import re
import resource
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from local_stack import demo
from local_stack.stack import PROGRAMS

SOCKETS = 2_000
HEAD = "POST /connexion HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
UNFINISHED = (HEAD + "Content-Length: 1000\r\n\r\nf", HEAD)
"""A body of which one byte comes, and a head that does not end."""
TOKEN = re.compile(r'name="form_token" value="([^"]+)"')
SETTINGS = {"gateway": {"API_REQUESTS_A_MINUTE": "1000000"}}

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]


async def _flood(host: str, port: int) -> AsyncIterator[asyncio.StreamWriter]:
    """Open the sockets, and again each that is closed, for as long as it is gone on with."""
    for number in range(SOCKETS):
        _reader, writer = await asyncio.open_connection(host, port)
        writer.write(UNFINISHED[number % 2].format(host=f"{host}:{port}").encode())
        yield writer


async def _sign_in(http: aiohttp.ClientSession, url: str, identifier: str) -> int:
    async with http.get(f"{url}/connexion") as page:
        token = TOKEN.findall(await page.text())[0]
    form = {"form_token": token, "identifier": identifier, "secret": demo.SECRET}
    async with http.post(f"{url}/connexion", data=form) as answer:
        return answer.status if str(answer.url) == f"{url}/" else 0


async def test_slow_senders_from_one_address_keep_nobody_waiting(stack: Any, record_property: Any) -> None:
    """Sign-in, pages, static files, health and webhooks, asked from the very address that the flood comes from."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    url, slowest, answers = stack.gateway_url, 0.0, dict[str, int]()
    host, port = urlsplit(url).hostname or "", urlsplit(url).port or 0
    writers = [each async for each in _flood(host, port)]
    try:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
            for turn in range(3):
                asked = {
                    "sign-in": lambda turn=turn: _sign_in(http, url, f"demo0{turn + 6}"),
                    "page": lambda: _status(http, f"{url}/factures"),
                    "static": lambda: _status(http, f"{url}/static/style.css"),
                    "health": lambda: _status(http, f"{url}/health/ready"),
                    "webhook": lambda: _status(http, f"{url}/webhooks/payfip", data={"idop": "of-nobody"}),
                }
                for name, ask in asked.items():
                    began = time.monotonic()
                    answers[f"{name} {turn}"] = await ask()
                    slowest = max(slowest, time.monotonic() - began)
                await asyncio.sleep(1)
    finally:
        for each in writers:
            each.transport.abort()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    record_property(
        "looked at", f"{SOCKETS} slow sockets of one address: slowest of {len(answers)} answers {slowest:.2f} s"
    )
    of_nobody = {name: status for name, status in answers.items() if status != 200}
    assert of_nobody == {f"webhook {turn}": 404 for turn in range(3)}, "payment-gateway knows no such payment"


NO_REQUESTS = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    b"GET /\xff?\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nCookie: \xe9\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
)


async def test_what_is_no_request_gets_a_short_answer_from_every_program(stack: Any, record_property: Any) -> None:
    wrong, asked = list[str](), 0
    for name in PROGRAMS:
        address = urlsplit(stack.gateway_url if name == "gateway" else stack.url(name))
        before = stack.programs[name].log.read_text(encoding="utf-8").count('"level": "error"')
        for sent in NO_REQUESTS:
            reader, writer = await asyncio.open_connection(address.hostname, address.port)
            writer.write(sent)
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            writer.close()
            asked += 1
            if " 400 " not in head or "server: preau" not in head or "aiohttp" in head:
                wrong.append(f"{name}: {sent[:20]!r}: {head}")
        if stack.programs[name].log.read_text(encoding="utf-8").count('"level": "error"') != before:
            wrong.append(f"{name}: an error in its log")
    record_property("looked at", f"{asked} bytes that are no request, {len(PROGRAMS)} programs")
    assert wrong == []


async def _status(http: aiohttp.ClientSession, url: str, **sent: Any) -> int:
    async with http.request("POST" if sent else "GET", url, **sent) as answer:
        await answer.read()
        return answer.status if str(answer.url) == url else 0
