"""Writes docs/asyncapi.yaml from the event contracts and consumers: ``python -m tools.asyncapi FILE``."""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import yaml

from chassis.broker_accounts import EVENTS_EXCHANGE
from chassis.inbox import Consumers
from contracts.events import EVENTS

ROOT = Path(__file__).parent.parent
PUBLISHERS = {"auth": "auth", "planning": "planning", "billing": "billing", "payment": "payment-gateway"}
CONSUMING = ("planning", "billing", "payment_gateway", "notifier")


def document() -> dict[str, Any]:
    """The AsyncAPI 3.0 document of the house."""
    schemas: dict[str, Any] = {}
    for event in EVENTS.values():
        schema = event.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(schema.pop("$defs", {}))
        schemas[event.__name__] = schema
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Préau events",
            "version": "1.0.0",
            "description": "Every event of the house. The envelope is CloudEvents 1.0 in JSON, structured mode; "
            f"the exchange is the topic exchange `{EVENTS_EXCHANGE}`, the routing key is the event's type.",
            "license": {"name": "EUPL-1.2"},
        },
        "defaultContentType": "application/cloudevents+json",
        "channels": {event_type: _channel(event_type) for event_type in sorted(EVENTS)},
        "operations": _operations(),
        "components": {
            "messages": {event_type: _message(event_type) for event_type in sorted(EVENTS)},
            "schemas": dict(sorted(schemas.items())),
        },
    }


def _channel(event_type: str) -> dict[str, Any]:
    return {
        "address": event_type,
        "messages": {event_type: {"$ref": f"#/components/messages/{event_type}"}},
        "bindings": {"amqp": {"is": "routingKey", "exchange": {"name": EVENTS_EXCHANGE, "type": "topic"}}},
    }


def _message(event_type: str) -> dict[str, Any]:
    event = EVENTS[event_type]
    example = json.loads((ROOT / "contracts" / "examples" / f"{event_type}.json").read_text(encoding="utf-8"))
    return {
        "name": event.__name__,
        "summary": (event.__doc__ or "").split("\n")[0],
        "payload": {"$ref": f"#/components/schemas/{event.__name__}"},
        "examples": [{"payload": example}],
    }


def _operations() -> dict[str, Any]:
    operations: dict[str, Any] = {}
    for event_type in sorted(EVENTS):
        publisher = PUBLISHERS[event_type.split(".")[0]]
        operations[f"{publisher} publishes {event_type}"] = _operation("send", event_type)
    for service in CONSUMING:
        consumers: Consumers = importlib.import_module(f"{service}.consumers").consumers
        for consumer in consumers.all:
            operation = _operation("receive", consumer.event.type)
            operation["bindings"] = {"amqp": {"queue": {"name": consumer.queue}}}
            operations[f"{consumer.queue} consumes {consumer.event.type}"] = operation
    return operations


def _operation(action: str, event_type: str) -> dict[str, Any]:
    return {"action": action, "channel": {"$ref": f"#/channels/{event_type}"}}


def text() -> str:
    """The document as YAML."""
    return yaml.safe_dump(document(), allow_unicode=True, sort_keys=False, width=110)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(text(), encoding="utf-8")
