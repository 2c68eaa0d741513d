"""``PARENTS=2000 MINUTES=5 SEED=1 python -m tests.chaos``: parents and faults, then the invariants.

``FAULTS`` is how many there are, a dozen a minute unless told; ``REPLICAS`` of every program, two unless told; ``TILL``
chooses the bank (`REGIE-LYRA`, `REGIE-STRIPE`). Ends with 1 when a law is broken.
"""

import asyncio
import os
import sys

from tests.chaos.chaos import report, say, spend
from tests.chaos.tenant import town


async def main() -> int:
    """One day."""
    minutes, parents = float(os.environ.get("MINUTES", "5")), int(os.environ.get("PARENTS", "2000"))
    seed, many = int(os.environ.get("SEED", "1")), int(os.environ.get("FAULTS", str(round(12 * minutes))))
    replicas, till = int(os.environ.get("REPLICAS", "2")), os.environ.get("TILL", "REGIE-ENFANCE")
    say(f"{parents} families move in")
    async with town(parents, replicas=replicas, till=till) as made:
        day = await spend(made, seed=seed, seconds=60 * minutes, many=many)
    sys.stdout.write(f"\n{report(day)}\n")
    return 0 if day.is_right else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
