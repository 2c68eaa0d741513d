"""The threat model names tests that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = sorted(set(re.findall(r"`(test_\w+)`", (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8"))))
TESTS = {
    name
    for folder in ("chassis", "contracts", "documents", "gateway", "services", "deploy", "tests")
    for path in (ROOT / folder).rglob("test_*.py")
    for name in re.findall(r"def (test_\w+)\(", path.read_text(encoding="utf-8"))
} - {"test_a_threat_is_answered_by_a_test"}


@pytest.mark.parametrize("name", NAMED)
def test_a_threat_is_answered_by_a_test(name: str) -> None:
    assert name in TESTS
