"""docs/dependencies.md names all that the images are made of, as the locks have it, and of nothing we may not use."""

from pathlib import Path

from tools import dependencies

ROOT = Path(__file__).parents[2]


def test_every_package_of_every_image_is_on_record_with_its_licence_and_who_wants_it() -> None:
    written = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    listed, _, known = written.partition(dependencies.KNOWN)
    assert listed == dependencies.text(), "run `make dependencies`"
    assert "?" not in listed.partition("|---|")[2], "a package without a licence, or that nobody asked for"
    assert known, "run `make dependencies`"
