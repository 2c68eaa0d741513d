"""When a sign-in must wait, and when a session is over."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from contracts.api.auth import Stage

ACCOUNT_FAILURES_MAX = 5
ADDRESS_FAILURES_MAX = 30
FIRST_LOCK = timedelta(minutes=1)
LONGEST_LOCK = timedelta(minutes=15)
FORGOTTEN_AFTER = timedelta(hours=1)
RESET_ADDRESS_MAX = 20
LINKS_AN_HOUR_MAX = 4


@dataclass(frozen=True)
class Guard:
    """The failures counted for an account or an address; both are slowed down, an address later than an account."""

    failures: int = 0
    last_at: datetime | None = None
    locked_until: datetime | None = None

    def wait_seconds(self, now: datetime) -> float:
        """How long the next attempt must wait; 0 when it may be made."""
        return max(0.0, (self.locked_until - now).total_seconds()) if self.locked_until else 0.0

    def after_failure(self, failures_max: int, *, now: datetime) -> "Guard":
        """One more failure; from ``failures_max`` on, each locks twice as long as the one before, within a limit."""
        forgotten = self.last_at is None or now - self.last_at > FORGOTTEN_AFTER
        failures = 1 if forgotten else self.failures + 1
        lock = min(FIRST_LOCK * 2 ** min(max(0, failures - failures_max), 10), LONGEST_LOCK)
        return Guard(failures, now, now + lock if failures >= failures_max else None)


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


def stage(set_up: SetUp, *, wants_code: bool) -> Stage:
    """What a session still wants before it opens doors; the code of the telephone comes before anything else."""
    if wants_code:
        return Stage.ONE_TIME_CODE
    return {SetUp.LETTER: Stage.CHOOSE_SECRET, SetUp.EMAIL: Stage.CONFIRM_EMAIL, SetUp.DONE: Stage.OPEN}[set_up]


@dataclass(frozen=True)
class Link:
    """A link of a mail as it was made; ``state`` is the account's at that moment."""

    state: int
    expires_at: datetime
    used_at: datetime | None

    def is_good(self, account_state: int, now: datetime) -> bool:
        """Once, in time, and only while the account is as it was."""
        return self.used_at is None and now < self.expires_at and self.state == account_state
