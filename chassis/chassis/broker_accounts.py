"""The rights of each program at the broker: publish its own events and consume its own queues, nothing else.

Set-up has an account of its own with all rights: it declares exchanges and queues. A running program declares nothing
(the gateway only the queue of its live updates, which is exclusive and bound to the events it shows). So a compromised
program can neither forge another's events nor read another's queue.
"""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from contracts.events import EVENT_NAMESPACES, LIVE_EVENTS

EVENTS_EXCHANGE = "preau.events"
PROBE = "preau.probe"
SET_UP = "preau"
LIVE_QUEUES = r"amq\.gen-.*"
NOTHING = "^$"


def definitions(vhosts: Sequence[str], passwords: Mapping[str, str]) -> dict[str, Any]:
    """RabbitMQ's definitions file: the accounts of ``passwords``, by name, on every virtual host."""
    users = [_user(name, password) for name, password in passwords.items()]
    return renewed({"users": users, "vhosts": [{"name": vhost} for vhost in vhosts]})


def renewed(made: Mapping[str, Any]) -> dict[str, Any]:
    """The same accounts and hosts with today's rights: a new version may need others."""
    pairs = [(user["name"], vhost["name"]) for user in made["users"] for vhost in made["vhosts"]]
    topics = {"exchange": EVENTS_EXCHANGE}
    return {
        **made,
        "permissions": [{"user": name, "vhost": vhost, **_may(name)} for name, vhost in pairs],
        "topic_permissions": [
            {"user": name, "vhost": vhost, **topics, **_topic_permissions(name)} for name, vhost in pairs
        ],
    }


def _user(name: str, password: str) -> dict[str, Any]:
    salt = hashlib.sha256(b"salt" + password.encode()).digest()[
        :4
    ]  # random passwords need no salt: the same ones give the same file
    return {
        "name": name,
        "password_hash": base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode(),
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": ["administrator"] if name == SET_UP else [],
    }


def _may(name: str) -> dict[str, str]:
    if name == SET_UP:
        return {"configure": ".*", "write": ".*", "read": ".*"}
    shared = f"{EVENTS_EXCHANGE}|{PROBE}".replace(".", r"\.")
    if name not in EVENT_NAMESPACES:
        return {
            "configure": f"^{LIVE_QUEUES}$",
            "write": rf"^(preau\.probe|{LIVE_QUEUES})$",
            "read": rf"^(preau\.events|{LIVE_QUEUES})$",
        }
    return {"configure": NOTHING, "write": rf"^({shared}|{name}\.(queues|delay\..*))$", "read": rf"^{name}\..*$"}


def _topic_permissions(name: str) -> dict[str, str]:
    """The routing keys it may publish (``write``) and bind (``read``)."""
    if name == SET_UP:
        return {"write": ".*", "read": ".*"}
    if word := EVENT_NAMESPACES.get(name):
        return {"write": rf"^{word}\.", "read": NOTHING}
    return {"write": NOTHING, "read": f"^({'|'.join(re.escape(each.type) for each in LIVE_EVENTS)})$"}
