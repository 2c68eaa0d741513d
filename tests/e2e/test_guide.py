"""The parents' guide says what the product shows: its labels, its pictures, its copy in ``docs``."""

import json
import re
from pathlib import Path

import pytest

from chassis.languages import catalogue
from contracts.model import Language
from gateway.languages import FOLDER
from tests.support.sentences import sentences
from tools import guide

TEXT: Path = guide.TEXT
BOLD = re.compile(r"\*\*(.+?)\*\*")
NO_LABELS = {"gras", "bold"}


def test_no_picture_is_older_than_its_page() -> None:
    assert json.loads(guide.MADE_OF.read_text(encoding="utf-8")) == guide.made_of(), "run `make guide`"
    assert guide.WRITTEN.read_text(encoding="utf-8") == guide.as_in_docs(), "run `make guide`"


@pytest.mark.parametrize(("text", "folder"), [(TEXT, guide.IMAGES), (guide.ENGLISH, guide.IMAGES / "en")])
def test_every_picture_of_the_text_is_there_and_every_one_there_is_shown(text: Path, folder: Path) -> None:
    shown = re.findall(r"!\[[^\]]+\]\((.+?)\.png\)", text.read_text(encoding="utf-8"))
    there = sorted(path.stem for path in folder.glob("*.png"))
    assert sorted(shown) == there == sorted(picture for picture, _ in guide.PICTURES.values())


def labels(text: Path) -> list[str]:
    return sorted(set(BOLD.findall(text.read_text(encoding="utf-8"))) - NO_LABELS)


@pytest.mark.parametrize("label", labels(TEXT))
def test_what_the_guide_calls_by_name_has_that_name(label: str) -> None:
    assert label in {sentence.removeprefix("« ") for sentence in sentences()}


@pytest.mark.parametrize("label", labels(guide.ENGLISH))
def test_what_the_english_guide_calls_by_name_has_that_name(label: str) -> None:
    known = catalogue(FOLDER, Language.EN).words
    assert label in {forms[0].removeprefix("« ") for forms in known.values()}


def test_the_english_guide_has_the_chapters_of_the_french_one() -> None:
    french, english = (
        [line.split()[0] for line in text.read_text(encoding="utf-8").splitlines() if line.startswith(("#", "-", "!"))]
        for text in (TEXT, guide.ENGLISH)
    )
    assert [each[0] for each in french] == [each[0] for each in english]
