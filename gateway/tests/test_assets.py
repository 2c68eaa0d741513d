"""The files that pages name: the same address wherever it is named, so that a browser fetches each once."""

import re
from urllib.parse import urljoin

from gateway import assets
from gateway.pages.shared.rendering import templates


class Face:
    """A town without a crest."""

    style_url, crest_url = "/town.css", None


def test_every_font_of_the_style_is_asked_for_before_the_style_is_read() -> None:
    """A font that comes after the first paint moves what is being read."""
    page = templates.get_template("shared/base.html").render(
        town="Saint-Aubin", face=Face, person=None, path="/connexion", here="/connexion", form_token="t"
    )
    asked_for = re.findall(r'<link rel="preload" href="([^"]+)" as="font" type="font/woff2" crossorigin>', page)
    style = assets.ASSETS["style.css"].body.decode()
    used = [urljoin(assets.asset_url("style.css"), link) for link in assets.LINK.findall(style) if ".woff2" in link]
    assert len(used) == 2
    assert sorted(asked_for) == sorted(used)
    assert page.index('rel="preload"') < page.index('rel="stylesheet"')
