"""What is older than it is kept goes in batches, oldest first by an index, each batch in a transaction of its own.

A batch holds no lock for long and fits the time that a statement has, whatever has piled up; what went stays gone when
the program ends in the middle. Several replicas may do it at the same time.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime

from chassis.database import Database

BATCH = 2_000
PAUSE_SECONDS = 0.02
"""Between two batches, so that whoever else uses the table has a turn."""


@dataclass(frozen=True)
class Retention:
    """Rows of a table that go once ``age``, a column or an expression with an index of its own, is old enough.

    ``only`` narrows them down further; an index on part of the table has the same condition. Both are written by us.
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
        """A row that changed since it was found is left for the next time: it is another version then."""
        return f"DELETE FROM {self.table} WHERE ctid = ANY(ARRAY({self.oldest}))"  # noqa: S608


async def forget(database: Database, retention: Retention, before: datetime, *, batch: int = BATCH) -> int:
    """Delete what is older than ``before``; how many rows went."""
    gone = 0
    while True:
        async with database.transaction() as tx:
            deleted = int((await tx.execute(retention.delete, before, batch)).split()[-1])
        gone += deleted
        if deleted == 0:
            return gone
        await asyncio.sleep(PAUSE_SECONDS)
