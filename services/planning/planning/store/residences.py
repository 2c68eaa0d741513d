"""Which households live in the town, from which days on, as billing says it."""

from chassis.database import Transaction
from contracts.events.billing import ResidenceChanged
from planning.store import households


async def save(tx: Transaction, event: ResidenceChanged) -> None:
    """Keep a household's residences, unless newer ones were heard before; where it waits, its rank follows them.

    The calendar is shared: the children's places in waiting lists are locked as for any change of their days.
    """
    is_newer = await tx.fetchval(
        "INSERT INTO residence (household_id, version) VALUES ($1, $2) "
        "ON CONFLICT (household_id) DO UPDATE SET version = $2 WHERE residence.version < $2 RETURNING true",
        event.household_id,
        event.version,
    )
    if not is_newer:
        return
    await tx.execute("DELETE FROM residence_from WHERE household_id = $1", event.household_id)
    await tx.execute(
        "INSERT INTO residence_from (household_id, first_day, resident) "
        "SELECT $1, * FROM unnest($2::date[], $3::boolean[])",
        event.household_id,
        [each.first_day for each in event.residences],
        [each.resident for each in event.residences],
    )
    waiting = await tx.fetch("SELECT DISTINCT child_id FROM waiting WHERE household_id = $1", event.household_id)
    await households.lock_children(tx, [row["child_id"] for row in waiting])
    await tx.execute(
        "UPDATE waiting SET is_resident = is_resident(household_id, day) WHERE household_id = $1", event.household_id
    )
