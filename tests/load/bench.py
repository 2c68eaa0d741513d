"""Every figure in one table: ``python -m tests.load.bench``, or ``growth``, or ``compare OLDER.json NEWER.json``.

Each program of this folder runs by itself, on servers of its own; its figures come with their floor of the same run,
and what is aimed at. They are kept in ``build/figures``, a file a run, so that versions can be compared. An aim that is
missed is told and fails nothing: a figure is this machine's, of this day.
"""

import asyncio
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from tests.load.harness.figures import Figure, note, plain

HERE, KEPT = Path(__file__).parent, Path("build/figures")
Run = tuple[str, dict[str, str]]
"""What is run, with its arguments, and what it finds in its environment."""
EVERYTHING: tuple[Run, ...] = (
    ("opening.py", {}),
    ("month_and_submit.py", {}),
    ("payments.py", {}),
    ("pages.py", {}),
    ("auth.py", {}),
    ("bench_billing.py", {}),
    ("notifier.py", {}),
)
GROWTH = (1_000, 10_000, 100_000, 200_000)


def growth() -> list[Run]:
    """A month, a submit and a history, and a monthly run of invoices, for towns of more and more households."""
    planning = [(f"month_and_submit.py {households} 40", {"DAYS": "40"}) for households in GROWTH]
    return [*planning, *((f"bench_billing.py {households}", {}) for households in GROWTH)]


async def figures_of(runs: Iterable[Run]) -> dict[str, list[Figure]]:
    """The figures by what was run; the programs' own lines are shown as they come."""
    found = {}
    for command, environment in runs:
        with tempfile.NamedTemporaryFile("r", suffix=".jsonl") as kept:
            name, *words = command.split()
            process = await asyncio.create_subprocess_exec(
                sys.executable, str(HERE / name), *words, env={**os.environ, **environment, "FIGURES": kept.name}
            )
            if await process.wait():
                raise SystemExit(f"{command} failed")
            found[command] = [Figure(**json.loads(line)) for line in kept]
    return found


def where() -> dict[str, Any]:
    """The machine, the day and the version that the figures are of."""
    version = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=True)
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    return {
        "commit": version.stdout.strip(),
        "at": datetime.now(UTC).isoformat(timespec="minutes"),
        "processor": model,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table whose first row is its head."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |" for row in rows]
    return "\n".join([lines[0], f"|{'|'.join('-' * (width + 2) for width in widths)}|", *lines[1:]])


def table(found: dict[str, list[Figure]]) -> str:
    """All figures, grouped by what was run."""
    parts = []
    for command, figures in found.items():
        head = ("figure", "value", "floor", "ratio", "aim")
        parts.append(f"### `{command}`\n\n{markdown([head, *(each.columns() for each in figures)])}")
    return "\n\n".join(parts)


def compared(older: dict[str, Any], newer: dict[str, Any]) -> str:
    """Two runs side by side, and what became of the ratio to the floor, which a slower machine does not change."""
    rows = [("figure", older["where"]["commit"], newer["where"]["commit"], "change", "ratios")]
    before = {(run, each["name"]): Figure(**each) for run, figures in older["figures"].items() for each in figures}
    for run, figures in newer["figures"].items():
        for each in (Figure(**kept) for kept in figures):
            if (was := before.get((run, each.name))) is None:
                continue
            change = f"{each.value / was.value - 1:+.0%}" if was.value else ""
            ratios = f"{was.ratio:.2f}, now {each.ratio:.2f}" if was.ratio and each.ratio else ""
            unit = each.unit
            rows.append(
                (
                    f"{each.program}: {each.name}",
                    f"{plain(was.value)} {unit}",
                    f"{plain(each.value)} {unit}",
                    change,
                    ratios,
                )
            )
    return markdown(rows)


def by_size(found: dict[str, list[Figure]]) -> str:
    """How each figure grows with the town: a column for each number of households."""
    rows = [("figure", *(f"{size:,}" for size in GROWTH))]
    told = [(figure.program, command.split()[1], figure) for command, figures in found.items() for figure in figures]
    for program, group in groupby(told, key=lambda each: each[0]):
        of = list(group)
        sizes = [[each[2] for each in of if each[1] == str(size)] for size in GROWTH]
        rows += [
            (f"{program}: {same[0].name}", *(f"{plain(each.value)} {each.unit}" for each in same))
            for same in zip(*sizes, strict=True)
        ]
    return markdown(rows)


def main(words: list[str]) -> None:
    if words[:1] == ["compare"]:
        older, newer = (json.loads(Path(each).read_text(encoding="utf-8")) for each in words[1:3])
        note(compared(older, newer))
        return
    grows = words == ["growth"]
    found = asyncio.run(figures_of(growth() if grows else EVERYTHING))
    facts = where()
    KEPT.mkdir(parents=True, exist_ok=True)
    path = KEPT / f"{facts['at'][:16].replace(':', '')}-{facts['commit']}{'-growth' if grows else ''}.json"
    kept = {"where": facts, "figures": {run: [vars(each) for each in figures] for run, figures in found.items()}}
    path.write_text(json.dumps(kept, indent=1), encoding="utf-8")
    note(f"\n{', '.join(f'{name} {value}' for name, value in facts.items())}\n")
    note(by_size(found) if grows else table(found))
    missed = [
        f"{each.program}: {each.name} {each.columns()[1]}" for all_ in found.values() for each in all_ if each.is_missed
    ]
    note("\n" + ("\n".join(["missed:", *missed]) if missed else "every aim is met") + f"\nkept in {path}")


if __name__ == "__main__":
    main(sys.argv[1:])
