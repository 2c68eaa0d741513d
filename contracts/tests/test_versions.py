"""A version is another as soon as anything differs, and the same whatever program counts it."""

import subprocess
import sys

from contracts.api.notifier import Preferences
from contracts.versions import NONE_YET, version_of

PROGRAM = """
from datetime import date
from contracts.model import Contract
from contracts.versions import version_of
class Shown(Contract):
    schools: frozenset[str]
    days: tuple[date, ...]
print(version_of(Shown(schools=frozenset({"a", "b", "c", "d"}), days=(date(2026, 12, 1),))))
"""


def test_a_version_is_another_as_soon_as_anything_differs() -> None:
    assert version_of(None) == NONE_YET
    assert version_of(Preferences()) == version_of(Preferences())
    assert len({version_of(Preferences()), version_of(Preferences(reminders=False)), NONE_YET}) == 3


def test_a_version_is_the_same_in_every_program() -> None:
    def seen(seed: str) -> str:
        environment = {"PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", PROGRAM]
        return subprocess.run(command, env=environment, capture_output=True, check=True, text=True, timeout=60).stdout

    assert len({seen(str(each)) for each in range(1, 5)}) == 1
