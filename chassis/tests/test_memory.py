"""What a program has freed goes back to the system once it has nothing to do."""

import asyncio
import re
from pathlib import Path

from chassis.memory import is_busy, trim_when_idle
from chassis.tasks import cancel_and_wait

PIECE_BYTES, PIECES = 100_000, 600


def held_mib() -> float:
    text = Path("/proc/self/smaps_rollup").read_text(encoding="ascii")
    return int(re.findall(r"^Private_Dirty:\s+(\d+)", text, re.MULTILINE)[0]) / 1024


def freed_below_a_piece_that_stays() -> bytes:
    """Some 60 MB, freed, which the C library keeps: the last piece lies above them."""
    pieces = [b"x" * PIECE_BYTES for _ in range(PIECES)]
    return pieces.pop()


async def test_what_was_freed_is_given_back_once_the_program_is_idle() -> None:
    kept = freed_below_a_piece_that_stays()
    before = held_mib()
    task = asyncio.create_task(trim_when_idle(0.2))
    try:
        for _ in range(30):
            await asyncio.sleep(1)  # measuring is work too, some milliseconds for each GiB: not between every two looks
            if held_mib() < before - 40:
                break
        assert held_mib() < before - 40
    finally:
        await cancel_and_wait(task)
    assert len(kept) == PIECE_BYTES


def test_a_program_that_serves_people_is_at_work() -> None:
    assert is_busy(3, 15)
    assert not is_busy(0.5, 15)
