"""Print a first set of a town's Secrets for ``kubectl create -f -``, drawn anew at each call and kept nowhere else.

``python deploy/helm/draw_secrets.py RELEASE [--postgresql HOST] [--rabbitmq HOST] [--ca] [--only-roles]``: without
hosts, the servers are those that the chart makes. A database has two roles: the owner, with which the set-up migrates,
and the one that the program runs as. ``--only-roles`` prints only what a release of one role lacks, for ``kubectl apply
--server-side --force-conflicts -f -``. What a bank or a mail server gave goes into the same Secrets; see
docs/runbook.md.
"""

import argparse
import json
import secrets
import sys
from typing import Any

from chassis.broker_accounts import SET_UP, definitions
from chassis.transport import is_near

SERVICES = ("auth", "planning", "billing", "payment-gateway", "notifier")
SYSTEM_CA, OWN_CA = "/etc/ssl/certs/ca-certificates.crt", "/run/servers/ca.crt"
"""The authorities that Debian knows, and where the chart puts the one of `serversCa`."""
OF_A_ROLE = "kubernetes.io/basic-auth"
"""The type of Secret from which CloudNativePG takes a role's password."""


def address_of_database(host: str, authority: str) -> tuple[str, str]:
    """Where PostgreSQL is, and what the URL says of TLS: on another machine it is verified."""
    return f"{host}:5432", "" if is_near(host) else f"?sslmode=verify-full&sslrootcert={authority}"


def drawn(postgresql: str, rabbitmq: str, authority: str = SYSTEM_CA) -> list[dict[str, Any]]:
    """The Secrets, as the chart's values name them unless told otherwise."""
    accounts = {name: secrets.token_hex(24) for name in (SET_UP, *SERVICES, "gateway")}
    scheme, port, told = ("amqp", 5672, "") if is_near(rabbitmq) else ("amqps", 5671, f"?cafile={authority}")
    urls = {name: f"{scheme}://{name}:{password}@{rabbitmq}:{port}/preau{told}" for name, password in accounts.items()}
    own: dict[str, dict[str, str]] = {name: {"amqp_url": urls[name]} for name in (*SERVICES, "gateway")}
    for name, files in roles(postgresql, authority).items():
        own[name] = own.get(name, {}) | files
    own["auth"]["auth_key_secret"] = secrets.token_hex(32)
    own["auth"]["link_secret"] = own["notifier"]["link_secret"] = secrets.token_hex(32)
    own["gateway"]["csrf_secret"] = secrets.token_hex(32)
    own["set-up"] = {"amqp_url": urls[SET_UP]}
    own["rabbitmq"] = {"definitions.json": json.dumps(definitions(["preau"], accounts))}
    return [_manifest(name, files) for name, files in own.items()]


def roles(postgresql: str, authority: str = SYSTEM_CA) -> dict[str, dict[str, str]]:
    """The two roles of each service's database: the files of the program's Secret, and of the one with the owner's."""
    found, (where, told) = {}, address_of_database(postgresql, authority)
    for name in SERVICES:
        database = f"preau_{name.replace('-', '_')}"
        for secret, role, key in (
            (f"{name}-owner", database, "migration_database_url"),
            (name, f"{database}_app", "database_url"),
        ):
            password = secrets.token_hex(24)
            url = f"postgresql://{role}:{password}@{where}/{database}{told}"
            found[secret] = {"username": role, "password": password, key: url}
    return found


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
    given.add_argument("--ca", action="store_true", help="hosts of your own have certificates of `serversCa`")
    given.add_argument("--only-roles", action="store_true", help="only the two roles of each database, drawn anew")
    asked = given.parse_args(words)
    postgresql = asked.postgresql or f"{asked.release}-postgresql-rw"
    authority = OWN_CA if asked.ca else SYSTEM_CA
    if asked.only_roles:
        items = [_manifest(name, files) for name, files in roles(postgresql, authority).items()]
    else:
        items = drawn(postgresql, asked.rabbitmq or f"{asked.release}-rabbitmq", authority)
    sys.stdout.write(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
