"""docs/asyncapi.yaml says what the code says."""

import runpy
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_the_event_catalogue_is_not_stale() -> None:
    written = (ROOT / "docs" / "asyncapi.yaml").read_text(encoding="utf-8")
    generated = runpy.run_path(str(Path(__file__).parent / "asyncapi.py"))["text"]()
    assert written == generated, "run `make asyncapi`"
