"""Make the secrets of ``docker compose up`` once, a volume a program, so that each sees its own and nothing else.

Each service's database has two roles: the owner migrates (``set-up-SERVICE``), the program runs as the other. A system
of a version that had one role keeps it as the owner, and gets the other at its next start.

``POSTGRESQL`` and ``RABBITMQ`` say where the servers are, ``BANK_PAGES`` where a browser finds the stand-in bank.
``show postgresql/databases.sql`` prints what a server of the town's own has to be told, and so does
``show rabbitmq/definitions.json``.
"""

import json
import os
import secrets
import sys
from pathlib import Path
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from chassis.broker_accounts import SET_UP, definitions, renewed

ROOT = Path("/secrets")
GIVEN = Path("/given")
OF_PROXY = "proxy"
"""The folder of its certificate, which it reads itself."""
SERVICES = ("auth", "planning", "billing", "payment-gateway", "notifier")
PREAU = 10_001
BROKER = "load_definitions = /etc/rabbitmq/preau/definitions.json\nlog.console.level = warning\n"


def write(program: str, name: str, text: str, *, owner: int = PREAU, mode: int = 0o400) -> None:
    """Write one secret where its program reads it."""
    file = ROOT / program / name
    file.touch(mode=0o600)
    file.write_text(text, encoding="utf-8")
    os.chown(file, owner, owner)
    file.chmod(mode)
    file.parent.chmod(0o755)


def write_banks() -> None:
    """Make three more accounts at the stand-in bank: each side gets what it knows of them. See the bank's modules."""
    bank, browser, webhooks = "http://bank:8090", os.environ["BANK_PAGES"], "http://gateway:8080/webhooks"
    mac_key, door = secrets.token_hex(64), secrets.token_hex(16)
    shop = {"site_id": "12345678", "key": secrets.token_hex(16), "rest_password": secrets.token_hex(16)}
    contract = {"site": "1999888", "rank": "32", "identifier": "107904482", "key": mac_key}
    account = {"account": "acct_1DemoTown", "secret_key": f"sk_test_{secrets.token_hex(24)}"}
    account["webhook_secret"] = f"whsec_{secrets.token_hex(24)}"
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")
    ipn_url = f"{webhooks}/paybox-1999888-32?door={door}"
    at_bank = {
        "lyra_shops": shop,
        "paybox_contracts": {**contract, "private_key": private, "ipn_url": ipn_url},
        "stripe_accounts": {**account, "webhook_url": f"{webhooks}/stripe-demo", "page_url": browser},
    }
    lyra = {"mode": "TEST", "form_url": f"{browser}/vads-payment/", "rest_url": bank, "tills": ["REGIE-LYRA"]}
    paybox = {"mode": "TEST", "public_key": public, "door": door, "tills": ["REGIE-PAYBOX"]}
    paybox |= {"form_url": f"{browser}/cgi/FramepagepaiementRWD.cgi", "status_url": f"{bank}/load.html"}
    paybox |= {"zip_code": "00000", "city": "Saint-Aubin"}
    here = {
        "lyra_accounts": {**shop, **lyra},
        "paybox_accounts": {**contract, **paybox},
        "stripe_accounts": {**account, "label": "demo", "api_url": bank, "tills": ["REGIE-STRIPE"]},
    }
    for program, accounts in (("bank", at_bank), ("payment-gateway", here)):
        for name, one in accounts.items():
            write(program, name, json.dumps([one]))


def take_given() -> None:
    """Give each program the town's own secrets, files ``program/setting``; anew at each start, so they can change."""
    for file in sorted(GIVEN.glob("*/*")):
        if file.parent.name == OF_PROXY:
            continue
        if not (ROOT / file.parent.name).is_dir():
            raise SystemExit(f"{file}: no program is called {file.parent.name}")
        write(file.parent.name, file.name, file.read_text(encoding="utf-8").rstrip("\n"))


