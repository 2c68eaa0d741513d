"""``python -m auth [serve | migrate | parked … | create-staff … | republish]``"""

import argparse
import os
import sys

from auth import store
from auth.api import Hasher
from auth.api.households import changed, checked_email
from auth.app import build
from auth.settings import MIGRATIONS, NAME, Settings
from chassis import outbox
from chassis.command import Service, main
from chassis.database import Database
from contracts.identity import Role

BATCH = 200


async def create_staff(settings: Settings, arguments: list[str]) -> int:
    """Make or renew an account of the town hall; the secret comes by the environment, never by the command line."""
    parser = argparse.ArgumentParser(prog="python -m auth create-staff", description=create_staff.__doc__)
    parser.add_argument("--identifier", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--email")
    parser.add_argument("--role", action="append", required=True, choices=[r.value for r in Role if r != Role.PARENT])
    wish = parser.parse_args(arguments)
    secret = os.environ.get("STAFF_SECRET", "")
    if len(secret) < 8:
        sys.stderr.write("STAFF_SECRET is missing or shorter than 8 characters\n")
        return 2
    secret_hash = await Hasher(settings).hash(secret)
    roles, email = [Role(name) for name in wish.role], checked_email(wish.email) if wish.email else None
    database = Database(settings.database_url, connections_max=2)
    await database.start()
    try:
        async with database.transaction() as tx:
            if await store.replace_staff(
                tx, identifier=wish.identifier, secret_hash=secret_hash, name=wish.name, email=email, roles=roles
            ):
                return 0
            made = await store.add_account(
                tx,
                identifier=wish.identifier,
                secret_hash=secret_hash,
                household_id=None,
                first_name=wish.name,
                last_name="",
                email=email,
                roles=roles,
            )
            if made is None:
                sys.stderr.write("a guardian signs in with this identifier\n")
            return 0 if made else 1
    finally:
        await database.stop()


async def republish(settings: Settings, arguments: list[str]) -> int:
    """Tell every household and guardian again, as they are now; listeners that know them change nothing."""
    if arguments:
        sys.stderr.write("republish takes no argument\n")
        return 2
    database = Database(settings.database_url, connections_max=2)
    await database.start()
    try:
        async with database.transaction() as tx:
            ids = await store.household_ids(tx)
        for start in range(0, len(ids), BATCH):
            async with database.transaction() as tx:
                some = ids[start : start + BATCH]
                views = await store.households(tx, some)
                await outbox.add(tx, *(changed(view) for view in views), *await store.guardians(tx, some))
    finally:
        await database.stop()
    return 0


if __name__ == "__main__":
    main(
        Service(
            NAME,
            Settings,
            build,
            MIGRATIONS,
            commands={"create-staff": create_staff, "republish": republish},
        )
    )
