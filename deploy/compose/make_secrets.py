"""Lay out the secrets of a composed system at each start, a volume a program, so that each sees its own alone.

What a program is given has three sources. Passwords and keys are drawn once and kept in the volume ``secrets-drawn``;
addresses of the servers come from ``POSTGRESQL`` and ``RABBITMQ``, so they may change; and what the town gives, files
``program/setting`` in the folder ``/given``, comes before both. A file that the town takes away again is gone at the
next start. A file whose content stays keeps its time, which tells the programs that have to be replaced. Each
service's database has two roles: the owner migrates (``set-up-SERVICE``), the program runs as the other.

``BANK_PAGES`` says where a browser finds the stand-in banks of the demo town; without it nothing of them is made.
``keys`` writes a tar file of the drawn keys, for a backup.
``show postgresql/databases.sql`` prints what a server of the town's own has to be told, and so does
``show rabbitmq/definitions.json``.
"""

import io
import json
import os
import secrets
import sys
import tarfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from chassis.broker_accounts import SET_UP, definitions
from chassis.transport import is_near

ROOT = Path("/secrets")
GIVEN = Path("/given")
DRAWN = "drawn"
SERVICES = ("auth", "planning", "billing", "payment-gateway", "notifier")
PROGRAMS = (*SERVICES, "gateway")
SET_UPS = tuple(f"set-up-{service}" for service in SERVICES)
PREAU, PROMETHEUS, SERVER = 10_001, 65_534, 0
OWNERS = {"postgresql": SERVER, "rabbitmq": SERVER, "proxy": SERVER, "prometheus": PROMETHEUS}
"""Whose the files of a folder are; a program's are the program's. The servers read theirs as whom they like."""
BROKER = """load_definitions = /etc/rabbitmq/preau/definitions.json
log.console.level = warning
vm_memory_high_watermark.absolute = 600MB
"""
SERVERS_CA = "servers/ca.pem"
"""Of the given files, the authority that signed the certificates of servers on other machines."""
SYSTEM_CA = "/etc/ssl/certs/ca-certificates.crt"
Files = dict[str, dict[str, str]]
USAGE = "usage: secrets [keys | show postgresql/databases.sql | show rabbitmq/definitions.json]\n"


class Wrong(Exception):  # noqa: N818 - an answer
    """What was given cannot be used; the message is a sentence that says why."""


def drawn(name: str, draw: Callable[[], str] = lambda: secrets.token_hex(24)) -> str:
    """A secret that is drawn once and then kept."""
    file = ROOT / DRAWN / name
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.parent.chmod(0o700)
        started = file.with_name(f"{file.name}.new")
        started.touch(mode=0o600)
        started.write_text(draw(), encoding="utf-8")
        started.replace(file)  # whole or not at all
    return file.read_text(encoding="utf-8")


def keep(name: str, *places: str, is_url: bool = False) -> None:
    """Take the first of these files for what was drawn, or the password in the first of these URLs."""
    for place in places:
        file = ROOT / place
        if file.exists():
            text = file.read_text(encoding="utf-8")
            drawn(name, lambda text=text: (urlsplit(text).password or "") if is_url else text)  # type: ignore[misc]
            return


def adopt() -> None:
    """Keep what was drawn by a version that had no volume for it, once; such a version may have had one role."""
    is_new = not (ROOT / "postgresql/password").exists()
    if is_new or ((ROOT / DRAWN).exists() and any((ROOT / DRAWN).iterdir())):
        return
    keep("postgresql/postgres", "postgresql/password")
    for program in PROGRAMS:
        keep(f"broker/{program}", f"{program}/amqp_url", is_url=True)
    keep(f"broker/{SET_UP}", "set-up-auth/amqp_url", is_url=True)
    for service in SERVICES:
        owner = ROOT / f"set-up-{service}/migration_database_url"
        keep(f"postgresql/{service}-owner", str(owner), f"{service}/database_url", is_url=True)
        if owner.exists():
            keep(f"postgresql/{service}", f"{service}/database_url", is_url=True)
    for name in ("auth/auth_key_secret", "auth/link_secret", "gateway/csrf_secret"):
        keep(Path(name).name, name)


