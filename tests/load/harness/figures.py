"""How a figure is told: on a line for who looks on, and in ``$FIGURES``, a JSON line each, for ``bench.py``."""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Figure:
    """A value in its unit; ``floor`` is what cannot be beaten, in the same unit, measured in the same run.

    ``at_least`` and ``at_most`` are what is aimed at, ``share`` at least which part of the floor.
    """

    program: str
    name: str
    value: float
    unit: str
    floor: float | None = None
    at_least: float | None = None
    at_most: float | None = None
    share: float | None = None

    @property
    def ratio(self) -> float | None:
        """The value in parts of its floor."""
        return self.value / self.floor if self.floor else None

    @property
    def aim(self) -> str:
        """What is aimed at, empty when nothing is."""
        aims = ((self.at_least, f"≥ %g {self.unit}"), (self.at_most, f"≤ %g {self.unit}"), (self.share, "≥ %g of it"))
        return ", ".join((text % number).strip() for number, text in aims if number is not None)

    @property
    def is_missed(self) -> bool:
        low = self.at_least is not None and self.value < self.at_least
        high = self.at_most is not None and self.value > self.at_most
        return low or high or (self.share is not None and (self.ratio or 0) < self.share)

    def columns(self) -> tuple[str, str, str, str, str]:
        """Name, value, floor, ratio and aim, as they are read."""
        floor = f"{plain(self.floor)} {self.unit}" if self.floor else ""
        ratio = f"{self.ratio:.2f}" if self.ratio else ""
        aim = f"{self.aim}{': missed' if self.is_missed else ''}"
        return self.name, f"{plain(self.value)} {self.unit}", floor, ratio, aim


def plain(value: float) -> str:
    """Three figures or so."""
    digits = 0 if abs(value) >= 100 or value == int(value) else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}"


def say(
    name: str,
    value: float,
    unit: str = "",
    *,
    floor: float | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
    share: float | None = None,
) -> None:
    """Tell a figure of the program that runs."""
    figure = Figure(Path(sys.argv[0]).stem, name, value, unit, floor, at_least, at_most, share)
    _, shown, floor_shown, ratio, aim = figure.columns()
    beside = f"floor {floor_shown}, {ratio} of it" if floor_shown else ""
    sys.stdout.write(f"  {name:<56}{shown:>14}   {'; '.join(part for part in (beside, aim) if part)}\n")
    sys.stdout.flush()
    if "FIGURES" in os.environ:
        with Path(os.environ["FIGURES"]).open("a", encoding="utf-8") as kept:
            kept.write(json.dumps(asdict(figure)) + "\n")


def percentile(spans: Sequence[float], part: float) -> float:
    """What so large a part of them did not take longer than; not a number when there are none."""
    return sorted(spans)[min(len(spans) - 1, int(len(spans) * part))] if spans else float("nan")


def say_spans(name: str, spans: Sequence[float], *, p99_at_most: float | None = None) -> None:
    """The middle and the slow end of times in seconds; the aim is in milliseconds."""
    for part, most in ((0.5, None), (0.99, p99_at_most)):
        say(f"{name}, p{part * 100:.0f}", percentile(spans, part) * 1000, "ms", at_most=most)


def note(text: str) -> None:
    """A line that is no figure: what is measured, and how."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
