"""``python -m auth``: serve, migrate, parked, create-staff, close-staff, republish, rotate-keys, import, export."""

import argparse
import asyncio
import os
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from auth.api import Hasher, OwnKeys
from auth.app import build
from auth.domain import chosen_secrets, families_file
from auth.domain.addresses import checked_email
from auth.domain.chosen_secrets import PUBLISHED, is_published
from auth.domain.failures import SecretRefused
from auth.domain.sign_in import SetUp
from auth.jobs import one_import
from auth.settings import MIGRATIONS, NAME, Settings
from auth.store import accounts, changes, imports, registry, sessions
from auth.store.health_metrics import HEALTH_METRICS
from chassis import outbox
from chassis.clock import now
from chassis.command import Service, main
from chassis.command_errors import BadArgument, SetUpRefused
from chassis.database import Database, Transaction, opened
from contracts.api.auth import IDENTIFIER_RULE, Identifier, ImportStatus, ImportView
from contracts.events.auth import SessionEnded
from contracts.identity import Role
from contracts.model import Label

BATCH = 200
STAFF_SECRET_MAX = 200
ADVICE = "choose 10 characters or more, with no name in it and nothing that everybody tries"
BY_COMMAND = UUID(int=0)
SIGNS = {"added": "+", "changed": "~", "gone": "-", "school": "+"}


