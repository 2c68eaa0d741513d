"""What each program may do at the broker: say its own events and take from its own queues, nothing else.

Set-up has an account of its own, which may do everything: it declares exchanges and queues. A program that runs
declares nothing (the gateway: only the queue of its live updates, which ends with it, bound to the events that it
shows), so a program that was taken over can neither forge another's event, nor read another's queue, nor listen in.
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
    """What RabbitMQ loads at start (its definitions file): the accounts of ``passwords``, by name, on every host."""
    users = [_user(name, password) for name, password in passwords.items()]
    return renewed({"users": users, "vhosts": [{"name": vhost} for vhost in vhosts]})


def renewed(made: Mapping[str, Any]) -> dict[str, Any]:
    """The same accounts and hosts with what each may do today: a new version may need more, or less."""
    pairs = [(user["name"], vhost["name"]) for user in made["users"] for vhost in made["vhosts"]]
    topics = {"exchange": EVENTS_EXCHANGE}
    return {
        **made,
        "permissions": [{"user": name, "vhost": vhost, **_may(name)} for name, vhost in pairs],
        "topic_permissions": [{"user": name, "vhost": vhost, **topics, **_may_say(name)} for name, vhost in pairs],
    }


def _user(name: str, password: str) -> dict[str, Any]:
    salt = hashlib.sha256(b"salt" + password.encode()).digest()[
        :4
    ]  # passwords are random; the same ones, the same file
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


def _may_say(name: str) -> dict[str, str]:
    """The routing keys that it may publish (``write``), and bind a queue to (``read``)."""
    if name == SET_UP:
        return {"write": ".*", "read": ".*"}
    if word := EVENT_NAMESPACES.get(name):
        return {"write": rf"^{word}\.", "read": NOTHING}
    return {"write": NOTHING, "read": f"^({'|'.join(re.escape(each.type) for each in LIVE_EVENTS)})$"}
