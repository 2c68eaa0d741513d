"""planning: a family's days for its own calendar."""

from uuid import UUID

from pydantic import Field, SecretStr

from contracts.api.enrolments import ChildView
from contracts.model import Contract, Instant


class FeedView(Contract):
    """``GET /feed``: when the calendar address was made and last read; absent if there is none."""

    made_at: Instant | None
    read_at: Instant | None


class FeedKey(Contract):
    """``PUT /feed``: the new secret of the calendar address, shown once, and the children in it; the previous one
    ends."""

    key: str
    children: tuple[ChildView, ...]


class FeedRead(Contract):
    """``POST /feeds/read``: the booked days of the household, or of one child, as ``text/calendar``."""

    key: SecretStr = Field(max_length=200)
    child_id: UUID | None = None
