"""The public API on the whole portal: a program does for a parent what the pages do, and no more."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import aiohttp
import asyncpg
import pytest
import pytest_asyncio
from jsonschema import Draft202012Validator
from playwright.async_api import Page

from chassis.testing import eventually
from local_stack.demo import CLUB, SECRET, id_of
from local_stack.stack import Stack

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]


@dataclass
class Program:
    """A program that speaks for a parent, and checks each answer against the document."""

    http: aiohttp.ClientSession
    url: str
    told: dict[str, Any]
    session: str = ""
    headers: Any = None

    async def ask(self, door: str, body: Any = None, *, status: int = 200, key: str = "", **parts: str) -> Any:
        """The answer to an operation, which must be as documented."""
        method, _, path = door.partition(" ")
        operation = self.told["paths"][path.partition("?")[0]][method.lower()]
        sent = {"Authorization": f"Bearer {self.session}"} if self.session else {}
        if key:
            sent["Idempotency-Key"] = key
        async with self.http.request(method, self.url + path.format(**parts), json=body, headers=sent) as response:
            self.headers = response.headers
            raw = await response.read()
            assert response.status == status, raw
            if not raw:
                return None
            kind = response.content_type
            expected = operation["responses"][str(status)]
            if "$ref" in expected:
                expected = self.told["components"]["responses"][expected["$ref"].rpartition("/")[2]]
            schema = expected["content"][kind]["schema"]
            if kind == "application/pdf":
                return raw
            answer = await response.json()
        Draft202012Validator({**schema, "components": self.told["components"]}).validate(answer)
        return answer

    async def sign_in(self, identifier: str, secret: str = SECRET) -> None:
        opened = await self.ask("POST /sessions", {"identifier": identifier, "secret": secret}, status=201)
        self.session = opened["session"]


@pytest_asyncio.fixture(loop_scope="module")
async def program(stack: Stack) -> AsyncIterator[Program]:
    async with aiohttp.ClientSession() as http:
        url = f"{stack.gateway_url}/api/v1"
        async with http.get(f"{url}/openapi.json") as response:
            told = await response.json()
        yield Program(http, url, told)


async def open_cell(program: Program, child: str) -> tuple[str, dict[str, Any], int]:
    """A day that is free and may be booked, its cell, and the version of what was seen."""
    month = date.today().replace(day=1)  # noqa: DTZ011 - the next months have free days whatever the clock's zone
    for _ in range(5):
        view = await program.ask("GET /children/{child_id}/months/{month}", child_id=child, month=f"{month:%Y-%m}")
        for day in view["days"]:
            for cell in day["cells"]:
                if cell["changeable"] and cell["state"] == "free":
                    return day["day"], cell, view["version"]
        month = (month + timedelta(days=31)).replace(day=1)
    raise AssertionError("no month has a free day")


async def test_a_program_books_a_day_by_the_same_rules_and_only_once_for_a_key(program: Program) -> None:
    await program.sign_in("demo03")
    assert (await program.ask("GET /me"))["roles"] == ["parent"]
    children = (await program.ask("GET /children"))["children"]
    child = next(each["child_id"] for each in children if each["enrolled"])
    day, cell, version = await open_cell(program, child)
    line = {"activity_id": cell["activity_id"], "day": day, "booked": True}
    payload = {"child_id": child, "seen_version": version, "lines": [line]}
    key = uuid4().hex
    saved = await program.ask("POST /bookings", payload, key=key)
    assert [(each["booked"], each["refusal"]) for each in saved["lines"]] == [(True, None)]
    assert await program.ask("POST /bookings", payload, key=key) == saved
    reused = await program.ask("POST /bookings", {**payload, "seen_version": version + 9}, key=key, status=409)
    assert reused["code"] == "idempotency_key_reused"
    changes = await program.ask("GET /children/{child_id}/changes", child_id=child)
    assert changes["activities"][0]["changes"][0]["channel"] == "internet"
    undone = await program.ask("POST /undo", {"child_id": child, "version": saved["version"]}, key=uuid4().hex)
    assert undone["lines"][0]["booked"] is False
    past = {**payload, "lines": [{**line, "day": "2020-01-07"}]}
    refused = await program.ask("POST /bookings", past, key=uuid4().hex)
    assert refused["lines"][0]["refusal"] in {"not_enrolled", "past_deadline", "not_offered"}


async def sql(stack: Stack, query: str, *arguments: Any) -> Any:
    connection = await asyncpg.connect(stack.databases["planning"])
    try:
        return await connection.fetchval(query, *arguments)
    finally:
        await connection.close()


async def ask_for(program: Program, stack: Stack, identifier: str, first_name: str, day: date, *, booked: bool) -> None:
    """Ask for the club's day for a child, or no more, by the API; a full day by its waiting list."""
    await program.sign_in(identifier)
    child = str(await sql(stack, "SELECT child_id FROM household_child WHERE first_name = $1", first_name))
    line = {"activity_id": str(id_of(CLUB)), "day": str(day), "booked": booked, "or_wait": booked}
    payload = {"child_id": child, "seen_version": 10_000, "lines": [line]}
    saved = await program.ask("POST /bookings", payload, key=uuid4().hex)
    assert [each["refusal"] for each in saved["lines"]] == [None]