def address(server: str, default_port: int, tls_port: int) -> tuple[str, bool]:
    """Where a server is, and whether it is in this composition's own network; its port there, that of TLS elsewhere."""
    given = os.environ.get(server.upper()) or server
    host, _, port = given.rpartition(":") if ":" in given else (given, "", "")
    return f"{host}:{port or (default_port if is_near(host) else tls_port)}", is_near(host)


def authority(given: Files) -> str:
    """The file, as a program sees it, by which it knows a server on another machine."""
    return f"/run/secrets/{Path(SERVERS_CA).name}" if "ca.pem" in given.get("servers", {}) else SYSTEM_CA


def servers(given: Files) -> Files:
    """Accounts at database and broker, and where both are; by TLS alone where they are on another machine."""
    database, is_own_database = address("postgresql", 5432, 5432)
    broker, is_own_broker = address("rabbitmq", 5672, 5671)
    verified = "" if is_own_database else f"?sslmode=verify-full&sslrootcert={authority(given)}"
    scheme, trusted = ("amqp", "") if is_own_broker else ("amqps", f"?cafile={authority(given)}")
    accounts = {name: drawn(f"broker/{name}") for name in (SET_UP, *PROGRAMS)}
    made: Files = {
        name: {"amqp_url": f"{scheme}://{name}:{accounts[name]}@{broker}/preau{trusted}"} for name in PROGRAMS
    }
    made["rabbitmq"] = {"definitions.json": json.dumps(definitions(["preau"], accounts)), "rabbitmq.conf": BROKER}
    statements = ""
    for service in SERVICES:
        name = f"preau_{service.replace('-', '_')}"
        owner, running = drawn(f"postgresql/{service}-owner"), drawn(f"postgresql/{service}")
        statements += database_statements(name, owner, running)
        made[service]["database_url"] = f"postgresql://{name}_app:{running}@{database}/{name}{verified}"
        made[f"set-up-{service}"] = {
            "migration_database_url": f"postgresql://{name}:{owner}@{database}/{name}{verified}",
            "amqp_url": f"{scheme}://{SET_UP}:{accounts[SET_UP]}@{broker}/preau{trusted}",
        }
    made["postgresql"] = {"password": drawn("postgresql/postgres"), "databases.sql": statements}
    return made


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


def keys() -> Files:
    """What the programs encrypt and sign with."""
    links = drawn("link_secret", lambda: secrets.token_hex(32))
    return {
        "auth": {"auth_key_secret": drawn("auth_key_secret", lambda: secrets.token_hex(32)), "link_secret": links},
        "notifier": {"link_secret": links},
        "gateway": {"csrf_secret": drawn("csrf_secret", lambda: secrets.token_hex(32))},
    }


def draw_banks() -> str:
    """Three more accounts at the stand-in banks, as JSON: each side gets what it knows of them."""
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
    sides = {"bank": at_bank, "payment-gateway": here}
    return json.dumps({side: {name: json.dumps([one]) for name, one in each.items()} for side, each in sides.items()})


def banks() -> Files:
    """The demo town's accounts at the stand-in banks; a real town has none."""
    made: Files = json.loads(drawn("banks", draw_banks)) if os.environ.get("BANK_PAGES") else {}
    return made


