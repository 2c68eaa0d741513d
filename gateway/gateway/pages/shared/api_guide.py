"""The public API, for people: what its OpenAPI document says, as a page."""

from dataclasses import dataclass
from itertools import groupby
from typing import Any

from aiohttp import web

from contracts.model import Language
from gateway.api.openapi import document
from gateway.languages import use_language
from gateway.pages.shared.rendering import render

routes = web.RouteTableDef()


@dataclass(frozen=True)
class Field:
    """A field of a model: its type in words, the models it may lead to."""

    name: str
    kind: str
    models: list[str]
    required: bool


@dataclass(frozen=True)
class Model:
    """A model with its fields, or with the values it may have."""

    name: str
    about: str
    fields: list[Field]
    values: list[str]


@dataclass(frozen=True)
class OperationGuide:
    """An operation as it is read."""

    name: str
    method: str
    path: str
    summary: str
    group: str
    parameters: list[Field]
    sent: str | None
    answered: str | None
    status: str


def _kind(schema: dict[str, Any]) -> tuple[str, list[str]]:
    """A type in words, and the models it names."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return name, [name]
    if options := schema.get("anyOf"):
        kinds = [_kind(each) for each in options]
        return " or ".join(kind for kind, _ in kinds), [name for _, names in kinds for name in names]
    if schema.get("type") == "array":
        kind, names = _kind(schema.get("items", {}))
        return f"list of {kind}", names
    plain = schema.get("type", "anything")
    return schema.get("format") or (" or ".join(plain) if isinstance(plain, list) else plain), []


def _fields(schema: dict[str, Any]) -> list[Field]:
    required = schema.get("required", [])
    return [Field(name, *_kind(each), name in required) for name, each in schema.get("properties", {}).items()]


def _model(name: str, schema: dict[str, Any]) -> Model:
    return Model(name, schema.get("description", ""), _fields(schema), [str(each) for each in schema.get("enum", [])])


def _operation(method: str, path: str, operation: dict[str, Any]) -> OperationGuide:
    status, answer = next(iter(operation["responses"].items()))
    content = next(iter(answer.get("content", {}).items()), None)
    sent = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    parameters = [
        Field(p["name"], *_kind(p["schema"]), p.get("required", False)) for p in operation.get("parameters", [])
    ]
    answered = None
    if content:
        answered = _kind(content[1]["schema"])[0] if content[0] == "application/json" else content[0]
    return OperationGuide(
        name=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=operation["summary"],
        group=operation["tags"][0],
        parameters=parameters,
        sent=_kind(sent)[0] if sent else None,
        answered=answered,
        status=status,
    )


def _read() -> dict[str, Any]:
    description = document()
    operations = [
        _operation(method, path, each) for path, found in description["paths"].items() for method, each in found.items()
    ]
    groups = list(dict.fromkeys(each.group for each in operations))
    operations.sort(key=lambda each: groups.index(each.group))
    return {
        "about": description["info"]["description"],
        "server": description["servers"][0]["url"],
        "groups": [(group, list(found)) for group, found in groupby(operations, key=lambda each: each.group)],
        "models": [_model(name, schema) for name, schema in description["components"]["schemas"].items()],
        "refusals": [(status, each["description"]) for status, each in description["components"]["responses"].items()],
    }


GUIDE = _read()


@routes.get("/api/v1/")
async def guide(request: web.Request) -> web.Response:
    """Every operation, its models and its refusals; in English, as the code is."""
    use_language(Language.EN)
    return render(request, "shared/api.html", **GUIDE)
