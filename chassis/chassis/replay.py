"""Facts told again in a file, one a line, ``{"type", "data"}``: for a listener that builds what it knows anew."""

import json
from collections.abc import Iterable, Iterator

from contracts.events import EVENTS, Event


def written(event: Event) -> str:
    """An event as a line of the file."""
    return json.dumps({"type": event.type, "data": event.model_dump(mode="json")}, ensure_ascii=False) + "\n"


def read(lines: Iterable[str]) -> Iterator[Event]:
    """The events of a file; ``ValueError`` names the line that is none."""
    for number, line in enumerate(lines, start=1):
        try:
            told = json.loads(line)
            event = EVENTS[told["type"]].model_validate(told["data"])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"line {number} is no event: {error}") from error
        yield event