def read_given() -> Files:
    """The town's own secrets, as program and setting; ``Wrong`` for a program that is none."""
    found: Files = {}
    for file in sorted(GIVEN.glob("*/*")):
        folder = file.parent.name
        if folder not in (*PROGRAMS, *OWNERS, "servers") or folder in {"postgresql", "rabbitmq"}:
            raise Wrong(f"{file}: no program is called {folder}")
        try:
            found.setdefault(folder, {})[file.name] = file.read_text(encoding="utf-8").rstrip("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise Wrong(f"{file} cannot be read: {error}") from None
    return found


def check_certificate(given: dict[str, str]) -> None:
    """Raise ``Wrong`` unless the files that ``TLS`` names are there, go together, and are for ``DOMAIN`` today."""
    names = [Path(each).name for each in os.environ.get("TLS", "").split() if each.startswith("/certificates/")]
    if not names:
        return  # it comes by itself
    if missing := [name for name in names if name not in given]:
        raise Wrong(f"TLS names {' and '.join(missing)}, which SECRETS_FOLDER/proxy does not have")
    domain = os.environ["DOMAIN"]
    try:
        certificate = x509.load_pem_x509_certificates(given[names[0]].encode())[0]
        key: Any = load_pem_private_key(given[names[-1]].encode(), None)
    except (ValueError, TypeError) as error:
        raise Wrong(f"TLS: {names[0]} is no certificate, or {names[-1]} no key without a password: {error}") from None
    if certificate.public_key() != key.public_key():
        raise Wrong(f"TLS: the key in {names[-1]} is not that of the certificate in {names[0]}")
    if certificate.not_valid_after_utc <= datetime.now(UTC):
        raise Wrong(f"TLS: the certificate in {names[0]} ended on {certificate.not_valid_after_utc:%Y-%m-%d}")
    try:
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        raise Wrong(f"TLS: the certificate in {names[0]} names no domain") from None
    of = alternative.value.get_values_for_type(x509.DNSName)
    if domain not in of and f"*.{domain.partition('.')[2]}" not in of:
        raise Wrong(f"TLS: the certificate in {names[0]} is for {', '.join(of)}, not for {domain}")


def laid_out() -> Files:
    """Every file of every program."""
    adopt()
    given = read_given()
    check_certificate(given.get("proxy", {}))
    made: Files = {name: {} for name in (*PROGRAMS, *OWNERS, *SET_UPS, "bank")}
    for source in (servers(given), keys(), banks(), given):
        for program, files in source.items():
            made.setdefault(program, {}).update(files)
    for name, text in made.pop("servers", {}).items():
        for program in (*PROGRAMS, *SET_UPS):
            made[program][name] = text
    return made


def write(program: str, files: dict[str, str]) -> None:
    """Make a program's folder hold these files and no other; one that is right already is left alone."""
    folder, owner = ROOT / program, OWNERS.get(program, PREAU)
    if not folder.is_dir():
        if files:
            raise Wrong(f"no volume is there for the secrets of {program}")
        return
    folder.chmod(0o755)
    for name, text in files.items():
        file = folder / name
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            started = folder / f".{name}"
            started.touch(mode=0o600)
            started.write_text(text, encoding="utf-8")
            started.replace(file)
        os.chown(file, owner, owner)
        file.chmod(0o444 if program in {"postgresql", "rabbitmq"} else 0o400)
    for file in folder.iterdir():
        if file.name not in files:
            file.unlink()


def archived(made: Files) -> bytes:
    """The keys in use as a tar file of ``program/setting``, for a town's SECRETS_FOLDER after a loss."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for program, files in keys().items():
            for name in files:
                text = made[program][name].encode()
                member = tarfile.TarInfo(f"{program}/{name}")
                member.size, member.mode = len(text), 0o600
                archive.addfile(member, io.BytesIO(text))
    return packed.getvalue()


def main(words: list[str]) -> None:
    """Lay every file out; ``show FILE`` prints one besides."""
    try:
        made = laid_out()
        for program, files in made.items():
            write(program, files)
    except Wrong as wrong:
        raise SystemExit(f"secrets: {wrong}") from None
    match words:
        case []:
            return
        case ["show", ("postgresql/databases.sql" | "rabbitmq/definitions.json") as name]:
            program, _, file = name.partition("/")
            sys.stdout.write(made[program][file])
        case ["keys"]:
            sys.stdout.buffer.write(archived(made))
        case _:
            sys.stderr.write(USAGE)
            raise SystemExit(2)


if __name__ == "__main__":
    main(sys.argv[1:])
