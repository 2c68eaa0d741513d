"""Every event has a frozen example that parses for ever and leaves out no field."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from contracts.events import EVENT_NAMESPACES, EVENTS
from contracts.events.auth import HouseholdChanged
from contracts.model import Language

EXAMPLES = Path(__file__).parent.parent / "examples"


def test_every_event_has_its_example_and_no_example_is_left_over() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.json")} == set(EVENTS)


@pytest.mark.parametrize("event_type", sorted(EVENTS))
def test_the_frozen_example_parses_and_shows_every_field(event_type: str) -> None:
    written = json.loads((EXAMPLES / f"{event_type}.json").read_text(encoding="utf-8"))
    event = EVENTS[event_type].model_validate(written)
    assert set(event.model_dump(mode="json")) == set(written)
    assert EVENTS[event_type].model_validate_json(event.model_dump_json()) == event
    assert event.subject.count("/") >= 1


@pytest.mark.parametrize("event_type", sorted(EVENTS))
def test_a_field_added_by_a_newer_speaker_is_ignored_but_a_missing_one_is_not(event_type: str) -> None:
    written = json.loads((EXAMPLES / f"{event_type}.json").read_text(encoding="utf-8"))
    EVENTS[event_type].model_validate({**written, "added_next_year": 1})
    for name in written:
        model = EVENTS[event_type].model_fields[name]
        if model.is_required():
            with pytest.raises(ValidationError):
                EVENTS[event_type].model_validate({key: value for key, value in written.items() if key != name})


def test_a_household_told_before_it_had_a_language_reads_french() -> None:
    written = json.loads((EXAMPLES / "auth.household.changed.json").read_text(encoding="utf-8"))
    del written["locale"]
    assert HouseholdChanged.model_validate(written).locale is Language.FR


def test_every_event_begins_with_the_word_of_a_program() -> None:
    assert {name.partition(".")[0] for name in EVENTS} <= set(EVENT_NAMESPACES.values())
