"""Print a first set of a town's Secrets for ``kubectl create -f -``, drawn anew at each call and kept nowhere else.

``python deploy/helm/draw_secrets.py RELEASE [--postgresql HOST] [--rabbitmq HOST]``: without hosts, the servers are
those that the chart makes. What a bank or a mail server gave goes into the same Secrets; see docs/runbook.md.
"""

import argparse
import json
import secrets
import sys
from typing import Any

from chassis.broker_accounts import SET_UP, definitions

SERVICES = ("auth", "planning", "billing", "payment-gateway", "notifier")
OF_A_ROLE = "kubernetes.io/basic-auth"
"""The type of Secret from which CloudNativePG takes a role's password."""


def drawn(postgresql: str, rabbitmq: str) -> list[dict[str, Any]]:
    """The Secrets, as the chart's values name them unless told otherwise."""
    accounts = {name: secrets.token_hex(24) for name in (SET_UP, *SERVICES, "gateway")}
    urls = {name: f"amqp://{name}:{password}@{rabbitmq}:5672/preau" for name, password in accounts.items()}
    own: dict[str, dict[str, str]] = {name: {"amqp_url": urls[name]} for name in (*SERVICES, "gateway")}
    for name in SERVICES:
        role, password = f"preau_{name.replace('-', '_')}", secrets.token_hex(24)
        own[name] |= {"username": role, "password": password}
        own[name]["database_url"] = f"postgresql://{role}:{password}@{postgresql}:5432/{role}"
    own["auth"]["auth_key_secret"] = secrets.token_hex(32)
    own["auth"]["link_secret"] = own["notifier"]["link_secret"] = secrets.token_hex(32)
    own["gateway"]["csrf_secret"] = secrets.token_hex(32)
    own["set-up"] = {"amqp_url": urls[SET_UP]}
    own["rabbitmq"] = {"definitions.json": json.dumps(definitions(["preau"], accounts))}
    return [_manifest(name, files) for name, files in own.items()]


def _manifest(name: str, files: dict[str, str]) -> dict[str, Any]:
    kind = OF_A_ROLE if "password" in files else "Opaque"
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": kind,
        "metadata": {"name": f"preau-{name}", "labels": {"app.kubernetes.io/part-of": "preau"}},
        "stringData": files,
    }


def main(words: list[str]) -> None:
    """Print the list."""
    given = argparse.ArgumentParser(description="Print a first set of a town's Secrets.")
    given.add_argument("release", help="the name of the release, such as saint-aubin")
    given.add_argument("--postgresql", metavar="HOST")
    given.add_argument("--rabbitmq", metavar="HOST")
    asked = given.parse_args(words)
    items = drawn(asked.postgresql or f"{asked.release}-postgresql-rw", asked.rabbitmq or f"{asked.release}-rabbitmq")
    sys.stdout.write(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
