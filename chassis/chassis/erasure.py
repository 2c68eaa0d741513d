"""Erasure from what the chassis keeps: published events and answers of idempotent requests."""

from collections.abc import Iterable
from uuid import UUID

from chassis.database import Transaction


async def erase_mentions(tx: Transaction, ids: Iterable[UUID]) -> bool:
    """Delete kept events and answers that mention any of these ids; False while one of the events is unpublished.

    Such an event must be published first, because consumers wait for it: the caller tries again later.
    """
    texts = [str(each) for each in ids]
    await tx.execute(
        "DELETE FROM outbox WHERE published_at IS NOT NULL "
        "AND EXISTS (SELECT FROM unnest($1::text[]) AS id WHERE position(id IN data) > 0)",
        texts,
    )
    await tx.execute(
        "DELETE FROM idempotency_key "
        "WHERE EXISTS (SELECT FROM unnest($1::text[]) AS id WHERE position(id IN scope) > 0)",
        texts,
    )
    left: bool = await tx.fetchval(
        "SELECT EXISTS (SELECT FROM outbox, unnest($1::text[]) AS id WHERE published_at IS NULL "
        "AND position(id IN data) > 0)",
        texts,
    )
    return not left
