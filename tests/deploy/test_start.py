"""What a program loads at its start is what it always needs: the rest would only take memory."""

import subprocess
import sys

import pytest

NEVER = {
    "typst": "whoever makes a document",
    "holidays": "planning, once a year",
    "vacances_scolaires_france": "planning, once a year",
    "opentelemetry": "whoever traces",
}
PROGRAMS = ("auth", "planning", "billing", "payment_gateway", "notifier", "gateway")


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_loads_at_its_start_nothing_that_only_some_of_its_work_needs(program: str) -> None:
    code = f"import sys, {program}.__main__\nprint(*sorted(set(sys.modules) & set({sorted(NEVER)})))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == ""
