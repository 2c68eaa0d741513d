"""What the commands print: never a reason to fail, whatever has become of the terminal or the pipe it goes to."""

import os
import sys


def say(line: str) -> None:
    """Print a line as ours."""
    show(f"préau: {line}")


def show(text: str) -> None:
    """Print ``text``. Once nobody can read it any more, nothing is printed, and that is all."""
    try:
        print(text, flush=True)
    except OSError:
        # What is left in the buffer would fail again at the end of the program, and change its status.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
