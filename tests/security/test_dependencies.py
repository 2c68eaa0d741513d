"""docs/dependencies.md names all that the images are made of, as the locks have it, and of nothing we may not use."""

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]
DEPENDENCIES = runpy.run_path(str(ROOT / "tests" / "security" / "dependencies.py"))


def test_every_package_of_every_image_is_on_record_with_its_licence_and_who_wants_it() -> None:
    written = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    listed, _, known = written.partition(DEPENDENCIES["KNOWN"])
    assert listed == DEPENDENCIES["text"](), "run `make dependencies`"
    assert "?" not in listed.partition("|---|")[2], "a package without a licence, or that nobody asked for"
    assert known, "run `make dependencies`"
