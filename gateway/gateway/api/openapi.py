"""The OpenAPI 3.1 document of the public API, generated from the table of operations and the contracts."""

import json
import re
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from gateway.api.operations import GROUPS, OPERATIONS, Operation

INTERNAL = re.compile(r"^``(GET|POST|PUT|DELETE)\b[^`]*``(\s+(and|with|for)\s+(an\s+)?``[^`]*``)*[\s:.,;]*")
"""How a contract begins when it names the internal route: nothing to the reader of the public API."""
Direction = Literal["validation", "serialization"]
References = dict[tuple[type[BaseModel], Direction], dict[str, Any]]
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "Chosen once for each intent: what is sent again with it is done once, and answered the same.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 100, "pattern": "^[\\x21-\\x7e]+$"},
}
PARTS: dict[str, dict[str, Any]] = {
    "month": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}$", "examples": ["2026-12"]},
    "year": {"type": "string", "pattern": "^[0-9]{4}$", "examples": ["2026"]},
    "day": {"type": "string", "format": "date"},
}
PROBLEM = {
    "type": "object",
    "description": "What went wrong (RFC 9457). `code` is stable; facts about it stand beside it.",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "request_id": {"type": ["string", "null"]},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
        "retry_after_seconds": {"type": "number"},
    },
}
REFUSALS = {
    400: "The request cannot be read, or a text in it has the character U+0000.",
    401: "The session is missing, over, or the codes are wrong.",
    403: "Not for this person.",
    404: "There is no such thing, or it is another household's.",
    409: "It cannot be done as things stand; `code` says why.",
    422: "Some fields are wrong; `errors` names them.",
    429: "Too many requests; `Retry-After` says when to come back.",
    503: "Something is away for a moment; `Retry-After` says when to come back.",
}
ABOUT = """The family portal for programs: everything a parent does on its pages, by the same rules.

Open a session with the two access codes (`POST /sessions`) and send it as `Authorization: Bearer …`. Amounts are whole
cents of a euro, instants are UTC, days are dates of the town. What costs something wants an `Idempotency-Key`.
Refusals are `application/problem+json`. `RateLimit` says how many requests are left in the minute.
Fields may be added to answers; those that are there keep their meaning as long as the path says v1."""


def document() -> dict[str, Any]:
    """The whole document, as values."""
    names, schemas = _schemas()
    paths: dict[str, Any] = {}
    for group, operations in GROUPS.items():
        for operation in operations:
            paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(group, operation, names)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Préau", "version": "1", "description": ABOUT, "license": {"name": "EUPL-1.2"}},
        "servers": [{"url": "/api/v1"}],
        "security": [{"session": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"session": {"type": "http", "scheme": "bearer"}},
            "schemas": {**schemas, "Problem": PROBLEM},
            "responses": {str(status): _refusal(text) for status, text in REFUSALS.items()},
        },
    }


def _refusal(text: str) -> dict[str, Any]:
    return {
        "description": text,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def _schemas() -> tuple[References, dict[str, Any]]:
    """References by model and direction, and the schemas they point to."""
    sent = {each.body for each in OPERATIONS if each.body}
    answered = {each.answer for each in OPERATIONS if isinstance(each.answer, type)}
    wanted: list[tuple[type[BaseModel], Direction]] = [(model, "validation") for model in sent]
    wanted += [(model, "serialization") for model in answered]
    wanted.sort(key=lambda each: (each[0].__name__, each[1]))
    references, whole = models_json_schema(wanted, ref_template="#/components/schemas/{model}")
    schemas = {name: _told(schema) for name, schema in sorted(whole["$defs"].items())}
    found = {
        (model, direction): each for (model, direction), each in references.items() if issubclass(model, BaseModel)
    }
    return found, schemas


def _told(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema without the words that are about our services."""
    text = INTERNAL.sub("", schema.get("description", "")).replace("``", "`").strip()
    return {**schema, "description": text[:1].upper() + text[1:]} if text else _without_words(schema)


def _without_words(schema: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in schema.items() if name != "description"}


def _operation(group: str, operation: Operation, references: References) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": _part(name)}
        for name in re.findall(r"{(\w+)}", operation.path)
    ]
    parameters += [{"name": name, "in": "query", "schema": _part(name)} for name in operation.query]
    told: dict[str, Any] = {"operationId": operation.name, "summary": operation.summary, "tags": [group]}
    if operation.public:
        told["security"] = []
    if operation.keyed:
        parameters.append(IDEMPOTENCY_KEY)
    if parameters:
        told["parameters"] = parameters
    if operation.body:
        schema = references[operation.body, "validation"]
        told["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    refusals = {str(status): {"$ref": f"#/components/responses/{status}"} for status in REFUSALS}
    return {**told, "responses": {**_answer(operation, references), **refusals}}


def _part(name: str) -> dict[str, Any]:
    return PARTS.get(name, {"type": "string", "format": "uuid"})


def _answer(operation: Operation, references: References) -> dict[str, Any]:
    if operation.answer is None:
        return {"204": {"description": "Done."}}
    if isinstance(operation.answer, str):
        content: dict[str, Any] = {operation.answer: {"schema": {"type": "string", "format": "binary"}}}
    else:
        content = {"application/json": {"schema": references[operation.answer, "serialization"]}}
    return {str(operation.status): {"description": operation.summary, "content": content}}


DOCUMENT = json.dumps(document(), ensure_ascii=False, indent=1).encode()
