"""When a session is over, what it still wants, and when a link is good."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from contracts.api.auth import SessionStage

LINKS_AN_HOUR_MAX = 4


@dataclass(frozen=True)
class SessionTimes:
    """When a session began and was last used."""

    created_at: datetime
    last_used_at: datetime
    ended_at: datetime | None

    def expires_at(self, *, idle: timedelta, longest: timedelta) -> datetime:
        """When it ends if nobody uses it again."""
        return min(self.last_used_at + idle, self.created_at + longest)

    def is_live(self, now: datetime, *, idle: timedelta, longest: timedelta) -> bool:
        """Tell whether it may still be used."""
        return self.ended_at is None and now < self.expires_at(idle=idle, longest=longest)


class SetUp(StrEnum):
    """How far a person has come since the letter."""

    LETTER = "letter"
    EMAIL = "email"
    DONE = "done"


def stage(set_up: SetUp, *, wants_code: bool) -> SessionStage:
    """What a session still wants before it opens doors; the code of the telephone comes before anything else."""
    if wants_code:
        return SessionStage.ONE_TIME_CODE
    return {
        SetUp.LETTER: SessionStage.CHOOSE_SECRET,
        SetUp.EMAIL: SessionStage.CONFIRM_EMAIL,
        SetUp.DONE: SessionStage.OPEN,
    }[set_up]


@dataclass(frozen=True)
class Link:
    """A link of a mail as it was made; ``state`` is the account's at that moment."""

    state: int
    expires_at: datetime
    used_at: datetime | None

    def is_good(self, account_state: int, now: datetime) -> bool:
        """Once, in time, and only while the account is as it was."""
        return self.used_at is None and now < self.expires_at and self.state == account_state
