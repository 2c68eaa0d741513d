"""``python -m local_stack run | reset``: the portal on this machine, kept in ``.local``."""

import asyncio
import contextlib
import json
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

from local_stack import demo
from local_stack.packages import MissingProgramError
from local_stack.stack import Stack

FOLDER = Path.cwd() / ".local"
CARDS = ("4970 1000 0000 0006 acceptée", "4970 1000 0000 0014 refusée", "4970 1000 0000 0022 lente")


def say(line: str) -> None:
    print(f"préau: {line}", flush=True)


async def run() -> int:
    """Start everything, print where it is, and keep it up until Ctrl-C."""
    start, stack = time.monotonic(), Stack(FOLDER, say=say)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        await stack.start()
        codes = await demo.fill(stack)
        file = FOLDER / "stack.json"
        file.touch(mode=0o600)
        file.write_text(json.dumps(stack.describe(codes), indent=2), encoding="utf-8")
        print(table(stack, codes), flush=True)
        say(f"ready in {time.monotonic() - start:.0f} s; Ctrl-C stops everything, the data is kept")
        watching = asyncio.create_task(stack.watch())
        await stop.wait()
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    except MissingProgramError as missing:
        say(str(missing))
        return 1
    finally:
        say("stopping")
        await stack.stop()
        (FOLDER / "stack.json").unlink(missing_ok=True)
    return 0


def table(stack: Stack, codes: dict[str, Any]) -> str:
    """What somebody needs to try the portal."""
    parent, staff = codes["parents"][0], codes["staff"][0]
    rows = [
        ("Portail", stack.gateway_url),
        ("Parent", f"{parent['identifier']} / {parent['secret']} (et demo02 à demo{len(codes['parents'])})"),
        ("Mairie", f"{staff['identifier']} / {staff['secret']}"),
        ("Courrier", stack.url("mail")),
        ("Banque", stack.url("bank")),
        *(("Carte", card) for card in CARDS),
    ]
    return "\n".join(["", *(f"  {name:<10}{value}" for name, value in rows), ""])


def main() -> int:
    """Run the command."""
    match sys.argv[1:]:
        case ["run"]:
            return asyncio.run(run())
        case ["reset"]:
            if (FOLDER / "stack.json").exists():
                say("the portal is running: stop it first")
                return 1
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(FOLDER)
            return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
