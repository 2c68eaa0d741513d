"""What the RGPD wants: everything told, and forgotten."""

from datetime import datetime, timedelta
from uuid import UUID

from auth.store import registry, sessions
from chassis.database import Transaction
from contracts.api.auth import FileError, GuardianExport, HouseholdExport, ImportReport, SecurityFactView

FACTS_MAX = 5_000
ERASED = "(effacé)"


async def export(
    tx: Transaction, household_id: UUID, at: datetime, *, idle: timedelta, longest: timedelta
) -> HouseholdExport | None:
    """All that is kept on a household, but for what would let somebody in."""
    found = await registry.households(tx, [household_id])
    if not found:
        return None
    guardians = []
    for guardian in found[0].guardians:
        row = await tx.fetchrow(
            "SELECT email_confirmed_at, roles FROM account WHERE account_id = $1", guardian.guardian_id
        )
        facts = await tx.fetch(
            "SELECT at, fact, address FROM security_fact WHERE account_id = $1 ORDER BY at DESC LIMIT $2",
            guardian.guardian_id,
            FACTS_MAX,
        )
        opened = await sessions.open_sessions(tx, guardian.guardian_id, None, at, idle=idle, longest=longest)
        guardians.append(
            GuardianExport(
                guardian=guardian,
                **dict(row or {}),
                sessions=opened,
                facts=tuple(SecurityFactView(**each) for each in facts),
            )
        )
    return HouseholdExport(household=found[0], guardians=tuple(guardians))


async def erase(tx: Transaction, household_id: UUID, at: datetime) -> None:
    """Names, addresses and codes go; a child that another household has stays with it."""
    await tx.execute(
        "UPDATE household SET name = $2, address = ARRAY[$2], locale = DEFAULT, wish_digest = NULL, active = false, "
        "erased_at = $3 WHERE household_id = $1",
        household_id,
        ERASED,
        at,
    )
    accounts = await registry.guardian_ids(tx, [household_id])
    for table in ("session", "device", "link", "recovery_code"):
        await tx.execute(f"DELETE FROM {table} WHERE account_id = ANY($1::uuid[])", accounts)  # noqa: S608 - our names
    await tx.execute(
        "UPDATE account SET first_name = $2, last_name = '—', email = NULL, email_confirmed_at = NULL, "
        "secret_hash = NULL, totp_secret = NULL, totp_since = NULL, set_up = 'letter', erased = true, "
        "version = version + 1, "
        "identifier = 'erased-' || left(md5(account_id::text), 24) WHERE account_id = ANY($1::uuid[])",
        accounts,
        ERASED,
    )
    alone = await tx.fetch(
        "SELECT child_id FROM household_child hc WHERE household_id = $1 AND NOT EXISTS "
        "(SELECT FROM household_child o WHERE o.child_id = hc.child_id AND o.household_id <> $1)",
        household_id,
    )
    await tx.execute("DELETE FROM household_child WHERE household_id = $1", household_id)
    await _forget_files(tx)
    await tx.execute("DELETE FROM child WHERE child_id = ANY($1::uuid[])", [row["child_id"] for row in alone])


async def _forget_files(tx: Transaction) -> None:
    """Files of families hold names, and one that is not applied yet would bring them back: it is to be sent again.

    Of those that were applied the counts stay.
    """
    error = FileError(line=1, column="", message="Un foyer a été effacé depuis l'envoi : envoyez un fichier à jour.")
    await tx.execute(
        "UPDATE family_import SET content = NULL, file_name = 'familles.csv', report = CASE WHEN status = 'applied' "
        "THEN report - 'differences' - 'errors' ELSE $1::jsonb END, "
        "status = CASE WHEN status = 'applied' THEN status ELSE 'refused' END",
        ImportReport(errors=(error,)).model_dump(mode="json"),
    )
