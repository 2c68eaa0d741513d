"""docs/configuration.md says what the settings' classes say, and compose gives no setting that nobody reads."""

import importlib
from pathlib import Path

import pytest
import yaml

from tools import configuration

ROOT = Path(__file__).parents[2]


def test_the_table_of_settings_is_not_stale() -> None:
    written = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    generated = configuration.configuration()
    assert written == generated, "run `make configuration`"


@pytest.mark.parametrize("name", ["auth", "planning", "billing", "payment-gateway", "notifier", "gateway"])
def test_compose_gives_a_program_only_settings_it_reads(name: str) -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    fields = importlib.import_module(f"{name.replace('-', '_')}.settings").Settings.model_fields
    shared = set(compose["x-environment"])
    given = {setting for setting in compose["services"][name]["environment"] if setting not in shared}
    assert {setting.lower() for setting in given} <= set(fields)
