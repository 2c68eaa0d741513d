"""What planning hears."""

from chassis.database import Transaction
from chassis.inbox import Listeners
from contracts.events.auth import HouseholdChanged
from planning.settings import NAME
from planning.store import households

listeners = Listeners(NAME)


@listeners.on(HouseholdChanged)
async def keep_children(event: HouseholdChanged, tx: Transaction) -> None:
    """Know the household's children; what was heard before and is newer stays."""
    await households.save_household(tx, event)
