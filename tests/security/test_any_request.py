"""Whatever a request holds, a service answers it and does not break: schemathesis at every door of every service.

What a door wants is read from the program itself: its path, the contract it reads its body as, the words of the query
it looks for, whether it wants an idempotency key or a token. Who asks is one person with every role and a household,
with a true token, so that what is tried comes past the permissions. Of what is answered: no 5xx but a named 503, every
refusal a problem, 401 without a token, 405 with the methods there are. ``EXAMPLES`` says how many for each door.
"""

import inspect
import re
from collections.abc import Callable, Iterator
from types import CodeType
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from contracts.identity import Role
from gateway.api.openapi import IDEMPOTENCY_KEY, PARTS, PROBLEM

HOUR = 3_600
TEXTS = {"kind", "bank", "import_id"}
"""Parts of a path that are no UUID, besides those of the public API."""

pytestmark = [pytest.mark.drill, pytest.mark.timeout(4 * HOUR)]


def _functions(door: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """The door, and the functions of its own service that it comes to."""
    left, seen = [door], set[Callable[..., Any]]()
    while left:
        function = left.pop()
        if function not in seen:
            seen.add(function)
            yield function
            found = (function.__globals__.get(name) for name in _names(function.__code__))
            own = door.__module__.partition(".")[0]
            left += [each for each in found if inspect.isfunction(each) and each.__module__.startswith(f"{own}.api")]


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _names(each)


class Wanted:
    """What a door looks for in a request."""

    def __init__(self, door: Callable[..., Any]) -> None:
        functions = list(_functions(door))
        source = "\n".join(inspect.getsource(each) for each in functions)
        named = set(re.findall(r"read_body\(request, (\w+)\)", source))
        known = {name: value for each in functions for name, value in each.__globals__.items() if name in named}
        self.body: type[BaseModel] | None = next(iter(known.values()), None)
        self.is_raw = self.body is None and "request.read()" in source
        self.query = sorted(set(re.findall(r'query(?:\.get(?:all)?\(|\[)"(\w+)"', source)))
        self.is_keyed = "idempotency_key" in {name for each in functions for name in _names(each.__code__)}
        self.is_public = bool(getattr(door, "is_public", False))


def document(program: Any) -> dict[str, Any]:
    """The OpenAPI document of a service, for this purpose: what it takes, and what a refusal looks like."""
    wanted = {(route.method, route.resource.canonical): Wanted(route.handler) for route in program.routes()}
    models = {each.body for each in wanted.values() if each.body}
    references, whole = models_json_schema(
        [(model, "validation") for model in sorted(models, key=lambda model: model.__name__)],
        ref_template="#/components/schemas/{model}",
    )
    paths: dict[str, Any] = {}
    for (method, path), door in wanted.items():
        body = references[door.body, "validation"] if door.body else None
        paths.setdefault(path, {})[method.lower()] = _operation(path, door, body)
    return {
        "openapi": "3.1.0",
        "info": {"title": program.name, "version": "1"},
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {**whole["$defs"], "Problem": PROBLEM},
        },
    }


def _operation(path: str, door: Wanted, body: dict[str, Any] | None) -> dict[str, Any]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": _part(name)} for name in re.findall(r"{(\w+)", path)
    ]
    parameters += [{"name": name, "in": "query", "schema": {"type": "string"}} for name in door.query]
    parameters += [IDEMPOTENCY_KEY] if door.is_keyed else []
    told: dict[str, Any] = {"parameters": parameters, "responses": {"2XX": {"description": "Done."}, "4XX": _refusal()}}
    told["responses"]["503"] = _refusal()
    if door.is_public:
        told["security"] = []
    if body:
        told["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    elif door.is_raw:
        raw = {"schema": {"type": "string", "format": "binary"}}
        told["requestBody"] = {"required": True, "content": {"application/octet-stream": raw}}
    return told


def _refusal() -> dict[str, Any]:
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {"description": "Refused.", "content": {"application/problem+json": schema}}


def _part(name: str) -> dict[str, Any]:
    return PARTS.get(name) or ({"type": "string"} if name in TEXTS else {"type": "string", "format": "uuid"})


async def test_whatever_is_asked_a_service_answers_and_does_not_break(programs: list[Any], schemathesis: Any) -> None:
    for program in programs:
        person = program.person("own").model_copy(update={"roles": frozenset(Role)})
        token = program.sign(person, audience=program.name, seconds=4 * HOUR)
        url = str(program.client.make_url("")).rstrip("/")
        await schemathesis(document(program), url, token, program.ids)


def _endless(schema: Any, where: str) -> Iterator[str]:
    """The whole numbers of a schema without an upper end."""
    if isinstance(schema, dict):
        if schema.get("type") == "integer" and not {"maximum", "exclusiveMaximum", "enum", "const"} & schema.keys():
            yield where
        for name, inner in schema.items():
            yield from _endless(inner, f"{where}.{name}")
    elif isinstance(schema, list):
        for inner in schema:
            yield from _endless(inner, where)


async def test_every_number_that_comes_in_has_an_end(programs: list[Any]) -> None:
    """What no column can keep is refused as a wrong field; it does not break a statement."""
    schemas = {name: schema for each in programs for name, schema in document(each)["components"]["schemas"].items()}
    schemas.pop("Problem")
    assert schemas
    assert not [where for name, schema in schemas.items() for where in _endless(schema, name)]
