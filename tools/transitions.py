"""Draws the table of moves into a document, between its two marks: ``python -m tools.transitions FILE``."""

import sys
from pathlib import Path

from payment_gateway.domain.transitions import drawing

BEGIN, END = "<!-- drawn -->\n", "<!-- end -->"


def main() -> None:
    """Renew what is between the marks."""
    file = Path(sys.argv[1])
    before, _, rest = file.read_text(encoding="utf-8").partition(BEGIN)
    file.write_text(before + BEGIN + drawing() + END + rest.partition(END)[2], encoding="utf-8")


if __name__ == "__main__":
    main()
