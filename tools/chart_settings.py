"""Write the settings into the schema of the chart's values, read from the classes that check them."""

import json
import sys
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from chassis.settings import EdgeSettings
from tools import configuration

PROGRAMS = configuration.PROGRAMS
MADE = frozenset({"http_host", "http_port", "metrics_port", "public_url", "town_crest"})
"""What the chart says itself, besides the addresses between programs."""
NOT_HERE = frozenset({"mail_examples", "demo_accounts"})
"""What is for development and for the demo town alone."""


def settings_of(program: str) -> type[EdgeSettings]:
    """The class that checks a program's settings."""
    found: type[EdgeSettings] = configuration.settings_of(program)
    return found


def is_secret(field: FieldInfo) -> bool:
    """Whether a setting belongs in a Secret: it is kept out of logs, or a bank's account with its keys."""
    return not field.repr or any(word in str(field.annotation) for word in ("SecretStr", "Account"))


def is_address(name: str) -> bool:
    """Whether a setting is where another program of the portal answers."""
    return name.removesuffix("_url").replace("_", "-") in PROGRAMS and name.endswith("_url")


def for_the_town(program: str) -> dict[str, FieldInfo]:
    """The settings of a program that a town may give in the chart's values."""
    fields = settings_of(program).model_fields
    left_out = MADE | NOT_HERE
    return {
        name: field
        for name, field in fields.items()
        if name not in left_out and not is_secret(field) and not is_address(name)
    }


def schema() -> dict[str, Any]:
    """The schema of ``settings``: one object a program, ``every`` for what several read."""
    properties = {program: _of_program(program) for program in PROGRAMS}
    shared = {name for name in EdgeSettings.model_fields if name in for_the_town("gateway")} | {"town_name"}
    every = _of_names("gateway", shared)
    every |= {"description": "What goes to every program.", "required": ["TOWN_NAME"]}
    return {
        "description": "Settings by their names in docs/configuration.md; `make configuration` writes this part.",
        "type": "object",
        "additionalProperties": False,
        "required": ["every", *PROGRAMS],
        "properties": {"every": every, **properties},
    }


def _of_program(program: str) -> dict[str, Any]:
    fields = for_the_town(program)
    made = _of_names(program, set(fields))
    needed = [name.upper() for name, field in fields.items() if field.is_required() and name != "town_name"]
    return {**made, "required": needed} if needed else made


def _of_names(program: str, names: set[str]) -> dict[str, Any]:
    known = settings_of(program).model_json_schema()["properties"]
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {name.upper(): _plain(known[name]) for name in known if name in names},
    }


def _plain(way: dict[str, Any]) -> dict[str, Any]:
    """A field's schema without what pydantic says of it besides; a setting that may be none is left out instead."""
    ways = [each for each in way.get("anyOf", ()) if each.get("type") != "null"]
    if len(ways) == 1:
        return _plain(ways[0])
    plain = {key: value for key, value in way.items() if key not in {"title", "default", "anyOf", "format"}}
    if ways:
        plain |= _plain(ways[0])  # addresses of either kind: text, all of them
    if "items" in plain:
        plain["items"] = _plain(plain["items"])
    return plain


def written(text: str) -> str:
    """The schema file with its settings renewed."""
    whole = json.loads(text)
    whole["properties"]["settings"] = schema()
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    file = Path(sys.argv[1])
    file.write_text(written(file.read_text(encoding="utf-8")), encoding="utf-8")
