"""The public API's document says what its routes do, and how often a client may call."""

from pathlib import Path

from aiohttp import web
from openapi_spec_validator import validate

from gateway.api import v1
from gateway.api.limits import COUNTED_MAX, Limits
from gateway.api.openapi import DOCUMENT, document
from gateway.api.operations import OPERATIONS

WRITTEN = Path(__file__).parents[2] / "docs" / "openapi.json"


def test_the_document_is_valid_and_the_written_one_is_the_same() -> None:
    validate(document())
    assert WRITTEN.read_bytes().rstrip() == DOCUMENT, "run `make openapi`"


def test_every_operation_has_a_route_and_every_route_is_documented() -> None:
    app = web.Application()
    app.add_routes(v1.routes())
    routes = {
        f"{route.method} {route.resource.canonical.removeprefix(v1.PREFIX)}"
        for route in app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    assert routes == {operation.route for operation in OPERATIONS} | {"GET /openapi.json"}
    assert all(operation.service or operation.name in v1.OWN_HANDLERS for operation in OPERATIONS)


def test_what_costs_something_wants_a_key() -> None:
    keyed = [
        (method.upper(), path)
        for path, found in document()["paths"].items()
        for method, each in found.items()
        if any(p["name"] == "Idempotency-Key" for p in each.get("parameters", []))
    ]
    paths = ("/bookings", "/plans", "/undo", "/offers/accept", "/offers/decline", "/checkouts", "/credit-uses")
    assert keyed == [("POST", path) for path in paths]


def test_no_word_of_the_document_is_about_the_routes_between_services() -> None:
    text = DOCUMENT.decode()
    assert "households/{" not in text
    assert "``" not in text


def test_one_may_ask_so_often_a_minute_and_who_asks_too_much_leaves_the_others_alone() -> None:
    at = 100.0
    limits = Limits(3, clock=lambda: at)
    assert [limits.count("a")[0] for _ in range(5)] == [2, 1, 0, -1, -2]
    assert limits.count("b") == (2, 60)
    at = 130.0
    assert limits.count("a") == (-3, 30)
    assert limits.headers(-3, 30) == {"RateLimit-Policy": '"minute";q=3;w=60', "RateLimit": '"minute";r=0;t=30'}
    at = 160.0
    assert limits.count("a") == (2, 60)


def test_a_crowd_that_fills_the_table_lets_nobody_off() -> None:
    at = 100.0
    limits = Limits(3, clock=lambda: at)
    for _ in range(4):
        left, _ = limits.count("asks too often")
    assert left == -1
    for number in range(COUNTED_MAX + 500):
        limits.count(f"newcomer {number}")
    assert limits.count("asks too often")[0] == -2
    assert limits.count(f"newcomer {COUNTED_MAX}")[0] == 1, "the others are counted on, but for the oldest"
    at = 161.0
    assert limits.count("asks too often") == (2, 60)
    assert len(limits._windows) <= COUNTED_MAX