async def test_a_program_lists_the_places_on_offer_lets_one_go_and_takes_one_once_for_a_key(
    program: Program, stack: Stack
) -> None:
    await sql(stack, "UPDATE activity SET offer_hours = 24 WHERE activity_id = $1", id_of(CLUB))
    day = await sql(stack, "SELECT day FROM occupation WHERE activity_id = $1 AND booked > 0", id_of(CLUB))
    await ask_for(program, stack, "demo09", "Sami", day, booked=True)
    assert await program.ask("GET /offers") == {"offers": []}
    await ask_for(program, stack, "demo10", "Agathe", day, booked=True)
    await ask_for(program, stack, "demo12", "Mai", day, booked=False)

    async def answer(door: str, offer: Any, key: str, status: int = 200) -> Any:
        payload = {name: offer[name] for name in ("child_id", "activity_id", "day")}
        return await program.ask(
            f"POST /offers/{door}", {**payload, "seen_version": offer["version"]}, key=key, status=status
        )

    await program.sign_in("demo09")
    (first,) = (await program.ask("GET /offers"))["offers"]
    assert (first["child_first_name"], first["activity_label"], first["day"]) == ("Sami", CLUB, str(day))
    left = await answer("decline", first, "let-go")
    assert [(each["booked"], each["refusal"]) for each in left["lines"]] == [(False, None)]
    assert await answer("decline", first, "let-go") == left
    assert await program.ask("GET /offers") == {"offers": []}
    await program.sign_in("demo10")
    (second,) = (await program.ask("GET /offers"))["offers"]
    assert (await answer("accept", second, "", 422))["code"] == "invalid"
    taken = await answer("accept", second, "take")
    assert [(each["booked"], each["refusal"]) for each in taken["lines"]] == [(True, None)]
    assert await answer("accept", second, "take") == taken
    assert (await answer("accept", {**second, "version": 9}, "take", 409))["code"] == "idempotency_key_reused"
    late = await answer("decline", second, "too-late")
    assert [(each["booked"], each["refusal"]) for each in late["lines"]] == [(True, "changed_elsewhere")]
    assert (await answer("accept", first, "not-mine", 404))["code"] == "no_such_child"
    wrong = await answer("accept", {**second, "day": "some day", "version": -1}, "wrong", 422)
    assert {each["field"] for each in wrong["errors"]} == {"day", "seen_version"}


