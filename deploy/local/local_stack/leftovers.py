"""Programs that an earlier run has left behind: each one carries the folder that it works for in its environment."""

import asyncio
import os
import signal
from dataclasses import dataclass
from pathlib import Path

from local_stack.failures import StartError

MARK = "PREAU_FOLDER"
END_SECONDS = 20
"""How long one that is asked to end may take, before it is ended by force."""


@dataclass(frozen=True)
class Leftover:
    """A process of an earlier run."""

    pid: int
    name: str

    @property
    def lives(self) -> bool:
        """A process that has ended and that nobody waits for (a zombie) does not."""
        try:
            state = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return False
        return state.rpartition(")")[2].split()[0] not in "ZX"

    def __str__(self) -> str:
        return f"{self.name} (pid {self.pid})"


def mark(folder: Path) -> dict[str, str]:
    """What a program that works for ``folder`` has in its environment."""
    return {MARK: str(folder.resolve())}


def find(folder: Path) -> list[Leftover]:
    """The processes that work for ``folder``, as far as this user may look."""
    wanted = f"{MARK}={folder.resolve()}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (process / "environ").read_bytes().split(b"\0") and int(process.name) != os.getpid():
                name = (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
                found.append(Leftover(int(process.name), name))
        except OSError:
            continue
    return [each for each in found if each.lives]


async def end(folder: Path, *, seconds: int = END_SECONDS) -> list[Leftover]:
    """End what still works for ``folder``, which nobody else may use now; what there was.

    After ``seconds`` what was asked to end is killed.
    ``StartError`` names the process that cannot be ended.
    """
    found = find(folder)
    for number in (signal.SIGTERM, signal.SIGKILL):
        for each in found:
            if each.lives:
                _send(each, number)
        await _until_ended(found, seconds)
    if still := [str(each) for each in found if each.lives]:
        raise StartError(f"{', '.join(still)} of an earlier run in {folder} does not end")
    return found


def _send(leftover: Leftover, number: signal.Signals) -> None:
    try:
        os.kill(leftover.pid, number)
    except ProcessLookupError:
        return
    except PermissionError:
        raise StartError(f"{leftover} of an earlier run is another user's; end it first") from None


async def _until_ended(leftovers: list[Leftover], seconds: int) -> None:
    for _ in range(10 * seconds):
        if not any(each.lives for each in leftovers):
            return
        await asyncio.sleep(0.1)
