"""docs/asyncapi.yaml says what the code says."""

from pathlib import Path

from tools import asyncapi

ROOT = Path(__file__).parent.parent.parent


def test_the_event_catalogue_is_not_stale() -> None:
    written = (ROOT / "docs" / "asyncapi.yaml").read_text(encoding="utf-8")
    generated = asyncapi.text()
    assert written == generated, "run `make asyncapi`"
