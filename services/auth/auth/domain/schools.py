"""The schools and classes of the town: a child's is one that is registered, in the spelling that is registered."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from auth.domain.failures import SchoolUnknown
from contracts.names import name_key

NEAR_MAX = 3
NEAR = 0.75
"""How alike two keys are (difflib's ratio) when one may be a slip of the other."""


@dataclass(frozen=True)
class School:
    """A school, and its classes by the key of their names."""

    school_id: UUID
    name: str
    closed: bool = False
    classes: Mapping[str, str] = field(default_factory=dict)


class Schools:
    """Those that are registered, by the key of their names."""

    def __init__(self, known: Iterable[School]) -> None:
        self._by_key = {name_key(each.name): each for each in known}

    def school(self, name: str) -> School | None:
        return self._by_key.get(name_key(name))

    def spelt(self, school: str, class_name: str) -> tuple[str, str]:
        """The two names as they are registered; ``SchoolUnknown`` names those that are near."""
        found = self.school(school)
        if found is None:
            raise SchoolUnknown("no such school", school=school, near=self.near(school))
        kept = found.classes.get(name_key(class_name))
        if kept is None:
            near = _near(class_name, found.classes)
            raise SchoolUnknown("no such class in this school", school=found.name, class_name=class_name, near=near)
        return found.name, kept

    def near(self, school: str) -> list[str]:
        """The schools whose name this may be a slip of."""
        return _near(school, {key: each.name for key, each in self._by_key.items()})


def _near(name: str, known: Mapping[str, str]) -> list[str]:
    return [known[key] for key in difflib.get_close_matches(name_key(name), known, NEAR_MAX, NEAR)]
