"""The envelope of an event: CloudEvents 1.0 in JSON, structured mode.

``{"specversion": "1.0", "id", "source", "type", "subject", "time", "datacontenttype", "correlationid", "data"}``
"""

from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from contracts.events import EVENTS, Event
from contracts.model import Instant


class Envelope(BaseModel):
    """The envelope; ``data`` is the event. Unknown attributes are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    specversion: Literal["1.0"] = "1.0"
    id: UUID
    source: str
    type: str
    subject: str
    time: Instant
    datacontenttype: Literal["application/json"] = "application/json"
    correlationid: str
    data: dict[str, Any]

    def event(self) -> Event:
        """The event; ``ValueError`` for an unknown type or data that do not fit."""
        model = EVENTS.get(self.type)
        if model is None:
            raise ValueError(f"unknown event type {self.type}")
        return model.model_validate(self.data)
