"""A version has one number, wherever it is written; what the operators' commands are for is in the runbook."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
OPERATE = ROOT / "deploy/operate"
COMMANDS = sorted(each.name for each in OPERATE.iterdir() if each.suffix != ".sh")
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
KINDS = {"sh", "sh kubernetes", "sql", "text"}


def test_chart_package_and_change_log_say_the_same_version() -> None:
    chart = yaml.safe_load((ROOT / "deploy/helm/preau/Chart.yaml").read_text(encoding="utf-8"))
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert {chart["version"], chart["appVersion"]} == {version}
    versions = re.findall(
        r"^## (\d+\.\d+\.\d+) \(\d{4}-\d\d-\d\d\)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    assert versions[:1] == [version]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_wrong_argument_of_an_operators_command_is_a_sentence_and_changes_nothing(name: str, tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "TOWN_ENV": str(tmp_path / "town.env"), "DOCKER_HOST": "unix:///none"}
    run = subprocess.run(
        [OPERATE / name, "--surprise", "twice"], env=environment, capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith(f"usage: {name}")
    assert len(run.stderr.splitlines()) == 1


def test_every_command_of_the_operators_is_in_the_runbook_and_every_block_says_what_it_is() -> None:
    runbook = (ROOT / "docs/runbook.md").read_text(encoding="utf-8")
    assert [name for name in COMMANDS if f"deploy/operate/{name}" not in runbook] == []
    found = FENCE.findall(runbook)
    assert {kind for kind, _ in found} <= KINDS
    composed = "".join(text for kind, text in found if kind == "sh")
    assert "…" not in composed, "a block that is run as it stands leaves nothing out"
    for name in ("upgrade", "rollback", "apply", "doctor", "backup", "restore", "run"):
        assert f"deploy/operate/{name}" in composed
