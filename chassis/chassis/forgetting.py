"""What a service keeps for a while beside its tables, and must not keep of somebody who is erased: events, answers."""

from collections.abc import Iterable
from uuid import UUID

from chassis.database import Transaction


async def forget_mentions(tx: Transaction, ids: Iterable[UUID]) -> bool:
    """Forget the kept events and answers that name any of these; False while one of the events is still to leave.

    Such an event must leave, for others wait for it: whoever is told False tries again when it has.
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
