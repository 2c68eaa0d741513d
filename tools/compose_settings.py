"""Write deploy/compose/settings.yml: every setting of a town, passed from town.env to each program that has it.

A name is the same in every program that knows it. One that town.env does not give arrives empty, and an empty setting
is its default: so nothing of docker-compose.yml's demo town is left in a town's own portal.
"""

import sys
from pathlib import Path

from tools import chart_settings

PROGRAMS = chart_settings.PROGRAMS
HEAD = """# Every setting of docs/configuration.md that is no secret, from town.env to each program that has it.
# One that is not given is its default. `make configuration` writes this; production.yml says what a town must give.
services:
"""


def names(program: str) -> list[str]:
    """The settings of a program that town.env may give."""
    return [name.upper() for name in chart_settings.for_the_town(program)]


def written() -> str:
    """The file."""
    text = HEAD
    for program in PROGRAMS:
        text += f"  {program}: &{program}\n    environment:\n"
        text += "".join(f"      {name}: ${{{name}-}}\n" for name in names(program))
        text += f"  set-up-{program}: *{program}\n" if program != "gateway" else ""
    return text


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(written(), encoding="utf-8")