async def test_wrong_wishes_are_told_by_field_and_nothing_is_believed_of_prices(program: Program) -> None:
    await program.sign_in("demo04")
    wrong = await program.ask("POST /bookings", {"child_id": "x", "price_cents": 0}, key="k", status=422)
    assert {each["field"] for each in wrong["errors"]} >= {"child_id", "price_cents", "lines", "seen_version"}
    line = {"activity_id": str(uuid4()), "day": "2026-12-01", "booked": True}
    payload = {"child_id": str(uuid4()), "seen_version": 0, "lines": [line]}
    assert (await program.ask("POST /bookings", payload, status=422))["code"] == "invalid"
    assert (await program.ask("POST /bookings", payload, key="k", status=404))["code"] == "no_such_child"
    foreign = await program.ask("GET /invoices/{invoice_id}", invoice_id=str(uuid4()), status=404)
    assert foreign["type"].startswith("urn:preau:problem:")


async def test_only_a_live_session_opens_doors_and_a_cookie_is_none(program: Program) -> None:
    assert (await program.ask("GET /children", status=401))["code"]
    assert program.headers["WWW-Authenticate"] == "Bearer"
    await program.ask("POST /sessions", {"identifier": "demo05", "secret": "wrong-secret"}, status=401)
    await program.sign_in("demo05")
    async with program.http.get(f"{program.url}/me", cookies={"preau": program.session}) as response:
        assert response.status == 401
    seen = program.headers["RateLimit"]
    assert program.headers["RateLimit-Policy"] == '"minute";q=120;w=60'
    assert seen.startswith('"minute";r=')
    await program.ask("DELETE /sessions/current", status=204)
    await program.ask("GET /me", status=401)
    await program.ask("GET /invoices", status=401)


async def test_who_asks_too_often_is_told_when_to_come_back(program: Program) -> None:
    await program.sign_in("demo06")
    left = 1
    while left:
        await program.ask("GET /me")
        left = int(program.headers["RateLimit"].partition("r=")[2].partition(";")[0])
    told = await program.ask("GET /me", status=429)
    assert 0 < int(program.headers["Retry-After"]) <= 60
    assert told["code"] == "too_many"


async def test_a_program_opens_a_payment_the_parent_pays_at_the_bank_and_the_ticket_is_there(
    program: Program, phone: Page
) -> None:
    await program.sign_in("demo07")
    invoice = (await program.ask("GET /invoices"))["to_pay"][0]
    assert (await program.ask("GET /invoices/{invoice_id}/pdf", invoice_id=invoice["invoice_id"])).startswith(b"%PDF")
    payload, key = {"invoice_ids": [invoice["invoice_id"]]}, uuid4().hex
    checkout = await program.ask("POST /checkouts", payload, key=key, status=201)
    assert checkout["amount_cents"] == invoice["left_cents"]
    assert await program.ask("POST /checkouts", payload, key=key, status=201) == checkout
    begun = [
        await program.ask("POST /payments", {"checkout_id": checkout["checkout_id"]}, status=201) for _ in range(2)
    ]
    assert begun[0]["payment_id"] == begun[1]["payment_id"]
    payment = begun[0]["payment_id"]
    early = await program.ask("GET /payments/{payment_id}/ticket", payment_id=payment, status=404)
    assert early["code"] == "no_ticket"
    await phone.goto(begun[0]["payer_url"])
    await phone.get_by_role("button", name="Payer").first.click()

    async def confirmed() -> Any:
        found = await program.ask("GET /payments/{payment_id}", payment_id=payment)
        return found["payment"]["status"] == "confirmed"

    await eventually(confirmed)
    assert (await program.ask("GET /payments/{payment_id}/ticket", payment_id=payment)).startswith(b"%PDF")


async def test_people_read_the_reference(phone: Page, stack: Stack) -> None:
    await phone.goto(f"{stack.gateway_url}/api/v1/")
    await phone.get_by_role("link", name="POST /bookings").click()
    assert await phone.locator("#book").is_visible()
    wide = await phone.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert wide, "the page is wider than a phone"
