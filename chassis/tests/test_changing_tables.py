"""A migration changes what prepared statements read, while requests come."""

from typing import Any

from aiohttp import web

from chassis.database import Database
from chassis.http import application, json_response, read_body
from chassis.settings import EdgeSettings
from contracts.model import Contract


class Dish(Contract):
    name: str


async def test_a_request_that_meets_changing_tables_is_done_again_and_once(
    aiohttp_client: Any, empty_database_url: str
) -> None:
    database = Database(empty_database_url, connections_max=1)
    await database.start()

    async def cook(request: web.Request) -> web.Response:
        dish = await read_body(request, Dish)
        async with database.transaction() as tx:
            await tx.execute("INSERT INTO dish (name) VALUES ($1)", dish.name)
            return json_response(Dish(name=",".join(row["name"] for row in await tx.fetch("SELECT * FROM dish"))))

    app = application("test", EdgeSettings(amqp_url="amqp://unused", auth_url="http://unused", http_port=0))
    app.router.add_post("/dishes", cook)
    client = await aiohttp_client(app)

    async def cooked(name: str) -> str:
        response = await client.post("/dishes", json={"name": name})
        assert response.status == 200
        found: str = (await response.json())["name"]
        return found

    async with database.transaction() as tx:
        await tx.execute("CREATE TABLE dish (name text)")
    assert await cooked("purée") == "purée"
    async with database.transaction() as tx:
        await tx.execute("ALTER TABLE dish ADD COLUMN season text")
    assert await cooked("ratatouille") == "purée,ratatouille"
    await database.stop()
