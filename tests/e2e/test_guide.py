"""The parents' guide says what the product shows: its labels, its pictures, its copy in ``docs``."""

import json
import re
import runpy
from pathlib import Path

import pytest

from chassis.languages import catalogue
from contracts.model import Language
from gateway.languages import FOLDER

GUIDE = runpy.run_path(str(Path(__file__).parent / "guide.py"))
TEXT: Path = GUIDE["TEXT"]
BOLD = re.compile(r"\*\*(.+?)\*\*")
NO_LABELS = {"gras", "bold"}


def test_no_picture_is_older_than_its_page() -> None:
    assert json.loads(GUIDE["MADE_OF"].read_text(encoding="utf-8")) == GUIDE["made_of"](), "run `make guide`"
    assert GUIDE["WRITTEN"].read_text(encoding="utf-8") == GUIDE["as_in_docs"](), "run `make guide`"


@pytest.mark.parametrize(("text", "folder"), [(TEXT, GUIDE["IMAGES"]), (GUIDE["ENGLISH"], GUIDE["IMAGES"] / "en")])
def test_every_picture_of_the_text_is_there_and_every_one_there_is_shown(text: Path, folder: Path) -> None:
    shown = re.findall(r"!\[[^\]]+\]\((.+?)\.png\)", text.read_text(encoding="utf-8"))
    there = sorted(path.stem for path in folder.glob("*.png"))
    assert sorted(shown) == there == sorted(picture for picture, _ in GUIDE["PICTURES"].values())


def labels(text: Path) -> list[str]:
    return sorted(set(BOLD.findall(text.read_text(encoding="utf-8"))) - NO_LABELS)


@pytest.mark.parametrize("label", labels(TEXT))
def test_what_the_guide_calls_by_name_has_that_name(label: str) -> None:
    languages = runpy.run_path(str(GUIDE["ROOT"] / "gateway" / "tests" / "test_languages.py"))
    assert label in {sentence.removeprefix("« ") for sentence in languages["sentences"]()}


@pytest.mark.parametrize("label", labels(GUIDE["ENGLISH"]))
def test_what_the_english_guide_calls_by_name_has_that_name(label: str) -> None:
    known = catalogue(FOLDER, Language.EN).words
    assert label in {forms[0].removeprefix("« ") for forms in known.values()}


def test_the_english_guide_has_the_chapters_of_the_french_one() -> None:
    french, english = (
        [line.split()[0] for line in text.read_text(encoding="utf-8").splitlines() if line.startswith(("#", "-", "!"))]
        for text in (TEXT, GUIDE["ENGLISH"])
    )
    assert [each[0] for each in french] == [each[0] for each in english]
