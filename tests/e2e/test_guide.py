"""The parents' guide says what the product shows: its labels, its pictures, its copy in ``docs``."""

import json
import re
import runpy
from pathlib import Path

import pytest

GUIDE = runpy.run_path(str(Path(__file__).parent / "guide.py"))
TEXT: Path = GUIDE["TEXT"]
BOLD = re.compile(r"\*\*(.+?)\*\*")
NO_LABELS = {"gras"}


def test_no_picture_is_older_than_its_page() -> None:
    assert json.loads(GUIDE["MADE_OF"].read_text(encoding="utf-8")) == GUIDE["made_of"](), "run `make guide`"
    assert GUIDE["WRITTEN"].read_text(encoding="utf-8") == GUIDE["as_in_docs"](), "run `make guide`"


def test_every_picture_of_the_text_is_there_and_every_one_there_is_shown() -> None:
    shown = re.findall(r"!\[[^\]]+\]\((.+?)\.png\)", TEXT.read_text(encoding="utf-8"))
    there = sorted(path.stem for path in GUIDE["IMAGES"].glob("*.png"))
    assert sorted(shown) == there == sorted(picture for picture, _ in GUIDE["PICTURES"].values())


@pytest.mark.parametrize("label", sorted(set(BOLD.findall(TEXT.read_text(encoding="utf-8"))) - NO_LABELS))
def test_what_the_guide_calls_by_name_has_that_name(label: str) -> None:
    languages = runpy.run_path(str(GUIDE["ROOT"] / "gateway" / "tests" / "test_languages.py"))
    assert label in {sentence.removeprefix("« ") for sentence in languages["sentences"]()}