def main(words: list[str]) -> None:
    """Make what a new system needs; a system that has its secrets keeps them."""
    take_given()
    done = ROOT / "postgresql" / "made"
    if not done.exists():
        make()
        done.touch()
    if not (ROOT / "postgresql" / "roles").exists():
        make_roles()
        (ROOT / "postgresql" / "roles").touch()
    renew_permissions()
    take_given()  # again: what the town gives comes before what was made
    if words[:1] == ["show"]:
        sys.stdout.write((ROOT / words[1]).read_text(encoding="utf-8"))


def renew_permissions() -> None:
    """Give the accounts of the broker what this version lets each do; the broker reads it when it starts."""
    file = ROOT / "rabbitmq" / "definitions.json"
    made = json.loads(file.read_text(encoding="utf-8"))
    if (today := renewed(made)) != made:
        write("rabbitmq", file.name, json.dumps(today), owner=0, mode=0o444)


def make() -> None:
    """Draw every password and key."""
    rabbitmq = os.environ["RABBITMQ"]
    accounts = {name: secrets.token_hex(24) for name in (SET_UP, *SERVICES, "gateway")}
    write("rabbitmq", "definitions.json", json.dumps(definitions(["preau"], accounts)), owner=0, mode=0o444)
    write("rabbitmq", "rabbitmq.conf", BROKER, owner=0, mode=0o444)
    for account, password in accounts.items():
        program = "set-up" if account == SET_UP else account
        write(program, "amqp_url", f"amqp://{account}:{password}@{rabbitmq}/preau")
    write("postgresql", "password", secrets.token_hex(24), owner=0, mode=0o444)
    write("auth", "auth_key_secret", secrets.token_hex(32))
    links = secrets.token_hex(32)
    write("auth", "link_secret", links)
    write("notifier", "link_secret", links)
    write("gateway", "csrf_secret", secrets.token_hex(32))
    write_banks()


def make_roles() -> None:
    """Draw the two roles of each database, and write the statements, safe to repeat, that a server is told of them."""
    statements = ""
    for service in SERVICES:
        database, password = f"preau_{service.replace('-', '_')}", secrets.token_hex(24)
        before = ROOT / service / "database_url"
        owner_password = secrets.token_hex(24)
        if before.exists():  # written when there was one role
            owner_password = urlsplit(before.read_text(encoding="utf-8")).password or owner_password
        statements += database_statements(database, owner_password, password)
        where = f"{os.environ['POSTGRESQL']}/{database}"
        owner_url = f"postgresql://{database}:{owner_password}@{where}"
        write(f"set-up-{service}", "migration_database_url", owner_url)
        broker = (ROOT / "set-up" / "amqp_url").read_text(encoding="utf-8")
        write(f"set-up-{service}", "amqp_url", broker)
        write(service, "database_url", f"postgresql://{database}_app:{password}@{where}")
    write("postgresql", "databases.sql", statements, owner=0, mode=0o444)


def database_statements(database: str, owner_password: str, running_password: str) -> str:
    """What psql is told of a database: its owner has its name, the program's role that name and ``_app``."""
    role, statements = f"{database}_app", ""
    for name, password in ((database, owner_password), (role, running_password)):
        is_missing = f"WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{name}')"
        statements += f"SELECT 'CREATE ROLE {name}' {is_missing} \\gexec\n"
        statements += f"ALTER ROLE {name} LOGIN PASSWORD '{password}';\n"
    is_missing = f"WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{database}')"
    statements += f"SELECT 'CREATE DATABASE {database} OWNER {database}' {is_missing} \\gexec\n"
    statements += f"REVOKE CONNECT, TEMPORARY ON DATABASE {database} FROM PUBLIC;\n"
    return statements + f"GRANT CONNECT ON DATABASE {database} TO {role};\n"


if __name__ == "__main__":
    main(sys.argv[1:])
