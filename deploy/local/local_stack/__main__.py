"""``python -m local_stack run | reset``: the portal on this machine, kept in ``.local``."""

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from local_stack import demo
from local_stack.packages import MissingProgramError
from local_stack.stack import PROGRAMS, Stack

FOLDER = Path.cwd() / ".local"
DESCRIPTION = FOLDER / "stack.json"
CARDS = (
    "4970 1000 0000 0006 acceptée",
    "4970 1000 0000 0014 refusée",
    "4970 1000 0000 0022 lente",
    "4970 1000 0000 0030 prélèvement",
)


def say(line: str) -> None:
    print(f"préau: {line}", flush=True)


async def run() -> int:
    """Start everything, print where it is, and keep it up until Ctrl-C."""
    start, stop = time.monotonic(), asyncio.Event()
    database_url, amqp_url = os.environ.get("DATABASE_URL", ""), os.environ.get("AMQP_URL", "")
    till = os.environ.get("TILL", "REGIE-ENFANCE")
    traces = {name: value for name, value in os.environ.items() if name.startswith("OTEL_")}
    settings = dict.fromkeys(PROGRAMS, traces)
    stack = Stack(FOLDER, say=say, database_url=database_url, amqp_url=amqp_url, till=till, settings=settings)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        await stack.start()
        codes = await demo.fill(stack)
        describe(stack, codes)
        print(table(stack, codes), flush=True)
        say(f"ready in {time.monotonic() - start:.0f} s; Ctrl-C stops everything, the data is kept")
        watching = asyncio.create_task(stack.watch(lambda: describe(stack, codes)))
        await stop.wait()
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    except MissingProgramError as missing:
        say(str(missing))
        return 1
    finally:
        say("stopping")
        await stack.stop()
        DESCRIPTION.unlink(missing_ok=True)
    return 0


def describe(stack: Stack, codes: dict[str, Any]) -> None:
    """Write where everything is, readable by its owner alone."""
    DESCRIPTION.touch(mode=0o600)
    DESCRIPTION.write_text(json.dumps(stack.describe(codes), indent=2), encoding="utf-8")


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Hold the folder: two portals in one would spoil each other's data."""
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"the portal of {FOLDER} is running already; stop it first (Ctrl-C where it runs)")
            raise SystemExit(1) from None
        yield


def table(stack: Stack, codes: dict[str, Any]) -> str:
    """What somebody needs to try the portal."""
    parent, staff = codes["parents"][0], codes["staff"]
    rows = [
        ("Portail", stack.gateway_url),
        ("Parent", f"{parent['identifier']} / {parent['secret']} (et demo02 à demo{len(codes['parents'])})"),
        *(("Mairie", f"{each['identifier']} / {each['secret']} ({each['role']})") for each in staff),
        ("Courrier", stack.url("mail")),
        ("Banque", stack.url("bank")),
        *(("Carte", card) for card in CARDS),
    ]
    return "\n".join(["", *(f"  {name:<10}{value}" for name, value in rows), ""])


def main() -> int:
    """Run the command."""
    match sys.argv[1:]:
        case ["run"]:
            with alone():
                return asyncio.run(run())
        case ["reset"]:
            with alone():
                Stack(FOLDER).forget()
            return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
