"""Retention: expired rows are deleted in batches, oldest first by an index, each batch in its own transaction.

A batch holds its locks briefly and stays within the statement timeout, however many rows have expired. Several
replicas may run it at the same time.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime

from chassis.database import Database

BATCH = 2_000
PAUSE_SECONDS = 0.02
"""Between two batches, so that other transactions get the table."""


@dataclass(frozen=True)
class Retention:
    """Rows of a table that expire by ``age``, a column or an expression that has an index.

    ``only`` is a further condition; a partial index has the same one. Both are constants of the code.
    """

    table: str
    age: str
    only: str = "true"

    @property
    def oldest(self) -> str:
        """The query of the next batch: rows before ``$1``, at most ``$2``."""
        return f"SELECT ctid FROM {self.table} WHERE {self.age} < $1 AND {self.only} ORDER BY {self.age} LIMIT $2"  # noqa: S608

    @property
    def delete(self) -> str:
        """A row that was updated since it was found has another ``ctid`` and is left for the next time."""
        return f"DELETE FROM {self.table} WHERE ctid = ANY(ARRAY({self.oldest}))"  # noqa: S608


async def delete_expired(database: Database, retention: Retention, before: datetime, *, batch: int = BATCH) -> int:
    """Delete what is older than ``before``; the number of rows."""
    total = 0
    while True:
        async with database.transaction() as tx:
            deleted = int((await tx.execute(retention.delete, before, batch)).split()[-1])
        total += deleted
        if deleted == 0:
            return total
        await asyncio.sleep(PAUSE_SECONDS)
