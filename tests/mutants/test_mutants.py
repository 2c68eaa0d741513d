"""What ``make mutants`` changes, and that what is named as equivalent is still there."""

from pathlib import Path
from typing import Any

import pytest

from tests.mutants.mutations import mutants
from tests.mutants.targets import TARGETS

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


@pytest.mark.parametrize(
    ("source", "changes"),
    [
        ("a = b < c", ["b < c  →  b <= c"]),
        ("a = min(b, c)", ["min(b, c)  →  max(b, c)"]),
        ("a = b and c", ["b and c  →  b or c", "b and c  →  c", "b and c  →  b"]),
        ("a = not b", ["not b  →  b"]),
        ("a = b - c", ["b - c  →  b + c"]),
        ("a = True", ["True  →  False"]),
        ("a = 7", ["7  →  8"]),
        ("def f():\n    return a", ["return a  →  return None"]),
        ("def f():\n    raise E", ["raise E  →  pass"]),
        ("if a:\n    do(a)", ["if a: do(a)  →  if not a: do(a)", "do(a)  →  pass"]),
        ("scope = f'plans/{household}'", ["f'plans/{household}'  →  f'plans/'"]),
        ("q = 'SELECT a FROM b WHERE c = $1 AND d IS NULL'", ["'SELECT a FROM b WHERE c = $1'"]),
        ("q = 'SELECT a FROM b FOR UPDATE SKIP LOCKED'", ["'SELECT a FROM b'"]),
        ('"""Says."""\nimport a\nlog.info("said", count=1)', []),
    ],
)
def test_one_small_thing_is_changed_at_a_time(source: str, changes: list[str]) -> None:
    found = list(mutants(source))
    assert len(found) == len(changes)
    for mutant, change in zip(found, changes, strict=True):
        assert mutant.says.endswith(change)
        compile(mutant.tree, "changed", "exec")


def test_every_test_that_is_named_is_there() -> None:
    assert all((ROOT / test).is_file() for target in TARGETS for test in target.tests)


NAMED = [target for target in TARGETS if target.equivalent]


@pytest.mark.parametrize("target", NAMED, ids=[target.module for target in NAMED])
def test_what_is_named_as_equivalent_can_still_be_made(target: Any) -> None:
    says = {mutant.says for mutant in mutants((ROOT / target.file).read_text(encoding="utf-8"))}
    assert set(target.equivalent) <= says
