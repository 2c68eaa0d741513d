"""Expected failures: named, with their facts, independent of HTTP.

A service raises a subclass with a stable ``code``. The HTTP application turns it into problem+json; a consumer
dead-letters the message. Any other exception is a defect and propagates.
"""

from typing import Any, ClassVar


class Refusal(Exception):  # noqa: N818 - a refusal is an answer, not an error
    """A request is refused by a rule. ``facts`` are values that a client may show; never secrets."""

    code: ClassVar[str] = "refused"

    def __init__(self, detail: str, **facts: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.facts = facts


class Invalid(Refusal):
    """What was sent cannot be read; ``errors`` in the facts names each field."""

    code = "invalid"


class Unreadable(Refusal):
    """What was sent is no text at all; ``errors`` in the facts names each field."""

    code = "unreadable"


class Unauthenticated(Refusal):
    """Nobody is signed in, or no longer."""

    code = "unauthenticated"


class Forbidden(Refusal):
    """Known person, but not allowed to do this."""

    code = "forbidden"


class NotFound(Refusal):
    """It does not exist, or not for this person: the two are indistinguishable."""

    code = "not_found"


class Conflict(Refusal):
    """It was possible, but what is there now does not allow it."""

    code = "conflict"


class ChangedMeanwhile(Conflict):
    """Somebody changed it since it was shown; nothing was overwritten."""

    code = "changed_meanwhile"


class TooMany(Refusal):
    """Too often; ``retry_after_seconds`` in the facts."""

    code = "too_many"


class Unavailable(Refusal):
    """A part we need does not answer; ``retry_after_seconds`` may be in the facts."""

    code = "unavailable"
