"""The HTTP application answers clearly, whatever comes."""

import asyncio
from typing import Any

import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestClient
from pydantic import Field
from structlog.testing import LogCapture
from yarl import URL

from chassis import http
from chassis.concurrency import queued
from chassis.http import application, idempotency_key, json_response, path_month, path_uuid, path_year, read_body
from chassis.settings import EdgeSettings
from chassis.testing import eventually
from contracts.failures import Conflict, TooMany
from contracts.model import Contract


class Wish(Contract):
    name: str = Field(max_length=10)
    count: int


class AlreadyDone(Conflict):
    code = "already_done"


def settings(**more: Any) -> EdgeSettings:
    return EdgeSettings(amqp_url="amqp://unused", auth_url="http://unused", http_port=0, **more)


@pytest.fixture
async def client(aiohttp_client: Any) -> TestClient[Any, Any]:
    async def echo(request: web.Request) -> web.Response:
        return json_response(await read_body(request, Wish))

    async def refuse(_request: web.Request) -> web.Response:
        raise AlreadyDone("it was done before", invoice="2026-000001")

    async def too_many(_request: web.Request) -> web.Response:
        raise TooMany("slowly", retry_after_seconds=30)

    async def breaks(_request: web.Request) -> web.Response:
        raise RuntimeError("secret detail of the inside")

    async def slow(_request: web.Request) -> web.Response:
        await asyncio.sleep(5)
        raise AssertionError("the limit comes first")

    @queued
    async def line(_request: web.Request) -> web.Response:
        await asyncio.sleep(0.6)
        return web.json_response("served")

    async def parts(request: web.Request) -> web.Response:
        return web.json_response([str(path_uuid(request, "id")), str(path_month(request)), idempotency_key(request)])

    async def year(request: web.Request) -> web.Response:
        return web.json_response(path_year(request))

    app = application("test", settings(request_seconds_max=0.3, concurrent_requests_max=2))
    app.router.add_post("/echo", echo)
    app.router.add_get("/refuse", refuse)
    app.router.add_get("/too-many", too_many)
    app.router.add_get("/breaks", breaks)
    app.router.add_get("/slow", slow)
    app.router.add_get("/line", line)
    app.router.add_get("/parts/{id}/{month}", parts)
    app.router.add_get("/years/{year}", year)
    made: TestClient[Any, Any] = await aiohttp_client(app)
    return made


async def problem(response: Any, status: int, code: str) -> dict[str, Any]:
    assert response.status == status
    assert response.content_type == "application/problem+json"
    body: dict[str, Any] = await response.json(content_type=None)
    assert (body["status"], body["code"], body["type"]) == (status, code, f"urn:preau:problem:{code}")
    assert body["request_id"] == response.headers["X-Request-ID"]
    return body


async def test_a_named_failure_is_a_problem_with_its_facts(client: TestClient[Any, Any]) -> None:
    body = await problem(await client.get("/refuse"), 409, "already_done")
    assert body["invoice"] == "2026-000001"
    response = await client.get("/too-many")
    await problem(response, 429, "too_many")
    assert response.headers["Retry-After"] == "30"


