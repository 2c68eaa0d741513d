"""The base of all events: past facts with everything that a consumer needs."""

from abc import abstractmethod
from typing import ClassVar

from pydantic import ConfigDict

from contracts.model import Contract


class Event(Contract):
    """A past fact. Consumers ignore unknown fields, so a publisher may add optional ones.

    ``type`` is the routing key and never changes its meaning: a breaking change is a new type beside the old one.
    ``subject`` names the aggregate; events of one subject are published in order.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: ClassVar[str]

    @property
    @abstractmethod
    def subject(self) -> str:
        """The aggregate this fact is about, e.g. ``household/2f…``."""
