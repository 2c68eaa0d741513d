"""Carrying out what was planned for the registry, with the facts that tell of it."""

import secrets
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from auth.domain import access_codes
from auth.domain.registry import Household, Plan
from auth.store import registry, sessions
from chassis.database import Transaction
from contracts.api.auth import HouseholdView
from contracts.events import Event
from contracts.events.auth import HouseholdChanged, SessionEnded


def changed(view: HouseholdView) -> HouseholdChanged:
    """The household as the event that tells of it."""
    return HouseholdChanged(
        household_id=view.household_id,
        version=view.version,
        reference=view.reference,
        name=view.name,
        address=view.address,
        active=view.active,
        erased=view.erased,
        locale=view.locale,
        children=view.children,
    )


async def told(tx: Transaction, ids: Sequence[UUID]) -> list[Event]:
    """Households and their guardians as they are now, as facts."""
    return [*(changed(view) for view in await registry.households(tx, ids)), *await registry.guardians(tx, ids)]


async def make(
    tx: Transaction,
    plans: Sequence[Plan],
    gone: Sequence[Household],
    at: datetime,
    progress: registry.Progress | None = None,
) -> list[Event]:
    """Do all of it; the facts for the outbox. Whoever lost the right to sign in is signed out everywhere."""
    ids = await registry.carry_out(tx, plans, lambda: access_codes.draw_identifier(secrets.choice), progress)
    left = [each.household_id for each in gone if each.household_id]
    leaving = await registry.guardian_ids(tx, left)
    await registry.close_accounts(tx, leaving)
    await registry.close_households(tx, left)
    closed = [*leaving, *(each for plan in plans for each in plan.closed_guardians)]
    ended = await sessions.end_sessions(tx, closed, at)
    return [*await told(tx, [*ids, *left]), *(SessionEnded(session_id=each, ended_at=at) for each in ended)]