async def test_whoever_leaves_in_the_middle_of_a_body_is_no_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    async def echo(request: web.Request) -> web.Response:
        return json_response(await read_body(request, Wish))

    logged = LogCapture()
    monkeypatch.setattr(http, "log", structlog.wrap_logger(None, [logged], structlog.BoundLogger))
    app = application("test", settings())
    app.router.add_post("/echo", echo)
    runner = web.AppRunner(app)  # the tests' own server would cancel the door
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    _, writer = await asyncio.open_connection(*runner.addresses[0])
    writer.write(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{")
    await writer.drain()
    await asyncio.sleep(0.1)
    writer.transport.abort()

    async def told() -> list[Any]:
        return [each for each in logged.entries if each["event"] == "request"]

    (request,) = await eventually(told, seconds=10)
    await runner.cleanup()
    assert request["status"] == 499
    assert {each["log_level"] for each in logged.entries} == {"info"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (r'{"name": "a\u0000b", "count": 1}', "name"),
        (r'{"name": "a", "count": 1, "inner": [{"deep": "\u0000"}]}', "inner.0.deep"),
        (r'{"name": "a", "co\u0000unt": 1}', ""),
        (r'"\u0000"', ""),
        ("[" * 900 + r'"\u0000"' + "]" * 900, ".".join("0" * 900)),
    ],
)
async def test_a_character_that_no_database_keeps_is_refused_by_its_field(
    client: TestClient[Any, Any], body: str, field: str
) -> None:
    answer = await client.post("/echo", data=body, headers={"Content-Type": "application/json"})
    (error,) = (await problem(answer, 400, "unreadable"))["errors"]
    assert error["field"] == field
    assert "U+0000" in error["message"]


@pytest.mark.parametrize("body", [r'{"name": "\u0000', "[" * 50_000 + r"\u0000", r'{"name": "\\u0000", "count": "x"}'])
async def test_what_only_looks_like_it_is_wrong_in_its_own_way(client: TestClient[Any, Any], body: str) -> None:
    await problem(await client.post("/echo", data=body, headers={"Content-Type": "application/json"}), 422, "invalid")


async def test_each_wrong_field_is_named_and_its_value_is_not_repeated(client: TestClient[Any, Any]) -> None:
    body = await problem(await client.post("/echo", json={"name": "far too long a name", "count": "x"}), 422, "invalid")
    assert [error["field"] for error in body["errors"]] == ["name", "count"]
    assert "far too long" not in str(body)
    body = await problem(await client.post("/echo", json={"name": "a", "count": 1, "price": 0}), 422, "invalid")
    assert body["errors"][0]["field"] == "price"


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[]", b'{"name": "a", "count": 1e999}', b"[" * 100_000])
async def test_a_malformed_body_is_a_clear_answer(client: TestClient[Any, Any], body: bytes) -> None:
    response = await client.post("/echo", data=body, headers={"Content-Type": "application/json"})
    await problem(response, 422, "invalid")


async def test_ten_megabytes_are_refused(client: TestClient[Any, Any]) -> None:
    response = await client.post("/echo", data=b"x" * 10_000_000, headers={"Content-Type": "application/json"})
    await problem(response, 413, "body_too_large")


async def test_form_data_is_not_json(client: TestClient[Any, Any]) -> None:
    await problem(await client.post("/echo", data={"name": "a"}), 422, "invalid")


async def test_a_defect_tells_nothing_of_the_inside(client: TestClient[Any, Any]) -> None:
    body = await problem(await client.get("/breaks"), 500, "defect")
    assert "secret" not in str(body)


async def test_unknown_paths_and_methods_are_problems_too(client: TestClient[Any, Any]) -> None:
    await problem(await client.get("/nowhere"), 404, "not_found")
    response = await client.delete("/echo")
    await problem(response, 405, "method_not_allowed")
    assert response.headers["Allow"] == "POST"


async def test_too_slow_and_too_many_at_once_answer_503(client: TestClient[Any, Any]) -> None:
    responses = await asyncio.gather(*(client.get("/slow") for _ in range(4)))
    bodies = [await problem(response, 503, "unavailable") for response in responses]
    details = sorted(body["detail"] for body in bodies)
    assert details == ["this took too long"] * 2 + ["too many concurrent requests"] * 2
    assert (await client.get("/health/live")).status == 200


async def test_who_stands_in_line_may_wait_longer_and_leaves_half_of_the_room(client: TestClient[Any, Any]) -> None:
    first = asyncio.create_task(client.get("/line"))
    await asyncio.sleep(0.1)
    await problem(await client.get("/line"), 503, "unavailable")
    assert (await client.get("/years/2026")).status == 200
    assert await (await first).json() == "served"


async def test_a_request_id_is_kept_only_when_it_is_safe(client: TestClient[Any, Any]) -> None:
    kept = await client.get("/health/live", headers={"X-Request-ID": "abcdefgh-1234"})
    assert kept.headers["X-Request-ID"] == "abcdefgh-1234"
    made = await client.get("/health/live", headers={"X-Request-ID": "<script>alert(1)</script>"})
    assert "<" not in made.headers["X-Request-ID"]


async def test_path_parts_and_idempotency_key(client: TestClient[Any, Any]) -> None:
    uuid = "0197a3c2-5b1e-7c40-9d11-2f8e6a4b0c01"
    good = await client.get(f"/parts/{uuid}/2026-12", headers={"Idempotency-Key": "k-1"})
    assert await good.json() == [uuid, "2026-12-01", "k-1"]
    await problem(await client.get(f"/parts/{uuid}/2026-12"), 422, "invalid")
    await problem(await client.get("/parts/1/2026-12", headers={"Idempotency-Key": "k"}), 404, "not_found")
    await problem(await client.get(f"/parts/{uuid}/2026-13", headers={"Idempotency-Key": "k"}), 404, "not_found")


@pytest.mark.parametrize("text", ["0", "1782864000", "2026-1", "20261201", "2026-12-01T00:00"])
async def test_a_month_is_nothing_that_is_read_as_an_instant(client: TestClient[Any, Any], text: str) -> None:
    path = f"/parts/0197a3c2-5b1e-7c40-9d11-2f8e6a4b0c01/{text}"
    await problem(await client.get(path, headers={"Idempotency-Key": "k"}), 404, "not_found")


async def test_a_year_is_four_digits_for_it_becomes_part_of_another_path(client: TestClient[Any, Any]) -> None:
    assert await (await client.get("/years/2026")).json() == 2026
    for text in ("26", "0026", "2026%3Fa=b", "2026%2F..%2Fx", "2026%23", "%D9%A2%D9%A0%D9%A2%D9%A6"):
        await problem(await client.get(URL(f"/years/{text}", encoded=True)), 404, "not_found")


@pytest.mark.parametrize("wrong", ['"1"', "1.0", "true", "null"])
async def test_a_value_of_another_kind_is_refused(client: TestClient[Any, Any], wrong: str) -> None:
    body = f'{{"name": "a", "count": {wrong}}}'
    response = await client.post("/echo", data=body, headers={"Content-Type": "application/json"})
    assert (await problem(response, 422, "invalid"))["errors"][0]["field"] == "count"
