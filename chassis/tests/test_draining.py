"""A program that was asked to end says so and goes on serving; the whole of it is the upgrade drill."""

from typing import Any

from aiohttp import web

from chassis.draining import DRAIN
from chassis.http import application, public
from chassis.settings import EdgeSettings


async def test_a_program_that_is_to_end_is_not_ready_and_serves_on_without_keeping_connections(
    aiohttp_client: Any,
) -> None:
    async def door(_request: web.Request) -> web.Response:
        return web.Response(text="served")

    settings = EdgeSettings(amqp_url="amqp://unused", auth_url="http://unused", http_port=0, drain_seconds=20)
    app = application("test", settings)
    app.router.add_get("/door", public(door))
    client = await aiohttp_client(app)
    before = [await client.get(path) for path in ("/health/ready", "/door")]
    assert [(each.status, each.headers.get("Connection")) for each in before] == [(200, None), (200, None)]
    app[DRAIN].begin()
    assert (await client.get("/health/ready")).status == 503
    assert (await client.get("/health/live")).status == 200
    after = await client.get("/door")
    assert (after.status, await after.text()) == (200, "served")
    assert after.headers["Connection"] == "close"
