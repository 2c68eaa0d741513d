"""auth: the schools and classes of the town, from which every form chooses."""

from uuid import UUID

from pydantic import Field

from contracts.model import Contract, Label, Line, Version

CLASSES_MAX = 100


class SchoolClass(Contract):
    """A class of a school, and how many children are in it."""

    name: Label
    children: int = Field(default=0, ge=0)


class SchoolRequest(Contract):
    """``POST /schools``: a school and classes of it; those that are there already, however they are written, stay."""

    name: Line
    classes: tuple[Line, ...] = Field(default=(), max_length=CLASSES_MAX)


class SchoolUpdate(Contract):
    """``PUT /schools/{school_id}``: another name for it and its children, classes besides, or no more children."""

    seen_version: Version
    name: Line
    closed: bool = False
    classes: tuple[Line, ...] = Field(default=(), max_length=CLASSES_MAX)


class SchoolView(Contract):
    """A school; one that is ``closed`` takes no more children."""

    school_id: UUID
    name: Label
    closed: bool
    version: Version
    classes: tuple[SchoolClass, ...]

    @property
    def children(self) -> int:
        """How many go there."""
        return sum(each.children for each in self.classes)


class SchoolList(Contract):
    """``GET /schools``: by name."""

    schools: tuple[SchoolView, ...]
