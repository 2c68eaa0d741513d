"""The dashboards are those of their table, and Prometheus reads every line of them."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from contracts.events import EVENTS
from local_stack.packages import promtool
from tools import dashboards

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy/observability/dashboards"
NAMES = tuple(dashboards.DASHBOARDS)


def panels(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))["panels"]
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_dashboard_is_not_stale(name: str) -> None:
    assert (FOLDER / f"{name}.json").read_text(encoding="utf-8") == dashboards.written(name), "run `make dashboards`"
    assert {each.stem for each in FOLDER.glob("*.json")} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_prometheus_reads_every_line_and_every_line_is_of_the_chosen_town(name: str, tmp_path: Path) -> None:
    lines = [target["expr"] for panel in panels(name) for target in panel["targets"]]
    assert all('namespace=~"$town"' in line for line in lines)
    plain = [line.replace("$town", ".*").replace("$__rate_interval", "1m") for line in lines]
    rules = [{"record": f"line:{number}", "expr": line} for number, line in enumerate(plain)]
    (tmp_path / "lines.yaml").write_text(yaml.safe_dump({"groups": [{"name": "lines", "rules": rules}]}))
    answer = subprocess.run(
        [promtool(), "check", "rules", str(tmp_path / "lines.yaml")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.parametrize("name", NAMES)
def test_panels_lie_beside_each_other_and_none_over_another(name: str) -> None:
    places = [panel["gridPos"] for panel in panels(name)]
    taken = [
        (x, y)
        for place in places
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) == dashboards.COLUMNS - 1


def test_the_events_that_are_counted_are_those_of_the_contracts() -> None:
    text = "".join(target["expr"] for name in NAMES for panel in panels(name) for target in panel["targets"])
    assert set(re.findall(r'type="([\w.]+)"', text)) <= EVENTS.keys()
