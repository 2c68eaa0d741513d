"""Make the secrets of ``docker compose up`` once, a volume a program, so that each sees its own and nothing else.

``POSTGRESQL`` and ``RABBITMQ`` say where the servers are, ``BANK_PAGES`` where a browser finds the stand-in bank.
``show postgresql/databases.sql`` prints what a server of the town's own has to be told, and so does
``show rabbitmq/definitions.json``.
"""

import json
import os
import secrets
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from chassis.broker_accounts import SET_UP, definitions

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
        take_given()  # again: what the town gives comes before what was made
        done.touch()
    if words[:1] == ["show"]:
        sys.stdout.write((ROOT / words[1]).read_text(encoding="utf-8"))


def make() -> None:
    """Draw every password and key."""
    postgresql, rabbitmq = os.environ["POSTGRESQL"], os.environ["RABBITMQ"]
    accounts = {name: secrets.token_hex(24) for name in (SET_UP, *SERVICES, "gateway")}
    write("rabbitmq", "definitions.json", json.dumps(definitions(["preau"], accounts)), owner=0, mode=0o444)
    write("rabbitmq", "rabbitmq.conf", BROKER, owner=0, mode=0o444)
    for account, password in accounts.items():
        program = "set-up" if account == SET_UP else account
        write(program, "amqp_url", f"amqp://{account}:{password}@{rabbitmq}/preau")
    write("postgresql", "password", secrets.token_hex(24), owner=0, mode=0o444)
    roles = ""
    for service in SERVICES:
        role, password = f"preau_{service.replace('-', '_')}", secrets.token_hex(24)
        roles += f"CREATE ROLE {role} LOGIN PASSWORD '{password}';\nCREATE DATABASE {role} OWNER {role};\n"
        roles += f"REVOKE CONNECT, TEMPORARY ON DATABASE {role} FROM PUBLIC;\n"
        write(service, "database_url", f"postgresql://{role}:{password}@{postgresql}/{role}")
    write("postgresql", "databases.sql", roles, owner=0, mode=0o444)
    write("auth", "auth_key_secret", secrets.token_hex(32))
    links = secrets.token_hex(32)
    write("auth", "link_secret", links)
    write("notifier", "link_secret", links)
    write("gateway", "csrf_secret", secrets.token_hex(32))
    write_banks()


if __name__ == "__main__":
    main(sys.argv[1:])
