"""What planning hears."""

from chassis.database import Transaction
from chassis.erasure import erase_mentions
from chassis.inbox import Consumers, RetryLater
from contracts.events.auth import GuardianChanged, HouseholdChanged
from contracts.events.billing import ResidenceChanged
from planning.settings import NAME
from planning.store import bookings, feeds, households, residences

consumers = Consumers(NAME)


@consumers.on(HouseholdChanged)
async def keep_children(event: HouseholdChanged, tx: Transaction) -> None:
    """Know the household's children; what was heard before and is newer stays. Of one erased, forget the names."""
    await households.save_household(tx, event)
    if event.erased:
        await households.erase(tx, event.household_id)
        if not await erase_mentions(tx, [event.household_id]):
            raise RetryLater("an event of the household is still to leave")


@consumers.on(GuardianChanged)
async def keep_guardians(event: GuardianChanged, tx: Transaction) -> None:
    """Know whose calendar address is over."""
    await feeds.save_guardian(tx, event)


@consumers.on(ResidenceChanged)
async def keep_residences(event: ResidenceChanged, tx: Transaction) -> None:
    """Know who lives in the town, for the waiting lists that want to."""
    await bookings.share_calendar(tx)
    await residences.save(tx, event)
