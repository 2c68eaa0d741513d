"""The public API, for people: what its OpenAPI document says, as a page."""

from dataclasses import dataclass
from itertools import groupby
from typing import Any

from aiohttp import web

from contracts.model import Language
from gateway.api.openapi import document
from gateway.languages import speak
from gateway.pages.shared.rendering import page

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
class Door:
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


def _door(method: str, path: str, told: dict[str, Any]) -> Door:
    status, answer = next(iter(told["responses"].items()))
    content = next(iter(answer.get("content", {}).items()), None)
    sent = told.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    parameters = [Field(p["name"], *_kind(p["schema"]), p.get("required", False)) for p in told.get("parameters", [])]
    answered = None
    if content:
        answered = _kind(content[1]["schema"])[0] if content[0] == "application/json" else content[0]
    return Door(
        name=told["operationId"],
        method=method.upper(),
        path=path,
        summary=told["summary"],
        group=told["tags"][0],
        parameters=parameters,
        sent=_kind(sent)[0] if sent else None,
        answered=answered,
        status=status,
    )


def _read() -> dict[str, Any]:
    told = document()
    doors = [_door(method, path, each) for path, found in told["paths"].items() for method, each in found.items()]
    groups = list(dict.fromkeys(door.group for door in doors))
    doors.sort(key=lambda door: groups.index(door.group))
    return {
        "about": told["info"]["description"],
        "server": told["servers"][0]["url"],
        "groups": [(group, list(found)) for group, found in groupby(doors, key=lambda door: door.group)],
        "models": [_model(name, schema) for name, schema in told["components"]["schemas"].items()],
        "refusals": [(status, each["description"]) for status, each in told["components"]["responses"].items()],
    }


GUIDE = _read()


@routes.get("/api/v1/")
async def guide(request: web.Request) -> web.Response:
    """Every operation, its models and its refusals; in English, as the code is."""
    speak(Language.EN)
    return page(request, "shared/api.html", **GUIDE)
