"""Events as JSON lines, ``{"type", "data"}``, from which a consumer can rebuild its projection."""

import json
from collections.abc import Iterable, Iterator

from contracts.events import EVENTS, Event


def written(event: Event) -> str:
    """An event as one line."""
    return json.dumps({"type": event.type, "data": event.model_dump(mode="json")}, ensure_ascii=False) + "\n"


def read(lines: Iterable[str]) -> Iterator[Event]:
    """Parse the events of a file; ``ValueError`` names the first line that is invalid."""
    for number, line in enumerate(lines, start=1):
        try:
            parsed = json.loads(line)
            event = EVENTS[parsed["type"]].model_validate(parsed["data"])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"line {number} is not an event: {error}") from error
        yield event
