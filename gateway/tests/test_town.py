"""The town's crest and colour: a small picture or none, kept for a year under the name of its content."""

from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import ValidationError

from gateway import town
from gateway.settings import CREST_BYTES_MAX, Settings

SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><circle r="4"/></svg>'


def settings(**more: object) -> Settings:
    services = ("auth", "planning", "billing", "payment_gateway", "notifier")
    urls = {f"{name}_url": "http://127.0.0.1:9" for name in services}
    return Settings(
        amqp_url="amqp://127.0.0.1:9",
        http_port=0,
        public_url="http://127.0.0.1:9",
        bank_origins="http://127.0.0.1:9",
        town_name="Saint-Aubin",
        csrf_secret="s" * 32,
        **urls,
        **more,
    )


async def test_the_crest_and_the_colour_are_served_by_names_that_change_with_them(
    aiohttp_client: Any, tmp_path: Path
) -> None:
    crest = tmp_path / "blason.svg"
    crest.write_bytes(SVG)
    app = web.Application()
    app[town.BRANDING] = face = town.load_branding(settings(town_crest=crest, town_colour="#a02c5a"))
    app.add_routes(town.routes)
    client = await aiohttp_client(app)
    assert face.crest_url is not None
    shown, style = await client.get(face.crest_url), await client.get(face.style_url)
    assert (shown.content_type, await shown.read()) == ("image/svg+xml", SVG)
    assert "immutable" in shown.headers["Cache-Control"]
    assert "--town: #a02c5a" in await style.text()
    known = await client.get(face.crest_url, headers={"If-None-Match": shown.headers["ETag"]})
    assert known.status == 304
    assert (await client.get("/crest?v=older")).headers["Cache-Control"] == "no-cache"


async def test_a_town_without_a_crest_has_none(aiohttp_client: Any) -> None:
    app = web.Application()
    app[town.BRANDING] = face = town.load_branding(settings())
    app.add_routes(town.routes)
    assert face.crest_url is None
    assert (await (await aiohttp_client(app)).get("/crest")).status == 404


@pytest.mark.parametrize(
    ("name", "size", "colour"),
    [("blason.pdf", 10, "#1c6b56"), ("blason.png", CREST_BYTES_MAX + 1, "#1c6b56"), ("blason.png", 10, "green; }")],
)
def test_what_is_no_small_picture_or_no_colour_stops_the_start(
    tmp_path: Path, name: str, size: int, colour: str
) -> None:
    (tmp_path / name).write_bytes(b"x" * size)
    with pytest.raises(ValidationError):
        settings(town_crest=tmp_path / name, town_colour=colour)
