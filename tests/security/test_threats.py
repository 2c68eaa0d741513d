"""The documents that say which test shows what name tests that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = ("threat-model.md", "parents-portal.md")
NAMED = sorted(
    {name for each in DOCUMENTS for name in re.findall(r"`(test_\w+)`", (ROOT / "docs" / each).read_text("utf-8"))}
)
TESTS = {
    name
    for folder in ("chassis", "contracts", "documents", "gateway", "services", "deploy", "tests")
    for path in (ROOT / folder).rglob("test_*.py")
    for name in re.findall(r"def (test_\w+)\(", path.read_text(encoding="utf-8"))
} - {"test_what_a_document_calls_a_test_is_one"}


@pytest.mark.parametrize("name", NAMED)
def test_what_a_document_calls_a_test_is_one(name: str) -> None:
    assert name in TESTS
