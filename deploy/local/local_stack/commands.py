"""``python -m local_stack run | reset``: the portal on this machine, kept in ``.local``."""

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from local_stack import demo, packages
from local_stack.failures import StartError
from local_stack.packages import MissingProgramError
from local_stack.saying import say, show
from local_stack.stack import PROGRAMS, Stack

FOLDER = Path.cwd() / ".local"
DESCRIPTION = FOLDER / "stack.json"
CARDS = (
    "4970 1000 0000 0006 acceptée",
    "4970 1000 0000 0014 refusée",
    "4970 1000 0000 0022 lente",
    "4970 1000 0000 0030 prélèvement",
)


async def run() -> int:
    """Start everything, print where it is, and keep it up until Ctrl-C, which it heeds at any moment."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # as nohup wants it
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    database_url, amqp_url = os.environ.get("DATABASE_URL", ""), os.environ.get("AMQP_URL", "")
    till = os.environ.get("TILL", "REGIE-ENFANCE")
    traces = {name: value for name, value in os.environ.items() if name.startswith("OTEL_")}
    settings = dict.fromkeys(PROGRAMS, traces)
    stack = Stack(FOLDER, say=say, database_url=database_url, amqp_url=amqp_url, till=till, settings=settings)
    portal, stopping = asyncio.create_task(keep_up(stack)), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((portal, stopping), return_when=asyncio.FIRST_COMPLETED)
        if not stop.is_set():
            await portal  # which ends only when it fails
    except (StartError, MissingProgramError) as error:
        say(str(error))
        return 1
    finally:
        say("stopping")
        for task in (portal, stopping):
            task.cancel()
        await asyncio.gather(portal, stopping, return_exceptions=True)
        await stack.stop()
        DESCRIPTION.unlink(missing_ok=True)
    return 0


async def keep_up(stack: Stack) -> None:
    """The portal from its start on, and what crashes started again, until cancelled."""
    start = time.monotonic()
    for each in await stack.end_leftovers():
        say(f"ended {each}, which an earlier run had left behind")
    if demo.unfinished(stack).exists() and not os.environ.get("DATABASE_URL"):
        say("the demo town was left half filled, it is begun again")
        stack.forget_data()
    await stack.start()
    codes = await demo.fill(stack)
    describe(stack, codes)
    show(table(stack, codes))
    say(f"ready in {time.monotonic() - start:.0f} s; Ctrl-C stops everything, the data is kept")
    await stack.watch(lambda: describe(stack, codes))


async def reset() -> int:
    """Forget everything that is kept, and end what still works on it."""
    stack = Stack(FOLDER)
    try:
        await stack.end_leftovers()
    except StartError as error:
        say(str(error))
        return 1
    stack.forget()
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


def main(arguments: Sequence[str]) -> int:
    """Run the command."""
    match arguments:
        case ["run"]:
            with alone():
                return packages.main(["running"]) or asyncio.run(run())
        case ["reset"]:
            with alone():
                return asyncio.run(reset())
    print(__doc__, file=sys.stderr)
    return 2
