"""Write docs/configuration.md: every setting of every program, read from the classes that check them."""

import importlib
import inspect
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from chassis.settings import EdgeSettings, ServiceSettings, SetUpSettings

PROGRAMS = ("auth", "planning", "billing", "payment-gateway", "notifier", "gateway")
HEAD = """# Settings

Each program reads its settings at start from the environment, or from a file of the setting's name in small letters
under `/run/secrets`; it starts with none missing or wrong, and says which. This page is written by
`make configuration` from the classes that check them.
"""


def settings_of(program: str) -> type[EdgeSettings]:
    """The class that checks a program's settings."""
    module = importlib.import_module(f"{program.replace('-', '_')}.settings")
    found: type[EdgeSettings] = module.Settings
    return found


def configuration() -> str:
    """The page, as Markdown."""
    parts = [HEAD, "\n## Every program\n\n", _words(EdgeSettings), "\n\n", _table(EdgeSettings, ())]
    parts += ["\n## Every service with a database, besides\n\n", _words(ServiceSettings), "\n\n"]
    parts += [_table(ServiceSettings, (EdgeSettings,))]
    parts += ["\n## The set-up of a service (`migrate`), besides\n\n", _words(SetUpSettings), "\n\n"]
    parts += [_table(SetUpSettings, ())]
    for program in PROGRAMS:
        of = settings_of(program)
        parts += [f"\n## {program}\n\n", _words(of), "\n\n", _table(of, (EdgeSettings, ServiceSettings))]
        for each in _listed(of):
            parts += [f"\n### `{each.__name__}`\n\n", _words(each), "\n\n", _table(each, (), names=str)]
    return "".join(parts)


def _listed(settings: type[BaseModel]) -> list[type[BaseModel]]:
    """What the settings that are JSON lists hold."""
    held = [kind for field in settings.model_fields.values() for kind in get_args(field.annotation)]
    return [kind for kind in held if isinstance(kind, type) and issubclass(kind, BaseModel)]


def _words(settings: type[BaseModel]) -> str:
    return (inspect.getdoc(settings) or "").replace("``", "`")


def _table(
    settings: type[BaseModel], known: tuple[type[BaseModel], ...], names: Callable[[str], str] = str.upper
) -> str:
    above = {name for each in known for name in each.model_fields}
    properties = settings.model_json_schema()["properties"]
    rows = ["| setting | what | default |\n|---|---|---|\n"]
    for name, field in settings.model_fields.items():
        if name in above:
            continue
        default = "**needed**" if field.is_required() else f"`{_plain(field.default)}`"
        rows.append(f"| `{names(name)}` | {_what(properties[name])} | {default} |\n")
    return "".join(rows)


def _plain(value: Any) -> str:
    if value is None or value == ():
        return "none"
    return value if isinstance(value, str) else json.dumps(value)


def _what(schema: dict[str, Any]) -> str:
    """The type and bounds in words, from the field's JSON Schema."""
    ways = [each for each in schema.get("anyOf", [schema]) if each.get("type") != "null"]
    way = ways[0]
    if "enum" in way:
        return " or ".join(f"`{value}`" for value in way["enum"])
    names = {"integer": "whole number", "number": "number", "boolean": "`true` or `false`", "array": "JSON list"}
    text = "secret" if way.get("format") == "password" else names.get(way.get("type", ""), "text")
    bounds = {
        "minimum": "at least {}",
        "exclusiveMinimum": "more than {}",
        "maximum": "at most {}",
        "minLength": "signs at least: {}",
        "maxLength": "signs at most: {}",
        "pattern": "as `{}`",
    }
    said = [words.format(str(way[key]).replace("|", "\\|")) for key, words in bounds.items() if key in way]
    return re.sub(r"\.0\b", "", ", ".join([text, *said]))


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(configuration(), encoding="utf-8")