async def create_staff(settings: Settings, arguments: list[str]) -> int:
    """Make or renew an account of the town hall; the secret comes by the environment, never by the command line."""
    parser = argparse.ArgumentParser(prog="python -m auth create-staff", description=create_staff.__doc__)
    parser.add_argument("--identifier", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--email")
    parser.add_argument("--role", action="append", required=True, choices=[r.value for r in Role if r != Role.PARENT])
    options = parser.parse_args(arguments)
    identifier, name = _checked(Identifier, options.identifier), _checked(Label, options.name)
    secret_hash = await Hasher(settings).hash(_staff_secret(settings, identifier, name, options.email or ""))
    roles, email = [Role(name) for name in options.role], checked_email(options.email) if options.email else None
    async with opened(settings.database_url) as database, database.transaction() as tx:
        renewed = await accounts.replace_staff(
            tx, identifier=identifier, secret_hash=secret_hash, name=name, email=email, roles=roles
        )
        if renewed:
            await _sign_out(tx, renewed, "staff account renewed")
            return 0
        made = await accounts.add_account(
            tx,
            identifier=identifier,
            secret_hash=secret_hash,
            set_up=SetUp.DONE,
            household_id=None,
            first_name=name,
            last_name="",
            email=email,
            roles=roles,
        )
        if made is None:
            sys.stderr.write("a guardian signs in with this identifier\n")
        return 0 if made else 1


def _checked(kind: Any, text: str) -> str:
    """An identifier or a name as it is stored; ``BadArgument`` says what it may be."""
    try:
        checked: str = TypeAdapter(kind).validate_python(text)
    except ValidationError:
        rule = f"an identifier has {IDENTIFIER_RULE}" if kind is Identifier else "a name has 1 to 200 characters"
        raise BadArgument(f"{text!r}: {rule}") from None
    return checked


def _staff_secret(settings: Settings, *personal: str) -> str:
    """The secret that the environment gives; ``BadArgument`` unless the portal would let its owner choose it.

    ``personal`` are the names of the account. The demo town alone has the secret that README prints.
    """
    secret = os.environ.get("STAFF_SECRET", "")
    if not secret or len(secret) > STAFF_SECRET_MAX:
        raise BadArgument(
            f"STAFF_SECRET is missing, or has more than {STAFF_SECRET_MAX} characters: "
            "give it by the environment, never on the command line"
        )
    if is_published(secret) and settings.demo_accounts:
        return secret
    try:
        chosen_secrets.check(secret, personal, settings.town_names)
    except SecretRefused as refusal:
        raise BadArgument(f"STAFF_SECRET is refused: {refusal}; {ADVICE}") from None
    return secret


async def refuse_demo_accounts(settings: Settings) -> None:
    """Raise ``SetUpRefused`` over a database in which somebody has a secret that README prints, unless it may be so.

    Looked at are the people of the town hall and the identifiers of the demo families: each takes an argon2 hash. A
    published secret opens no other account either, see ``sign_in``.
    """
    if settings.demo_accounts:
        return
    async with opened(settings.database_url) as database, database.transaction() as tx:
        candidates = await accounts.staff_and_demo_accounts(tx)
    hasher = Hasher(settings)
    found = [
        account.identifier
        for account in candidates
        for secret in PUBLISHED
        if await hasher.verify(account.secret_hash, secret)
    ]
    if found:
        raise SetUpRefused(
            f"this database has the demo town, or accounts with its secret, which README prints: {', '.join(found)}. "
            "Start the town on volumes or databases of its own (docs/runbook.md), or give these accounts other secrets"
        )


async def close_staff(settings: Settings, arguments: list[str]) -> int:
    """Close an account of the town hall: signed out everywhere, and never in again unless it is renewed."""
    parser = argparse.ArgumentParser(prog="python -m auth close-staff", description=close_staff.__doc__)
    parser.add_argument("--identifier", required=True)
    options = parser.parse_args(arguments)
    async with opened(settings.database_url) as database, database.transaction() as tx:
        account = await accounts.account_by_identifier(tx, options.identifier)
        if account is None or account.household_id is not None:
            sys.stderr.write("nobody of the town hall signs in with this identifier\n")
            return 1
        await registry.close_accounts(tx, [account.account_id])
        await _sign_out(tx, account.account_id, "staff account closed")
    return 0


async def _sign_out(tx: Transaction, account_id: UUID, fact: str) -> None:
    ended = await sessions.end_sessions(tx, [account_id], now())
    await outbox.add(tx, *(SessionEnded(session_id=each, ended_at=now()) for each in ended))
    await accounts.add_fact(tx, fact, account_id, "", BY_COMMAND)


async def republish(settings: Settings, arguments: list[str]) -> int:
    """Tell every household and guardian again, as they are now; listeners that know them change nothing."""
    if arguments:
        sys.stderr.write("republish takes no argument\n")
        return 2
    async with opened(settings.database_url) as database:
        async with database.transaction() as tx:
            ids = await registry.household_ids(tx)
        for start in range(0, len(ids), BATCH):
            async with database.transaction() as tx:
                await outbox.add(tx, *await changes.told(tx, ids[start : start + BATCH]))
    return 0


async def rotate_keys(settings: Settings, arguments: list[str]) -> int:
    """Draw a new signing key: published now, signing two minutes later, beside the former ones until they are over.

    With --now, for a key that was stolen, it signs at once and the former ones are published no more.
    """
    parser = argparse.ArgumentParser(prog="python -m auth rotate-keys", description=rotate_keys.__doc__)
    parser.add_argument("--now", action="store_true")
    options = parser.parse_args(arguments)
    async with opened(settings.database_url) as database, database.transaction() as tx:
        key_id = await OwnKeys(database, settings).rotate(tx, at_once=options.now)
        await accounts.add_fact(tx, f"signing key {key_id} drawn", None, "")
    print(key_id)
    return 0


async def import_families(settings: Settings, arguments: list[str]) -> int:
    """Read a file of families and say what it would change; with --apply, change it, all or nothing."""
    parser = argparse.ArgumentParser(prog="python -m auth import", description=import_families.__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--apply", action="store_true")
    parser.add_argument("--close-missing", action="store_true", help="close the households that the file lacks")
    options = parser.parse_args(arguments)
    content = await asyncio.to_thread(options.file.read_bytes)
    async with opened(settings.database_url) as database:
        async with database.transaction() as tx:
            import_id = await imports.add(tx, BY_COMMAND, options.file.name, content, now())
        view = await _worked_on(database, import_id)
        _print_report(view)
        if view.status is ImportStatus.REFUSED:
            return 1
        if options.apply:
            async with database.transaction() as tx:
                await imports.begin_apply(tx, import_id, close_missing=options.close_missing)
                await accounts.add_fact(tx, f"import {import_id} applied", None, "", BY_COMMAND)
            view = await _worked_on(database, import_id)
            print("applied" if view.status is ImportStatus.APPLIED else "the registry changed meanwhile: start again")
            return 0 if view.status is ImportStatus.APPLIED else 1
    return 0


async def _worked_on(database: Database, import_id: UUID) -> ImportView:
    """The import once it is done with, here or by a server that runs; its progress on standard error."""
    while True:
        working = asyncio.create_task(one_import(database))
        while not working.done():
            await asyncio.wait([working], timeout=0.5)
            async with database.transaction() as tx:
                view = await imports.view(tx, import_id)
            assert view is not None, "it was added above"
            if view.total and sys.stderr.isatty():
                sys.stderr.write(f"\r{view.done} / {view.total}")
        await working
        async with database.transaction() as tx:
            view = await imports.view(tx, import_id)
        assert view is not None, "it was added above"
        if view.status not in {ImportStatus.READING, ImportStatus.APPLYING}:
            return view
        await asyncio.sleep(0.2)


def _print_report(view: ImportView) -> None:
    report = view.report
    for error in report.errors:
        print(f"ligne {error.line}, {error.column or '—'} : {error.message}")
    if not report.errors:
        print(
            f"{report.households} foyers lus : {report.added} ajoutés, {report.changed} changés, {report.gone} absents "
            f"du fichier, {report.same} identiques"
        )
    for each in report.differences:
        print(SIGNS[each.kind], each.reference, each.name)
        for detail in each.details:
            print(f"    {detail}")


async def export_families(settings: Settings, arguments: list[str]) -> int:
    """Write the file of families as the registry is now to a file."""
    parser = argparse.ArgumentParser(prog="python -m auth export", description=export_families.__doc__)
    parser.add_argument("file", type=Path)
    options = parser.parse_args(arguments)
    async with opened(settings.database_url) as database, database.transaction() as tx:
        known = await registry.load(tx)
    content = families_file.write(each for each in known.values() if each.active)
    await asyncio.to_thread(options.file.write_bytes, content)
    return 0


SERVICE = Service(
    NAME,
    Settings,
    build,
    MIGRATIONS,
    health_metrics=HEALTH_METRICS,
    prepare=refuse_demo_accounts,
    commands={
        "create-staff": create_staff,
        "close-staff": close_staff,
        "republish": republish,
        "rotate-keys": rotate_keys,
        "import": import_families,
        "export": export_families,
    },
)

if __name__ == "__main__":
    main(SERVICE)
