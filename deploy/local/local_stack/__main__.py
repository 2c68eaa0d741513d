"""``python -m local_stack run | reset``."""

import signal
import sys


def main() -> int:
    """Run the command; Ctrl-C while it is being loaded, when nothing is started yet, ends it without a traceback."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from local_stack import commands  # noqa: PLC0415 - takes a second

    return commands.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
